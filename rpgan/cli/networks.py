"""Commands that make and use networks."""

from pathlib import Path
from typing import Annotated

import typer

from rpgan.arguments import parse_assignments
from rpgan.cli.options import Device, Model, Profile, Seed, Sets
from rpgan.errors import UserError


def train_command(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, e.g. mnist-rpgan.")],
    profile: Profile = "book",
    sets: Sets = [],  # noqa: B006
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory, where more steps extend a run; runs/PROFILE/EXPERIMENT by default, "
            "with a suffix where settings differ, and below _build under smoke."
        ),
    ] = None,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(help="GPUs, or processes on CPUs, that share every batch of a GAN.", min=1)
    ] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that decode images of large sets; by default cores of a GPU's machine.", min=0
        ),
    ] = None,
) -> None:
    """Train an experiment; the same command again continues an interrupted run."""
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    from rpgan.obtain import train_experiment

    changes = parse_assignments(sets, "train.steps=20")
    best = train_experiment(
        experiment, profile, changes, directory=out, device=device, workers=workers, devices=devices
    )
    rank_zero_only(print)(f"best checkpoint: {best}")


def sample_command(
    model: Model,
    n: Annotated[int, typer.Option("--n", help="Number of images.", min=1)] = 64,
    seed: Seed = 0,
    out: Annotated[
        Path, typer.Option(help="A .png sheet, or .npz with uint8 images (n, h, w, c) and paths.")
    ] = Path("samples.png"),
    device: Device = "auto",
) -> None:
    """Generate images of a trained generator."""
    from rpgan.device import find_device
    from rpgan.samples import write_samples

    write_samples(model, n, seed, out, find_device(device).type)
    print(f"{n:,} images of {model}: {out}")


def grid_command(
    model: Model,
    n: Annotated[int, typer.Option("--n", help="Other instances shown a bucket.", min=1)] = 8,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="A .png file.")] = Path("grid.png"),
) -> None:
    """Draw a variation grid: one path, each bucket varied in a row."""
    from rpgan.samples import write_grid

    write_grid(model, n, seed, out)
    print(f"variation grid of {model}: {out}")


def export_command(
    source: Annotated[str, typer.Argument(help="A run's checkpoint, e.g. runs/book/mnist-rpgan/best.")],
    destination: Annotated[Path, typer.Argument(help="Where it goes, e.g. data/checkpoints/mnist-rpgan.")],
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    first_bucket: Annotated[
        str, typer.Option(help="instances, or table: what it makes of a constant Z.")
    ] = "instances",
) -> None:
    """Store a checkpoint smaller, to be committed."""
    from rpgan.checkpoint import export_checkpoint

    export_checkpoint(source, destination, dtype, first_bucket)
    print(f"exported {source} to {destination}")


def curve_command(
    run: Annotated[Path, typer.Argument(help="A run's directory, e.g. runs/book/mnist-rpgan.")],
    model: Annotated[
        str, typer.Argument(help="The checkpoint that came from it; by default the committed one.")
    ] = "",
) -> None:
    """Keep what a run logged in data/results/curves, thinned, to be committed beside its checkpoint."""
    from rpgan.checkpoint import find, load_config
    from rpgan.curves import keep_curve

    print(f"curve of {run}: {keep_curve(run, find(model or load_config(run / 'best').name))}")


def convert_command(
    source: Annotated[Path, typer.Argument(help="The authors' generator, a .pt file.")],
    params: Annotated[Path, typer.Argument(help="The JSON of arguments beside it.")],
    out: Annotated[Path, typer.Argument(help="Directory of the new checkpoint.")],
) -> None:
    """Convert a generator that the authors released into a checkpoint of this project."""
    from rpgan.convert import convert

    convert(source, params, out)
    print(f"converted {source} to {out}")


def models_command() -> None:
    """List the committed checkpoints with their scores."""
    from rpgan.checkpoint import describe, names, roots
    from rpgan.places import CLONE

    if not (committed := names()):
        raise UserError(f"no checkpoint in {' or '.join(map(str, roots()))}; {CLONE}")
    for name in committed:
        print(describe(name))

"""The command line: `rpgan`, also `python -m rpgan`.

Nothing heavy is imported before a command needs it, so that `rpgan --help` answers at once.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from rpgan.arguments import parse_assignments
from rpgan.errors import UserError

app = typer.Typer(
    help="Random Path GAN: train, sample, run the notebooks, build the book.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# Typer brings a copy of click or imports it, depending on its version: the base of its own error is either's.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
INTERRUPTED = 130  # exit status after Ctrl-C

Profile = Annotated[
    str, typer.Option(help="smoke (seconds), book (committed checkpoints) or paper (its protocol).")
]
Sets = Annotated[
    list[str], typer.Option("--set", help="Change one setting, e.g. train.steps=20; repeatable.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.command("train")
def train_command(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, e.g. mnist-rpgan.")],
    profile: Profile = "book",
    sets: Sets = [],  # noqa: B006
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory; runs/PROFILE/EXPERIMENT by default, with a suffix where --set is used."
        ),
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(help="Processes that decode images of large folders.")] = 0,
) -> None:
    """Train an experiment; the same command again continues an interrupted run."""
    from rpgan.obtain import run_directory
    from rpgan.presets import resolve
    from rpgan.training import train

    changes = parse_assignments(sets, "train.steps=20")
    config = resolve(experiment, profile, changes)
    directory = out or run_directory(config, profile, changes)
    best = train(config, directory, device=device, workers=workers)
    print(f"best checkpoint: {best}")


@app.command("sample")
def sample_command(
    model: Annotated[str, typer.Argument(help="Name of a committed checkpoint, or a checkpoint directory.")],
    n: Annotated[int, typer.Option("--n", help="Number of images.", min=1)] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the paths.", min=0, max=2**63 - 1)] = 0,
    out: Annotated[
        Path, typer.Option(help="A .png sheet, or .npz with uint8 images (n, h, w, c) and paths.")
    ] = Path("samples.png"),
) -> None:
    """Generate images of a trained generator."""
    from rpgan.samples import write_samples

    write_samples(model, n, seed, out)
    print(f"{n:,} images of {model}: {out}")


@app.command("grid")
def grid_command(
    model: Annotated[str, typer.Argument(help="Name of a committed checkpoint, or a checkpoint directory.")],
    n: Annotated[int, typer.Option("--n", help="Other instances shown a bucket.", min=1)] = 8,
    seed: Annotated[
        int, typer.Option(help="Seed of the path and the alternatives.", min=0, max=2**63 - 1)
    ] = 0,
    out: Annotated[Path, typer.Option(help="A .png file.")] = Path("grid.png"),
) -> None:
    """Draw a variation grid: one path, each bucket varied in a row."""
    from rpgan.samples import write_grid

    write_grid(model, n, seed, out)
    print(f"variation grid of {model}: {out}")


@app.command("export")
def export_command(
    source: Annotated[Path, typer.Argument(help="A run's checkpoint, e.g. runs/book/mnist-rpgan/best.")],
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


@app.command("convert")
def convert_command(
    source: Annotated[Path, typer.Argument(help="The authors' generator, a .pt file.")],
    params: Annotated[Path, typer.Argument(help="The JSON of arguments beside it.")],
    out: Annotated[Path, typer.Argument(help="Directory of the new checkpoint.")],
) -> None:
    """Convert a generator that the authors released into a checkpoint of this project."""
    from rpgan.convert import convert

    convert(source, params, out)
    print(f"converted {source} to {out}")


@app.command("evaluate")
def evaluate_command(
    model: Annotated[str, typer.Argument(help="Name of a committed checkpoint, or a checkpoint directory.")],
    n: Annotated[int, typer.Option("--n", help="Generated images.", min=2)] = 5_000,
    seed: Annotated[int, typer.Option(help="Seed of the paths and of the real images.")] = 0,
    data: Annotated[str, typer.Option(help="Data set to compare with; the model's own by default.")] = "",
    extractors: Annotated[
        list[str], typer.Option("--extractor", help="Features to measure in, repeatable; all by default.")
    ] = [],  # noqa: B006
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option("--json", help="Also write the scores as JSON.")] = None,
) -> None:
    """Print every score of a generator that the data and networks on this disk allow."""
    from rpgan.evaluate import evaluate, save_json, table
    from rpgan.training.machine import build_fabric

    place = str(build_fabric("float32", device).device)
    evaluation = evaluate(model, n, seed, data=data, extractors=extractors, device=place)
    print(table(evaluation))
    if out is not None:
        save_json(evaluation, out)


@app.command("reference")
def reference_command(
    experiment: Annotated[
        str, typer.Argument(help="An experiment, whose data set and image size are taken.")
    ],
    n: Annotated[int, typer.Option("--n", help="Training images.", min=2)] = 50_000,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    extractors: Annotated[
        list[str], typer.Option("--extractor", help="Features to measure, repeatable; all by default.")
    ] = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Measure real images once, so that `rpgan evaluate` needs no data set afterwards."""
    from rpgan.references import write_reference
    from rpgan.training.machine import build_fabric

    place = str(build_fabric("float32", device).device)
    print(f"wrote {write_reference(experiment, n, seed, extractors, place)}")


@app.command("data")
def data_command(
    action: Annotated[str, typer.Argument(help="list, or fetch to download and check one.")] = "list",
    name: Annotated[str, typer.Argument(help="A data set of the list, to be fetched.")] = "",
) -> None:
    """List the data sets (size, licence, source, whether they are here), or fetch one."""
    from rpgan.datasets.catalogue import CATALOGUE, describe, fetch

    if action not in ("list", "fetch") or (action == "list") == bool(name):
        raise UserError(f"data {action} {name}; expected `rpgan data` or `rpgan data fetch NAME`")
    print("\n".join(fetch(name) if name else map(describe, CATALOGUE)))


@app.command("models")
def models_command() -> None:
    """List the committed checkpoints with their scores."""
    from rpgan.checkpoint import describe, names

    for name in names():
        print(describe(name))


@app.command("run")
def run_command(
    chapters: Annotated[list[str], typer.Argument(help="Chapters, e.g. 02 08; all by default.")] = [],  # noqa: B006
    profile: Profile = "book",
    parameters: Annotated[
        list[str], typer.Option("-p", "--parameter", help="A notebook's parameter, e.g. seed=3; repeatable.")
    ] = [],  # noqa: B006
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Only put the notebooks where a test runner executes them.")
    ] = False,
) -> None:
    """Execute notebooks by papermill; results go to _build."""
    from rpgan import notebooks

    if prepare_only:
        notebooks.prepare(chapters, profile)
    else:
        notebooks.run(chapters, profile, parse_assignments(parameters, "n_routes=20"))


@app.command("book")
def book_command(
    profile: Profile = "book",
    run: Annotated[bool, typer.Option(help="Execute the notebooks first.")] = True,
) -> None:
    """Execute every chapter and build the Jupyter Book into _build/html."""
    from rpgan.book import book

    book(profile, run=run)


def main() -> None:
    """Runs the command line; a user's mistake is one line on stderr and exit status 2."""
    try:
        status = app(standalone_mode=False)
    except UserError as error:
        _stop(str(error), 2)
    except USAGE_ERROR as error:
        _stop(_describe_usage(error), 2)
    except OSError as error:
        _stop(f"{error}; check the path, its permissions and the space on the disk", 2)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        _stop("interrupted; the same command again continues a training", INTERRUPTED)
    sys.exit(status)


def _stop(message: str, status: int) -> NoReturn:
    print(f"rpgan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)


def _describe_usage(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else "rpgan"
    got = shlex.join(sys.argv[1:])
    return f"got {got}: {error.format_message().rstrip('.')}; see {command} --help"


if __name__ == "__main__":
    main()

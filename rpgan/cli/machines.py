"""Commands that use machines for long."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rpgan.arguments import parse_assignments
from rpgan.cli.options import Device, Profile, Sets
from rpgan.errors import UserError


def sweep_command(
    name: Annotated[str, typer.Argument(help="A sweep; without one, they are listed.")] = "",
    profile: Profile = "book",
    points: Annotated[
        Path | None, typer.Option(help="A YAML list of points in place of a named sweep.")
    ] = None,
    shard: Annotated[
        str, typer.Option(help="I/K runs every K-th trial from the I-th on, e.g. 0/2 and 1/2.")
    ] = "0/1",
    device: Device = "auto",
    ray: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Run on Ray: local, auto or HOST:PORT of a cluster.")
    ] = "",
    gpus: Annotated[float | None, typer.Option(help="GPUs a trial on Ray; 1 where there are any.")] = None,
    cpus: Annotated[float | None, typer.Option(help="CPU cores a trial on Ray; 1 by default.")] = None,
    retries: Annotated[
        int | None, typer.Option(help="New starts of a trial on Ray whose machine was lost; 3 by default.")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only trials that data/results lacks.")] = False,
    publish: Annotated[bool, typer.Option(help="Add the rows to data/results, where chapters read.")] = False,
) -> None:
    """Train an experiment at many settings and seeds; the same command again resumes and skips."""
    from rpgan import sweep as sweeps
    from rpgan.sweep.points import find_sweep
    from rpgan.sweep.run import in_this_process
    from rpgan.sweep.table import publish as publish_table
    from rpgan.sweep.table import published_rows

    if bool(name) and points is not None:
        raise UserError(f"got the sweep {name} and --points {points}; expected one of them")
    if not name and points is None:
        print("\n".join(f"{s.name:<12} {len(s.points):>3} trials  {s.about}" for s in sweeps.SWEEPS.values()))
        return
    sweep = find_sweep(name) if points is None else sweeps.read_sweep(points)
    runner = partial(in_this_process, device=device)
    options = {"gpus": gpus, "cpus": cpus, "retries": retries}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if given and not ray:
        raise UserError(f"--{', --'.join(given)} without --ray; expected both or neither")
    if ray:
        from rpgan.sweep.cluster import on_ray

        runner = partial(on_ray, address=ray, device=device, **given)
    known = published_rows(sweep.name, profile) if missing else ()
    table = sweeps.run_sweep(sweep, profile, shard=_parse_shard(shard), runner=runner, known=known)
    if publish:
        print(f"published {publish_table(sweep, table)}")


def _parse_shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None:
        raise UserError(f"--shard {text}; expected I/K, e.g. 0/2 and 1/2 for two processes")
    return int(match[1]), int(match[2])


def benchmark_command(
    out: Annotated[Path, typer.Option("--json", help="Where the rows go.")],
    quick: Annotated[bool, typer.Option("--quick", help="Widths 32 and 64 only, a few minutes.")] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Only shows that it runs: its times mean nothing.")
    ] = False,
    device: Device = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; torch's own number by default.", min=0)] = 0,
) -> None:
    """Time the naive loop, each routing strategy and the standard GAN, in turn in one run."""
    import torch

    from rpgan.benchmark import write_benchmark

    if threads:
        torch.set_num_threads(threads)
    write_benchmark("tiny" if tiny else "quick" if quick else "full", out, device)
    print(f"wrote {out}")


def memory_command(
    experiment: Annotated[str, typer.Argument(help="A GAN among the experiments, e.g. cifar10-rpgan.")],
    profile: Profile = "paper",
    sets: Sets = [],  # noqa: B006
    precision: Annotated[str, typer.Option(help="float32 or bfloat16, for training.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda, where weights are copied too.")] = "cpu",
) -> None:
    """Print the memory that training and sampling of an experiment take, without starting them."""
    from rpgan.memory import ACTIVATIONS, sampling_memory, training_memory
    from rpgan.presets import resolve_gan

    config = resolve_gan(experiment, profile, parse_assignments(sets, "train.batch_size=32"))
    for option, given, known in (("precision", precision, ACTIVATIONS), ("device", device, ("cpu", "cuda"))):
        if given not in known:
            raise UserError(f"--{option} {given}; expected one of {', '.join(known)}")
    for what, memory in (
        ("training", training_memory(config, precision, device)),
        ("sampling", sampling_memory(config.generator, device=device)),
    ):
        print(f"{what} {experiment}, profile {profile}:\n{memory.table()}")

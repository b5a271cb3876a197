"""Commands that measure images."""

from pathlib import Path
from typing import Annotated

import typer

from rpgan.cli.options import Device, Extractors, Model, Seed
from rpgan.errors import UserError


def evaluate_command(
    model: Model,
    n: Annotated[int, typer.Option("--n", help="Generated images.", min=2)] = 5_000,
    seed: Seed = 0,
    data: Annotated[str, typer.Option(help="Data set to compare with; the model's own by default.")] = "",
    extractors: Extractors = [],  # noqa: B006
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option("--json", help="Also write the scores as JSON.")] = None,
) -> None:
    """Print every score of a generator that the data and networks on this disk allow."""
    from rpgan.device import find_device
    from rpgan.evaluate import evaluate, save_json, table

    place = find_device(device).type
    evaluation = evaluate(model, n, seed, data=data, extractors=extractors, device=place)
    print(table(evaluation))
    if out is not None:
        save_json(evaluation, out)
    if blind := sorted(set(extractors) - {score.extractor for score in evaluation.scores}):
        raise UserError(
            f"nothing was measured in {', '.join(blind)}; expected every extractor that was asked for; "
            "the lines on what is absent say what to fetch"
        )


def reference_command(
    experiment: Annotated[
        str, typer.Argument(help="An experiment, whose data set and image size are taken.")
    ],
    n: Annotated[int, typer.Option("--n", help="Training images.", min=2)] = 50_000,
    seed: Seed = 0,
    extractors: Extractors = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Measure real images once, so that `rpgan evaluate` needs no data set afterwards."""
    from rpgan.device import find_device
    from rpgan.references import write_reference

    place = find_device(device).type
    print(f"wrote {write_reference(experiment, n, seed, extractors, place)}")


def data_command(
    action: Annotated[str, typer.Argument(help="list, or fetch to download and check one.")] = "list",
    name: Annotated[str, typer.Argument(help="A data set of the list, to be fetched.")] = "",
) -> None:
    """List the data sets (size, licence, source, whether they are here), or fetch one."""
    from rpgan.datasets.catalogue import CATALOGUE, describe, fetch

    if action not in ("list", "fetch") or (action == "list") == bool(name):
        raise UserError(f"data {action} {name}; expected `rpgan data` or `rpgan data fetch NAME`")
    print("\n".join(fetch(name) if name else map(describe, CATALOGUE)))

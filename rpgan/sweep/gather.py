"""What a chapter asks of sweeps: their cost beforehand, and all rows that there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rpgan.device import find_device
from rpgan.effort import gan_disk
from rpgan.memory import GIB, training_memory
from rpgan.operations import GPU_HOURS, gpu_hours
from rpgan.row import Row
from rpgan.sweep.cost import estimate
from rpgan.sweep.points import Sweep, find_sweep, plan
from rpgan.sweep.run import obtain_sweep


@dataclass(frozen=True)
class Gathered:
    """Rows of several sweeps, each once."""

    rows: tuple[Row, ...]
    about: str  # how complete each sweep is, for the page
    complete: bool  # whether every training of every sweep is there


def gather(names: Sequence[str], profile: str, device: str = "cpu") -> Gathered:
    """Returns the rows of sweeps; under `book` those that are published, which may be some or none.

    Under the other profiles what is missing is trained, and a sweep that fails raises UserError.
    """
    rows: dict[str, Row] = {}
    words, complete = [], True
    for name in names:
        table = obtain_sweep(name, profile, device)
        rows |= {row.digest: row for row in table.rows}
        complete &= len(table.rows) == table.points
        words.append(f"{name}: {len(table.rows)} of {table.points} trainings")
    return Gathered(tuple(rows.values()), "; ".join(words), complete)


def forecast_sweeps(
    names: Sequence[str], profile: str, *, device: torch.device | str = "auto"
) -> dict[str, dict[str, Any]]:
    """Returns for each sweep what its trainings take, without any; under `book` nothing is trained."""
    place = find_device(str(device)).type
    return {name: _cost(find_sweep(name), profile, place) for name in names}


def _cost(sweep: Sweep, profile: str, device: str) -> dict[str, Any]:
    trials, cost = plan(sweep, profile), estimate(sweep, profile)
    trains = [trial.config.train for trial in trials]
    largest = max(trials, key=lambda trial: sum(trial.config.generator.bucket_sizes))
    return {
        "trainings": cost.trials,
        "run here": "no, read from published tables" if profile == "book" else "where missing",
        "updates, in all": cost.steps,
        "real images, in all": sum(train.steps * train.d_steps * train.batch_size for train in trains),
        "images scored": sum(trial.n * len(trial.features) for trial in trials),
        "memory of the largest, GiB": round(training_memory(largest.config, device=device).peak / GIB, 2),
        "disk, in all, GiB": round(sum(gan_disk(trial.config) for trial in trials) / GIB, 2),
        GPU_HOURS: round(gpu_hours(cost.operations), 1),
    }

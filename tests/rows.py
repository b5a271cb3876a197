"""Rows of a sweep with the numbers that a test plants, and something for everything else."""

from dataclasses import replace
from typing import Any

from rpgan.row import Row

ANY = Row(
    experiment="cifar10-rpgan",
    overrides={},
    digest="0",
    seed=0,
    steps=60,
    parameters=1_000,
    seconds=60.0,
    step_seconds=1.0,
    selected={"name": "frechet_own", "value": 1.0, "step": 60},
    final=[],
    curve={},
    prd={},
    diversity={},
    damage={},
    data="",
    machine={},
    versions={},
)


def row(**planted: Any) -> Row:
    return replace(ANY, **planted)

"""What a sweep costs in arithmetic, counted from its configs without training anything."""

from dataclasses import dataclass

from rpgan.checkpoint import load_card
from rpgan.config import GanConfig
from rpgan.operations import step_operations
from rpgan.overrides import from_dict
from rpgan.sweep.points import Sweep, plan


@dataclass(frozen=True)
class Cost:
    """Trainings of a sweep, without the scores on their way."""

    sweep: str
    trials: int
    steps: int  # of all trials together
    operations: float  # floating-point, of all trials together


def estimate(sweep: Sweep, profile: str) -> Cost:
    """Counts the trials, generator updates and floating-point operations of a sweep."""
    configs = [trial.config for trial in plan(sweep, profile)]
    operations = sum(config.train.steps * step_operations(config) for config in configs)
    return Cost(sweep.name, len(configs), sum(config.train.steps for config in configs), operations)


def measured_rate(checkpoint: str) -> float:
    """Floating-point operations a second while a committed checkpoint was trained, by its card."""
    card = load_card(checkpoint)
    config = from_dict(card["config"])
    assert isinstance(config, GanConfig), f"{checkpoint} is a generator"
    return step_operations(config) * card["steps"] / card["seconds"]

"""Training curves: what a run logged, thinned, as the repository keeps it beside the run's checkpoint.

`rpgan curve RUN` writes `data/results/curves/NAME.json`, from which the page of trained models is made.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rpgan.checkpoint import load_card
from rpgan.errors import UserError
from rpgan.overrides import flatten, from_dict
from rpgan.places import home
from rpgan.presets import BOOK, resolve
from rpgan.results import save

WINDOWS = 100  # means of a loss that are kept


@dataclass(frozen=True)
class Curve:
    """Losses and scores of one training."""

    command: str  # makes it again
    machine: Mapping[str, Any]  # as the card describes it
    seconds: float  # of all its steps, without scores and saving
    steps: Sequence[int]  # last steps of windows
    losses: Mapping[str, Sequence[float]]  # name → mean over each window
    scored: Sequence[int]  # steps
    scores: Mapping[str, Sequence[float]]  # name → value at each; the first one chose the checkpoint

    def fits(self, card: Mapping[str, Any]) -> bool:
        """Whether the score at the step of a checkpoint is the one that its card states."""
        stated = card["scores"][0]
        there = dict(zip(self.scored, self.scores.get(stated["name"], ()), strict=False))
        return there.get(card["steps"]) == _short(stated["value"])


def curve_path(name: str) -> Path:
    """Returns the committed file of an experiment."""
    return home() / "data" / "results" / "curves" / f"{name}.json"


def keep_curve(run: Path, checkpoint: Path) -> Path:
    """Writes the curve of a run whose best state became a checkpoint; returns the file.

    What the run logged behind the steps of the checkpoint's config is left out. Raises UserError where the
    log is damaged, or another training's: it must hold the score that the card states.
    """
    card = load_card(checkpoint)
    curve = thin(_read_log(run / "log.jsonl"), card)
    path = curve_path(card["config"]["name"])
    save(path, asdict(curve))
    return path


def thin(log: list[dict[str, Any]], card: Mapping[str, Any]) -> Curve:
    """Returns the curve of a log's entries; raises UserError unless they are of the card's training."""
    until = card["config"]["train"]["steps"]
    scored = {entry["step"]: entry["scores"] for entry in log if "scores" in entry and entry["step"] <= until}
    stated = card["scores"][0]
    there = [score["value"] for score in scored.get(card["steps"], []) if score["name"] == stated["name"]]
    if there != [stated["value"]]:
        raise UserError(
            f"the log has {there or 'no score'} at step {card['steps']:,}; expected {stated['value']}, as "
            f"the card of {card['config']['name']} says: this is the log of another training"
        )
    made = [entry for entry in log if "scores" not in entry and entry["step"] <= until]
    lengths = [b["step"] - a["step"] for a, b in zip([{"step": 0}, *made], made, strict=False)]
    windows = _windows(len(made))
    names = [name for name in made[0] if name not in ("step", "step_seconds") and any(e[name] for e in made)]
    return Curve(
        command=_command(card),
        machine=card["machine"],
        seconds=round(sum(n * e["step_seconds"] for n, e in zip(lengths, made, strict=True)), 1),
        steps=tuple(made[window[-1]]["step"] for window in windows),
        losses={
            name: tuple(
                _short(sum(lengths[i] * made[i][name] for i in window) / sum(lengths[i] for i in window))
                for window in windows
            )
            for name in names
        },
        scored=tuple(scored),
        scores={
            score["name"]: tuple(_short(scores[k]["value"]) for scores in scored.values())
            for k, score in enumerate(card["scores"])
        },
    )


def read_curve(name: str) -> Curve | None:
    """Returns the committed curve of an experiment, None for none; raises UserError for a damaged file."""
    path = curve_path(name)
    if not path.exists():
        return None
    try:
        return Curve(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no training curve ({error}); restore it, or run rpgan curve") from None


def _read_log(path: Path) -> list[dict[str, Any]]:
    try:
        log = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if min(entry["step"] for entry in log) < 1 or not any("step_seconds" in entry for entry in log):
            raise ValueError("no steps that were timed")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{path} is no log of a run ({error!r}); expected a run's directory") from None
    return log


def _windows(n: int) -> list[range]:
    """Cuts n entries into at most `WINDOWS` stretches that differ in length by one."""
    ends = [n * (k + 1) // min(n, WINDOWS) for k in range(min(n, WINDOWS))]
    return [range(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _command(card: Mapping[str, Any]) -> str:
    config = from_dict(card["config"])
    profile = "book" if config.name in BOOK else "paper"
    here, preset = flatten(config), flatten(resolve(config.name, profile))
    changed = [f"{key}={json.dumps(value)}" for key, value in here.items() if value != preset.get(key)]
    other = [] if profile == "book" else ["--profile", profile]
    return shlex.join(
        ["rpgan", "train", config.name, *other, *(part for c in changed for part in ("--set", c))]
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")

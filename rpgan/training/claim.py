"""Whose a run directory is: the config that it was begun with, and the checkpoint that it builds on."""

import json
from pathlib import Path
from typing import Any

from rpgan.checkpoint import CARD, load_card, restate
from rpgan.config import Config, GanConfig
from rpgan.errors import UserError
from rpgan.files import replacing
from rpgan.overrides import flatten, from_dict, to_dict
from rpgan.results import save

SOURCE = "source.txt"  # SHA-256 of the generator that it started from, or whose images it reads


def refuse_another(directory: Path, config: Config) -> None:
    """Raises UserError where the directory is another experiment's; a GAN may come back with more steps."""
    path = directory / "config.json"
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file; expected a directory: take another --out")
    if not path.exists():
        others = [p.name for p in directory.glob("[!.]*")] if directory.exists() else []
        if others:
            raise UserError(
                f"{directory} holds {others[0]} and no run; expected a new folder: take another --out"
            )
        return
    try:
        there = from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:  # UserError is one
        raise UserError(f"{path} is not a config of this version ({error}): take another --out") from None
    if _identity(there) != _identity(config):
        raise UserError(
            f"{directory} holds a run of another config of {there.name!r}; expected that of {config.name!r} "
            f"({_describe_difference(there, config)}): take another --out"
        )


def _describe_difference(there: Config, config: Config) -> str:
    old, new = flatten(there), flatten(config)
    changed = [key for key in old if key in new and old[key] != new[key]]
    return ", ".join(f"{key} {old[key]!r} there, {new[key]!r} here" for key in changed[:3])


def refuse_another_source(directory: Path, source: str) -> None:
    """Raises UserError where a run was begun from another checkpoint than that of this SHA-256."""
    there = _source(directory)
    if there is not None and there != source:
        raise UserError(
            f"{directory} holds a run that was begun from a generator {there[:12]}…; expected "
            f"{source[:12]}…, which is there now: take another --out"
        )


def _source(directory: Path) -> str | None:
    """The digest that a run was begun with; None where nothing tells."""
    if (directory / SOURCE).exists():
        return (directory / SOURCE).read_text(encoding="utf-8", errors="replace").strip()
    if not (directory / "best" / CARD).exists():
        return None
    card = load_card(directory / "best")
    return card.get("initial_sha256") or card.get("generator_sha256")


def claim(directory: Path, config: Config, source: str) -> None:
    """Writes down whose a directory is, not before all settings have proved good."""
    save(directory / "config.json", to_dict(config))
    if source:
        with replacing(directory / SOURCE) as aside:
            aside.write_text(source + "\n")
    restate(directory / "best", config)  # which may stay the best of more steps than it was made for


def _identity(config: Config) -> dict[str, Any]:
    """The settings but those that may change between two sittings of a run."""
    # The rates of classifiers, and a decay at the end, depend on the number of steps.
    fixed = not isinstance(config, GanConfig) or config.train.decay_steps
    free = {"train.evaluate_every", "train.save_every", *(() if fixed else ("train.steps",))}
    return {"": type(config)} | {key: value for key, value in flatten(config).items() if key not in free}

"""Checkpoints: a directory of safetensors weights and a card that says what they are.

Loading executes nothing from the files: weights are safetensors, cards JSON, both checked before use.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from rpgan.config import ClassifierConfig, Config, GanConfig, InversionConfig
from rpgan.errors import MissingCheckpoint, UserError
from rpgan.files import exchange
from rpgan.models.classifier import Classifier, build_classifier
from rpgan.models.generator import RandomPathGenerator, build_generator
from rpgan.models.inverter import Inverter, build_inverter
from rpgan.overrides import from_dict, to_dict
from rpgan.places import COMMITTED, data_root
from rpgan.results import save
from rpgan.storage import fill, stored

FORMAT = 1
KINDS = {GanConfig: "a generator", ClassifierConfig: "a classifier", InversionConfig: "path classifiers"}
WEIGHTS, CARD = "weights.safetensors", "card.json"
WRITTEN = ("format", "config", "parameters", "storage", "sha256")  # entries of a card made by save_checkpoint


def save_checkpoint(
    directory: Path,
    model: nn.Module,
    config: Config,
    about: Mapping[str, Any],
    dtype: str = "float32",
    first_bucket: str = "instances",
) -> None:
    """Writes weights and card into a new directory, aside first, so that no half-written one is ever seen.

    `about` goes into the card as it is (data, steps, scores, …). dtype "float16" halves the file.
    first_bucket "table" stores what the first bucket makes of a constant Z in place of its weights. Raises
    UserError where there is something else than a checkpoint, which is replaced.
    """
    weights = save_tensors(stored(model, dtype, first_bucket))
    card = {
        "format": FORMAT,
        "config": to_dict(config),
        **about,
        "parameters": sum(p.numel() for p in model.parameters()),
        "storage": {"dtype": dtype, "first_bucket": first_bucket, "bytes": len(weights)},
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    directory = directory.absolute()
    refuse_what_is_no_checkpoint(directory)
    aside = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        (aside / WEIGHTS).write_bytes(weights)
        save(aside / CARD, card)
        exchange(aside, directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_what_is_no_checkpoint(directory: Path) -> None:
    """Raises UserError where a path is taken by anything but the two files of a checkpoint.

    Hidden files do not count, which systems leave anywhere; hidden folders do, such as one of git.
    """
    inside = directory.iterdir() if directory.is_dir() else [directory] if directory.exists() else []
    taken = {path.name for path in inside if path.is_dir() or not path.name.startswith(".")}
    if not taken <= {CARD, WEIGHTS}:
        raise UserError(
            f"{directory} is there and is no checkpoint; expected a new directory, or one to replace"
        )


def restate(directory: Path, config: Config) -> None:
    """Has the card of a checkpoint say another config, e.g. of more steps; nothing where there is no card."""
    if (path := directory / CARD).exists() and (card := load_card(directory))["config"] != to_dict(config):
        save(path, card | {"config": to_dict(config)})


def load_generator(name: str | Path) -> RandomPathGenerator:
    """Loads a generator by name or directory: eval mode, float32, CPU."""
    config, state = _load(name, GanConfig)
    return fill(lambda: build_generator(config.generator), config, state, name)


def load_classifier(name: str | Path) -> Classifier:
    """Loads a classifier by name or directory: eval mode, float32, CPU."""
    config, state = _load(name, ClassifierConfig)
    return fill(lambda: build_classifier(config), config, state, name)


def load_inverter(name: str | Path) -> Inverter:
    """Loads the classifiers of an inversion by name or directory: eval mode, float32, CPU."""
    config, state = _load(name, InversionConfig)
    return fill(lambda: build_inverter(config), config, state, name)


def load_config(name: str | Path) -> Config:
    """Loads the config that a checkpoint was trained with."""
    return from_dict(load_card(name)["config"])


def load_card(name: str | Path) -> dict[str, Any]:
    """Reads a checkpoint's card by name or directory; raises UserError without a whole one."""
    path = find(name) / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a readable card ({error}); restore or retrain the checkpoint"
        ) from None
    if not isinstance(card, dict) or card.get("format") != FORMAT or not isinstance(card.get("config"), dict):
        raise UserError(
            f"{path} is not a card of format {FORMAT}; it was written by another version of rpgan"
        )
    return card


def describe(name: str) -> str:
    """Returns a line about a checkpoint: step, parameters, size, scores; raises UserError where one lacks."""
    card = load_card(name)
    try:
        scores = ", ".join(f"{score['name']} {score['value']:.4g}" for score in card.get("scores", []))
        scores += f" (n = {card['scores'][0]['n']:,})" if scores else ""
        size, millions = card["storage"]["bytes"] / 1e6, card["parameters"] / 1e6
        made = f"step {kept_step(card):<16}  {millions:6.2f} M  {size:5.1f} MB"
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(
            f"the card of {name} lacks an entry or has a wrong one ({error!r}); restore or export it anew"
        ) from None
    return f"{name:<22} {made}  {scores}"


def kept_step(card: Mapping[str, Any]) -> str:
    """Returns the step whose state a checkpoint is, and of how many: "4,000 of 20,000"."""
    kept, planned = card.get("steps", 0), card.get("config", {}).get("train", {}).get("steps", 0)
    return f"{kept:,}" if kept == planned else f"{kept:,} of {planned:,}"


def find(name: str | Path) -> Path:
    """Returns the directory of a checkpoint named like a committed one, or given as a path.

    A folder beside the user that bears a committed name is a path, as ./NAME. A run's directory stands for
    its best state.
    """
    kept, given = [root / str(name) for root in roots()], Path(name)
    named = given.name == str(name)  # no path, but a single word
    for directory in (*kept, given, given / "best") if named else (given, given / "best", *kept):
        if (directory / CARD).is_file():
            return directory
    raise MissingCheckpoint(
        f"no checkpoint {str(name)!r}; expected a directory with {CARD}, or one of: {', '.join(names())}"
    )


def names() -> list[str]:
    """Lists the committed checkpoints."""
    return sorted({card.parent.name for root in roots() for card in root.glob(f"[!.]*/{CARD}")})


def roots() -> list[Path]:
    """Folders that are searched for named checkpoints."""
    return [root / "checkpoints" for root in dict.fromkeys([data_root(), COMMITTED])]


def satisfies(name: str | Path, config: Config) -> bool:
    """Whether a checkpoint exists whose card holds exactly this config."""
    try:
        return load_config(name) == config
    except UserError:
        return False


def refuse_another_kind(name: str | Path, config: Config, kind: type) -> None:
    """Raises UserError for a checkpoint whose config is not of that kind of network."""
    if not isinstance(config, kind):
        raise UserError(f"{name} is {KINDS[type(config)]}; expected {KINDS[kind]}: rpgan models lists them")


def _load(name: str | Path, kind: type) -> tuple[Any, dict[str, Tensor]]:
    directory, card = find(name), load_card(name)
    config = from_dict(card["config"])
    refuse_another_kind(name, config, kind)
    try:
        weights = (directory / WEIGHTS).read_bytes()
    except OSError as error:
        raise UserError(f"{directory / WEIGHTS} cannot be read ({error}); restore the checkpoint") from None
    digest = hashlib.sha256(weights).hexdigest()
    if digest != card.get("sha256"):
        raise UserError(
            f"{directory / WEIGHTS} has SHA-256 {digest[:12]}…, its card {str(card.get('sha256'))[:12]}…; "
            "the file is damaged or not the card's: restore the checkpoint"
        )
    try:
        return config, load_tensors(weights)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:  # dtypes torch lacks
        raise UserError(
            f"{directory / WEIGHTS} is not a safetensors file ({error}); restore it, or train anew"
        ) from None


LOADERS: dict[type, Callable[[str | Path], nn.Module]] = {
    GanConfig: load_generator,
    ClassifierConfig: load_classifier,
    InversionConfig: load_inverter,
}


def export_checkpoint(
    source: str | Path, destination: Path, dtype: str = "float16", first_bucket: str = "instances"
) -> None:
    """Stores a run's checkpoint again, smaller; the card is kept and says how it is stored."""
    card = load_card(source)
    config = from_dict(card["config"])
    model = LOADERS[type(config)](source)
    about = {key: value for key, value in card.items() if key not in WRITTEN}
    save_checkpoint(destination, model, config, about, dtype, first_bucket)

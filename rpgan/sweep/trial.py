"""One trial of a sweep: a training, and scores that had no part in selecting its checkpoint."""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from rpgan.checkpoint import load_card, load_generator
from rpgan.config import DataConfig, GanConfig
from rpgan.device import find_device
from rpgan.errors import UserError
from rpgan.evaluate import Compared, Distance, compare, damage_of_layers, diversity_of_layers
from rpgan.metrics.color import color_distance
from rpgan.metrics.features import Extractor, load_extractor
from rpgan.metrics.perceptual import FeatureDistance
from rpgan.metrics.prd import PrdCurve
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator
from rpgan.obtain import train_experiment
from rpgan.references import Reference, find_reference
from rpgan.results import save
from rpgan.row import Row

ROW = 4  # raised where rows come to say more, so that finished trials are scored anew
FINAL_SEED = 2020  # of the images of the final scores; the selection draws others
FORMS = ("ratio_mean", "share")  # of the layer diversity, see metrics.diversity


@dataclass(frozen=True)
class Trial:
    """A point of a sweep with all that it needs to be run anywhere."""

    experiment: str
    profile: str
    overrides: Mapping[str, Any]  # the point's own
    changes: Mapping[str, Any]  # the protocol's and the point's
    config: GanConfig  # what they resolve to
    features: tuple[str, ...]  # extractors of the final scores
    n: int  # images of the final scores
    digest: str  # of the config and of how it is scored and told
    directory: Path  # its run


def run_trial(trial: Trial, device: str = "auto") -> Row:
    """Trains and scores a trial, continues one that was interrupted, or reads the row of a finished one.

    Two processes never work on one trial: the second waits, and reads what the first has found.
    """
    trial.directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(trial.directory.with_name(f".{trial.directory.name}.lock")):
        if row := read_row(trial):
            return row
        place = find_device(device).type
        data, shape = trial.config.data, trial.config.generator.image_shape
        # Before the training: what is missing is better known then than after it.
        networks, reference = _yardstick(data, shape, trial.n, trial.features, place)
        changes = dict(trial.changes)
        best = train_experiment(
            trial.experiment, trial.profile, changes, directory=trial.directory, device=device
        )
        generator = load_generator(best).to(place)
        rng = torch.Generator().manual_seed(FINAL_SEED)
        images = draw(generator, trial.n, rng)
        compared = compare(reference, images, networks, FINAL_SEED)
        distances = _distances(networks)
        found = _diversity(generator, distances), _damage(generator, distances)
        row = _row(trial, compared, *found)
        save(trial.directory / "result.json", asdict(row))
        return row


@lru_cache(maxsize=2)
def _yardstick(
    data: DataConfig, shape: tuple[int, ...], n: int, features: tuple[str, ...], device: str
) -> tuple[dict[str, Extractor], Reference]:
    """Extractors, and what they make of n training images; measured once for all trials of a process."""
    networks = {name: load_extractor(name, device) for name in features}
    channels, height, width = shape
    return networks, find_reference(data, (channels, height, width), n, FINAL_SEED, networks)


def _distances(networks: Mapping[str, Extractor]) -> dict[str, Distance]:
    """What changes are measured by: colour, and squared distances of features."""
    features = {f"{name}²": FeatureDistance(network, squared=True) for name, network in networks.items()}
    return {"color": color_distance, **features}


def _diversity(
    generator: RandomPathGenerator, distances: Mapping[str, Distance]
) -> dict[str, dict[str, list[float | None]]]:
    """Layer diversity of an RPGAN; None where a bucket has none."""
    found = diversity_of_layers(generator, distances, FINAL_SEED)
    return {
        name: {form: [_short(value) for value in getattr(d, form).tolist()] for form in FORMS}
        for name, d in found.items()
    }


def _damage(generator: RandomPathGenerator, distances: Mapping[str, Distance]) -> dict[str, list[float]]:
    """Shares of a standard GAN's layers in the changes by noise."""
    found = damage_of_layers(generator, distances, FINAL_SEED)
    return {name: [round(part, 5) for part in (d / d.sum()).tolist()] for name, d in found.items()}


def _short(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


def _row(
    trial: Trial,
    compared: Compared,
    diversity: dict[str, dict[str, list[float | None]]],
    damage: dict[str, list[float]],
) -> Row:
    best, last = (load_card(trial.directory / name) for name in ("best", "last"))
    log = [json.loads(line) for line in (trial.directory / "log.jsonl").read_text().splitlines()]
    scored = [entry for entry in log if "scores" in entry]
    first = best["scores"][0]
    return Row(
        experiment=trial.experiment,
        overrides=dict(trial.overrides),
        digest=trial.digest,
        seed=trial.config.seed,
        steps=last["steps"],
        parameters=last["parameters"],
        seconds=float(last["seconds"]),
        step_seconds=statistics.median(entry["step_seconds"] for entry in log if "step_seconds" in entry),
        selected=first | {"step": best["steps"]},
        final=[asdict(score) for score in compared.scores],
        curve={
            "name": first["name"],
            "steps": [entry["step"] for entry in scored],
            "values": [entry["scores"][0]["value"] for entry in scored],
        },
        prd={name: _thinned(curve) for name, curve in compared.curves.items()},
        diversity=diversity,
        damage=damage,
        data=last["data"],
        machine=last["machine"],
        versions=last["versions"],
    )


def _thinned(curve: PrdCurve) -> dict[str, list[float]]:
    """Every tenth point: 101 of the 1,001 angles."""
    return {name: part[::10].round(4).tolist() for name, part in asdict(curve).items()}


def read_row(trial: Trial) -> Row | None:
    """Returns the row of a finished trial; None where it is not finished or was scored in another way.

    Sweeps share trials of one config; the row tells this trial's overrides, whichever sweep trained it.
    """
    path = trial.directory / "result.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, Mapping) and document.get("digest", trial.digest) != trial.digest:
            return None
        row = row_of(document)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:  # UserError is one of the first
        raise UserError(f"{path} is damaged ({error}); delete it to score the trial anew") from None
    return replace(row, overrides=dict(trial.overrides))


def row_of(document: Any) -> Row:
    """Returns a row from plain data; raises UserError where a field is missing or unknown."""
    expected = {field.name for field in fields(Row)}
    if not isinstance(document, Mapping) or set(document) != expected:
        got = ", ".join(document) if isinstance(document, Mapping) else type(document).__name__
        raise UserError(
            f"a row of a sweep has {got}; expected {', '.join(sorted(expected))}: run the trial anew"
        )
    return Row(**document)

"""Which points a sweep has, and under which protocol they are trained and scored."""

import json
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rpgan.errors import UserError
from rpgan.obtain import run_directory
from rpgan.overrides import fingerprint, flatten
from rpgan.presets import resolve, resolve_gan
from rpgan.sweep.trial import ROW, Trial

LONGEST = 120  # characters of a trial's settings in the name of its folder; the fingerprint has all
DEEPEST = 8  # of lists and mappings within each other in a file of points


@dataclass(frozen=True)
class Point:
    """One setting of an experiment."""

    experiment: str
    changes: Mapping[str, Any]  # dotted keys


@dataclass(frozen=True)
class Protocol:
    """What all points of a sweep have in common under a profile."""

    changes: Mapping[str, Any]  # dotted keys, which a point may change again
    features: tuple[str, ...] = ()  # extractors of the final scores; that of the selection by default
    n: int = 0  # images of the final scores; as many as for the selection by default
    whole: bool = True  # all points, or the first and the last alone


@dataclass(frozen=True)
class Sweep:
    """Points, and their protocol by profile; a profile without one has its own."""

    name: str
    about: str
    points: tuple[Point, ...]
    protocols: Mapping[str, Protocol]


CIFAR_PROTOCOLS = {
    "smoke": Protocol({}, whole=False),
    "book": Protocol(
        {
            "generator.widths": (24,) * 4,
            "discriminator.widths": (32, 64, 64, 64),
            "discriminator.downsamplings": 3,
            "train.steps": 4_000,
            "train.d_steps": 2,  # whatever the experiments take: what is published stays comparable
            "train.decay_steps": 0,
            "train.evaluate_every": 500,
            "train.features": "cifar10-cnn",
            "train.evaluate_n": 5_000,
        },
        ("cifar10-cnn", "efficientnet-lite0@64"),
        5_000,
    ),
    "paper": Protocol({}, ("inception",), 50_000),
}


def _instances(n_in: int, seed: int) -> Point:
    return Point("cifar10-rpgan", {"generator.bucket_sizes": (n_in,) * 5, "seed": seed})


def _seeds(experiment: str, seeds: Iterable[int]) -> tuple[Point, ...]:
    return tuple(Point(experiment, {"seed": seed}) for seed in seeds)


def _latents(latent: str, seeds: Iterable[int]) -> tuple[Point, ...]:
    return tuple(Point("cifar10-rpgan", {"generator.latent": latent, "seed": seed}) for seed in seeds)


SWEEPS = {
    sweep.name: sweep
    for sweep in (
        Sweep(
            "instances",
            "instances a bucket, 5 to 50 (Table 3); three seeds at 5, 20 and 40",
            (
                *(_instances(n_in, 0) for n_in in range(5, 55, 5)),
                *(_instances(n_in, seed) for seed in (1, 2) for n_in in (5, 20, 40)),
            ),
            CIFAR_PROTOCOLS,
        ),
        Sweep("twins", "the standard GAN, three seeds", _seeds("cifar10-gan", range(3)), CIFAR_PROTOCOLS),
        Sweep(
            "table-2",
            "RPGAN and the standard GAN, ten seeds each (Table 2)",
            _seeds("cifar10-rpgan", range(10)) + _seeds("cifar10-gan", range(10)),
            CIFAR_PROTOCOLS,
        ),
        Sweep(
            "learned-z",
            "Z learned or fixed, three seeds each (section 4)",
            _latents("learned", range(3)) + _latents("fixed", range(3)),
            CIFAR_PROTOCOLS,
        ),
    )
}


def read_sweep(path: Path) -> Sweep:
    """Reads a sweep from a YAML file: a list of mappings, each with `experiment` and dotted keys.

    Raises UserError for a file that is not that; keys are checked when the sweep is planned.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _check_plain(text)
        entries = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # UserError is a ValueError
        raise UserError(f"cannot read points from {path} ({' '.join(str(error).split())})") from None
    example = "a list such as [{experiment: mnist-rpgan, train.steps: 20, seed: 1}]"
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path} holds a {type(entries).__name__}; expected {example}")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("experiment"), str):
            raise UserError(f"{path} has the point {reprlib.repr(entry)}; expected {example}")
    if path.stem in SWEEPS:
        raise UserError(f"{path} is named like the sweep {path.stem}; expected a name of its own")
    points = tuple(Point(e["experiment"], {k: v for k, v in e.items() if k != "experiment"}) for e in entries)
    return Sweep(path.stem, f"points of {path.name}", points, {})


def _check_plain(text: str) -> None:
    """Raises UserError for YAML of which some lines mean millions, or take PyYAML for ever."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
            raise UserError(f"it refers to itself by *, or is nested more than {DEEPEST} deep")


def find_sweep(name: str) -> Sweep:
    """Returns the sweep of that name; raises UserError with the right names for any other."""
    if name not in SWEEPS:
        raise UserError(f"no sweep {name!r}; expected one of {', '.join(SWEEPS)}, or a file with --points")
    return SWEEPS[name]


def plan(sweep: Sweep, profile: str) -> tuple[Trial, ...]:
    """Returns the trials of a sweep under a profile, each once.

    Raises UserError for a setting that does not exist and for an experiment without a generator.
    """
    protocol = sweep.protocols.get(profile, Protocol({}))
    points = sweep.points if protocol.whole else (sweep.points[0], sweep.points[-1])
    trials = [_trial(point, protocol, profile) for point in points]
    return tuple({trial.digest: trial for trial in trials}.values())


def _trial(point: Point, protocol: Protocol, profile: str) -> Trial:
    changes = {**protocol.changes, **point.changes}
    config = resolve_gan(point.experiment, profile, changes)
    features = protocol.features or (config.train.features,)
    n = protocol.n or config.train.evaluate_n
    usual = flatten(resolve(point.experiment, profile, protocol.changes))
    own = {
        key: value for key, value in flatten(config).items() if key in point.changes and value != usual[key]
    }
    parts = [
        point.experiment,
        *(f"{key.rpartition('.')[2]}-{_short(own[key])}" for key in own if key != "seed"),
    ]
    name = f"{'-'.join(parts)[:LONGEST]}-seed-{config.seed}-{fingerprint(config)}"
    return Trial(
        experiment=point.experiment,
        profile=profile,
        overrides=json.loads(json.dumps(dict(point.changes))),
        changes=changes,
        config=config,
        features=features,
        n=n,
        digest=fingerprint(config, features, n, ROW),
        directory=run_directory(config, profile).parent / "trials" / name,
    )


def _short(value: Any) -> str:
    """A value as a part of a file's name; (20, 20, 20) becomes 3x20."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(set(value)) == 1:
        value = f"{len(value)}x{value[0]}"
    return re.sub(r"[^\w.]+", "-", str(value)).strip("-")

"""A trained generator for a chapter: a committed checkpoint that fits, else a run made or continued."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from rpgan.checkpoint import (
    find,
    load_card,
    load_config,
    load_generator,
    load_inverter,
    refuse_another_kind,
    satisfies,
)
from rpgan.config import Config, GanConfig, InversionConfig
from rpgan.errors import MissingCheckpoint, UserError
from rpgan.experiments import EXPERIMENTS, INVERSIONS
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.inverter import Inverter
from rpgan.overrides import fingerprint
from rpgan.places import build_root, runs_root
from rpgan.presets import changes_of, resolve
from rpgan.results import check_profile
from rpgan.training import train

# Settings in which an experiment must agree with the one that it starts from.
OF_ALL_STAGES = ("generator.", "data.name", "data.path", "train.precision")


def obtain_generator(
    experiment: str,
    profile: str,
    changes: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
) -> RandomPathGenerator:
    """Returns the generator of an experiment under a profile, in eval mode on the device.

    A committed checkpoint, or that of a finished run, serves only if its card holds exactly the resolved
    config, so that a `paper` run never takes a small model silently. Otherwise the experiment is trained, or
    an earlier run of it resumed; but under `book` without changes that is a UserError, since it takes hours
    of CPU cores and whoever reads the book did not ask for it. A standard GAN takes no change of routing, so
    that a chapter can hand the same changes to both twins.
    """
    checkpoint = obtain_checkpoint(experiment, profile, changes, torch.device(device).type)
    return load_generator(checkpoint).to(device)


def obtain_checkpoint(
    experiment: str, profile: str, changes: Mapping[str, Any] | None = None, device: str = "cpu"
) -> Path:
    """Returns the directory of the checkpoint that `obtain_generator` loads."""
    changes = changes_of(experiment, changes or {})
    found = trained(experiment, profile, changes)
    if found is None:
        _refuse_hours(resolve(experiment, profile, changes), profile, changes)
    return found or train_experiment(experiment, profile, changes, device=device)


def trained(experiment: str, profile: str, changes: Mapping[str, Any] | None = None) -> Path | None:
    """Returns the checkpoint of exactly these settings, committed or of a finished run; None for neither.

    One that started from another generator than is there today is not taken.
    """
    config = resolve(experiment, profile, changes)
    committed = find(experiment) if satisfies(experiment, config) else None
    found = committed or _finished(run_directory(config, profile, changes), config)
    if found is None or not (isinstance(config, GanConfig) and config.train.initial):
        return found
    initial = trained(config.train.initial, profile, of_all_stages(changes))
    same = initial is not None and _digest(initial) == load_card(found).get("initial_sha256")
    return found if same else None


def present(experiments: Sequence[str]) -> list[str]:
    """Names those generators that are trained under `book`, so that a chapter shows what there is.

    Where there is none, the first one is named instead: `obtain_generator` tells what lacks.
    """
    return [name for name in experiments if trained(name, "book")] or list(experiments[:1])


def together(experiments: Sequence[str]) -> list[str]:
    """Names generators that say something beside each other only: all that are given, or none."""
    return list(experiments) if all(trained(name, "book") for name in experiments) else []


def inversion_of(generator: str) -> str:
    """Names the classifiers that read paths off this experiment's images; raises UserError for none."""
    if generator not in INVERSIONS:
        raise UserError(
            f"no classifiers read paths off the images of {generator}; expected one of "
            f"{', '.join(INVERSIONS)}, or an InversionConfig for it in rpgan/experiments.py"
        )
    return INVERSIONS[generator]


def present_inverted(experiments: Sequence[str]) -> list[str]:
    """Names the generators that `book` has with their path classifiers; where it has none, the first."""
    sources = {name: trained(name, "book") for name in experiments}
    found = [n for n, source in sources.items() if source and trained_inverter(INVERSIONS[n], "book", source)]
    return found or list(experiments[:1])


def _finished(directory: Path, config: Config) -> Path | None:
    """The best checkpoint of a run; the one called last is written when the last step is made.

    While a finished run goes on to more steps, its best one is already of these.
    """
    done = all(satisfies(directory / name, config) for name in ("last", "best"))
    return directory / "best" if done else None


def named_generator(checkpoint: str, changes: Mapping[str, Any]) -> GanConfig:
    """Returns the config of a generator that a chapter shows in place of its own.

    Raises UserError for another kind of checkpoint, and for changes, which a trained generator cannot take.
    """
    if changes:
        given = ", ".join(changes)
        raise UserError(f"overrides of {given} beside checkpoint = {checkpoint!r}; expected one of both")
    config = load_config(checkpoint)
    refuse_another_kind(checkpoint, config, GanConfig)
    return cast(GanConfig, config)


def refuses_hours(profile: str, changes: Mapping[str, Any] | None) -> bool:
    """Whether a chapter leaves a training to its reader: under `book`, unless settings were changed."""
    return profile == "book" and not changes


def _refuse_hours(config: Config, profile: str, changes: Mapping[str, Any] | None) -> None:
    """Raises UserError where a chapter would begin a training that its reader did not ask for."""
    if refuses_hours(profile, changes):
        raise MissingCheckpoint(
            f"{config.name} with the settings of the profile book is neither committed nor trained in "
            f"runs/{profile}; train it ({config.train.steps:,} steps, maybe hours): "
            f"rpgan train {config.name}; or change a setting in overrides, or take --profile smoke"
        )


def obtain_inverter(
    experiment: str,
    profile: str,
    changes: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    own: Mapping[str, Any] | None = None,
) -> Inverter:
    """Returns the path classifiers of an experiment under a profile, in eval mode on the device.

    `changes` are those of the generator that `obtain_generator` was given: a committed checkpoint serves only
    if it was trained on images of exactly this generator. `own` are those of the classifiers themselves.
    """
    if own and "generator" in own:
        raise UserError(f"{experiment} for {own['generator']}; expected no other generator than is read here")
    config, kind = _inversion(experiment, profile, own), torch.device(device).type
    known = config.generator in EXPERIMENTS
    source = obtain_checkpoint(config.generator, profile, changes, kind) if known else find(config.generator)
    found = trained_inverter(experiment, profile, source, own)
    if found is None:
        _refuse_hours(config, profile, {**(changes or {}), **(own or {})})
        directory = _beside(run_directory(config, profile, own), source)
        found = train(config, directory, device=kind, initial=source)
    return load_inverter(found).to(device)


def trained_inverter(
    experiment: str, profile: str, source: Path, own: Mapping[str, Any] | None = None
) -> Path | None:
    """Returns the path classifiers trained on images of this checkpoint, committed or of a finished run."""
    config = _inversion(experiment, profile, own)
    if satisfies(experiment, config) and _digest(source) == load_card(experiment).get("generator_sha256"):
        return find(experiment)
    return _finished(_beside(run_directory(config, profile, own), source), config)


def _inversion(experiment: str, profile: str, own: Mapping[str, Any] | None = None) -> InversionConfig:
    config = resolve(experiment, profile, own)
    if not isinstance(config, InversionConfig):
        raise UserError(f"{experiment} is a {type(config).__name__}; expected one like mnist-inversion")
    return config


def _digest(checkpoint: Path) -> str:
    return load_card(checkpoint)["sha256"]


def _beside(directory: Path, source: Path) -> Path:
    """A directory for what depends on a checkpoint, which the name tells."""
    return directory.with_name(f"{directory.name}-{_digest(source)[:8]}")


def _trained_now(experiment: str, profile: str, changes: Mapping[str, Any] | None, device: str) -> Path:
    """As `obtain_checkpoint`, for one who asked for trainings."""
    return trained(experiment, profile, changes) or train_experiment(
        experiment, profile, changes, device=device
    )


def of_all_stages(changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those changes of an experiment that hold for the one that it starts from too: layers and data."""
    return {
        key: value
        for key, value in (changes or {}).items()
        if key.startswith(OF_ALL_STAGES) and key != "generator.bucket_sizes"
    }


def train_experiment(
    experiment: str,
    profile: str,
    changes: Mapping[str, Any] | None = None,
    *,
    directory: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    devices: int = 1,
) -> Path:
    """Trains an experiment, and before it the one that it builds on; returns its best checkpoint.

    Raises UserError for `workers` where no images are loaded.
    """
    config, initial = resolve(experiment, profile, changes), None
    if isinstance(config, GanConfig) and config.train.initial:
        initial = _trained_now(config.train.initial, profile, of_all_stages(changes), device)
    own = run_directory(config, profile, changes)
    if isinstance(config, InversionConfig):
        if workers is not None:
            raise UserError(f"workers is {workers}; expected none: the images of {config.name} are generated")
        known = config.generator in EXPERIMENTS
        initial = _trained_now(config.generator, profile, None, device) if known else find(config.generator)
        own = _beside(own, initial)
    return train(config, directory or own, device=device, workers=workers, initial=initial, devices=devices)


def run_directory(config: Config, profile: str, changes: Mapping[str, Any] | None = None) -> Path:
    """Where an experiment is trained: `runs/PROFILE/NAME`, with a suffix where settings were changed.

    Smoke runs take seconds and go to `_build`.
    """
    name = f"{config.name}-{fingerprint(config)}" if changes or profile == "smoke" else config.name
    return (build_root() / "runs" if check_profile(profile) == "smoke" else runs_root() / profile) / name

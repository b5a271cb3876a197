"""What a chapter's trainings will cost, told before anything is trained."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rpgan.checkpoint import find, kept_step, load_card, load_config, satisfies
from rpgan.config import Config, DiscriminatorConfig, GanConfig, GeneratorConfig, InversionConfig
from rpgan.datasets.catalogue import find as find_data
from rpgan.device import find_device
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.memory import (
    FLOAT,
    GIB,
    Memory,
    inversion_memory,
    reading_memory,
    sampling_memory,
    training_memory,
)
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter
from rpgan.obtain import trained, trained_inverter
from rpgan.operations import GPU_HOURS, gpu_hours, inversion_step_operations, step_operations
from rpgan.presets import changes_of, resolve
from rpgan.training.inversion import check_fit


class Takes(NamedTuple):
    """What the training of a config takes; where it is done, what using its result does."""

    parameters: int  # of all its networks
    real: int  # images of the data that a step sees
    generated: int  # images that a step makes
    operations: float  # of a step, 0 where none is left
    memory: Memory  # at the peak
    disk: int  # bytes of its state, with Adam's two moments, and its two checkpoints


def forecast(
    experiments: Sequence[str],
    profile: str,
    changes: Mapping[str, Any] | None = None,
    of_generator: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str = "auto",
) -> dict[str, dict[str, Any]]:
    """Returns, for each generator or its path classifiers, whether it must be trained, and what that takes.

    `of_generator` are the changes of the generators whose paths are read. Real images are those that a
    discriminator sees, data what their set takes as it is downloaded. Memory is the peak in float32, of
    training or, for what is there, of sampling or reading, on this device, beside the program and its data.
    Disk is a run's state and its two checkpoints. Hours are those of a GPU at an assumed rate, without scores
    on the way; none was measured.
    """
    place = find_device(str(device)).type
    return {name: _row(name, profile, changes, of_generator, place) for name in experiments}


def _row(
    name: str,
    profile: str,
    changes: Mapping[str, Any] | None,
    of_generator: Mapping[str, Any] | None,
    device: str,
) -> dict[str, Any]:
    changes = changes_of(name, changes or {})
    config = resolve(name, profile, changes)
    if isinstance(config, GanConfig):
        there = trained(name, profile, changes)
        takes = _gan(config, there is not None, device)
    elif isinstance(config, InversionConfig):
        generator, source = _source(config, profile, of_generator)
        check_fit(config, generator.bucket_sizes, generator.image_shape)  # before either is trained
        there = trained_inverter(name, profile, source, changes) if source else None
        takes = _inversion(config, generator, there is not None, device)
    else:
        raise UserError(f"{name} is a {type(config).__name__}; expected generators or their path classifiers")
    return _told(config, takes, there)


def _told(config: Config, takes: Takes, there: Path | None) -> dict[str, Any]:
    steps = 0 if there else config.train.steps
    committed = satisfies(config.name, config) and there == find(config.name)
    return {
        "weights": ("committed" if committed else "trained") if there else "to be trained",
        "of step": kept_step(load_card(there)) if there else "–",
        "steps": steps,
        "data": _data(config) if steps else "none",
        "real images": steps * takes.real,
        "generated images": steps * takes.generated,
        "parameters of all networks": takes.parameters,
        "memory, GiB": round(takes.memory.peak / GIB, 3),
        "disk, GiB": 0.0 if there else round(takes.disk / GIB, 3),
        GPU_HOURS: round(gpu_hours(steps * takes.operations), 2),
    }


def _data(config: Config) -> str:
    """What the images of a training take on the disk, where they are not drawn or made."""
    return "none" if isinstance(config, InversionConfig) else find_data(config.data.name).size


def _gan(config: GanConfig, there: bool, device: str) -> Takes:
    batch, d_steps = config.train.batch_size, config.train.d_steps
    if there:
        memory = sampling_memory(config.generator, device=device)
    else:
        memory = training_memory(config, device=device)
    return Takes(
        parameters=sum(_gan_parameters(config)),
        real=batch * d_steps,
        generated=batch * (d_steps + 1),
        operations=0.0 if there else step_operations(config),
        memory=memory,
        disk=gan_disk(config),
    )


def gan_disk(config: GanConfig) -> int:
    """Bytes of a generator's run at its largest: two checkpoints, and two states while one is written anew.

    A state is all networks with Adam's moments, and the averaged generator.
    """
    generator, discriminator = _gan_parameters(config)
    state = 3 * (generator + discriminator) + (config.train.ema > 0) * generator
    return FLOAT * (2 * generator + 2 * state)


def _gan_parameters(config: GanConfig) -> tuple[int, int]:
    return _made(config.generator), _judged(config.discriminator, config.generator.image_shape)


@cache
def _made(config: GeneratorConfig) -> int:
    with torch.device("meta"):  # shapes without memory
        return _parameters(build_generator(config))


@cache
def _judged(config: DiscriminatorConfig, image_shape: tuple[int, ...]) -> int:
    with torch.device("meta"):
        return _parameters(build_discriminator(config, image_shape))


def _inversion(config: InversionConfig, generator: GeneratorConfig, there: bool, device: str) -> Takes:
    """What classifiers take beside the training of the generator that makes their images."""
    with torch.device("meta"):
        parameters = _parameters(build_inverter(config))
    return Takes(
        parameters=parameters,
        real=0,
        generated=config.train.batch_size,
        operations=0.0 if there else inversion_step_operations(config, generator),
        memory=reading_memory(config) if there else inversion_memory(config, generator, device),
        disk=FLOAT * (2 + 2 * 3) * parameters,
    )


def _source(
    config: InversionConfig, profile: str, changes: Mapping[str, Any] | None
) -> tuple[GeneratorConfig, Path | None]:
    """The generator whose images are read, and where it is if it is trained."""
    if config.generator in EXPERIMENTS:
        source = resolve(config.generator, profile, changes)
        there = trained(config.generator, profile, changes)
    else:
        source, there = load_config(config.generator), find(config.generator)
    if not isinstance(source, GanConfig):
        raise UserError(f"{config.name} reads paths off images of {source.name}; expected a generator")
    return source.generator, there


def _parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())

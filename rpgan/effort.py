"""What a chapter's generators will cost, told before anything is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rpgan.checkpoint import satisfies
from rpgan.config import GanConfig
from rpgan.errors import UserError
from rpgan.memory import GIB, sampling_memory, training_memory
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.obtain import trained
from rpgan.operations import GPU_HOURS, gpu_hours, step_operations
from rpgan.presets import resolve


def forecast(
    experiments: Sequence[str], profile: str, changes: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Returns, for each experiment, whether it must be trained, and what that takes.

    Real images are those that the discriminator sees. Memory is the peak in float32, of training or, for a
    generator that is there, of sampling, beside the program and its data. Disk is a run's state and its two
    checkpoints. Hours are those of a GPU at an assumed rate, without scores on the way; none was measured.
    """
    return {name: _row(name, profile, changes) for name in experiments}


def _row(name: str, profile: str, changes: Mapping[str, Any] | None) -> dict[str, Any]:
    config = resolve(name, profile, changes)
    if not isinstance(config, GanConfig):
        raise UserError(f"{name} is no generator; expected experiments that train one")
    with torch.device("meta"):  # shapes without memory
        generator = _parameters(build_generator(config.generator))
        discriminator = _parameters(build_discriminator(config.discriminator, config.generator.image_shape))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train, there = config.train, trained(name, profile, changes) is not None
    steps = 0 if there else train.steps
    if there:
        memory = sampling_memory(config.generator, device=device)
    else:
        memory = training_memory(config, device=device)
    stored = 3 * (generator + discriminator) + (2 + (train.ema > 0)) * generator  # with Adam's two moments
    return {
        "generator": ("committed" if satisfies(name, config) else "trained") if there else "to be trained",
        "steps": steps,
        "real images": steps * train.d_steps * train.batch_size,
        "parameters": generator + discriminator,
        "memory, GiB": round(memory.peak / GIB, 3),
        "disk, GiB": 0.0 if there else round(4 * stored / GIB, 3),
        GPU_HOURS: round(gpu_hours(steps * step_operations(config)), 2),
    }


def _parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())

"""What a chapter's generators will cost, told before anything is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rpgan.checkpoint import satisfies
from rpgan.config import GanConfig
from rpgan.errors import UserError
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.presets import resolve


def forecast(
    experiments: Sequence[str], profile: str, changes: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Returns, for each experiment, whether it must be trained, its steps and images, and its memory.

    Real images are those that the discriminator sees in training. Memory in GB is weights, gradients, Adam's
    two moments and, where one is kept, the average of the weights, in float32; activations come on top.
    """
    return {name: _row(resolve(name, profile, changes), name) for name in experiments}


def _row(config: Any, name: str) -> dict[str, Any]:
    if not isinstance(config, GanConfig):
        raise UserError(f"{name} is no generator; expected experiments that train one")
    with torch.device("meta"):  # shapes without memory
        generator = _parameters(build_generator(config.generator))
        discriminator = _parameters(build_discriminator(config.discriminator, config.generator.image_shape))
    ready, train = satisfies(name, config), config.train
    copies = 4 * (generator + discriminator) + (generator if train.ema else 0)
    return {
        "checkpoint": "committed" if ready else "to be trained",
        "steps": 0 if ready else train.steps,
        "real images": 0 if ready else train.steps * train.d_steps * train.batch_size,
        "parameters": generator + discriminator,
        "memory, GB": round(4 * (generator if ready else copies) / 1e9, 3),
    }


def _parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())

"""The arithmetic of a training, counted from its config without training anything."""

from dataclasses import replace
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rpgan.config import DiscriminatorConfig, GanConfig, GeneratorConfig
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator

ASSUMED = 1e13  # operations a second that a GPU is taken to sustain; none was measured
GPU_HOURS = f"GPU hours at {ASSUMED / 1e12:g} TFLOP/s"


def gpu_hours(operations: float) -> float:
    """Hours of a GPU at the assumed rate."""
    return operations / ASSUMED / 3600


def step_operations(config: GanConfig) -> float:
    """Floating-point operations of a generator update with its discriminator updates.

    A multiplication and an addition are two; a backward pass counts twice the forward one, and once where it
    only passes through. Only convolutions and matrix products are counted, and the gradient penalty is not.
    """
    generator, discriminator = image_operations(config)
    batch, d_steps = config.train.batch_size, config.train.d_steps
    of_discriminator = d_steps * batch * (generator + 2 * 3 * discriminator)
    return float(of_discriminator + batch * (3 * generator + 2 * discriminator))


def image_operations(config: GanConfig) -> tuple[int, int]:
    """Floating-point operations of one image's forward pass, in the generator and in the discriminator."""
    # An image takes one instance a bucket, however many there are.
    sizes = (1,) * len(config.generator.bucket_sizes)
    return _forward(replace(config.generator, bucket_sizes=sizes, latent="fixed"), config.discriminator)


@cache
def _forward(config: GeneratorConfig, other: DiscriminatorConfig) -> tuple[int, int]:
    generator = build_generator(config).eval()
    discriminator = build_discriminator(other, config.image_shape).eval()
    path = torch.zeros(1, len(config.bucket_sizes), dtype=torch.int64)
    return _counted(generator, path), _counted(discriminator, torch.zeros(1, *config.image_shape))


@torch.no_grad()
def _counted(network: nn.Module, argument: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        network(argument)
    return counter.get_total_flops()

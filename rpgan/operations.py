"""The arithmetic of a training, counted from its config without training anything."""

from dataclasses import replace
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rpgan.config import DiscriminatorConfig, GanConfig, GeneratorConfig, InversionConfig
from rpgan.losses import ADVERSARIAL
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter

ASSUMED = 1e13  # operations a second that a GPU is taken to sustain; none was measured
GPU_HOURS = f"GPU hours at {ASSUMED / 1e12:g} TFLOP/s"


def gpu_hours(operations: float) -> float:
    """Hours of a GPU at the assumed rate."""
    return operations / ASSUMED / 3600


def step_operations(config: GanConfig) -> float:
    """Floating-point operations of a generator update with its discriminator updates.

    A multiplication and an addition are two; a backward pass counts twice the forward one, and once where it
    only passes through. A gradient penalty counts six forward passes: one, its gradient by the image, and a
    backward pass through both. Only convolutions and matrix products are counted.
    """
    generator, discriminator = image_operations(config)
    batch, d_steps = config.train.batch_size, config.train.d_steps
    passes = 2 * 3 + 6 * ADVERSARIAL[config.loss.name].penalised
    of_discriminator = d_steps * batch * (generator + passes * discriminator)
    return float(of_discriminator + batch * (3 * generator + 2 * discriminator))


def image_operations(config: GanConfig) -> tuple[int, int]:
    """Floating-point operations of one image's forward pass, in the generator and in the discriminator."""
    return _made(config.generator), _judged(config.discriminator, config.generator.image_shape)


def inversion_step_operations(config: InversionConfig, generator: GeneratorConfig) -> float:
    """Floating-point operations of an update of path classifiers and of the images that it is made on."""
    return float(config.train.batch_size * (_made(generator) + 3 * _read(config)))


@cache
def _made(config: GeneratorConfig) -> int:
    # An image takes one instance a bucket, however many there are.
    sizes = (1,) * len(config.bucket_sizes)
    generator = build_generator(replace(config, bucket_sizes=sizes, latent="fixed")).eval()
    return _counted(generator, torch.zeros(1, len(sizes), dtype=torch.int64))


@cache
def _judged(config: DiscriminatorConfig, image_shape: tuple[int, ...]) -> int:
    return _counted(build_discriminator(config, image_shape).eval(), torch.zeros(1, *image_shape))


@cache
def _read(config: InversionConfig) -> int:
    return _counted(build_inverter(config).eval(), torch.zeros(1, *config.image_shape))


@torch.no_grad()
def _counted(network: nn.Module, argument: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        network(argument)
    return counter.get_total_flops()

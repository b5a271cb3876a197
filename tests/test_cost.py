"""The arithmetic of a training: agrees with counting by hand, and does not depend on what an image skips."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rpgan.config import (
    DiscriminatorConfig,
    GanConfig,
    GeneratorConfig,
    InversionConfig,
    InversionTrainConfig,
    LossConfig,
    TrainConfig,
)
from rpgan.models.discriminator import build_discriminator
from rpgan.operations import image_operations, inversion_step_operations, step_operations
from rpgan.sweep import SWEEPS
from rpgan.sweep.cost import estimate, measured_rate

LAYERS = GanConfig(
    "layers",
    generator=GeneratorConfig(
        architecture="fc", image_shape=(1, 4, 4), widths=(10,), bucket_sizes=(3, 2), latent_dim=8
    ),
    discriminator=DiscriminatorConfig(architecture="fc", widths=(5,), spectral_norm=False),
    train=TrainConfig(batch_size=7, d_steps=2),
)
GENERATOR, DISCRIMINATOR = 2 * (8 * 10 + 10 * 16), 2 * (16 * 5 + 5)


def test_an_image_costs_one_instance_a_bucket():
    assert image_operations(LAYERS) == (GENERATOR, DISCRIMINATOR)
    more = replace(LAYERS, generator=replace(LAYERS.generator, bucket_sizes=(30, 20), latent="gaussian"))
    assert image_operations(more) == image_operations(LAYERS)


def test_a_step_is_its_discriminator_updates_and_one_of_the_generator():
    fakes = 2 * 7 * GENERATOR
    discriminator = 2 * (7 + 7) * 3 * DISCRIMINATOR  # real and generated images, forward and backward
    generator = 7 * (3 * GENERATOR + 2 * DISCRIMINATOR)
    assert step_operations(LAYERS) == fakes + discriminator + generator


def test_a_gradient_penalty_is_six_passes_as_torch_counts_them():
    penalised = replace(LAYERS, loss=LossConfig(name="wgan-gp"))
    assert step_operations(penalised) - step_operations(LAYERS) == 2 * 7 * 6 * DISCRIMINATOR
    discriminator = build_discriminator(DiscriminatorConfig(widths=(8, 8)), (1, 8, 8))
    images = torch.randn(2, 1, 8, 8, requires_grad=True)
    with FlopCounterMode(display=False) as once:
        discriminator(images)
    with FlopCounterMode(display=False) as counter:
        inside = images * 1  # the counter takes no gradients by leaves
        (gradient,) = torch.autograd.grad(discriminator(inside).sum(), inside, create_graph=True)
        gradient.square().sum().backward()
    assert counter.get_total_flops() == pytest.approx(6 * once.get_total_flops(), rel=0.02)


def test_classifiers_read_forward_and_backward_images_that_are_made_once():
    config = InversionConfig("x", image_shape=(1, 4, 4), bucket_sizes=(3, 2), widths=(1,) * 8)
    config = replace(config, train=InversionTrainConfig(batch_size=7))
    made = 7 * GENERATOR
    kernels = 2 * (16 * (25 + 1 + 1) + 4 * (25 + 1 + 1) + (9 + 1))  # pooled from 4 × 4 to 2 × 2 to 1
    heads = 2 * (3 + 2)
    assert inversion_step_operations(config, LAYERS.generator) == made + 7 * 3 * (2 * kernels + heads)


def test_a_sweep_is_the_sum_of_its_trials():
    cost = estimate(SWEEPS["twins"], "book")
    assert (cost.trials, cost.steps) == (3, 12_000)
    assert cost.operations == pytest.approx(estimate(SWEEPS["table-2"], "book").operations * 3 / 20)


def test_the_committed_training_ran_at_a_rate_that_a_core_can_have():
    assert 1e9 < measured_rate("mnist-rpgan") < 1e13

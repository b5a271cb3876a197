"""The arithmetic of a training: agrees with counting by hand, and does not depend on what an image skips."""

from dataclasses import replace

import pytest

from rpgan.config import DiscriminatorConfig, GanConfig, GeneratorConfig, TrainConfig
from rpgan.operations import image_operations, step_operations
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


def test_a_sweep_is_the_sum_of_its_trials():
    cost = estimate(SWEEPS["twins"], "book")
    assert (cost.trials, cost.steps) == (3, 12_000)
    assert cost.operations == pytest.approx(estimate(SWEEPS["table-2"], "book").operations * 3 / 20)


def test_the_committed_training_ran_at_a_rate_that_a_core_can_have():
    assert 1e9 < measured_rate("mnist-rpgan") < 1e13

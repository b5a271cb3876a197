"""What a training will cost, from the configuration alone."""

import pytest

from rpgan.analysis.effort import forecast
from rpgan.errors import UserError
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.presets import resolve


def test_a_training_is_counted_in_steps_images_and_copies_of_its_weights():
    changes = {"train.steps": 7, "train.d_steps": 3, "train.batch_size": 5, "train.ema": 0.5}
    row = forecast(["cifar10-rpgan"], "smoke", changes)["cifar10-rpgan"]
    config = resolve("cifar10-rpgan", "smoke", changes)
    networks = (
        build_generator(config.generator),
        build_discriminator(config.discriminator, config.generator.image_shape),
    )
    generator, discriminator = (sum(p.numel() for p in network.parameters()) for network in networks)
    assert (row["checkpoint"], row["steps"], row["real images"]) == ("to be trained", 7, 105)
    assert row["parameters"] == generator + discriminator
    assert row["memory, GB"] == round(4 * (5 * generator + 4 * discriminator) / 1e9, 3)


def test_a_committed_checkpoint_costs_no_training():
    row = forecast(["mnist-rpgan"], "book")["mnist-rpgan"]
    assert (row["checkpoint"], row["steps"], row["real images"]) == ("committed", 0, 0)


def test_a_large_model_is_counted_without_its_memory():
    assert forecast(["lsun-rpgan"], "paper")["lsun-rpgan"]["parameters"] > 730e6


def test_only_generators_are_forecast():
    with pytest.raises(UserError, match="mnist-cnn is no generator"):
        forecast(["mnist-cnn"], "book")

"""What a training will cost, from the configuration alone."""

import pytest

from rpgan.effort import forecast
from rpgan.errors import UserError
from rpgan.memory import training_memory
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.operations import step_operations
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
    assert (row["generator"], row["steps"], row["real images"]) == ("to be trained", 7, 105)
    assert row["parameters"] == generator + discriminator
    assert row["memory, GiB"] == round(training_memory(config).peak / 2**30, 3) > 0
    assert row["disk, GiB"] == round(4 * (6 * generator + 3 * discriminator) / 2**30, 3)


def test_hours_are_operations_at_the_assumed_rate():
    changes = {"train.steps": 10**9}
    row = forecast(["cifar10-rpgan"], "smoke", changes)["cifar10-rpgan"]
    operations = 10**9 * step_operations(resolve("cifar10-rpgan", "smoke", changes))
    assert row["GPU hours at 10 TFLOP/s"] == round(operations / 1e13 / 3600, 2) > 0


def test_a_committed_checkpoint_costs_no_training():
    row = forecast(["mnist-rpgan"], "book")["mnist-rpgan"]
    assert (row["generator"], row["steps"], row["real images"]) == ("committed", 0, 0)


def test_a_large_model_is_counted_without_its_memory():
    assert forecast(["lsun-rpgan"], "paper")["lsun-rpgan"]["parameters"] > 730e6


def test_only_generators_are_forecast():
    with pytest.raises(UserError, match="mnist-cnn is no generator"):
        forecast(["mnist-cnn"], "book")

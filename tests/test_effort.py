"""What a training will cost, from the configuration alone."""

import pytest

from rpgan.effort import forecast
from rpgan.errors import UserError
from rpgan.memory import inversion_memory, training_memory
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter
from rpgan.operations import inversion_step_operations, step_operations
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
    assert (row["weights"], row["steps"], row["real images"]) == ("to be trained", 7, 105)
    assert row["generated images"] == 7 * (3 + 1) * 5
    assert row["parameters of all networks"] == generator + discriminator
    assert row["memory, GiB"] == round(training_memory(config).peak / 2**30, 3) > 0
    assert row["disk, GiB"] == round(4 * (2 * generator + 2 * (4 * generator + 3 * discriminator)) / 2**30, 3)


def test_hours_are_operations_at_the_assumed_rate():
    changes = {"train.steps": 10**9}
    row = forecast(["cifar10-rpgan"], "smoke", changes)["cifar10-rpgan"]
    operations = 10**9 * step_operations(resolve("cifar10-rpgan", "smoke", changes))
    assert row["GPU hours at 10 TFLOP/s"] == round(operations / 1e13 / 3600, 2) > 0


def test_a_committed_checkpoint_costs_no_training():
    row = forecast(["mnist-rpgan"], "book")["mnist-rpgan"]
    assert (row["weights"], row["steps"], row["real images"]) == ("committed", 0, 0)
    assert row["of step"] == "5,000 of 6,000"


def test_a_large_model_is_counted_without_its_memory():
    assert forecast(["lsun-rpgan"], "paper")["lsun-rpgan"]["parameters of all networks"] > 730e6


def test_path_classifiers_are_counted_with_the_images_that_they_read():
    own = {"train.steps": 10**9, "train.batch_size": 5}
    row = forecast(["mnist-inversion"], "smoke", own, {"seed": 1})["mnist-inversion"]
    config = resolve("mnist-inversion", "smoke", own)
    generator = resolve("mnist-rpgan", "smoke").generator
    parameters = sum(p.numel() for p in build_inverter(config).parameters())
    assert (row["weights"], row["steps"]) == ("to be trained", 10**9)
    assert (row["real images"], row["generated images"]) == (0, 5 * 10**9)
    assert row["parameters of all networks"] == parameters
    assert row["memory, GiB"] == round(inversion_memory(config, generator).peak / 2**30, 3) > 0
    assert row["disk, GiB"] == round(4 * 8 * parameters / 2**30, 3)
    operations = 10**9 * inversion_step_operations(config, generator)
    assert row["GPU hours at 10 TFLOP/s"] == round(operations / 1e13 / 3600, 2) > 0


def test_committed_path_classifiers_serve_the_generator_that_they_were_trained_on_alone():
    committed = forecast(["sprites-inversion"], "book")["sprites-inversion"]
    assert (committed["weights"], committed["steps"], committed["disk, GiB"]) == ("committed", 0, 0)
    other = forecast(["sprites-inversion"], "book", of_generator={"seed": 1})["sprites-inversion"]
    assert other["weights"] == "to be trained" and other["steps"] > 0
    assert other["memory, GiB"] > committed["memory, GiB"] > 0


def test_classifiers_that_do_not_fit_are_refused_before_anything_is_trained():
    with pytest.raises(UserError, match=r"bucket_sizes, image_shape = .*; expected .*10, 10, 10, 8, 1"):
        forecast(["mnist-inversion"], "book", {}, {"generator.bucket_sizes": [10, 10, 10, 8, 1]})


def test_what_is_neither_a_generator_nor_its_classifiers_is_not_forecast():
    with pytest.raises(UserError, match="mnist-cnn is a ClassifierConfig; expected generators"):
        forecast(["mnist-cnn"], "book")

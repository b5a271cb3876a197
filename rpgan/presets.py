"""Experiments as the paper states them, and the profiles that change how much of them is done.

An experiment is the `paper` profile: sizes, losses and schedules of the paper, with the readings that the
specification takes by default where the paper is silent. `book` is what the committed checkpoints were
trained with, on CPU cores; `smoke` is as little as still runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rpgan.config import (
    ClassifierConfig,
    Config,
    DataConfig,
    DiscriminatorConfig,
    GanConfig,
    GeneratorConfig,
    LossConfig,
    TrainConfig,
    override,
    standard_twin,
)
from rpgan.errors import UserError
from rpgan.results import check_profile

RESNET_32 = GeneratorConfig(widths=(256,) * 4, bucket_sizes=(40,) * 5)
RESNET_64 = GeneratorConfig(image_shape=(3, 64, 64), widths=(1024, 512, 256, 128, 64), bucket_sizes=(20,) * 6)
RESNET_128 = GeneratorConfig(
    image_shape=(3, 128, 128), widths=(1024, 1024, 512, 256, 128, 64), bucket_sizes=(20,) * 7
)
LINEAR_28 = GeneratorConfig(
    architecture="fc",
    image_shape=(1, 28, 28),
    widths=(128, 256, 512, 1024),
    bucket_sizes=(32, 32, 32, 16, 16),
    leak=1.0,
)
# The paper states the discriminator of 32 pixels only; these follow the usual SNGAN of their resolution.
DISCRIMINATOR_64 = DiscriminatorConfig(widths=(64, 128, 256, 512, 1024), downsamplings=5)
DISCRIMINATOR_128 = DiscriminatorConfig(widths=(64, 128, 256, 512, 1024, 1024), downsamplings=5)
NO_DIVERSITY = LossConfig(diversity="off")
MNIST_32 = replace(RESNET_32, image_shape=(1, 32, 32), bucket_sizes=(20, 20, 20, 8, 1))
# The released code's values for the runs whose length the paper does not state (specification, point 13).
RELEASED = TrainConfig(steps=12_000, g_lr=2e-4, d_lr=2e-4, features="mnist-cnn")

EXPERIMENTS: dict[str, Config] = {
    config.name: config
    for config in (
        GanConfig(
            "mnist-rpgan",
            DataConfig("mnist"),
            MNIST_32,
            loss=NO_DIVERSITY,
            train=RELEASED,
        ),
        GanConfig(
            "mnist-linear",
            DataConfig("mnist"),
            LINEAR_28,
            DiscriminatorConfig(architecture="fc", widths=(512, 256)),
            NO_DIVERSITY,
            RELEASED,
        ),
        GanConfig(
            "cifar10-rpgan",
            DataConfig("cifar10"),
            RESNET_32,
            train=TrainConfig(features="inception", evaluate_n=10_000),
        ),  # FID 50k: min 16.9, mean 20.8 over ten trainings (Table 2)
        GanConfig(
            "cifar10-gan",
            DataConfig("cifar10"),
            standard_twin(RESNET_32),
            train=TrainConfig(features="inception", evaluate_n=10_000),
        ),  # FID 50k: min 16.75, mean 18.7 over ten trainings (Table 2)
        GanConfig(
            "sprites-rpgan",
            DataConfig("sprites"),
            RESNET_64,
            DISCRIMINATOR_64,
            train=TrainConfig(steps=250_000, batch_size=32, d_steps=1, features="sprites-cnn"),
        ),
        GanConfig(
            "anime-rpgan",
            DataConfig("anime-faces"),
            RESNET_64,
            DISCRIMINATOR_64,
            train=TrainConfig(
                steps=250_000, batch_size=32, d_steps=1, features="inception", evaluate_n=10_000
            ),
        ),
        GanConfig(
            "lsun-rpgan",
            DataConfig("lsun-bedroom"),
            RESNET_128,
            DISCRIMINATOR_128,
            train=TrainConfig(
                steps=250_000, batch_size=16, d_steps=1, features="inception", evaluate_n=10_000
            ),
        ),
        ClassifierConfig("mnist-cnn", DataConfig("mnist")),
        ClassifierConfig(
            "cifar10-cnn",
            DataConfig("cifar10"),
            image_shape=(3, 32, 32),
            widths=(64, 128, 256),
        ),
        ClassifierConfig(
            "sprites-cnn",
            DataConfig("sprites"),
            image_shape=(3, 64, 64),
            widths=(16, 32, 64, 64),
            pool=4,
            outputs=(4, 16, 16, 16, 16, 8, 16),
        ),
    )
}

CPU_GAN = {
    "train.d_steps": 2,
    "train.g_lr": 4e-4,
    "train.d_lr": 4e-4,
    "train.ema": 0.999,
    "train.idle_instances": "skip",
}
CIFAR_CPU = CPU_GAN | {
    "generator.widths": (48,) * 4,
    "discriminator.widths": (96,) * 4,
    "train.steps": 40_000,
    "train.features": "cifar10-cnn",
    "train.evaluate_n": 5_000,
}
BOOK: dict[str, dict[str, Any]] = {
    "mnist-rpgan": CPU_GAN
    | {
        "generator.widths": (32,) * 4,
        "discriminator.widths": (32, 64, 64, 64),
        "discriminator.downsamplings": 3,
        "train.steps": 6_000,
        "train.evaluate_n": 5_000,
    },
    "mnist-linear": CPU_GAN
    | {
        "generator.widths": (64, 128, 256, 512),
        "train.steps": 13_000,
        "train.evaluate_n": 5_000,
    },
    "cifar10-rpgan": CIFAR_CPU,
    "cifar10-gan": CIFAR_CPU,
    "sprites-rpgan": CPU_GAN
    | {
        "generator.widths": (32,) * 5,
        "discriminator.widths": (32, 48, 64, 96, 96),
        "train.steps": 20_000,
        "train.evaluate_n": 5_000,
    },
    "mnist-cnn": {},
    "cifar10-cnn": {"train.flip": True, "train.shift": 4, "train.weight_decay": 0.05, "train.steps": 15_000},
    "sprites-cnn": {"train.shift": 0, "train.steps": 8_000},
}


def resolve(name: str, profile: str = "book", changes: Mapping[str, Any] | None = None) -> Config:
    """Returns an experiment as a profile changes it, and then as the caller does (dotted keys)."""
    if name not in EXPERIMENTS:
        raise UserError(f"no experiment {name!r}; expected one of {', '.join(EXPERIMENTS)}")
    return override(EXPERIMENTS[name], {**AMOUNTS[check_profile(profile)](name), **(changes or {})})


def _paper(name: str) -> dict[str, Any]:
    return {}


def _book(name: str) -> dict[str, Any]:
    if name not in BOOK:
        raise UserError(
            f"{name} has no size for CPU cores; take the profile paper, or one of {', '.join(BOOK)}"
        )
    return BOOK[name]


def _smoke(name: str) -> dict[str, Any]:
    """Three steps of a tiny network on data that need no download."""
    config = EXPERIMENTS[name]
    common = {"train.steps": 3, "train.evaluate_every": 3, "train.save_every": 3, "train.batch_size": 4}
    data = {"data.name": OFFLINE.get(config.data.name, config.data.name)}
    if isinstance(config, ClassifierConfig):
        return common | data | {"widths": (4,) * len(config.widths), "hidden": 8}
    sizes = tuple(min(size, 3) for size in config.generator.bucket_sizes)
    return (
        common
        | data
        | {
            "generator.widths": (4,) * len(config.generator.widths),
            "generator.bucket_sizes": sizes,
            "discriminator.widths": (4,) * len(config.discriminator.widths),
            "train.d_steps": 2,
            "train.features": "pixels",
            "train.evaluate_n": 8,
        }
    )


# Stand-ins whose images need no download.
OFFLINE = {"mnist": "mnist-5k", "cifar10": "mnist-5k", "anime-faces": "sprites", "lsun-bedroom": "sprites"}
AMOUNTS: dict[str, Callable[[str], dict[str, Any]]] = {"smoke": _smoke, "book": _book, "paper": _paper}

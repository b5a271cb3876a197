"""Profiles: how much of an experiment is done.

`paper` is the experiment itself, in float32; `book` is what the committed checkpoints were trained with, on
CPU cores; `smoke` is as little as still runs.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from rpgan.config import ClassifierConfig, Config, GanConfig, InversionConfig
from rpgan.errors import UserError, choose
from rpgan.experiments import EXPERIMENTS
from rpgan.overrides import override
from rpgan.results import check_profile

CPU_GAN = {
    "train.d_steps": 2,
    "train.g_lr": 4e-4,
    "train.d_lr": 4e-4,
    "train.ema": 0.999,
    "train.idle_instances": "skip",
}
# A discriminator that narrows where the resolution is high costs less than half of one of equal widths.
MNIST_CPU = CPU_GAN | {
    "generator.widths": (32,) * 4,
    "discriminator.widths": (32, 64, 64, 64),
    "discriminator.downsamplings": 3,
    "train.steps": 6_000,
    "train.evaluate_n": 5_000,
}
# Without momentum both networks follow each other more closely: half the steps or fewer to the same distance.
CIFAR_CPU = CPU_GAN | {
    "train.betas": (0.0, 0.9),
    "generator.widths": (48,) * 4,
    "discriminator.widths": (32, 64, 128, 128),
    "discriminator.downsamplings": 3,
    "discriminator.pooling": "sum",
    "train.features": "cifar10-cnn",
    "train.evaluate_n": 5_000,
}
ROUTING = ("generator.bucket_sizes", "generator.latent")  # what a standard GAN is without
# With ReLU the hidden units of the second bucket's blocks go off for good, of all instances alike.
SLOPE = {"generator.leak": 0.2}
# One discriminator update and rates that do not fall took either network further than two and falling ones.
PAIR_CPU = CIFAR_CPU | SLOPE | {"train.steps": 40_000, "train.d_steps": 1}
EXPLORER_CPU = CIFAR_CPU | {"generator.widths": (32,) * 4}
DCGAN_CPU = CPU_GAN | {
    "generator.widths": (96, 48, 24),
    "discriminator.widths": (32, 64, 128),
    "loss.diversity": "off",
    "train.steps": 10_000,
    "train.evaluate_n": 5_000,
}
# Without momentum, 2,000 steps take the RPGAN further than 9,000 with it.
COLORED_CPU = DCGAN_CPU | {"train.betas": (0.0, 0.9), "train.settled_norms": True}
# Narrower networks, still one for each bucket; an hour or so of a CPU core.
INVERSION_CPU: dict[str, Any] = {
    "widths": (32, 32, 32, 64, 64, 64, 96, 96),
    "train.batch_size": 64,
    "train.lr": 3e-3,
    "train.steps": 8_000,
}


def _falling(steps: int, last: int | None = None) -> dict[str, Any]:
    """So many steps, over the last or the second half of which the rates fall to 0; the paper's stay."""
    return {"train.steps": steps, "train.decay_steps": last or steps // 2}


BOOK: dict[str, dict[str, Any]] = {
    "mnist-rpgan": MNIST_CPU,
    "mnist-stage-one": MNIST_CPU,
    "mnist-incremental": MNIST_CPU | {"train.steps": 3_000, "train.evaluate_every": 500},
    # A generator that draws digits already leaves a discriminator of two steps, begun anew, behind for good.
    "mnist-fine-tuned": MNIST_CPU
    | {"train.steps": 3_000, "train.evaluate_every": 500, "train.d_steps": 5, "train.g_lr": 2e-4},
    "mnist-from-scratch": MNIST_CPU,
    "mnist-linear": CPU_GAN
    | {
        "generator.widths": (64, 128, 256, 512),
        "train.steps": 13_000,
        "train.evaluate_n": 5_000,
    },
    "cifar10-rpgan": PAIR_CPU,
    "cifar10-gan": PAIR_CPU,
    "cifar10-linear": CIFAR_CPU | _falling(15_000),
    "cifar10-linear-gan": CIFAR_CPU | _falling(5_000),  # it must fail, for which fewer steps are enough
    # One discriminator update takes two thirds of the time of two and ends no worse.
    "cifar10-explorer": EXPLORER_CPU | SLOPE | {"train.steps": 20_000, "train.d_steps": 1},
    "cifar10-explorer-relu": EXPLORER_CPU | _falling(20_000, 13_000),
    "cifar10-dcgan": DCGAN_CPU | {"train.features": "cifar10-cnn"} | _falling(15_000, 5_000),
    "colored-mnist-rpgan": COLORED_CPU | _falling(8_000, 3_000),
    "colored-mnist-gan": COLORED_CPU | _falling(8_000, 3_000),
    # By the hinge loss D soon leaves G behind and shapes stay blobs; by WGAN-GP they get edges and corners.
    "sprites-rpgan": CPU_GAN
    | SLOPE
    | {
        "loss.name": "wgan-gp",
        "discriminator.spectral_norm": False,
        "train.betas": (0.0, 0.9),
        "generator.widths": (64, 64, 48, 32, 32),
        "discriminator.widths": (32, 48, 64, 96, 96),
        "train.d_steps": 1,  # as for the paper's faces
        "train.evaluate_every": 500,
        "train.evaluate_n": 5_000,
    }
    | _falling(13_000),
    "mnist-cnn": {},
    "cifar10-cnn": {
        "train.flip": True,
        "train.shift": 4,
        "train.cutout": 12,
        "train.weight_decay": 0.05,
        "train.steps": 15_000,
    },
    "sprites-cnn": {"train.steps": 8_000},
    "mnist-inversion": INVERSION_CPU | {"widths": (24, 24, 24, 48, 48, 48, 64, 64), "train.steps": 4_000},
    "cifar10-inversion": INVERSION_CPU | {"train.steps": 16_000},  # of twice as many instances
    "sprites-inversion": INVERSION_CPU | {"train.steps": 6_000},
}


def resolve(name: str, profile: str = "book", changes: Mapping[str, Any] | None = None) -> Config:
    """Returns an experiment as a profile changes it, and then as the caller does (dotted keys)."""
    experiment = choose(EXPERIMENTS, name, "no experiment")
    return override(experiment, {**AMOUNTS[check_profile(profile)](name), **(changes or {})})


def resolve_gan(name: str, profile: str = "book", changes: Mapping[str, Any] | None = None) -> GanConfig:
    """Returns such an experiment that trains a generator; raises UserError for one that does not."""
    config = resolve(name, profile, changes)
    if not isinstance(config, GanConfig):
        names = [name for name, known in EXPERIMENTS.items() if isinstance(known, GanConfig)]
        raise UserError(f"{name} trains no generator; expected one of {', '.join(names)}")
    return config


def changes_of(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a reader's changes that concern an experiment: a standard GAN has no routing to change."""
    config = EXPERIMENTS.get(name)
    standard = isinstance(config, GanConfig) and config.generator.latent == "gaussian"
    return {key: value for key, value in changes.items() if not (standard and key in ROUTING)}


def _paper(name: str) -> dict[str, Any]:
    """The experiment itself; in float32, since the paper names no other precision."""
    return {"train.precision": "float32"}


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
    if isinstance(config, InversionConfig):
        sizes = _smoke(config.generator)["generator.bucket_sizes"]
        return common | {"bucket_sizes": sizes, "widths": (4,) * len(config.widths), "train.evaluate_n": 64}
    data = {"data.name": OFFLINE.get(config.data.name, config.data.name)}
    if isinstance(config, ClassifierConfig):
        return common | data | {"widths": (4,) * len(config.widths), "hidden": 8}
    sizes = tuple(1 if size == 1 else max(2, ceil(size / 8)) for size in config.generator.bucket_sizes)
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
OFFLINE = {
    "mnist": "mnist-5k",
    "colored-mnist": "colored-mnist-5k",
    "cifar10": "colored-mnist-5k",
    "celeba": "sprites",
    "anime-faces": "sprites",
    "lsun-bedroom": "sprites",
}
AMOUNTS: dict[str, Callable[[str], dict[str, Any]]] = {"smoke": _smoke, "book": _book, "paper": _paper}

"""What can be counted: paths, coverage, operations, images of a small generator (sections 3, 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rpgan import paths
from rpgan.config import GanConfig, GeneratorConfig, LossConfig, standard_twin
from rpgan.errors import UserError
from rpgan.losses import all_pairs_diversity
from rpgan.models.blocks import UpBlock
from rpgan.models.bucket import STRATEGIES
from rpgan.models.generator import RandomPathGenerator, build_generator, render
from rpgan.models.modes import eval_mode, routed_by
from rpgan.overrides import flatten


@dataclass(frozen=True)
class Setup:
    """One row of Table 1."""

    size: int  # pixels
    buckets: int
    n_in: int  # instances in each bucket
    d_steps: int  # discriminator updates a generator update
    batch: int
    coverage: float  # paths over training images


TABLE_1 = {
    "cifar10-rpgan": Setup(32, 5, 40, 5, 64, 2048.0),
    "anime-rpgan": Setup(64, 6, 20, 1, 32, 2970.0),
    "lsun-rpgan": Setup(128, 7, 20, 1, 16, 420.0),
}  # as published in version 2
ENUMERABLE = 20_000  # paths whose images are compared one by one
IMAGES = {"cifar10-rpgan": 50_000, "anime-rpgan": 21_551, "lsun-rpgan": 3_033_042}  # of the data sets


def setup(config: GanConfig, n_images: int) -> Setup:
    """Reads a row of Table 1 off an experiment."""
    sizes = config.generator.bucket_sizes
    return Setup(
        size=config.generator.image_shape[1],
        buckets=len(sizes),
        n_in=sizes[0],
        d_steps=config.train.d_steps,
        batch=config.train.batch_size,
        coverage=paths.count(sizes) / n_images,
    )


def equals_table_1(rows: Mapping[str, Setup]) -> bool:
    """Whether sizes, buckets, instances, D steps and batches are the paper's; coverage is not compared."""
    return all(
        replace(row, coverage=0.0) == replace(TABLE_1[name], coverage=0.0) for name, row in rows.items()
    )


@dataclass(frozen=True)
class Schedule:
    """Optimiser and length of a training, as section 4 has them."""

    adam: tuple[float, ...]  # learning rates of generator and discriminator, β₁, β₂
    updates: int  # of the discriminator: what the released program counts as steps (erratum 2)


SECTION_4 = {
    name: Schedule((2.5e-4, 2.5e-4, 0.5, 0.999), steps)
    for name, steps in {"cifar10-rpgan": 450_000, "anime-rpgan": 250_000, "lsun-rpgan": 250_000}.items()
}  # as published


def schedule(config: GanConfig) -> Schedule:
    """Reads optimiser and length off an experiment."""
    train = config.train
    return Schedule((train.g_lr, train.d_lr, *train.betas), train.steps * train.d_steps)


def equals_section_4(rows: Mapping[str, Schedule]) -> bool:
    """Whether learning rates and decay rates are the paper's; lengths are not compared."""
    return all(row.adam == SECTION_4[name].adam for name, row in rows.items())


def multiplications_over_twin(config: GeneratorConfig, n: int = 2) -> float:
    """Operations of n random paths over those of n images of the standard GAN; 1 if routing costs none."""
    routed, twin = build_generator(config), build_generator(standard_twin(config))
    rng = torch.Generator().manual_seed(0)
    single = torch.zeros(n, len(config.bucket_sizes), dtype=torch.int64)
    latents = routed.latent.expand(n, -1) if routed.latent is not None else None
    return _flops(routed, routed.sample_paths(n, rng), latents) / _flops(
        twin, single, twin.sample_latents(n, rng)
    )


@torch.no_grad()
def _flops(generator: RandomPathGenerator, routes: Tensor, latents: Tensor | None) -> int:
    with FlopCounterMode(display=False) as counter, eval_mode(generator):
        generator(routes, latents)
    return counter.get_total_flops()


def is_sn_resnet(config: GanConfig) -> bool:
    """Whether an experiment's networks are those of section 4: an SN-ResNet trained with the hinge loss.

    That is a fully connected first bucket, residual blocks, a convolution as the last one, and spectral
    normalisation (of the discriminator; see erratum 5). Widths play no part.
    """
    narrow = replace(config.generator, widths=(2,) * len(config.generator.widths), latent_dim=2)
    kinds = [type(bucket.instances[0]) for bucket in build_generator(standard_twin(narrow)).buckets]
    blocks = [UpBlock] * (len(kinds) - 2)
    trained = config.loss.name == "hinge" and config.discriminator.spectral_norm
    return kinds == [nn.Linear, *blocks, nn.Conv2d] and trained


def is_of_appendix_a(config: GanConfig) -> bool:
    """Whether an experiment is a plain convolutional WGAN with the settings of section 4 (appendix A)."""
    adam = schedule(config).adam == SECTION_4["cifar10-rpgan"].adam
    plain = config.generator.architecture == "dcgan" and not config.discriminator.spectral_norm
    return adam and plain and config.loss == LossConfig(name="wgan-gp")


def differ_in_routing_alone(routed: GanConfig, standard: GanConfig) -> bool:
    """Whether two experiments differ in name, instances and latent alone (section 4)."""
    settings = [flatten(config) for config in (routed, standard)]
    differing = {key for key, value in settings[0].items() if value != settings[1][key]}
    return differing == {"name", "generator.bucket_sizes", "generator.latent"}


def distinct_images(generator: RandomPathGenerator) -> int:
    """Number of different images among those of all paths; UserError for more paths than `ENUMERABLE`."""
    if (n := paths.count(generator.bucket_sizes)) > ENUMERABLE:
        got = f"{n:,} paths through buckets of {generator.bucket_sizes}"
        raise UserError(f"{got}; expected at most {ENUMERABLE:,} to enumerate: take fewer instances")
    return _distinct(generator, paths.enumerate_all(generator.bucket_sizes))


def distinct_variations(generator: RandomPathGenerator, bucket: int) -> int:
    """Number of different images where one bucket varies, counted from 0, and all others are frozen."""
    path = torch.zeros(len(generator.bucket_sizes), dtype=torch.int64)
    return _distinct(generator, paths.vary(path, bucket, range(generator.bucket_sizes[bucket])))


def _distinct(generator: RandomPathGenerator, routes: Tensor) -> int:
    return len(render(generator, routes).flatten(1).unique(dim=0))


@torch.no_grad()
def routing_deviation(generator: RandomPathGenerator, routes: Tensor) -> dict[str, float]:
    """Largest difference of each routing strategy's images to those of one call a row, in [−1, 1] units."""
    images = {}
    for strategy in STRATEGIES:
        with eval_mode(generator), routed_by(strategy, generator):
            images[strategy] = generator(routes)
    return {name: float((i - images["per_sample"]).abs().max()) for name, i in images.items()}


def twin_images_equal(network: nn.Sequential, routed: RandomPathGenerator, latents: Tensor) -> bool:
    """Whether a network and its routed form with one instance a bucket give the same bits (section 3.2)."""
    single = torch.zeros(len(latents), len(routed.buckets), dtype=torch.int64)
    with eval_mode(network), eval_mode(routed):
        return torch.equal(network(latents), routed(single, latents))


@torch.no_grad()
def diversity_over_maximum(generator: RandomPathGenerator) -> list[float]:
    """All-pairs diversity of each bucket over its largest possible value 2m², at the weights as they are."""
    return [float(all_pairs_diversity(b)) / (2 * len(b) ** 2) for b in generator.buckets if len(b) > 1]

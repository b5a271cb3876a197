"""Generators without non-linearities: a proof of it, and why standard ones cannot be (section 4.5)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from rpgan.checkpoint import load_card, load_config, load_generator, satisfies
from rpgan.config import DataConfig, GanConfig, GeneratorConfig
from rpgan.datasets import load_dataset
from rpgan.images import all_distinct, to_uint8
from rpgan.metrics.additivity import AFFINE, additivity_error, before_tanh
from rpgan.metrics.features import Extractor, load_extractor
from rpgan.metrics.frechet import (
    GROUPS,
    Groups,
    Jackknifed,
    Moments,
    distance_ratio,
    frechet_distance,
    jackknifed,
)
from rpgan.metrics.normality import Shape, shape_of
from rpgan.models.generator import RandomPathGenerator, build_generator
from rpgan.presets import resolve, resolve_gan
from rpgan.references import find_reference
from rpgan.results import Result

TWINS = ("cifar10-linear", "cifar10-linear-gan")  # random paths, and a Gaussian latent in their place
WITH_ACTIVATIONS = "cifar10-rpgan"
RESNETS = (*TWINS, WITH_ACTIVATIONS)
BATCH = 250  # images in memory at once
SAMPLES = 64  # that must all differ


def additivity_table(
    trained: RandomPathGenerator, config: GeneratorConfig, profile: str, rng: torch.Generator
) -> dict[str, float]:
    """Additivity errors of a trained generator, of a profile's linear ResNet, and of both with activations.

    All but the first have random weights, which is enough: additivity is a matter of layers.
    """
    resnet = resolve_gan(TWINS[0], profile).generator
    short = replace(resnet, bucket_sizes=tuple(min(2, m) for m in resnet.bucket_sizes))
    tried = {
        "trained": trained,
        "the same layers with ReLU": build_generator(replace(config, leak=0.0)),
        "linear ResNet": build_generator(short),
        "linear ResNet as released": build_generator(replace(short, last_relu=True)),
    }
    return {name: additivity_error(generator, 16, rng) for name, generator in tried.items()}


def digits(profile: str, image_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Real digits to fit a Gaussian to, and others to measure distances to, uint8 (n, c, h, w) both."""
    data = DataConfig("mnist" if profile == "paper" else "mnist-5k")
    splits = (load_dataset(data, image_shape, split) for split in ("train", "test"))
    fitted, real = (split.__getitems__(range(len(split)))[0] for split in splits)
    return fitted, real


def gaussian_images(
    images: UInt8[Tensor, "n c h w"], n: int, latent_dim: int, rng: torch.Generator
) -> UInt8[Tensor, "k c h w"]:
    """What a standard GAN without non-linearities can give: n images from a Gaussian of these moments.

    Its covariance has the rank of the latent, whose principal components are taken. Pixels are cut at their
    range, in place of the Tanh.
    """
    pixels = images.flatten(1).double()
    mean = pixels.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(pixels.t()))
    top = vectors[:, -latent_dim:] * values[-latent_dim:].clamp(min=0).sqrt()
    drawn = mean + torch.randn(n, top.shape[1], generator=rng, dtype=torch.float64) @ top.t()
    return drawn.round().clamp(0, 255).to(torch.uint8).view(n, *images.shape[1:])


def results(
    errors: Mapping[str, float], sets: Sequence[Tensor], real: UInt8[Tensor, "n c h w"], extractor: Extractor
) -> dict[str, Result]:
    """What the ledger needs, from `additivity_table` and images of a linear RPGAN and of a Gaussian."""
    linear = [errors["trained"], errors["linear ResNet"]]
    n, moments = len(sets[0]), Moments(extractor(real))
    routed, gaussian = (Moments.grouped(extractor(images)) for images in sets)
    ratio, interval = distance_ratio(gaussian, routed, moments)
    return {
        "linear_is_additive": Result(max(linear) < AFFINE),
        "additivity_error": Result(max(linear)),
        "frechet_mnist_cnn": Result(frechet_distance(moments, Moments.merged(routed)), n),
        "standard_over_routed": Result(ratio, n, interval=interval),
    }


@dataclass(frozen=True)
class Look:
    """What is measured of one generator."""

    images: UInt8[Tensor, "k c h w"]  # the first of them
    additivity: float
    kept: int  # step of its training at which it was best
    steps: int  # of its training
    frechet: Jackknifed  # distance to real images, of all of them
    shape: Shape  # before the Tanh, as means over an 8×8 grid: a linear map, which keeps Gaussians


@dataclass(frozen=True)
class Twins:
    """Linear ResNets by name, of random paths and of a Gaussian latent; maybe one with activations beside."""

    features: str
    n: int  # images behind every number
    real: Moments  # of what they are compared with
    looks: Mapping[str, Look]

    def rows(self) -> Iterator[dict[str, str]]:
        """Yields a row for each generator, for a page."""
        for name, look in self.looks.items():
            yield {
                "generator": name,
                "kept at step, of those set": f"{look.kept:,} of {look.steps:,}",
                "deviation from additivity": f"{look.additivity:.1e}",
                f"Fréchet distance ({self.features})": f"{look.frechet.whole:.1f}",
                "components told from a Gaussian": f"{look.shape.bent_share:.0%}",
            }

    def results(self) -> dict[str, Result]:
        """What the ledger needs; an FID only in Inception's features, of 50,000 images against 50,000."""
        if not self.looks.keys() >= set(TWINS):
            return {}
        routed, standard = (self.looks[name] for name in TWINS)
        found = {
            "resnet_samples_distinct": Result(all_distinct(routed.images[:SAMPLES])),
            "resnet_is_additive": Result(max(routed.additivity, standard.additivity) < AFFINE),
            "resnet_distance": Result(routed.frechet.whole, self.n, note=self.features),
            "resnet_distance_standard": Result(standard.frechet.whole, self.n, note=self.features),
            "resnet_standard_over_routed": self._ratio(standard, routed),
            "resnet_bent_share": Result(routed.shape.bent_share, self.n),
            "resnet_bent_share_standard": Result(standard.shape.bent_share, self.n),
        }
        if self.features == "inception" and self.n == self.real.n == 50_000:
            found["fid_50k_linear"] = Result(routed.frechet.whole, self.n)
        if plain := self.looks.get(WITH_ACTIVATIONS):
            found["resnet_over_activations"] = self._ratio(routed, plain)
        return found

    def _ratio(self, of: Look, to: Look) -> Result:
        ratio, interval = of.frechet.over(to.frechet)
        return Result(ratio, self.n, interval=interval, note=self.features)

    def about(self, profile: str) -> str:
        """Says in a sentence what the two differ in, or why there is nothing to see."""
        if self.looks.keys() >= set(TWINS):
            routed, standard = (self.looks[name] for name in TWINS)
            ratio = standard.frechet.whole / routed.frechet.whole
            shares = routed.shape.bent_share, standard.shape.bent_share
            told = (
                f"The distance of the standard twin is {ratio:.2f} times that of the routed generator, in "
                f"the features {self.features}; before the Tanh, {shares[0]:.0%} of the routed generator's "
                f"components and {shares[1]:.0%} of its twin's are told from a Gaussian, 5 % of a Gaussian's."
            )
            if 0 < standard.kept < standard.steps:
                told += (
                    f" The standard twin was best at step {standard.kept:,} of {standard.steps:,} and worse "
                    "from there on: part of the ratio may be a training that went astray."
                )
            if plain := self.looks.get(WITH_ACTIVATIONS):
                over = routed.frechet.whole / plain.frechet.whole
                told += f" The routed one's is {over:.2f} times that of the same RPGAN with activations."
            return told
        absent = [name for name in TWINS if not satisfies(name, resolve(name, profile))]
        if absent:
            return (
                f"The repository has no checkpoint of {' and '.join(absent)}, so that the twins are not "
                "compared here."
            )
        return f"They are compared for the parameter resnets = {list(RESNETS)}."


def compare(
    checkpoints: Mapping[str, Path], features: str, n: int, rng: torch.Generator, device: str = "cpu"
) -> Twins:
    """Measures n images of each generator against as many real ones of the first one's data set.

    `find_reference` says what serves as real where that is not on the disk.
    """
    if not checkpoints:
        return Twins(features, n, Moments(), {})
    configs = {name: load_config(path) for name, path in checkpoints.items()}
    first, extractor = next(iter(configs.values())), load_extractor(features, device)
    assert isinstance(first, GanConfig)  # it has a generator
    seed = int(torch.randint(2**31, (), generator=rng))
    reference = find_reference(first.data, first.generator.image_shape, n, seed, {features: extractor})
    real = reference.moments_in(features)
    looks = {}
    for name, path in checkpoints.items():
        generator = load_generator(path).to(device)
        images, grids, made = _drawn(generator, extractor, n, rng)
        error = additivity_error(generator, 16, rng)
        steps = int(load_card(path)["steps"]), configs[name].train.steps
        looks[name] = Look(images, error, *steps, jackknifed(made, real), shape_of(grids))
    return Twins(features, n, real, looks)


@torch.no_grad()
def _drawn(
    generator: RandomPathGenerator, extractor: Extractor, n: int, rng: torch.Generator
) -> tuple[Tensor, Tensor, Groups]:
    """Draws n images in batches: the first, grids of all before the Tanh, moments of all in features."""
    groups, grids, first = tuple(Moments() for _ in range(GROUPS)), [], torch.empty(0)
    for start in range(0, n, BATCH):
        k = min(BATCH, n - start)
        raw = before_tanh(generator, generator.sample_paths(k, rng), generator.sample_latents(k, rng))
        images = to_uint8(raw.tanh().float())
        for group, features in zip(groups, extractor(images).tensor_split(GROUPS), strict=True):
            group.update(features)
        grids.append(F.adaptive_avg_pool2d(raw, 8).flatten(1))
        first = images if start == 0 else first
    return first, torch.cat(grids), groups

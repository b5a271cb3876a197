"""Consecutive buckets of linear layers joined into one of their products (section 4.5, Table 4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan import paths as path
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.metrics.seeds import Spread
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.stacked import StackedLinear, rebuilt
from rpgan.results import Result, show_value

NEUTRAL = (nn.Identity, nn.Sequential)  # a sequence is what is in it
SAME = 1e-3  # of a pixel's range of 2; one of 255 levels is 8e-3


@dataclass(frozen=True)
class Compressed:
    """A generator in which consecutive buckets are one, and where its instances come from."""

    generator: RandomPathGenerator
    buckets: tuple[int, ...]  # the original's buckets that were joined
    kept: Tensor  # int64 (k, number of joined buckets), the tuple of instances behind each product

    def original_paths(self, paths: Int64[Tensor, "n short"]) -> Int64[Tensor, "n long"]:
        """The paths of the original generator that give the same images."""
        return expand(paths, self.buckets, self.kept)

    def first(self, k: int) -> "Compressed":
        """The same with the first k products only; weights are shared."""
        joined = self.generator.buckets[self.buckets[0]]
        assert isinstance(joined, StackedLinear)
        buckets, links = list(self.generator.buckets), list(self.generator.links)
        buckets[self.buckets[0]] = StackedLinear(joined.weight.data[:k], joined.bias.data[:k])
        return replace(self, generator=rebuilt(self.generator, buckets, links), kept=self.kept[:k])

    def fewer(self, counts: Sequence[int]) -> dict[int, RandomPathGenerator]:
        """Generators of the first products only, for those of the counts that there are."""
        return {k: self.first(k).generator for k in counts if k <= len(self.kept)}


def expand(
    paths: Int64[Tensor, "n short"], buckets: Sequence[int], kept: Int64[Tensor, "k joined"]
) -> Int64[Tensor, "n long"]:
    """Replaces the joined bucket's column of paths by the instances that its products were made of."""
    first = buckets[0]
    return torch.cat([paths[:, :first], kept[paths[:, first]], paths[:, first + 1 :]], dim=1)


def sample_tuples(bucket_sizes: Sequence[int], k: int, rng: torch.Generator) -> Int64[Tensor, "k joined"]:
    """Draws k distinct tuples of instances; raises UserError where there are not as many."""
    n = prod(bucket_sizes)
    if not 1 <= k <= n:
        raise UserError(f"{k} products of buckets of {tuple(bucket_sizes)}; expected from 1 to {n:,}")
    chosen = torch.randperm(n, generator=rng)[:k]
    return torch.stack(torch.unravel_index(chosen, tuple(bucket_sizes)), dim=1)


def compress(
    generator: RandomPathGenerator, buckets: Sequence[int], k: int, rng: torch.Generator
) -> Compressed:
    """Joins consecutive buckets into one of k random products, as the paper does; see `join`."""
    check_joinable(generator, buckets)
    return join(generator, buckets, sample_tuples([generator.bucket_sizes[b] for b in buckets], k, rng))


def join(
    generator: RandomPathGenerator, buckets: Sequence[int], kept: Int64[Tensor, "k joined"]
) -> Compressed:
    """Joins consecutive buckets of linear layers into one of the products that are kept.

    Row t of `kept` names an instance of each; B5k ∘ B4j ∘ B3i is W = W5 W4 W3, b = W5 (W4 b3 + b4) + b5,
    computed in float64. Every image of the result is that of a path of the original, to rounding. Raises
    UserError for buckets that are not consecutive, not linear, or have something between them.
    """
    check_joinable(generator, buckets)
    path.check(kept, [generator.bucket_sizes[bucket] for bucket in buckets])
    layers = [[i for i in generator.buckets[b].instances if isinstance(i, nn.Linear)] for b in buckets]
    dtype = layers[0][0].weight.dtype
    products = [_product([layers[b][i] for b, i in enumerate(row)]) for row in kept.tolist()]
    weight = torch.stack([w.t().to(dtype) for w, _ in products])
    joined = StackedLinear(weight, torch.stack([b.to(dtype) for _, b in products]))
    first, last = buckets[0], buckets[-1]
    new = [*generator.buckets[:first], joined, *generator.buckets[last + 1 :]]
    links = [*generator.links[:first], *generator.links[last:]]
    return Compressed(rebuilt(generator, new, links), tuple(buckets), kept)


def check_joinable(generator: RandomPathGenerator, buckets: Sequence[int]) -> None:
    """Raises UserError unless the buckets are consecutive, linear, and nothing lies between them."""
    n = len(generator.buckets)
    consecutive = len(buckets) > 1 and all(b - a == 1 for a, b in pairwise(buckets))
    if not consecutive or buckets[0] < 0 or buckets[-1] >= n:
        raise UserError(f"buckets {tuple(buckets)}; expected two or more consecutive ones from 0 to {n - 1}")
    for bucket in buckets:
        if strange := [i for i in generator.buckets[bucket].instances if not isinstance(i, nn.Linear)]:
            raise UserError(f"bucket {bucket} has a {type(strange[0]).__name__}; expected nn.Linear only")
    for bucket in buckets[:-1]:
        if between := [m for m in generator.links[bucket].modules() if not isinstance(m, NEUTRAL)]:
            raise UserError(
                f"a {type(between[0]).__name__} follows bucket {bucket}; expected the identity: "
                "train with generator.leak=1, and generator.last_relu=false"
            )


@torch.no_grad()
def _product(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Composes affine maps, the first applied first, in float64."""
    weight, bias = layers[0].weight.double(), layers[0].bias.double()
    for layer in layers[1:]:
        w = layer.weight.double()
        weight, bias = w @ weight, w @ bias + layer.bias.double()
    return weight, bias


@dataclass(frozen=True)
class Both:
    """Images of a compressed generator and those of the original along the same paths."""

    original: Float[Tensor, "n c h w"]
    compressed: Float[Tensor, "n c h w"]

    @property
    def deviation(self) -> float:
        """Largest difference of a pixel in [−1, 1]."""
        return float((self.compressed - self.original).abs().max())


def images_of_both(
    generator: RandomPathGenerator, compressed: Compressed, n: int, rng: torch.Generator
) -> Both:
    """Draws n random paths of the compressed generator, and follows them in both."""
    routes = compressed.generator.sample_paths(n, rng)
    return Both(render(generator, compressed.original_paths(routes)), render(compressed.generator, routes))


Distance = Callable[[UInt8[Tensor, "n c h w"]], float]


def distance_to(images: UInt8[Tensor, "n c h w"], extractor: Extractor) -> Distance:
    """Returns the Fréchet distance to these images in an extractor's features, as a function of others."""
    real = Moments(extractor(images))
    return lambda made: frechet_distance(real, Moments(extractor(made)))


@dataclass(frozen=True)
class KeptCurve:
    """How good the images are when only some products are kept; the last of the counts keeps all."""

    n: int  # images behind every distance
    distances: dict[int, list[float]]  # number of products → one distance for each choice of them

    def ratio(self, k: int) -> Result:
        """Distance with k products over that with all: mean over choices, with Student's 95 % interval."""
        total = max(self.distances)
        ratios = [a / b for a, b in zip(self.distances[k], self.distances[total], strict=True)]
        found = Spread(tuple(ratios))
        return Result(found.mean, self.n, "", found.interval, f"{k} of {total} products, {found.n} choices")


def kept_curve(
    generator: RandomPathGenerator,
    buckets: Sequence[int],
    counts: Sequence[int],
    distance: Distance,
    n: int,
    n_choices: int,
    rng: torch.Generator,
) -> KeptCurve:
    """Distance of n images when the joined bucket keeps k random products, for those of the counts there are.

    All products are added as the last count. A choice of few is the beginning of one of more. The images are
    the original generator's along the paths that are left, which `join` reproduces to rounding.
    """
    joined = [generator.bucket_sizes[bucket] for bucket in buckets]
    total = prod(joined)
    choices = [sample_tuples(joined, total, rng) for _ in range(n_choices)]
    images = partial(images_of_kept, generator, buckets, n=n, rng=rng)
    within = [*sorted({k for k in counts if k < total}), total]
    return KeptCurve(n, {k: [distance(images(kept[:k])) for kept in choices] for k in within})


def images_of_kept(
    generator: RandomPathGenerator,
    buckets: Sequence[int],
    kept: Int64[Tensor, "k joined"],
    n: int,
    rng: torch.Generator,
) -> UInt8[Tensor, "n c h w"]:
    """Draws n images of random paths through the tuples that are kept, by the original generator."""
    sizes = generator.bucket_sizes
    short = (*sizes[: buckets[0]], len(kept), *sizes[buckets[-1] + 1 :])
    routes = expand(path.sample(short, n, rng), buckets, kept)
    return to_uint8(render(generator, routes))


def shift(
    generator: RandomPathGenerator,
    buckets: Sequence[int],
    k: int,
    extractor: Extractor,
    distance: Distance,
    n: int,
    n_choices: int,
    rng: torch.Generator,
) -> Result:
    """How far k products move the images as a whole, over how far these are from real ones anyway.

    The Fréchet distance of n images through the products to n of the original, less that between two sets of
    the original, which is what chance does with so many; over the original's distance to real images. 0 if
    the images are distributed alike. Mean over choices of products, with Student's 95 % interval.
    """
    joined, shifts = [generator.bucket_sizes[bucket] for bucket in buckets], []
    for _ in range(n_choices):
        made = images_of_kept(generator, buckets, sample_tuples(joined, k, rng), n, rng)
        one, other = (draw(generator, n, rng) for _ in range(2))
        apart = distance_to(one, extractor)
        shifts.append((apart(made) - apart(other)) / distance(one))
    found = Spread(tuple(shifts))
    return Result(found.mean, n, "", found.interval, f"{k} of {prod(joined)} products, {n_choices} choices")


def results(both: Both, curve: KeptCurve, k: int) -> dict[str, bool | Result]:
    """What the ledger needs: whether images stay the same, and what k products cost in quality."""
    return {"compressed_images_equal": both.deviation < SAME, "distance_ratio": curve.ratio(k)}


def conclusion(both: Both, found: Mapping[str, Any], k: int, published: float) -> str:
    """Says what was found, from a chapter's results, beside the paper's speed-up."""
    least, storage, trained = (found[f"speed_{key}"].value for key in ("least", "ratio", "ratio_as_trained"))
    return (
        f"Joined buckets reproduce the original's images to {both.deviation:.0e}. The compressed generator "
        f"is {storage:.1f} times faster in the same storage ({found['speed_ratio'].note}) and {trained:.1f} "
        f"times faster than the generator as trained; the least for any number of images is {least:.1f}. "
        f"The paper has ×{published:g}. With {k} products, the distance to real digits is "
        f"{show_value(found['distance_ratio'])} times the original's, and the images have moved by "
        f"{show_value(found['compressed_shift'])} times it (95 % over choices of products)."
    )

"""Consecutive buckets of linear layers joined into one of their products (section 4.5, Table 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from rpgan import paths as path
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.stacked import StackedLinear, rebuilt
from rpgan.results import Result


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
        if between := [m for m in generator.links[bucket].modules() if not _is_neutral(m)]:
            raise UserError(
                f"a {type(between[0]).__name__} follows bucket {bucket}; expected the identity: "
                "train with generator.leak=1"
            )


def _is_neutral(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity | nn.Sequential)  # a sequence is what is in it


@torch.no_grad()
def _product(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Composes affine maps, the first applied first, in float64."""
    weight, bias = layers[0].weight.double(), layers[0].bias.double()
    for layer in layers[1:]:
        w = layer.weight.double()
        weight, bias = w @ weight, w @ bias + layer.bias.double()
    return weight, bias


@dataclass(frozen=True)
class Cost:
    """What a fully connected generator needs, from its shapes alone."""

    multiplications: int  # for one image
    parameters: int  # with Z
    weight_sizes: tuple[int, ...]  # parameters of one instance of each bucket
    bucket_sizes: tuple[int, ...]

    @property
    def paths(self) -> int:
        """Number of different paths."""
        return path.count(self.bucket_sizes)

    def weights_read(self, n: int) -> float:
        """Parameters that n random paths touch in the mean: of m instances, m (1 − (1 − 1/m)^n) are drawn."""
        drawn = [m * (1 - (1 - 1 / m) ** n) for m in self.bucket_sizes]
        return sum(d * size for d, size in zip(drawn, self.weight_sizes, strict=True))


def cost(config: GeneratorConfig) -> Cost:
    """Multiplications, parameters and paths of a fully connected generator; UserError for any other."""
    if config.architecture != "fc":
        raise UserError(
            f"architecture {config.architecture!r}; expected 'fc', all of whose layers are linear"
        )
    shapes = list(pairwise((config.latent_dim, *config.widths, prod(config.image_shape))))
    sizes = tuple((i + 1) * o for i, o in shapes)
    parameters = sum(m * size for m, size in zip(config.bucket_sizes, sizes, strict=True))
    parameters += config.latent_dim if config.latent != "gaussian" else 0
    return Cost(sum(i * o for i, o in shapes), parameters, sizes, tuple(config.bucket_sizes))


def cost_table(before: Cost, after: Cost) -> dict[str, dict[str, int | float]]:
    """Table 4 in numbers: what an original and a compressed generator need, and the ratio of the two."""
    columns: dict[str, dict[str, int | float]] = {
        name: {"multiplications": c.multiplications, "parameters": c.parameters, "paths": c.paths}
        for name, c in (("original", before), ("compressed", after))
    }
    ratio: dict[str, int | float] = {
        row: columns["compressed"][row] / value for row, value in columns["original"].items()
    }
    return columns | {"compressed / original": ratio}


def cost_results(before: Cost, after: Cost) -> dict[str, float]:
    """Ratios of multiplications (before over after), of parameters and of paths (after over before)."""
    return {
        "macs_ratio": before.multiplications / after.multiplications,
        "parameters_ratio": after.parameters / before.parameters,
        "paths_ratio": after.paths / before.paths,
    }


def joined_config(config: GeneratorConfig, buckets: Sequence[int], k: int) -> GeneratorConfig:
    """The shapes of a fully connected generator whose consecutive buckets are joined into k products."""
    first, last = buckets[0], buckets[-1]
    sizes = (*config.bucket_sizes[:first], k, *config.bucket_sizes[last + 1 :])
    return replace(config, widths=(*config.widths[:first], *config.widths[last:]), bucket_sizes=sizes)


Distance = Callable[[UInt8[Tensor, "n c h w"]], float]


def distance_to(images: UInt8[Tensor, "n c h w"], extractor: Extractor) -> Distance:
    """Returns the Fréchet distance to these images in an extractor's features, as a function of others."""
    real = Moments(extractor(images))
    return lambda made: frechet_distance(Moments(extractor(made)), real)


@dataclass(frozen=True)
class KeptCurve:
    """How good the images are when only some products are kept; the last of the counts keeps all."""

    n: int  # images behind every distance
    distances: dict[int, list[float]]  # number of products → one distance for each choice of them

    def ratio(self, k: int) -> Result:
        """Mean distance with k products over that with all; its interval is the range over the choices."""
        pairs = zip(self.distances[k], self.distances[max(self.distances)], strict=True)
        ratios = [some / every for some, every in pairs]
        note = f"{k} of {max(self.distances)} products, range over choices"
        return Result(sum(ratios) / len(ratios), self.n, interval=(min(ratios), max(ratios)), note=note)


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
    sizes = generator.bucket_sizes
    joined = [sizes[bucket] for bucket in buckets]
    total = prod(joined)
    choices = [sample_tuples(joined, total, rng) for _ in range(n_choices)]

    def measured(kept: Tensor) -> float:
        short = (*sizes[: buckets[0]], len(kept), *sizes[buckets[-1] + 1 :])
        routes = expand(path.sample(short, n, rng), buckets, kept)
        return distance(to_uint8(render(generator, routes)))

    within = [*sorted({k for k in counts if k < total}), total]
    return KeptCurve(n, {k: [measured(kept[:k]) for kept in choices] for k in within})

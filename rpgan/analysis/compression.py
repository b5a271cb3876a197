"""Linear generators: proof of linearity, and consecutive buckets joined into one (section 4.5, Table 4)."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan import paths as path
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.stacked import StackedLinear, rebuilt


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


def join(
    generator: RandomPathGenerator, buckets: Sequence[int], kept: Int64[Tensor, "k joined"]
) -> Compressed:
    """Joins consecutive buckets of linear layers into one of the products that are kept.

    Row t of `kept` names an instance of each; B5k ∘ B4j ∘ B3i is W = W5 W4 W3, b = W5 (W4 b3 + b4) + b5, computed
    in float64. Every image of the result is that of a path of the original, to rounding. Raises UserError for
    buckets that are not consecutive, not linear, or have something between them.
    """
    check_joinable(generator, buckets)
    path.check(kept, [generator.bucket_sizes[bucket] for bucket in buckets])
    layers = [list(generator.buckets[bucket].instances) for bucket in buckets]
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
            raise UserError(f"bucket {bucket} has a {type(strange[0]).__name__}; expected nn.Linear throughout")
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
        raise UserError(f"architecture {config.architecture!r}; expected 'fc', whose cost is that of its layers")
    shapes = list(pairwise((config.latent_dim, *config.widths, prod(config.image_shape))))
    sizes = tuple((i + 1) * o for i, o in shapes)
    parameters = sum(m * size for m, size in zip(config.bucket_sizes, sizes, strict=True))
    parameters += config.latent_dim if config.latent != "gaussian" else 0
    return Cost(sum(i * o for i, o in shapes), parameters, sizes, tuple(config.bucket_sizes))


def joined_config(config: GeneratorConfig, buckets: Sequence[int], k: int) -> GeneratorConfig:
    """The shapes of a fully connected generator whose consecutive buckets are joined into k products."""
    first, last = buckets[0], buckets[-1]
    sizes = (*config.bucket_sizes[:first], k, *config.bucket_sizes[last + 1 :])
    return replace(config, widths=(*config.widths[:first], *config.widths[last:]), bucket_sizes=sizes)


@torch.no_grad()
def additivity_error(generator: RandomPathGenerator, n: int, rng: torch.Generator) -> float:
    """Largest deviation of f(a z + (1 − a) z′) from a f(z) + (1 − a) f(z′), relative to the largest |f|.

    f is what reaches the Tanh along one path; n random paths are tried, in float64, with a uniform in [−1, 2].
    An affine generator gives rounding, about 1e-15.
    """
    double = deepcopy(generator).double().eval()
    routes = double.sample_paths(n, rng)
    shape = (n, *double.latent_shape)
    z1, z2 = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    a = torch.rand(n, generator=rng, dtype=torch.float64) * 3 - 1
    f1, f2 = before_tanh(double, routes, z1).flatten(1), before_tanh(double, routes, z2).flatten(1)
    weights = a.view(-1, *[1] * len(double.latent_shape))
    mixed = before_tanh(double, routes, weights * z1 + (1 - weights) * z2).flatten(1)
    expected = a[:, None] * f1 + (1 - a[:, None]) * f2
    return float((mixed - expected).abs().max() / expected.abs().max())


def before_tanh(
    generator: RandomPathGenerator, routes: Int64[Tensor, "n b"], latents: Float[Tensor, "n ..."]
) -> Float[Tensor, "n ..."]:
    """What the last Tanh is given; it cannot be had from the images, where Tanh saturates."""
    tanh = [module for module in generator.links[-1].modules() if isinstance(module, nn.Tanh)]
    if not tanh:
        raise UserError(f"the generator ends in {type(generator.links[-1]).__name__}; expected a Tanh")
    seen: list[Tensor] = []
    hook = tanh[-1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        generator(routes, latents.to(next(generator.parameters()).device))
    finally:
        hook.remove()
    return seen[0].cpu()


@dataclass(frozen=True)
class Kept:
    """How good the images are when only k products are kept."""

    k: int
    distances: tuple[float, ...]  # one for each choice of products


def kept_curve(
    generator: RandomPathGenerator,
    buckets: Sequence[int],
    counts: Sequence[int],
    distance: Callable[[UInt8[Tensor, "n c h w"]], float],
    n: int,
    n_choices: int,
    rng: torch.Generator,
) -> list[Kept]:
    """Distance of n images when the joined bucket keeps k products, for several k and random choices of them.

    A choice of few products is the beginning of one of more. The images are the original generator's along the
    paths that are left, which `join` reproduces to rounding: nothing is multiplied out.
    """
    sizes = generator.bucket_sizes
    short = (*sizes[: buckets[0]], 1, *sizes[buckets[-1] + 1 :])
    choices = [sample_tuples([sizes[b] for b in buckets], max(counts), rng) for _ in range(n_choices)]

    def measured(kept: Tensor) -> float:
        bucket_sizes = [len(kept) if i == buckets[0] else m for i, m in enumerate(short)]
        routes = expand(path.sample(bucket_sizes, n, rng), buckets, kept)
        return distance(to_uint8(render(generator, routes)))

    return [Kept(k, tuple(measured(kept[:k]) for kept in choices)) for k in counts]


def gaussian_images(
    images: UInt8[Tensor, "n c h w"], n: int, latent_dim: int, rng: torch.Generator
) -> UInt8[Tensor, "k c h w"]:
    """What a standard GAN without non-linearities can give: n images from a Gaussian with the moments of these.

    Its covariance has the rank of the latent, whose principal components are taken. Pixels are cut at their
    range, in place of the Tanh.
    """
    pixels = images.flatten(1).double()
    mean = pixels.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(pixels.t()))
    top = vectors[:, -latent_dim:] * values[-latent_dim:].clamp(min=0).sqrt()
    drawn = mean + torch.randn(n, top.shape[1], generator=rng, dtype=torch.float64) @ top.t()
    return drawn.round().clamp(0, 255).to(torch.uint8).view(n, *images.shape[1:])

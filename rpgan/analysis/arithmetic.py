"""What a fully connected generator needs, counted from its shapes alone (Table 4)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from math import prod

from rpgan import paths as path
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError

# Table 4: instances and outputs of every fully connected bucket, before and after the last three are joined.
TABLE_4 = (
    ((32, 128), (32, 256), (32, 512), (16, 1024), (16, 784)),
    ((32, 128), (32, 256), (128, 784)),
)


@dataclass(frozen=True)
class Cost:
    """What a fully connected generator needs, from its shapes alone."""

    layers: tuple[int, ...]  # multiplications of each bucket, for one image
    parameters: int  # with Z
    weight_sizes: tuple[int, ...]  # parameters of one instance of each bucket
    bucket_sizes: tuple[int, ...]

    @property
    def multiplications(self) -> int:
        """For one image, in all buckets."""
        return sum(self.layers)

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
    return Cost(tuple(i * o for i, o in shapes), parameters, sizes, tuple(config.bucket_sizes))


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
    """Ratios of multiplications (before over after), of parameters and of paths (after over before).

    Of multiplications there are three: all; those behind the first buckets that compression leaves alone;
    and all over the latter, which is what remains where a table holds the outputs of those first buckets.
    """
    pairs = zip(before.layers, after.layers, strict=False)  # fewer after than before
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    own, joined = sum(before.layers[shared:]), sum(after.layers[shared:])
    return {
        "macs_ratio": before.multiplications / after.multiplications,
        "macs_ratio_joined": own / joined,
        "macs_ratio_tables": before.multiplications / joined,
        "parameters_ratio": after.parameters / before.parameters,
        "paths_ratio": after.paths / before.paths,
    }


def costs(config: GeneratorConfig, buckets: Sequence[int], k: int) -> tuple[Cost, Cost]:
    """Costs of a generator and of the one whose consecutive buckets are joined into k products."""
    return cost(config), cost(joined_config(config, buckets, k))


def equals_table_4(config: GeneratorConfig, buckets: Sequence[int], k: int) -> bool:
    """Whether a generator, and the one whose buckets are joined into k products, have the paper's layers."""
    both = config, joined_config(config, buckets, k)
    layers = (zip(c.bucket_sizes, (*c.widths, prod(c.image_shape)), strict=True) for c in both)
    return config.latent_dim == 128 and tuple(map(tuple, layers)) == TABLE_4


def weights_ratio(before: Cost, after: Cost, batch_sizes: Sequence[int]) -> dict[int, float]:
    """How many times as many weights the first reads for as many random images."""
    return {n: before.weights_read(n) / after.weights_read(n) for n in batch_sizes}


def storage(cost: Cost, pixels: int) -> str:
    """Compares the memory of all images that a generator can make with that of its weights, in a sentence."""
    return (
        f"The {cost.paths:,} images that the paper's compressed generator can make would fill "
        f"{cost.paths * pixels / 1e6:.0f} MB, a byte a pixel; its weights fill "
        f"{cost.parameters * 4 / 1e6:.0f} MB."
    )


def joined_config(config: GeneratorConfig, buckets: Sequence[int], k: int) -> GeneratorConfig:
    """The shapes of a fully connected generator whose consecutive buckets are joined into k products."""
    first, last = buckets[0], buckets[-1]
    sizes = (*config.bucket_sizes[:first], k, *config.bucket_sizes[last + 1 :])
    return replace(config, widths=(*config.widths[:first], *config.widths[last:]), bucket_sizes=sizes)

"""What exchanging one instance of a path changes in its image, and what it leaves alone (appendix B)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.images import to_uint8
from rpgan.intervals import central_interval, resampled_sums
from rpgan.metrics.color import color_change
from rpgan.metrics.edges import edge_map
from rpgan.models.generator import RandomPathGenerator, render

Measure = Callable[[Tensor, Tensor], Tensor]  # uint8 (n, c, h, w), the same -> distances (n,)


def edge_change(a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Distance of the edge maps, each of unit length: 0 to √2; colours and contrast do not matter."""
    return (edge_map(a) - edge_map(b)).double().norm(dim=1)


KINDS: dict[str, Measure] = {"colours": color_change, "edge maps": edge_change}  # that need no network


@dataclass(frozen=True)
class Edits:
    """How much exchanging the instance of each bucket changes an image, by several measures."""

    buckets: tuple[int, ...]
    changes: dict[str, Tensor]  # measure → float64 (n, buckets), mean over the alternatives

    def shares(self) -> dict[str, list[float]]:
        """Each bucket's share in the sum of changes over all buckets and images, by measure."""
        return {name: _shares(change.sum(0)).tolist() for name, change in self.changes.items()}

    def leaning(self, first: str, second: str, rng: torch.Generator) -> "Leaning":
        """Compares the shares of two measures, bucket by bucket, with intervals over images."""
        a, b = self.changes[first], self.changes[second]
        first_sums, second_sums = resampled_sums(torch.stack([a, b], dim=-1), rng).unbind(-1)
        differences = _shares(first_sums) - _shares(second_sums)
        level = 1 - 0.05 / len(self.buckets)  # all intervals hold together (Bonferroni)
        bounds = torch.stack(central_interval(differences, level))
        return Leaning((first, second), _shares(a.sum(0)) - _shares(b.sum(0)), bounds.T)


@dataclass(frozen=True)
class Leaning:
    """Difference of a bucket's shares in two kinds of change: above 0 it leans to the first kind."""

    kinds: tuple[str, str]
    difference: Tensor  # float64 (buckets,)
    interval: Tensor  # float64 (buckets, 2), 95 % for all buckets at once

    def selective(self) -> bool:
        """Whether one bucket surely leans to the first kind and another to the second."""
        return bool((self.interval[:, 0] > 0).any() and (self.interval[:, 1] < 0).any())


def _shares(sums: Tensor) -> Tensor:
    return sums / sums.sum(-1, keepdim=True)


def edit(
    generator: RandomPathGenerator,
    routes: Int64[Tensor, "n n_buckets"],
    n: int,
    measures: Mapping[str, Measure],
    rng: torch.Generator,
) -> Edits:
    """Exchanges one bucket of every path for n other instances, or all there are, and measures the change."""
    sizes = generator.bucket_sizes
    buckets = tuple(path.plural(sizes))
    originals = to_uint8(render(generator, routes))
    columns: dict[str, list[Tensor]] = {name: [] for name in measures}
    for bucket in buckets:
        chosen = [path.alternatives(route, bucket, sizes[bucket], n, rng) for route in routes]
        varied = torch.cat([path.vary(r, bucket, c) for r, c in zip(routes, chosen, strict=True)])
        edited = to_uint8(render(generator, varied))
        before = originals.repeat_interleave(len(chosen[0]), dim=0)
        for name, measure in measures.items():
            columns[name].append(measure(edited, before).double().view(len(routes), -1).mean(1))
    return Edits(buckets, {name: torch.stack(column, dim=1) for name, column in columns.items()})

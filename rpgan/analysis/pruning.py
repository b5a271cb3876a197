"""Which instances of a bucket do the same, and what is lost without them (section 5, future work)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log10
from statistics import fmean, stdev

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.images import to_uint8
from rpgan.metrics.effective import effective_number
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.pruned import Kept, random_kept, shuffled_kept
from rpgan.results import Result

Features = Callable[[UInt8[Tensor, "n c h w"]], Float[Tensor, "n d"]]
Apart = Mapping[int, Tensor]  # bucket of several instances → mean functional distances (m, m)


@torch.no_grad()
def functional_distances(
    generator: RandomPathGenerator, extractors: Mapping[str, Features], n_routes: int, rng: torch.Generator
) -> dict[str, dict[int, Float[Tensor, "routes m m"]]]:
    """Squared change of the image, a feature in the mean, when instance i of a bucket is exchanged for j.

    All buckets of several instances go through the same random routes; the mean over routes is the squared
    distance of two instances as functions. Float64, symmetric, zero on the diagonal; by extractor and bucket.
    """
    routes = generator.sample_paths(n_routes, rng)
    distances: dict[str, dict[int, Tensor]] = {name: {} for name in extractors}
    for bucket, size in enumerate(generator.bucket_sizes):
        if size > 1:
            varied = torch.cat([path.vary(route, bucket, range(size)) for route in routes])
            images = to_uint8(render(generator, varied))
            for name, features in extractors.items():
                seen = features(images).double().unflatten(0, (n_routes, size))
                distances[name][bucket] = _squared_distances(seen) / seen.shape[-1]
    return distances


def _squared_distances(points: Float[Tensor, "routes m d"]) -> Float[Tensor, "routes m m"]:
    # Without matrix products: they lose the digits of small distances between long vectors.
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist") ** 2


def extremes(distances: Float[Tensor, "m m"]) -> dict[str, tuple[int, int]]:
    """The two instances that are most alike, and the two that differ most."""
    others = distances + torch.eye(len(distances)) * (1 + distances.max())
    places = {"closest": int(others.argmin()), "farthest": int(distances.argmax())}
    return {name: divmod(place, len(distances)) for name, place in places.items()}


def extreme_paths(apart: Apart, routes: Int64[Tensor, "n n_buckets"]) -> dict[str, Tensor]:
    """The same paths through each extreme pair of instances, pair after pair and bucket after bucket."""
    return {
        name: torch.cat([path.fix(routes, {b: i}) for b, d in apart.items() for i in extremes(d)[name]])
        for name in ("closest", "farthest")
    }


@dataclass(frozen=True)
class Removal:
    """One instance that is given up, and what the images change by then."""

    bucket: int
    instance: int
    loss: float  # sum over buckets of the mean squared change to the nearest instance that is left


def removal_order(distances: Apart) -> list[Removal]:
    """Removes instance after instance from all buckets, each time the one that adds the least loss.

    The loss of a bucket is the mean over its instances of the distance to the nearest one that is left. One
    instance stays in every bucket. Changes of several buckets are taken to add up, which they need not.
    """
    kept = {bucket: tuple(range(len(d))) for bucket, d in distances.items()}
    losses = dict.fromkeys(kept, 0.0)
    order = []
    while plural := [bucket for bucket, left in kept.items() if len(left) > 1]:
        options = [
            (_loss(distances[b], tuple(j for j in kept[b] if j != i)) - losses[b], b, i)
            for b in plural
            for i in kept[b]
        ]
        added, bucket, instance = min(options)
        kept[bucket] = tuple(j for j in kept[bucket] if j != instance)
        losses[bucket] += added
        order.append(Removal(bucket, instance, sum(losses.values())))
    return order


def _loss(distances: Tensor, kept: tuple[int, ...]) -> float:
    return float(distances[:, list(kept)].amin(1).mean())


def left_after(bucket_sizes: Sequence[int], order: Sequence[Removal]) -> dict[int, list[int]]:
    """How many instances each bucket has left after no, one, two, … removals; plural buckets only."""
    steps = [kept_after(bucket_sizes, order, n) for n in range(len(order) + 1)]
    return {b: [len(kept[b]) for kept in steps] for b, m in enumerate(bucket_sizes) if m > 1}


def kept_after(bucket_sizes: Sequence[int], order: Sequence[Removal], n: int) -> Kept:
    """The instances that are left after the first n removals, for every bucket."""
    gone = {(r.bucket, r.instance) for r in order[:n]}
    return {b: tuple(i for i in range(m) if (b, i) not in gone) for b, m in enumerate(bucket_sizes)}


def redirected(
    routes: Int64[Tensor, "n n_buckets"], kept: Kept, distances: Apart
) -> Int64[Tensor, "n n_buckets"]:
    """Sends every path through the nearest instances that are left: pruning that keeps their frequencies."""
    merged = routes.clone()
    for bucket, apart in distances.items():
        left = torch.tensor(kept[bucket])
        merged[:, bucket] = left[apart[:, left].argmin(1)][routes[:, bucket]]
    return merged


def summary(
    samples: Mapping[str, Mapping[int, Float[Tensor, "routes m m"]]],
) -> dict[tuple[str, str], list[float]]:
    """For every extractor and bucket, how many instances differ, and how much they do in the mean."""
    columns: dict[tuple[str, str], list[float]] = {}
    for name, found in samples.items():
        apart = [distances.mean(0) for distances in found.values()]
        columns[name, "effective number"] = [effective_number(d) for d in apart]
        columns[name, "mean squared change"] = [float(d.sum()) / (d.numel() - len(d)) for d in apart]
    return columns


def cost(generator: RandomPathGenerator) -> dict[str, int | float]:
    """What a generator needs and what it can make: parameters, their bytes in float32, log10 of its paths."""
    parameters = sum(p.numel() for p in generator.parameters())
    return {
        "instances": sum(generator.bucket_sizes),
        "parameters": parameters,
        "bytes": 4 * parameters,
        "log10 of paths": log10(path.count(generator.bucket_sizes)),
    }


def distance_to(
    generator: RandomPathGenerator, features: Features, real: Moments
) -> Callable[[Tensor], float]:
    """Returns the Fréchet distance to real images as a function of paths; repeated paths are made once."""

    def distance(routes: Tensor) -> float:
        distinct, row = routes.unique(dim=0, return_inverse=True)
        return frechet_distance(Moments(features(to_uint8(render(generator, distinct)))[row]), real)

    return distance


def _pruned(sizes: Sequence[int], kept: Kept, apart: Apart, n: int, rng: torch.Generator) -> Tensor:
    return path.sample(sizes, n, rng, kept)


def _merged(sizes: Sequence[int], kept: Kept, apart: Apart, n: int, rng: torch.Generator) -> Tensor:
    return redirected(path.sample(sizes, n, rng), kept, apart)


def _as_many(sizes: Sequence[int], kept: Kept, apart: Apart, n: int, rng: torch.Generator) -> Tensor:
    return path.sample(sizes, n, rng, shuffled_kept(sizes, kept, rng))


def _random(sizes: Sequence[int], kept: Kept, apart: Apart, n: int, rng: torch.Generator) -> Tensor:
    n_removed = sum(sizes) - sum(map(len, kept.values()))
    return path.sample(sizes, n, rng, random_kept(sizes, n_removed, rng))


# How paths are drawn where instances are removed: by least loss in the first two ways, else at random.
WAYS: dict[str, Callable[[Sequence[int], Kept, Apart, int, torch.Generator], Tensor]] = {
    "pruned": _pruned,
    "merged": _merged,
    "random, as many a bucket": _as_many,
    "random": _random,
}


@dataclass(frozen=True)
class Curve:
    """Distances to real images, one for each draw, when instances are removed in several ways."""

    n: int  # images behind every distance
    whole: list[float]  # of the whole generator
    distances: dict[str, dict[int, list[float]]]  # way → number removed → distances

    @property
    def band(self) -> tuple[float, float]:
        """Two standard deviations, over draws of paths, to either side of the whole generator's mean."""
        return fmean(self.whole) - 2 * stdev(self.whole), fmean(self.whole) + 2 * stdev(self.whole)

    def free(self, way: str) -> int:
        """The largest of the counts up to which no mean distance lies above the band, or 0."""
        rows = sorted(self.distances[way].items())
        within = takewhile(lambda row: fmean(row[1]) <= self.band[1], rows)
        return max((count for count, _ in within), default=0)

    def free_share(self, way: str, n_instances: int) -> Result:
        """What is free in a way, as a share of all instances of the generator."""
        count = self.free(way)
        return Result(count / n_instances, self.n, note=f"{count} of {n_instances} instances")

    def ratio(self, way: str, other: str, count: int) -> Result:
        """Mean distance in one way over that in another; the interval is the range over the other's draws."""
        mean, draws = fmean(self.distances[way][count]), self.distances[other][count]
        note = f"{count} instances removed, range over draws of: {other}"
        return Result(mean / fmean(draws), self.n, "", (mean / max(draws), mean / min(draws)), note)


def pruning_curve(
    generator: RandomPathGenerator,
    apart: Apart,
    counts: Sequence[int],
    distance: Callable[[Tensor], float],
    n: int,
    n_draws: int,
    rng: torch.Generator,
) -> Curve:
    """Distance of n images after some numbers of removals, in all WAYS.

    Random choices differ from draw to draw; those by least loss do not, only the paths through them.
    """
    sizes, order = generator.bucket_sizes, removal_order(apart)
    whole = [distance(generator.sample_paths(n, rng)) for _ in range(max(3, 2 * n_draws))]
    distances: dict[str, dict[int, list[float]]] = {way: {} for way in WAYS}
    for count in counts:
        kept = kept_after(sizes, order, count)
        for way, draw in WAYS.items():
            distances[way][count] = [distance(draw(sizes, kept, apart, n, rng)) for _ in range(n_draws)]
    return Curve(n, whole, distances)

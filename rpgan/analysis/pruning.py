"""Which instances go first, and what is lost without them (section 5, future work)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log10

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.errors import UserError
from rpgan.intervals import bracketed
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.metrics.pathwise import PathFeatures
from rpgan.metrics.seeds import Spread, ratio_of_means
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.modes import routed_by
from rpgan.models.pruned import Kept, prune, random_kept, shuffled_kept
from rpgan.results import Result

Features = Callable[[UInt8[Tensor, "n c h w"]], Float[Tensor, "n d"]]
Apart = Mapping[int, Tensor]  # bucket of several instances → mean functional distances (m, m)
TOLERANCE = 0.1  # share of the whole generator's distance that may be lost where instances count as free


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
    """The instances that are left after the first n removals; raises UserError where n are not there."""
    if not 0 <= n <= len(order):
        raise UserError(f"{n} removals; expected 0 to {len(order)}, a share from 0 to 1 of them")
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


def cost(generator: RandomPathGenerator) -> dict[str, int | float]:
    """What a generator needs and what it can make: parameters, their bytes in float32, log10 of its paths."""
    parameters = sum(p.numel() for p in generator.parameters())
    return {
        "instances": sum(generator.bucket_sizes),
        "parameters": parameters,
        "bytes": 4 * parameters,
        "log10 of paths": log10(path.count(generator.bucket_sizes)),
    }


def same_images(
    generator: RandomPathGenerator, kept: Kept, apart: Apart, n: int, rng: torch.Generator
) -> bool:
    """Whether the smaller generator gives n of the original's images bit for bit, pruned and merged."""
    small = prune(generator, kept)
    restricted, every = generator.sample_paths(n, rng, kept), generator.sample_paths(n, rng)
    with routed_by("by_instance", generator), routed_by("by_instance", small.generator):  # others may round
        return all(
            torch.equal(render(small.generator, small.own_paths(routes)), render(generator, routes))
            for routes in (restricted, redirected(every, kept, apart))
        )


def distance_to(
    generator: RandomPathGenerator, features: Features, real: Moments
) -> Callable[[Tensor], float]:
    """Returns the Fréchet distance to real images as a function of paths; see `PathFeatures`."""
    seen = PathFeatures(generator, features)
    return lambda routes: frechet_distance(real, Moments(seen(routes)))


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
        """From the mean distance of the whole generator to the largest that is tolerated."""
        mean = Spread(tuple(self.whole)).mean
        return mean, (1 + TOLERANCE) * mean

    def over_whole(self, way: str, count: int) -> Result:
        """Mean distance in a way over the whole generator's, with a 95 % interval over the draws of both."""
        return self._over(self.distances[way][count], self.whole, f"{count} instances removed: {way}")

    def losses(self) -> dict[str, dict[int, str]]:
        """What `over_whole` says of every way and count, as a page shows it."""
        told: dict[str, dict[int, str]] = {way: {} for way in self.distances}
        for way, count in [(way, count) for way, rows in self.distances.items() for count in sorted(rows)]:
            loss = self.over_whole(way, count)
            told[way][count] = bracketed(loss.value, loss.interval)
        return told

    def free(self, way: str) -> int:
        """The largest of the counts up to which the loss surely stays below TOLERANCE, or 0.

        The whole interval of `over_whole` must lie below, so that a worse measurement makes fewer free, and a
        single draw none. The first count that fails ends it: the chance of going too far is that of one test.
        """

        def sure(count: int) -> bool:
            interval = self.over_whole(way, count).interval
            return interval is not None and interval[1] < 1 + TOLERANCE

        return max(takewhile(sure, sorted(self.distances[way])), default=0)

    def free_share(self, way: str, n_instances: int) -> Result:
        """What is free in a way, as a share of all instances of the generator."""
        count = self.free(way)
        return Result(count / n_instances, self.n, note=f"{count} of {n_instances} instances")

    def ratio(self, way: str, other: str, count: int) -> Result:
        """Mean distance in one way over that in another, with a 95 % interval over the draws of both."""
        some, others = self.distances[way][count], self.distances[other][count]
        return self._over(some, others, f"{count} instances removed, over {other}")

    def _over(self, some: Sequence[float], others: Sequence[float], note: str) -> Result:
        ratio, interval = ratio_of_means(Spread(tuple(some)), Spread(tuple(others)))
        return Result(ratio, self.n, "", interval, note)


def pruning_curve(
    generator: RandomPathGenerator,
    apart: Apart,
    counts: Sequence[int],
    distance: Callable[[Tensor], float],
    n: int,
    n_draws: int,
    rng: torch.Generator,
) -> Curve:
    """Distance of n images after some numbers of removals, in all WAYS; random choices differ by draw."""
    sizes, order = generator.bucket_sizes, removal_order(apart)
    whole = [distance(generator.sample_paths(n, rng)) for _ in range(max(3, 2 * n_draws))]
    distances: dict[str, dict[int, list[float]]] = {way: {} for way in WAYS}
    for count in counts:
        kept = kept_after(sizes, order, count)
        for way, draw in WAYS.items():
            distances[way][count] = [distance(draw(sizes, kept, apart, n, rng)) for _ in range(n_draws)]
    return Curve(n, whole, distances)


def results(
    curve: Curve, effective: Result, costs: Sequence[Mapping[str, int | float]], same: bool
) -> dict[str, Result]:
    """What the ledger needs: `cost` of the whole generator and of the smaller one, `same_images` of both."""
    whole, small = costs
    counts, n_instances = sorted(curve.distances["pruned"]), int(whole["instances"])
    free = {way: curve.free_share(way, n_instances) for way in WAYS}
    return {
        "redundant_share": free["pruned"],
        "redundant_share_merged": free["merged"],
        "redundant_share_random_in_buckets": free["random, as many a bucket"],
        "redundant_share_random": free["random"],
        "over_random": curve.ratio("pruned", "random", counts[len(counts) // 2]),
        "over_random_in_buckets": curve.ratio("pruned", "random, as many a bucket", counts[-1]),
        "effective_instances": effective,
        "smaller_is_restriction": Result(same),
        "parameters_left": Result(small["parameters"] / whole["parameters"]),
        "log10_paths": Result([whole["log10 of paths"], small["log10 of paths"]]),
    }


def conclusion(curve: Curve, found: Mapping[str, Result], n_instances: int) -> str:
    """Says how much can go, from `results`."""
    (whole, small), at_random = found["log10_paths"].value, curve.free("random, as many a bucket")
    return (
        f"Of {n_instances} instances, {curve.free('pruned')} can go while the distance surely grows by less "
        f"than {TOLERANCE:.0%}, and with them {1 - found['parameters_left'].value:.0%} of the parameters; "
        f"what is left still makes 10<sup>{small:.1f}</sup> images out of 10<sup>{whole:.1f}</sup>. Merged, "
        f"{curve.free('merged')} can go; of all instances at random, {curve.free('random')}; of the same "
        f"buckets at random, {at_random}. Where the last is as many, only the bucket matters up to there."
    )

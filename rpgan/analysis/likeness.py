"""Which instances of a bucket do the same, judged by what becomes of the images (section 5, future work)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.images import to_uint8
from rpgan.intervals import bracketed
from rpgan.metrics.effective import estimated_number
from rpgan.models.generator import RandomPathGenerator, render
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
    Raises UserError where no bucket has several.
    """
    routes = generator.sample_paths(n_routes, rng)
    distances: dict[str, dict[int, Tensor]] = {name: {} for name in extractors}
    for bucket in path.varied(generator.bucket_sizes):
        size = generator.bucket_sizes[bucket]
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


def summary(
    samples: Mapping[str, Mapping[int, Float[Tensor, "routes m m"]]],
) -> dict[tuple[str, str], list[float]]:
    """For every extractor and bucket, how many instances differ, and how much they do in the mean."""
    columns: dict[tuple[str, str], list[float]] = {}
    for name, found in samples.items():
        apart = [distances.mean(0) for distances in found.values()]
        columns[name, "effective number"] = [estimated_number(distances)[0] for distances in found.values()]
        columns[name, "mean squared change"] = [float(d.sum()) / (d.numel() - len(d)) for d in apart]
    return columns


def effective_result(samples: Mapping[int, Float[Tensor, "routes m m"]], features: str) -> Result:
    """Effective number of instances of every bucket of several, in some features."""
    numbers = [estimated_number(distances)[0] for distances in samples.values()]
    return Result(numbers, len(next(iter(samples.values()))), note=features)


def conclusion(
    samples: Mapping[int, Float[Tensor, "routes m m"]],
    rows: Sequence[str],
    features: str,
) -> str:
    """Says how many instances of each bucket, named as in `rows`, differ; intervals are over routes."""
    numbers = []
    for row, distances in zip(rows, samples.values(), strict=True):
        numbers.append(f"{row}: {bracketed(*estimated_number(distances), '.1f')}")
    said = "; ".join(numbers)
    return f"Effective numbers of instances in {features}, with 95 % intervals over paths: {said}."

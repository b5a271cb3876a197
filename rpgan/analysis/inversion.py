"""The path behind an image: how well it is recovered, what it makes, what edits change (appendix B)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.images import to_uint8
from rpgan.metrics.color import hellinger, histograms
from rpgan.models.generator import RandomPathGenerator, render

Measure = Callable[[Tensor, Tensor], Tensor]  # uint8 (n, c, h, w), the same -> distances (n,)
RESAMPLED = 2_000  # bootstrap samples


@dataclass(frozen=True)
class Recovery:
    """How often the instances of one bucket are recovered."""

    accuracy: float
    interval: tuple[float, float]  # Wilson's, 95 %
    chance: float  # 1 / m_l
    within: dict[int, float]  # k → share of images whose instance is among the k most probable
    confusion: (
        Tensor  # float64 (m_l, m_l): of the images of each instance (row), the share read as each other
    )
    n: int


def recoveries(
    readings: Sequence[Tensor], routes: Int64[Tensor, "n n_buckets"], ks: Sequence[int] = (1, 3, 5)
) -> dict[int, Recovery]:
    """Compares log-probabilities (n, m_l) of every bucket with the paths that made the images (Table 5).

    A bucket of one instance has no entry: there is nothing to recover.
    """
    return {b: _recovery(r, routes[:, b], ks) for b, r in enumerate(readings) if r.shape[1] > 1}


def _recovery(reading: Tensor, truth: Tensor, ks: Sequence[int]) -> Recovery:
    from scipy.stats import binomtest

    n, size = reading.shape
    order = reading.argsort(dim=1, descending=True, stable=True)
    hits = order == truth[:, None]
    right = int(hits[:, 0].sum())
    interval = binomtest(right, n).proportion_ci(0.95, method="wilson")
    counts = torch.bincount(truth * size + order[:, 0], minlength=size * size).view(size, size).double()
    return Recovery(
        accuracy=right / n,
        interval=(float(interval.low), float(interval.high)),
        chance=1 / size,
        within={k: float(hits[:, :k].any(1).double().mean()) for k in ks},
        confusion=counts / counts.sum(1, keepdim=True).clamp(min=1),
        n=n,
    )


def rows(found: Mapping[int, Recovery]) -> dict[str, dict[str, float]]:
    """Returns a table: bucket → instances, chance, accuracy with its interval, share within the first k."""
    table: dict[str, dict[str, float]] = {}
    for bucket, r in found.items():
        low, high = r.interval
        known = {"instances": float(len(r.confusion)), "chance": r.chance}
        known |= {"accuracy": r.accuracy, "95 % from": low, "to": high}
        table[f"bucket {bucket + 1}"] = known | {f"in first {k}": v for k, v in r.within.items() if k > 1}
    return table


def alike_first(confusion: Float[Tensor, "m m"]) -> Int64[Tensor, " m"]:
    """Orders instances so that those that are taken for each other stand side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    mixed = (confusion + confusion.T) / 2
    distance = (1 - mixed).fill_diagonal_(0)
    links = linkage(squareform(distance.numpy(), checks=False), "average", optimal_ordering=True)
    return torch.from_numpy(leaves_list(links).astype("int64"))


def pixel_error(a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Root mean square difference of pixels, in units of their range: 0 to 1, float64."""
    return (a.double() - b.double()).square().flatten(1).mean(1).sqrt() / 255


def feature_error(extractor: Callable[[Tensor], Tensor]) -> Measure:
    """Euclidean distance of features as a measure."""
    return lambda a, b: (extractor(a).double() - extractor(b).double()).norm(dim=1)


def color_change(a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Hellinger distance of the colour histograms, mean over channels: 0 to 1; places do not matter."""
    return hellinger(histograms(a), histograms(b)).mean(1)


def edge_change(a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Distance of the edge maps, each of unit length: 0 to √2; colours and contrast do not matter."""
    return (_edges(a) - _edges(b)).norm(dim=1)


def _edges(images: Tensor) -> Tensor:
    """Length of the grey level's gradient at every pixel, as vectors of unit length; float64."""
    grey = F.pad(images.double().mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    return F.normalize(torch.hypot(across, down).flatten(1), dim=1)


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means over the same images."""

    value: float
    interval: tuple[float, float]  # 95 %, images resampled
    n: int


def ratio(over: Float[Tensor, " n"], under: Float[Tensor, " n"], rng: torch.Generator) -> Ratio:
    """Divides the mean of one error by that of another, image by image the same."""
    drawn = torch.randint(len(over), (RESAMPLED, len(over)), generator=rng)
    ratios = over[drawn].mean(1) / under[drawn].mean(1)
    low, high = ratios.double().quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Ratio(float(over.mean() / under.mean()), (low, high), len(over))


def over_random(
    generator: RandomPathGenerator,
    images: UInt8[Tensor, "n c h w"],
    routes: Int64[Tensor, "n n_buckets"],
    measures: Mapping[str, Measure],
    repeats: int,
    rng: torch.Generator,
) -> dict[str, Ratio]:
    """Divides the error of the images' own paths by that of random ones, `repeats` for each; by measure.

    1 means that the paths say nothing of the images, 0 that they make them exactly.
    """
    made = to_uint8(render(generator, routes))
    random = to_uint8(render(generator, generator.sample_paths(len(images) * repeats, rng)))
    repeated = images.repeat_interleave(repeats, dim=0)
    ratios = {}
    for name, measure in measures.items():
        chance = measure(random, repeated).view(len(images), repeats).mean(1)
        ratios[name] = ratio(measure(made, images), chance, rng)
    return ratios


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
        drawn = torch.randint(len(a), (RESAMPLED, len(a)), generator=rng)
        differences = _shares(a[drawn].sum(1)) - _shares(b[drawn].sum(1))
        tail = 0.025 / len(self.buckets)  # all intervals hold together (Bonferroni)
        bounds = differences.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
        return Leaning(_shares(a.sum(0)) - _shares(b.sum(0)), bounds.T)


@dataclass(frozen=True)
class Leaning:
    """Difference of a bucket's shares in two kinds of change: above 0 it leans to the first kind."""

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
    buckets = tuple(b for b, size in enumerate(sizes) if size > 1)
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

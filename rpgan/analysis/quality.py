"""Quality of two generators under one protocol: distances, precision and recall (section 4.2)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from rpgan.config import GanConfig
from rpgan.errors import UserError
from rpgan.intervals import bracketed, folded
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, frechet_distance, jackknifed
from rpgan.metrics.knn import neighbour_scores
from rpgan.metrics.prd import PrdCurve, mean_curve, prd
from rpgan.metrics.seeds import Interval, Spread
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator
from rpgan.references import available, find_reference
from rpgan.results import Result

REAL = "other real images"
F_SCORES = ("F8", "F1/8")


@dataclass(frozen=True)
class Yardstick:
    """Real images in the features of one network."""

    extractor: Extractor
    moments: Moments  # of all
    real: Tensor  # float32 (k, d), of some; what curves and neighbours compare with
    others: Tensor  # float32 (≥ k, d), of some, in the place of generated ones; the first k are not in `real`
    n: int  # images whose distance is taken; there may be fewer `others`
    about: str  # which real images

    @property
    def distance(self) -> str:
        """What the Fréchet distance is called: FID, with its n, in the features of Inception only."""
        return self.distance_of(self.n)

    def distance_of(self, n: int) -> str:
        """The name for a distance of n images."""
        return f"FID of {n:,}" if self.extractor.name == "inception" else f"Fréchet, {self.extractor.name}"

    def among_real(self) -> "Yardstick":
        """The same without the other real images among those behind the moments, to measure these by it."""
        return replace(self, moments=self.moments.without(self.others))


@dataclass(frozen=True)
class Yardsticks:
    """Features that are there, and why the others are not."""

    found: tuple[Yardstick, ...]
    absent: Mapping[str, str]

    @property
    def about(self) -> str:
        """Which real images, and which features are absent, for the page."""
        first = self.found[0]
        lines = [
            f"Real images: {first.about}; {len(first.real):,} of them in curves, "
            f"{len(first.others):,} in the place of generated ones"
        ]
        return "\n".join([*lines, *(f"absent: {name}: {why}" for name, why in self.absent.items())])


def yardsticks(
    config: GanConfig, names: Sequence[str], n: int, n_real: int, seed: int, device: str = "cpu"
) -> Yardsticks:
    """Loads the features that can be had, in their order, with the real images of an experiment in them.

    Distances take n images. Curves and neighbours compare equally many, at most n; fewer where fewer than
    twice as many real ones are kept. Real are n_real images, or those of the reference file
    (references.find_reference). Raises UserError where there are no features or no real images.
    """
    shape = config.generator.image_shape
    networks, absent = available(names, torch.zeros(1, *shape, dtype=torch.uint8), device)
    reference = find_reference(config.data, shape, n_real, seed, networks) if networks else None
    if reference is None or not networks.keys() & reference.moments.keys():
        why = "; ".join(absent.values()) or "none of them is in the reference file"
        raise UserError(f"no features of {', '.join(names)} ({why}); expected at least one")
    found = []
    for name, network in networks.items():
        if name not in reference.moments:
            absent[name] = "not in the reference file"
            continue
        kept = reference.features[name]
        paired = min(n, len(kept) // 2)
        real, others = kept[:paired], kept.flip(0)[: min(n, reference.moments[name].n // 2)]
        found.append(Yardstick(network, reference.moments[name], real, others, n, reference.about))
    return Yardsticks(tuple(found), absent)


def draw_sets(
    generator: RandomPathGenerator, n: int, n_sets: int, rng: torch.Generator
) -> list[UInt8[Tensor, "n c h w"]]:
    """Draws independent sets of n images each."""
    return [draw(generator, n, rng) for _ in range(n_sets)]


@dataclass(frozen=True)
class Scored:
    """Scores of independent sets of images, and their precision and recall curves by set and k-means run."""

    scores: Mapping[str, Spread]  # of the sets
    precision: NDArray[np.float64]  # (sets, runs, angles)
    recall: NDArray[np.float64]  # the same

    def curve(self) -> PrdCurve:
        """The mean curve."""
        return PrdCurve(self.precision.mean((0, 1)), self.recall.mean((0, 1)))

    def band(self) -> tuple[PrdCurve, PrdCurve]:
        """Curves between which 95 % of all sets and runs lie at every angle.

        At one angle precision over recall is the same for all, so that quantiles of both are on one ray.
        """
        low, high = (
            PrdCurve(*(np.quantile(part, tail, axis=(0, 1)) for part in (self.precision, self.recall)))
            for tail in (0.025, 0.975)
        )
        return low, high


def measure(
    sets: Sequence[Float[Tensor, "n d"]], yardstick: Yardstick, n_runs: int, rng: torch.Generator
) -> Scored:
    """Scores sets of features, with n_runs of k-means behind each curve."""
    rows: list[dict[str, float]] = []
    curves: list[list[PrdCurve]] = []
    for features in sets:
        fake = features[: len(yardstick.real)]
        real = yardstick.real[: len(fake)]
        curves.append([prd(real=real, fake=fake, rng=rng, n_runs=1) for _ in range(n_runs)])
        row = {yardstick.distance: frechet_distance(yardstick.moments, Moments(features))}
        rows.append(row | _curve_scores(curves[-1]) | neighbour_scores(real=real, fake=fake))
    return Scored(
        {name: Spread(tuple(row[name] for row in rows)) for name in rows[0]},
        np.array([[curve.precision for curve in of_set] for of_set in curves]),
        np.array([[curve.recall for curve in of_set] for of_set in curves]),
    )


def _curve_scores(curves: Sequence[PrdCurve]) -> dict[str, float]:
    """F-scores of the mean over runs, as Sajjadi et al. take it."""
    mean = mean_curve(curves)
    return dict(zip(F_SCORES, (mean.f8, mean.f1_8), strict=True))


@dataclass(frozen=True)
class Comparison:
    """A routed generator, its standard twin and other real images, by the same measure."""

    yardstick: Yardstick
    measured: Mapping[str, Scored]  # the routed one, its twin, REAL
    together: Mapping[str, float]  # of both generators: distance of the n images of all sets as one
    ratio: tuple[float, Interval]  # of these, the routed one's over its twin's
    n: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields rows for a page: a score with mean and interval over sets, model by model.

        The distance of other real images says of how many it is, where these are not as many as its row does.
        """
        for score in next(iter(self.measured.values())).scores:
            spreads = {name: measured.scores[score] for name, measured in self.measured.items()}
            cells = {name: bracketed(s.mean, s.interval, ".3g") for name, s in spreads.items()}
            n = len(self.yardstick.others)
            if score == self.yardstick.distance and n != self.yardstick.n:
                cells[REAL] += f" (of {n:,})"
            yield {"score": score} | cells
        together = {name: f"{value:.3g}" for name, value in self.together.items()}
        yield {"score": f"{self.yardstick.distance_of(self.n)}, all {self.n:,}"} | together | {REAL: "–"}

    @property
    def pair(self) -> tuple[Scored, Scored]:
        """The routed generator and its twin."""
        routed, twin, _ = self.measured.values()
        return routed, twin

    def distance_ratio(self) -> Result:
        """Fréchet distance of the routed generator over its twin's, of all images; the interval is over them.

        Of all at once, since few images raise every distance, which draws a ratio towards 1.
        """
        value, interval = self.ratio
        return Result(value, self.n, "", interval, self.yardstick.distance_of(self.n))

    def gaps(self) -> dict[str, Spread]:
        """Differences of both F-scores, routed less twin, set by set."""
        values = [[measured.scores[name].values for measured in self.pair] for name in F_SCORES]
        differences = [tuple(a - b for a, b in zip(*pair, strict=True)) for pair in values]
        return dict(zip(F_SCORES, map(Spread, differences), strict=True))

    def results(self) -> dict[str, Result]:
        """What the ledger needs, and the scores behind it."""
        gaps = self.gaps()
        largest, gap = max(gaps.items(), key=lambda item: abs(item[1].mean))
        features = self.yardstick.extractor.name
        found = {
            "prd_gap": Result(abs(gap.mean), gap.n, "", folded(gap.interval), f"{largest}, {features}"),
            "checkpoint_distance_ratio": self.distance_ratio(),
        }
        for word, measured in zip(("rpgan", "standard"), self.pair, strict=True):
            for name, spread in measured.scores.items():
                key = "distance" if name == self.yardstick.distance else name.lower().replace("/", "_")
                found[f"{word}_{key}"] = Result(spread.mean, spread.n, "", spread.interval, name)
        for word, value in zip(("rpgan", "standard"), self.together.values(), strict=True):
            found[f"{word}_distance_together"] = Result(
                value, self.n, note=self.yardstick.distance_of(self.n)
            )
        return found


def compare(
    models: Mapping[str, Sequence[UInt8[Tensor, "n c h w"]]],
    yardstick: Yardstick,
    n_runs: int,
    rng: torch.Generator,
) -> Comparison:
    """Measures sets of images of a routed generator and of its twin, in this order, and other real images.

    What other real images score is the best that any generator can be expected to score with so many images.
    """
    features = {name: [yardstick.extractor(images) for images in sets] for name, sets in models.items()}
    measured = {name: measure(sets, yardstick, n_runs, rng) for name, sets in features.items()}
    floor = measure([yardstick.others], yardstick.among_real(), n_runs, rng)
    joined = [Moments.grouped(torch.cat(sets)) for sets in features.values()]
    routed, twin = (jackknifed(groups, yardstick.moments) for groups in joined)
    together = dict(zip(features, (routed.whole, twin.whole), strict=True))
    n = sum(part.n for part in joined[0])
    return Comparison(yardstick, measured | {REAL: floor}, together, routed.over(twin), n)

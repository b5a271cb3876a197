"""Quality against the number of instances a bucket (section 4.3, Table 3)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rpgan.intervals import FEWEST, bracketed, central_interval, count_orders, t_interval
from rpgan.metrics.seeds import Spread, pooled_deviation
from rpgan.results import Result
from rpgan.row import Row

N_IN = tuple(range(5, 55, 5))  # the columns of Table 3
FID_IMAGES = 50_000
N_DRAWS = 1_000  # of means, behind an interval


@dataclass(frozen=True)
class Point:
    """Trainings with one number of instances."""

    n_in: int
    paths: int
    trainings: tuple[Row, ...]

    @property
    def seconds(self) -> float:
        """Of a training at its median step, mean over the seeds; what held it up does not count."""
        return Spread(tuple(t.steps * t.step_seconds for t in self.trainings)).mean

    def spread(self, score: str) -> Spread:
        """A final score over the seeds."""
        return Spread(tuple(row.score(score) for row in self.trainings))


@dataclass(frozen=True)
class Ablation:
    """All numbers of instances that were trained, in ascending order; there may be none."""

    points: tuple[Point, ...]

    @property
    def complete(self) -> bool:
        """Whether every column of Table 3 is there."""
        return {point.n_in for point in self.points} >= set(N_IN)

    @property
    def scores(self) -> list[str]:
        """Names of the final scores that are distances; the first is what the conclusions are about."""
        return self.points[0].trainings[0].distances if self.points else []

    def deviation(self, score: str) -> tuple[float, int] | None:
        """Deviation over seeds within all points together, and its degrees of freedom."""
        return pooled_deviation([point.spread(score) for point in self.points])

    def interval(self, point: Point, score: str) -> tuple[float, float] | None:
        """95 % interval of a point's mean; the deviation is that of all points, so that one seed has one too.

        It takes seeds to differ as much at every number of instances, which three seeds a point cannot check.
        """
        if (pooled := self.deviation(score)) is None:
            return None
        spread = point.spread(score)
        return t_interval(spread.mean, pooled[0] / math.sqrt(spread.n), pooled[1])

    def table(self, paper: Mapping[int, float], images: int) -> list[dict[str, Any]]:
        """Rows for a page: what a number of instances means, its distances, and the paper's FID beside."""
        return [self._row(point, images) | {"paper, FID": paper.get(point.n_in)} for point in self.points]

    def _row(self, point: Point, images: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "n_in": point.n_in,
            "coverage": point.paths / images,
            "parameters": point.trainings[0].parameters,
            "minutes": point.seconds / 60,
            "seeds": len(point.trainings),
        }
        for score in self.scores:
            spread, interval = point.spread(score), self.interval(point, score)
            row[score] = bracketed(spread.mean, interval, ".4g")
        return row

    def within_noise(self, score: str) -> list[int]:
        """Numbers of instances whose distance differs from the least by less than seeds explain.

        That is by less than the 95 % bound on the difference of two means; the choice of the least among
        several makes the true list rather longer. All numbers where seeds were not repeated.
        """
        spreads = {point.n_in: point.spread(score) for point in self.points}
        pooled = self.deviation(score)
        if pooled is None:
            return list(spreads)
        least = min(spreads.values(), key=lambda spread: spread.mean)
        return [n for n, s in spreads.items() if s is least or _alike(s, least, pooled)]

    def agreement(self, paper: Mapping[int, float], rng: torch.Generator) -> Result | None:
        """Spearman's correlation with the paper's FIDs; the interval adds the noise of seeds to our means.

        None for fewer than four points; without repeated seeds there is no interval.
        """
        points = [point for point in self.points if point.n_in in paper]
        if len(points) < FEWEST:
            return None
        spreads, theirs = [p.spread(self.scores[0]) for p in points], [paper[p.n_in] for p in points]
        drawn, interval = self._drawn_means(spreads, self.scores[0], rng), None
        if drawn is not None:
            low, high = central_interval(torch.tensor([_ranks(row, theirs) for row in drawn.tolist()]))
            interval = float(low), float(high)
        return Result(_ranks([s.mean for s in spreads], theirs), len(points), "", interval)

    def _drawn_means(self, spreads: Sequence[Spread], score: str, rng: torch.Generator) -> Tensor | None:
        """Returns means as other seeds might have made them, (N_DRAWS, points): Student's t about ours.

        All points of a draw share its deviation, which is known from few seeds itself.
        """
        if (pooled := self.deviation(score)) is None:
            return None
        deviation, freedom = pooled
        means = torch.tensor([spread.mean for spread in spreads], dtype=torch.float64)
        errors = deviation / torch.tensor([spread.n for spread in spreads], dtype=torch.float64).sqrt()
        normal = torch.randn(N_DRAWS, freedom + len(means), generator=rng, dtype=torch.float64)
        scale = normal[:, :freedom].square().mean(1, keepdim=True).rsqrt()
        return means + errors * scale * normal[:, freedom:]

    def results(self, paper: Mapping[int, float], images: int, rng: torch.Generator) -> dict[str, Result]:
        """What the ledger needs; lists over 5, 10, …, 50 only where none of them is missing."""
        if not self.points:
            return {}
        trainings = sum(len(point.trainings) for point in self.points)
        found = {
            "n_in": Result([point.n_in for point in self.points], trainings),
            "coverage": Result([point.paths / images for point in self.points]),
            "parameters": Result([point.trainings[0].parameters for point in self.points]),
            "seconds": Result([point.seconds for point in self.points]),
            "within_noise_of_best": Result(
                self.within_noise(self.scores[0]), trainings, "", None, self.scores[0]
            ),
        }
        if agreement := self.agreement(paper, rng):
            found["rank_correlation"] = agreement
        return found | self._means(trainings, rng) if self.complete else found

    def _means(self, trainings: int, rng: torch.Generator) -> dict[str, Result]:
        means = {name: self._mean_result(name, trainings, rng) for name in self.scores}
        first = self.scores[0]
        found = {"distance": means[first]}
        for other in self.scores[1:]:
            found[f"distance_{other.removeprefix('frechet_')}"] = means[other]
        if first == "fid" and all(t.final[0]["n"] >= FID_IMAGES for p in self.points for t in p.trainings):
            found["fid_50k"] = means[first]
        return found

    def _mean_result(self, score: str, trainings: int, rng: torch.Generator) -> Result:
        """Returns the means of all points, with the orders that other seeds might have brought."""
        spreads = [point.spread(score) for point in self.points]
        drawn = self._drawn_means(spreads, score, rng)
        orders = None if drawn is None else count_orders(drawn)
        return Result([spread.mean for spread in spreads], trainings, "", None, score, orders)


def ablation(rows: Iterable[Row]) -> Ablation:
    """Groups trainings by their number of instances; left out are those that set none, or several."""
    groups: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        sizes = tuple(row.overrides.get("generator.bucket_sizes", ()))
        if len(set(sizes)) == 1:
            groups.setdefault(sizes, []).append(row)
    return Ablation(tuple(Point(s[0], math.prod(s), tuple(groups[s])) for s in sorted(groups)))


def published_within_noise(paper: Mapping[int, float], deviation: float, freedom: float | int) -> list[int]:
    """Numbers of instances whose FID, of one training each, exceeds the least by no more than seeds explain.

    The deviation over seeds, of so many degrees of freedom, is taken to be the same everywhere. That the
    least was the least of several makes the true list rather longer.
    """
    _, bound = t_interval(0, math.sqrt(2) * deviation, freedom)
    return [n for n, value in paper.items() if value - min(paper.values()) <= bound]


def _alike(a: Spread, b: Spread, pooled: tuple[float, int]) -> bool:
    low, _ = t_interval(a.mean - b.mean, pooled[0] * math.sqrt(1 / a.n + 1 / b.n), pooled[1])
    return low <= 0


def _ranks(means: Sequence[float], published: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(means, published).statistic)

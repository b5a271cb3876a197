"""RPGAN beside the standard GAN, and a learned beside a fixed Z, over independent trainings (section 4.2)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from rpgan.metrics.prd import PrdCurve
from rpgan.metrics.seeds import (
    Spread,
    deviation_from_least,
    first_reached,
    ratio_of_deviations,
    ratio_of_means,
    welch_interval,
)
from rpgan.presets import resolve_gan
from rpgan.results import Result
from rpgan.row import Row

RPGAN, STANDARD, FIXED = "RPGAN", "standard GAN", "RPGAN, fixed Z"
FID_IMAGES = 50_000  # generated images behind every FID of Table 2


@dataclass(frozen=True)
class Contest:
    """Trainings of the same length, by kind; kinds without any are left out."""

    trainings: Mapping[str, tuple[Row, ...]]  # RPGAN, STANDARD, FIXED

    @property
    def scores(self) -> list[str]:
        """Names of the final scores, in the trainings' order; empty without trainings."""
        rows = next(iter(self.trainings.values()), ())
        return rows[0].scores if rows else []

    @property
    def distances(self) -> list[str]:
        """Those of the final scores that are Fréchet distances."""
        rows = next(iter(self.trainings.values()), ())
        return rows[0].distances if rows else []

    @property
    def distance(self) -> str:
        """The first score, a Fréchet distance, which is what the conclusions are about."""
        return self.scores[0]

    def spread(self, kind: str, score: str) -> Spread:
        """A final score over the trainings of a kind."""
        return Spread(tuple(row.score(score) for row in self.trainings[kind]))

    def has(self, *kinds: str) -> bool:
        """Whether there are trainings of all these kinds."""
        return all(kind in self.trainings for kind in kinds)

    @property
    def pair(self) -> list[Row]:
        """All trainings of RPGAN and of the standard GAN."""
        return [*self.trainings[RPGAN], *self.trainings[STANDARD]]

    @property
    def level(self) -> float:
        """The least distance that every training of RPGAN and the standard GAN has reached."""
        return max(_bests(self.pair))

    def updates(self, kind: str) -> Spread:
        """Generator updates until a training reaches the level."""
        return self._until(kind)

    def times(self, kind: str) -> Spread:
        """Seconds until a training reaches the level, at its model's usual time for an update."""
        return self._until(kind, self.step_seconds(kind))

    def step_seconds(self, kind: str) -> float:
        """Seconds of an update, the median over a model's trainings: other work slowed some of them down."""
        return median(row.step_seconds for row in self.trainings[kind])

    def _until(self, kind: str, cost: float = 1.0) -> Spread:
        curves = [row.curve for row in self.trainings[kind]]
        reached = [first_reached(curve["steps"], curve["values"], self.level) for curve in curves]
        return Spread(tuple(step * cost for step in reached if step is not None))

    def reaching(self) -> Result:
        """Mean of the best distances of RPGAN's trainings over that of the standard GAN's."""
        ours, theirs = (Spread(tuple(_bests(self.trainings[kind]))) for kind in (RPGAN, STANDARD))
        return _ratio(ours, theirs)

    def curves(self) -> dict[str, dict[str, tuple[PrdCurve, PrdCurve, PrdCurve]]]:
        """Extractor → kind → mean over trainings of precision and recall at every angle, least and largest.

        At one angle precision over recall is the same for all, so that all three are on one ray.
        """
        rows = [row for of_kind in self.trainings.values() for row in of_kind]
        common = [name for name in rows[0].prd if all(name in row.prd for row in rows)] if rows else []
        return {
            name: {kind: _bundle([row.prd[name] for row in some]) for kind, some in self.trainings.items()}
            for name in common
        }

    def table(self) -> list[dict[str, Any]]:
        """Rows for a page: kind and score with least, mean and interval."""
        return [
            _line(kind, score, self.spread(kind, score)) for score in self.scores for kind in self.trainings
        ]

    def results(self) -> dict[str, Result]:
        """What the ledger needs, as far as there are trainings for it."""
        found: dict[str, Result] = {}
        if self.has(RPGAN, STANDARD):
            found |= self._twins()
        if self.has(RPGAN, FIXED):
            found |= self._latents()
        return found

    def _twins(self) -> dict[str, Result]:
        found = {
            "distance_ratio": self._ratio(RPGAN, STANDARD, self.distance),
            "reaches_standard": self.reaching(),
        }
        if min(row.curve["values"][0] for row in self.pair) > self.level:  # else it was reached unseen
            found["training_time_ratio"] = _ratio(self.times(RPGAN), self.times(STANDARD))
            found["data_ratio"] = _ratio(self.updates(RPGAN), self.updates(STANDARD))
        for other in self.scores[1:]:
            if other.startswith("frechet"):
                name = f"distance_ratio_{other.removeprefix('frechet_')}"
                found[name] = self._ratio(RPGAN, STANDARD, other)
        return found | self._fids()

    def _latents(self) -> dict[str, Result]:
        learned, fixed = (self.spread(kind, self.distance) for kind in (RPGAN, FIXED))
        found = {"learned_z_ratio": _ratio(learned, fixed)}
        if spread := ratio_of_deviations(learned, fixed):
            found["learned_z_spread_ratio"] = Result(spread[0], learned.n + fixed.n, interval=spread[1])
        return found

    def _fids(self) -> dict[str, Result]:
        """The numbers of Table 2, only where they are FIDs of as many images as there."""
        if self.distance != "fid" or any(row.final[0]["n"] < FID_IMAGES for row in self.pair):
            return {}
        found: dict[str, Result] = {}
        for word, kind in (("rpgan", RPGAN), ("standard", STANDARD)):
            spread = self.spread(kind, "fid")
            found[f"fid_50k_{word}_min"] = Result(spread.least, spread.n, "trainings")
            found[f"fid_50k_{word}_mean"] = Result(
                spread.mean, spread.n, "trainings", interval=spread.interval
            )
        return found

    def _ratio(self, a: str, b: str, score: str) -> Result:
        return _ratio(self.spread(a, score), self.spread(b, score), score)


def contest(rows: Iterable[Row], profile: str, routed: str, standard: str) -> Contest:
    """Sorts trainings of two experiments; those of other sizes than the experiments' own are left out.

    `profile` is that of the sweep, whose protocol all its rows have in common.
    """
    usual = resolve_gan(routed, profile).generator.bucket_sizes
    sorted_rows: dict[str, list[Row]] = {RPGAN: [], STANDARD: [], FIXED: []}
    for row in rows:
        network = row.network(profile)
        if row.experiment == standard:
            sorted_rows[STANDARD].append(row)
        elif row.experiment == routed and network.bucket_sizes == usual:
            sorted_rows[FIXED if network.latent == "fixed" else RPGAN].append(row)
    return Contest({kind: tuple(found) for kind, found in sorted_rows.items() if found})


def _bundle(curves: Sequence[Mapping[str, Sequence[float]]]) -> tuple[PrdCurve, PrdCurve, PrdCurve]:
    precision, recall = (np.array([curve[part] for curve in curves]) for part in ("precision", "recall"))
    mean, least, largest = (PrdCurve(of(precision, 0), of(recall, 0)) for of in (np.mean, np.min, np.max))
    return mean, least, largest


def _bests(rows: Sequence[Row]) -> list[float]:
    return [min(row.curve["values"]) for row in rows]


def _ratio(a: Spread, b: Spread, note: str = "") -> Result:
    ratio, interval = ratio_of_means(a, b)
    return Result(ratio, a.n + b.n, "", interval, note)


def _line(kind: str, score: str, spread: Spread) -> dict[str, Any]:
    low, high = spread.interval or (None, None)
    return {
        "score": score,
        "model": kind,
        "trainings": spread.n,
        "least": spread.least,
        "mean": spread.mean,
        "95 % from": low,
        "to": high,
        "deviation": spread.deviation,
    }


def published_noise(routed: Sequence[float], standard: Sequence[float], n: int) -> dict[str, Result]:
    """What Table 2 implies: the deviation over seeds of both models, and the difference of their means.

    Each model is given as least and mean of n trainings, taken for normal; see seeds.deviation_from_least.
    """
    implied = [deviation_from_least(mean, least, n) for least, mean in (routed, standard)]
    deviations, freedoms = zip(*implied, strict=True)
    errors = [deviation / math.sqrt(n) for deviation in deviations]
    difference = routed[1] - standard[1]
    return {
        "paper_deviation_rpgan": Result(deviations[0], n, "FID"),
        "paper_deviation_standard": Result(deviations[1], n, "FID"),
        "paper_difference": Result(difference, 2 * n, "FID", welch_interval(difference, errors, freedoms)),
    }

"""Do layers under noise and buckets play the same parts in other trainings too? (Section 4.2.)"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.intervals import jackknife_error, t_interval
from rpgan.metrics.agreement import rank_correlations
from rpgan.metrics.seeds import Spread, welch_interval
from rpgan.results import Result, show_value

RPGAN, STANDARD = "RPGAN, exchange", "standard GAN, noise"
WORDS = {"color": "colour", "semantic": "features"}
PAIRINGS = {  # of trainings, by what results are called
    "": (STANDARD, RPGAN),
    "_of_rpgans": (RPGAN, RPGAN),
    "_of_standard_gans": (STANDARD, STANDARD),
}

Shares = Mapping[str, Sequence[float | None]]  # of one training, by measure


@runtime_checkable
class Training(Protocol):
    """What a row of a sweep says of one training; see rpgan.sweep."""

    @property
    def diversity(self) -> Mapping[str, Mapping[str, Sequence[float | None]]]: ...
    @property
    def damage(self) -> Mapping[str, Sequence[float]]: ...
    @property
    def semantic(self) -> str: ...


@dataclass(frozen=True)
class Accord:
    """Shares of layers or buckets in changes, training by training, of networks with as many layers."""

    shares: Mapping[str, Mapping[str, Tensor]]  # measure → RPGAN, STANDARD → float64 (trainings, layers)
    measures: Mapping[str, str]  # WORDS → the measure that tells it

    def agreement(self, measure: str, one: str, other: str) -> Result | None:
        """Mean rank correlation over the pairs of two trainings, with its 95 % interval over trainings.

        None within a kind with fewer than three trainings, of which there is no interval; between two kinds
        the errors of both add up. The interval takes trainings for samples, and the layers as they are.
        """
        a, b = self.shares[measure][one], self.shares[measure][other]
        correlations = rank_correlations(a, b)
        if one == other:
            return _within(correlations) if len(a) > 2 else None
        sides = [Spread(tuple(correlations.mean(dim).tolist())) for dim in (1, 0)]
        errors = [side.deviation / math.sqrt(side.n) for side in sides if side.deviation is not None]
        mean = float(correlations.mean())
        if len(errors) < len(sides):
            return Result(mean, len(a) + len(b))
        ends = welch_interval(mean, errors, [side.n - 1 for side in sides]) if any(errors) else (mean, mean)
        return Result(mean, len(a) + len(b), "", _possible(ends))

    @property
    def kinds(self) -> list[str]:
        """RPGAN or STANDARD for each training, in the order of `lines`."""
        return [kind for kind, shares in self.shares["color"].items() for _ in shares]

    @property
    def lines(self) -> dict[str, Float[Tensor, "trainings layers"]]:
        """Shares of all trainings by measure, for a figure."""
        return {measure: torch.cat(list(by_kind.values())) for measure, by_kind in self.shares.items()}

    def table(self) -> dict[str, dict[str, str]]:
        """Rows for a page: for each pairing the number of trainings, and the agreement by measure."""
        return {
            " – ".join(pairing): {"trainings": self._counts(pairing)}
            | {measure: self._cell(measure, pairing) for measure in self.shares}
            for pairing in PAIRINGS.values()
        }

    def _counts(self, pairing: tuple[str, str]) -> str:
        of = next(iter(self.shares.values()))
        return " and ".join(str(len(of[kind])) for kind in dict.fromkeys(pairing))

    def _cell(self, measure: str, pairing: tuple[str, str]) -> str:
        found = self.agreement(measure, *pairing)
        return "–" if found is None else show_value(found, 2)

    def summary(self) -> str:
        """Returns how well the two kinds agree, beside how well each agrees with itself."""
        told = []
        for kind, measure in self.measures.items():
            across, routed, standard = (self.agreement(measure, *pairing) for pairing in PAIRINGS.values())
            assert across is not None  # between two kinds there always is one
            among = [
                f"{name} with {show_value(own, 2)}"
                for name, own in (("RPGANs", routed), ("standard GANs", standard))
                if own is not None
            ]
            beside = f" (among each other {', '.join(among)})" if among else ""
            told.append(f"{WORDS[kind]} {show_value(across, 2)}{beside}")
        n, m = (len(self.shares["color"][kind]) for kind in (STANDARD, RPGAN))
        return (
            f"Over {n} trainings of the standard GAN and {m} of RPGANs, the mean rank correlation of their "
            f"layers is in {' and in '.join(told)}."
        )

    def results(self) -> dict[str, Result]:
        """What the ledger needs: agreement between the kinds, and within each where there are enough."""
        found = {
            f"trainings_{kind}_rank_agreement{ending}": self.agreement(measure, *pairing)
            for kind, measure in self.measures.items()
            for ending, pairing in PAIRINGS.items()
        }
        return {key: result for key, result in found.items() if result is not None}


def _within(correlations: Float[Tensor, "n n"]) -> Result:
    """Mean over all pairs of n trainings, and the jackknife's interval, which leaves each out once."""
    n = len(correlations)

    def mean(kept: Sequence[int]) -> float:
        return fmean(float(correlations[i, j]) for i in kept for j in kept if i < j)

    whole = list(range(n))
    error = jackknife_error([mean([j for j in whole if j != i]) for i in whole])
    return Result(mean(whole), n, "", _possible(t_interval(mean(whole), error, n - 1)))


def _possible(ends: tuple[float, float]) -> tuple[float, float]:
    """Ends of an interval of correlations, which lie in [−1, 1]."""
    low, high = ends
    return max(-1.0, low), min(1.0, high)


def accord(rows: Iterable[Training]) -> Accord | None:
    """Sorts trainings into RPGANs and standard GANs; None where one kind is missing.

    Left out are those in which a layer changes nothing, and those with another number of layers, or of other
    measures, than the first RPGAN.
    """
    found: dict[str, list[Shares]] = {RPGAN: [], STANDARD: []}
    semantic = ""
    for row in rows:
        if row.diversity or row.damage:
            semantic = semantic or row.semantic
        found[RPGAN].append({name: forms["share"] for name, forms in row.diversity.items()})
        found[STANDARD].append(row.damage)
    whole = {kind: [shares for shares in some if _is_whole(shares)] for kind, some in found.items()}
    first = next(iter(whole[RPGAN]), {})
    alike = {kind: [s for s in some if _shape(s) == _shape(first)] for kind, some in whole.items()}
    if not all(alike.values()):
        return None
    shares = {
        measure: {
            kind: torch.tensor([s[measure] for s in some], dtype=torch.float64)
            for kind, some in alike.items()
        }
        for measure in first
    }
    return Accord(shares, {"color": "color", "semantic": semantic})


def _is_whole(shares: Shares) -> bool:
    return bool(shares) and all(value is not None for values in shares.values() for value in values)


def _shape(shares: Shares) -> dict[str, int]:
    return {measure: len(values) for measure, values in shares.items()}

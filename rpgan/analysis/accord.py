"""Do layers under noise and buckets play the same parts in other trainings too? (Section 4.2.)"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.intervals import FEWEST, bracketed, jackknife_error, rank_interval, t_interval
from rpgan.metrics.agreement import rank_correlations
from rpgan.metrics.seeds import Spread
from rpgan.presets import resolve_gan
from rpgan.results import Result
from rpgan.row import Row

STANDARD, RPGAN, OTHER = "standard GAN", "RPGAN", "RPGAN of another size"  # kinds of trainings
ALL = "RPGAN of any size"
GROUPS = {STANDARD: (STANDARD,), RPGAN: (RPGAN,), ALL: (RPGAN, OTHER)}
PAIRINGS = {  # of trainings, by what results are called
    "": (STANDARD, RPGAN),
    "_all_sizes": (STANDARD, ALL),
    "_of_rpgans": (ALL, ALL),
    "_of_standard_gans": (STANDARD, STANDARD),
}
WORDS = {"color": "colour", "semantic": "features"}
ROUNDING = 1e-9  # correlations that agree have errors below it
Shares = Mapping[str, Sequence[float | None]]  # of one training, by measure


@dataclass(frozen=True)
class Accord:
    """Shares of layers or buckets in changes, training by training, of networks with as many layers."""

    kinds: tuple[str, ...]  # STANDARD, RPGAN or OTHER, of each training
    n_in: tuple[int, ...]  # instances of its first bucket
    shares: Mapping[str, Float[Tensor, "trainings layers"]]  # by measure
    measures: Mapping[str, str]  # WORDS → the measure that tells it

    def agreement(self, measure: str, one: str, other: str) -> Result | None:
        """Mean rank correlation over the pairs of two groups, and its 95 % interval over trainings.

        Between two groups the errors of both add up, with the degrees of freedom of the smaller one. A group
        without any spread leaves the other's error; where there is none at all, or one training of a group,
        there is no interval: few orders of few layers often coincide. Layers are taken as they are, not as a
        sample. None where a group has no training, and within one of fewer than three.
        """
        a, b = self._of(measure, one), self._of(measure, other)
        n = [len(a)] if one == other else [len(a), len(b)]
        if min(n) < (3 if one == other else 1):
            return None
        note = f"{' and '.join(str(k) for k in n)} trainings; {measure}"
        correlations = rank_correlations(a, b)
        if one == other:
            mean, error = _within(correlations)
        else:
            mean, error = float(correlations.mean()), _between(correlations)
        interval = _possible(t_interval(mean, error, min(n) - 1)) if error > ROUNDING else None
        return Result(mean, sum(n), "", interval, note)

    def _of(self, measure: str, group: str) -> Float[Tensor, "some layers"]:
        inside = [kind in GROUPS[group] for kind in self.kinds]
        return self.shares[measure][torch.tensor(inside)]

    def by_instances(self, measure: str) -> Result | None:
        """Rank correlation, over RPGANs, of their instances with how well they agree with standard GANs.

        None for fewer than four of them, and where all have equally many instances or agree equally well.
        """
        n_in = [n for n, kind in zip(self.n_in, self.kinds, strict=True) if kind in GROUPS[ALL]]
        agreement = rank_correlations(self._of(measure, ALL), self._of(measure, STANDARD)).mean(1)
        if len(n_in) < FEWEST or 1 in (len(set(n_in)), len(agreement.unique())):
            return None
        value = float(rank_correlations(torch.tensor([n_in], dtype=torch.float64), agreement[None]))
        return Result(value, len(n_in), "", rank_interval(value, len(n_in)), measure)

    def table(self) -> dict[str, dict[str, str]]:
        """Rows for a page: for each pairing the number of trainings, and the agreement by measure."""
        return {
            " – ".join(pairing): {"trainings": self._counts(pairing)}
            | {measure: _cell(self.agreement(measure, *pairing)) for measure in self.shares}
            for pairing in PAIRINGS.values()
        }

    def _counts(self, pairing: tuple[str, str]) -> str:
        groups = dict.fromkeys(pairing)
        return " and ".join(str(sum(kind in GROUPS[group] for kind in self.kinds)) for group in groups)

    def summary(self) -> str:
        """Returns how well the two kinds agree, beside how well each agrees with itself."""
        named = {m: WORDS[k] if m == k else f"{WORDS[k]} ({m})" for k, m in self.measures.items()}
        told = [
            f"in {named[measure]} {_cell(self.agreement(measure, STANDARD, RPGAN))}, with RPGANs of "
            f"all sizes {_cell(self.agreement(measure, STANDARD, ALL))}, where these agree among each other "
            f"with {_cell(self.agreement(measure, ALL, ALL))} and standard GANs with "
            f"{_cell(self.agreement(measure, STANDARD, STANDARD))}"
            for measure in named
        ]
        grows = {word: self.by_instances(self.measures[kind]) for kind, word in WORDS.items()}
        trend = " and ".join(f"{_cell(found)} in {word}" for word, found in grows.items() if found)
        return f"Over trainings, the mean rank correlation of noise with RPGAN is {'; '.join(told)}." + (
            f" How it goes with the number of instances: rank correlation {trend}." if trend else ""
        )

    def results(self) -> dict[str, Result]:
        """What the ledger needs: agreement between the kinds, and within each where there are enough."""
        found: dict[str, Result | None] = {}
        for kind, measure in self.measures.items():
            for ending, pairing in PAIRINGS.items():
                found[f"trainings_{kind}_rank_agreement{ending}"] = self.agreement(measure, *pairing)
            found[f"trainings_{kind}_agreement_by_instances"] = self.by_instances(measure)
        return {key: result for key, result in found.items() if result is not None}


def _between(correlations: Float[Tensor, "n m"]) -> float:
    """Standard error of the mean over all pairs of two groups; 0 where one has a single training."""
    one, other = (Spread(tuple(correlations.mean(dim).tolist())).error for dim in (1, 0))
    return 0.0 if one is None or other is None else math.hypot(one, other)


def _within(correlations: Float[Tensor, "n n"]) -> tuple[float, float]:
    """Mean over all pairs of n trainings, and its error by the jackknife, which leaves each out once."""

    def mean(kept: Sequence[int]) -> float:
        return fmean(float(correlations[i, j]) for i in kept for j in kept if i < j)

    whole = list(range(len(correlations)))
    return mean(whole), jackknife_error([mean([j for j in whole if j != i]) for i in whole])


def _possible(ends: tuple[float, float]) -> tuple[float, float]:
    """Ends of an interval of correlations, which lie in [−1, 1]."""
    low, high = ends
    return max(-1.0, low), min(1.0, high)


def _cell(found: Result | None) -> str:
    return "–" if found is None else bracketed(found.value, found.interval)


def accord(rows: Iterable[Row], experiment: str, profile: str) -> Accord | None:
    """Sorts trainings into standard GANs and RPGANs, of an experiment's size under a profile or of another.

    Left out are those with a fixed Z, those in which a layer changes nothing, and those with another number
    of layers, or of other measures, than the first RPGAN. None where no standard GAN or no RPGAN is left.
    """
    usual = resolve_gan(experiment, profile).generator.bucket_sizes
    told = []
    for row in rows:
        network = row.network(profile)
        if network.latent == "fixed":
            continue
        exchange = {name: forms["share"] for name, forms in row.diversity.items()}
        kind = STANDARD if row.damage else RPGAN if network.bucket_sizes == usual else OTHER
        told.append((kind, network.bucket_sizes[0], row.damage or exchange, row.semantic))
    whole = [(kind, n, shares, name) for kind, n, shares, name in told if _is_whole(shares)]
    first = next(((shares, name) for kind, _, shares, name in whole if kind != STANDARD), None)
    if first is None:
        return None
    alike = [(kind, n, shares) for kind, n, shares, _ in whole if _shape(shares) == _shape(first[0])]
    kinds, n_in, found = zip(*alike, strict=True)
    if STANDARD not in kinds:
        return None
    by_measure = {
        measure: torch.tensor([shares[measure] for shares in found], dtype=torch.float64)
        for measure in first[0]
    }
    return Accord(kinds, n_in, by_measure, {"color": "color", "semantic": first[1]})


def _is_whole(shares: Shares) -> bool:
    return bool(shares) and all(value is not None for values in shares.values() for value in values)


def _shape(shares: Shares) -> dict[str, int]:
    return {measure: len(values) for measure, values in shares.items()}

"""Layer diversity over many trainings: do others order the buckets alike? (Section 4.1, figure 6.)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rpgan.intervals import FEWEST, count_orders, rank_interval, resampled_sums
from rpgan.metrics.shares import share
from rpgan.results import Result, show_value
from rpgan.row import Row

COLOR = "color"
LATE = 2  # of the buckets, which the paper calls the last


@dataclass(frozen=True)
class Diversities:
    """Layer diversity in one measure, training by training, of generators with as many buckets."""

    ratio_mean: Float[Tensor, "trainings buckets"]  # the paper's D
    share: Float[Tensor, "trainings buckets"]

    def peaks_between(self) -> Bool[Tensor, " trainings"]:
        """Trainings in which a bucket that is neither the first nor of the last two changes it most."""
        top = self.share.argmax(1)
        return (top > 0) & (top < self.share.shape[1] - LATE)

    def first_is_least(self) -> Bool[Tensor, " trainings"]:
        """Trainings in which the first bucket changes the measure least."""
        return self.share.argmin(1) == 0

    def late_are_most(self) -> Bool[Tensor, " trainings"]:
        """Trainings in which each of the last two buckets changes it more than any other."""
        return self.share[:, -LATE:].amin(1) > self.share[:, :-LATE].amax(1)

    def last_is_less(self) -> Bool[Tensor, " trainings"]:
        """Trainings in which the last bucket changes it less than the one before."""
        return self.share[:, -1] < self.share[:, -2]

    def means(self, form: str, rng: torch.Generator) -> Result:
        """Means over trainings of every bucket; the orders are of the means when trainings are drawn anew."""
        values: Tensor = getattr(self, form)
        orders = count_orders(resampled_sums(values, rng))
        return Result(values.mean(0).tolist(), len(values), note="mean over trainings", orders=orders)


QUESTIONS = {  # the first two are the paper's about semantics, all but the first those about colour
    "one between the first and the last two changes it most": Diversities.peaks_between,
    "the first changes it least": Diversities.first_is_least,
    "each of the last two changes it more than any other": Diversities.late_are_most,
    "the last changes it less than the one before": Diversities.last_is_less,
}


@dataclass(frozen=True)
class Consistency:
    """Layer diversity by measure, of trainings whose generators have the same number of buckets."""

    n_in: tuple[int, ...]  # of each training, instances of its first bucket
    measures: Mapping[str, Diversities]
    semantic: str  # the measure to conclude from

    def table(self) -> list[dict[str, Any]]:
        """Rows for a page: in how many trainings each of the paper's statements holds, by measure."""
        return [
            {"statement": question}
            | {name: int(asked(d).sum()) for name, d in self.measures.items()}
            | {"trainings": len(self.n_in)}
            for question, asked in QUESTIONS.items()
        ]

    def last_by_instances(self, measure: str) -> Result | None:
        """Rank correlation, over trainings, of the instances with the last bucket's share in a measure.

        None for fewer than four trainings, and where all have equally many instances or equal shares.
        """
        from scipy.stats import spearmanr

        last = self.measures[measure].share[:, -1].tolist()
        if len(self.n_in) < FEWEST or len(set(self.n_in)) == 1 or len(set(last)) == 1:
            return None
        value = float(spearmanr(self.n_in, last).statistic)
        return Result(value, len(self.n_in), interval=rank_interval(value, len(self.n_in)), note=measure)

    def summary(self) -> str:
        """Returns how many trainings have the paper's order, and what more instances do to it."""
        n, semantic, color = len(self.n_in), self.measures[self.semantic], self.measures[COLOR]
        between, first, late, less = (
            int(held.sum())
            for held in (
                semantic.peaks_between(),
                semantic.first_is_least(),
                color.late_are_most(),
                color.last_is_less(),
            )
        )
        counted = (
            f"Of {n} trainings of the sweep, {between} change semantics ({self.semantic}) most in a bucket "
            f"between the first and the last two, {first} least in the first. In {late} of them, each of the "
            f"last two changes colour more than any other; in {less}, the very last less than the one before."
        )
        if (grows := self.last_by_instances(self.semantic)) is None:
            return counted
        return (
            f"{counted} The rank correlation of the number of instances with the last bucket's share of "
            f"semantics is {show_value(grows)}."
        )

    def results(self, rng: torch.Generator) -> dict[str, Result]:
        """What the ledger needs: the paper's D and the shares, and in how many trainings statements hold."""
        found = {}
        for key, name in (("semantic", self.semantic), ("color", COLOR)):
            of = self.measures[name]
            found[f"trainings_{key}"] = of.means("ratio_mean", rng)
            found[f"trainings_{key}_share"] = of.means("share", rng)
            found[f"trainings_{key}_peaks_between"] = share(of.peaks_between())
            found[f"trainings_{key}_late"] = share(of.late_are_most())
            if grows := self.last_by_instances(name):
                found[f"trainings_{key}_last_by_instances"] = grows
        return found


def consistency(rows: Iterable[Row], profile: str) -> Consistency | None:
    """Sorts the trainings of a sweep; None where fewer than two have layer diversities that are numbers.

    Left out are those with a fixed Z, and those with another number of buckets, or of other measures, than
    the first. `profile` is that of the sweep: it says what a row does not override.
    """
    learned = [row for row in rows if row.network(profile).latent != "fixed"]
    whole = [row for row in learned if row.diversity and all(map(_is_whole, row.diversity.values()))]
    alike = [row for row in whole if _shape(row) == _shape(whole[0])]
    if len(alike) < 2:
        return None
    return Consistency(
        n_in=tuple(row.network(profile).bucket_sizes[0] for row in alike),
        measures={
            name: Diversities(
                *(
                    torch.tensor([row.diversity[name][form] for row in alike], dtype=torch.float64)
                    for form in ("ratio_mean", "share")
                )
            )
            for name in alike[0].diversity
        },
        semantic=alike[0].semantic,
    )


def _is_whole(forms: Mapping[str, Sequence[float | None]]) -> bool:
    return all(value is not None for values in forms.values() for value in values)


def _shape(row: Row) -> tuple[Any, ...]:
    return tuple(row.diversity), len(next(iter(row.diversity.values()))["share"])

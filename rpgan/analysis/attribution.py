"""Which bucket is behind which property of an image: Sobol indices with a chance level (beyond the paper).

All properties are measured on the same images and share their bootstrap samples, so that they compare.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.intervals import central_interval, count_orders
from rpgan.metrics import sobol
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.results import Result

Measure = Callable[[UInt8[Tensor, "n c h w"]], Mapping[str, Tensor]]  # images -> numbers (n, d) by name
Shuffle = Callable[[Tensor, torch.Generator], Callable[[Tensor], Tensor]]
MOST = 0.95  # of the permutations, whose largest index stays below the chance level


@dataclass(frozen=True)
class Attribution:
    """Measured values on a design of paths, and the indices that follow from them."""

    values: dict[str, Float[Tensor, "samples rows d"]]
    estimates: dict[str, sobol.Estimate]  # by property

    @property
    def names(self) -> list[str]:
        return list(self.estimates)

    @property
    def rows(self) -> int:
        """Rows of the design, what the bootstrap draws from."""
        return next(iter(self.values.values())).shape[1]

    def matrix(self, index: str, end: str = "value") -> Float[Tensor, "buckets properties"]:
        """Indices "total" or "first" of every bucket and property; end is value, low or high."""
        return torch.stack([getattr(getattr(e, end), index) for e in self.estimates.values()], dim=1)

    def of(self, names: Sequence[str]) -> "Attribution":
        """The same with some of the properties only, in this order; raises UserError for an unknown one."""
        if unknown := [name for name in names if name not in self.estimates]:
            raise UserError(f"no property {', '.join(unknown)}; expected some of {', '.join(self.names)}")
        chosen = {n: self.values[n] for n in names}, {n: self.estimates[n] for n in names}
        return Attribution(*chosen)


def attribute(
    generator: RandomPathGenerator,
    measure: Measure,
    n: int,
    rng: torch.Generator,
    n_resamples: int = 1_000,
) -> Attribution:
    """Sobol indices of every bucket for everything measured, from n·(2b + 2) images for b buckets.

    Intervals are percentiles of a bootstrap over the n rows of the design. See `metrics.sobol`.
    """
    plan = sobol.design(generator.bucket_sizes, n, rng)
    values = measured(generator, measure, plan)
    counts = sobol.resampling_counts(n, n_resamples, rng)
    return Attribution(values, {name: sobol.estimated(v, counts) for name, v in values.items()})


def measured(
    generator: RandomPathGenerator,
    measure: Measure,
    plan: Int64[Tensor, "samples rows buckets"],
    chunk: int = 512,
) -> dict[str, Float[Tensor, "samples rows d"]]:
    """Values of the images of a design; each distinct path is rendered once and no image is kept.

    What is measured is the picture that a viewer would see, in 256 levels.
    """
    distinct, place = plan.flatten(0, 1).unique(dim=0, return_inverse=True)
    parts = [measure(to_uint8(render(generator, paths))) for paths in distinct.split(chunk)]
    return {
        name: torch.cat([p[name] for p in parts])[place].unflatten(0, plan.shape[:2]) for name in parts[0]
    }


def lots(values: Tensor, rng: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Deals all images out to the paths by lot: no bucket is behind anything on its own any more.

    First-order indices are zero then but for chance. Total ones are near 1, since a value that follows no
    rule changes with any entry of its path.
    """
    samples, rows = values.shape[:2]
    order = torch.randperm(samples * rows, generator=rng)
    return lambda v: v.flatten(0, 1)[order].unflatten(0, (samples, rows))


def labels(values: Tensor, rng: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Exchanges the buckets' names within each row: as if it did not matter which of them had changed."""
    samples, rows = values.shape[:2]
    buckets = samples // 2 - 1
    order = torch.rand(rows, buckets, generator=rng).argsort(1).T  # (buckets, rows)
    index = torch.cat([torch.arange(2)[:, None].expand(2, rows), 2 + order, 2 + buckets + order])
    return lambda v: v[index, torch.arange(rows)]


def shuffled(
    attribution: Attribution, shuffle: Shuffle, n: int, rng: torch.Generator
) -> list[dict[str, sobol.Indices]]:
    """Indices of n shuffles (`lots` or `labels`), each the same for all properties."""
    first = next(iter(attribution.values.values()))
    return [
        {name: sobol.indices(move(v)) for name, v in attribution.values.items()}
        for move in (shuffle(first, rng) for _ in range(n))
    ]


@dataclass(frozen=True)
class Chance:
    """What permutations say of each property; NaN where it does not vary."""

    levels: dict[str, float]  # what the largest first-order index of all buckets stays below, dealt by lot
    p: dict[str, float]  # how often exchanged names make the buckets' totals differ as much as they do


def chance(attribution: Attribution, n: int, rng: torch.Generator) -> Chance:
    """Chance levels of first-order indices and p values of unequal totals, from n permutations each.

    Totals differ by their deviation over their mean; the observed order counts as one of the permutations.
    """
    dealt, exchanged = (shuffled(attribution, shuffle, n, rng) for shuffle in (lots, labels))
    levels = {
        name: float(torch.stack([null[name].first.max() for null in dealt]).quantile(MOST))
        for name in attribution.names
    }
    p = {
        name: _share([_uneven(null[name].total) for null in exchanged], _uneven(estimate.value.total))
        for name, estimate in attribution.estimates.items()
    }
    return Chance(levels, p)


def _uneven(total: Tensor) -> float:
    return float(total.std(correction=0) / total.mean())


def _share(nulls: Sequence[float], observed: float) -> float:
    if math.isnan(observed):
        return observed
    return (1 + sum(value >= observed for value in nulls)) / (1 + len(nulls))


@dataclass(frozen=True)
class Centre:
    """Where along the buckets, counted from 1, the responsibility for something lies; NaN for a constant."""

    value: float
    interval: tuple[float, float]


def centre_of_mass(total: Float[Tensor, "*n buckets"]) -> Float[Tensor, "*n"]:
    """Centre of mass of total indices over buckets 1 … b."""
    buckets = torch.arange(1, total.shape[-1] + 1, dtype=total.dtype)
    return (total * buckets).sum(-1) / total.sum(-1)


def centre(attribution: Attribution, names: Sequence[str]) -> Centre:
    """Mean centre of mass of several properties, with a bootstrap interval."""
    return _with_interval(*_mean_centres(attribution, names))


def lag(attribution: Attribution, late: Sequence[str], early: Sequence[str]) -> Centre:
    """How many buckets later the mean centre of some properties lies than that of others, with an interval.

    Both sides share their bootstrap samples.
    """
    one, other = (_mean_centres(attribution, names) for names in (late, early))
    return _with_interval(one[0] - other[0], one[1] - other[1])


def _mean_centres(attribution: Attribution, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Returns the mean centre of the named properties, and the same for every bootstrap sample."""
    chosen = attribution.of(names).estimates.values()
    values = torch.stack([centre_of_mass(estimate.value.total) for estimate in chosen])
    return values.mean(0), torch.stack([centre_of_mass(e.resampled.total) for e in chosen]).mean(0)


def _with_interval(value: Tensor, resampled: Tensor) -> Centre:
    low, high = central_interval(resampled)
    return Centre(float(value), (float(low), float(high)))


def left_to_last(attribution: Attribution, groups: Sequence[Sequence[str]]) -> Result:
    """The largest of the last two buckets' mean total indices for groups of properties, with an interval.

    The largest is taken in every bootstrap sample anew, so that the interval leans upwards.
    """
    chosen = [attribution.of(names).estimates.values() for names in groups]
    value, drawn = (
        torch.stack([torch.stack(of_group).mean(0) for of_group in totals])[..., -2:].amax((0, -1))
        for totals in (
            [[e.value.total for e in of_group] for of_group in chosen],
            [[e.resampled.total for e in of_group] for of_group in chosen],
        )
    )
    low, high = central_interval(drawn)
    return Result(float(value), attribution.rows, interval=(float(low), float(high)))


def group_totals(
    attribution: Attribution, groups: Mapping[str, Sequence[str]]
) -> dict[str, Float[Tensor, " buckets"]]:
    """Mean total index of the properties of each group, bucket by bucket."""
    return {group: attribution.of(names).matrix("total").mean(1) for group, names in groups.items()}


def results(attribution: Attribution, prefix: str, groups: Mapping[str, Sequence[str]]) -> dict[str, Result]:
    """Mean totals of every group for the ledger; a group is left out where one of it does not vary."""

    def orders(names: Sequence[str]) -> dict[str, int]:
        chosen = attribution.of(names).estimates.values()
        return count_orders(torch.stack([estimate.resampled.total for estimate in chosen]).mean(0))

    return {
        f"{prefix}_{group}": Result(total, attribution.rows, orders=orders(groups[group]))
        for group, total in group_totals(attribution, groups).items()
        if total.isfinite().all()
    }


def order_results(
    attribution: Attribution, prefix: str, color: Sequence[str], others: Sequence[Sequence[str]]
) -> dict[str, Result]:
    """How far colour lies behind all else, and what of any other group is left to the last two buckets."""
    rows, later = attribution.rows, lag(attribution, color, [name for names in others for name in names])
    found = {
        "color_lag": Result(later.value, rows, "buckets", later.interval),
        "last_geometry": left_to_last(attribution, others),
    }
    return {
        f"{prefix}_{key}": result
        for key, result in found.items()
        if all(map(math.isfinite, (result.value, *(result.interval or ()))))
    }

"""Statistics over independent repetitions, most often trainings from different seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from rpgan.errors import UserError
from rpgan.intervals import TAIL, t_interval

Interval = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """One quantity in several independent repetitions."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(value) for value in self.values):
            raise UserError(
                f"repetitions with the values {list(self.values)}; expected finite ones, not none"
            )

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation with n − 1 in its denominator; None for a single repetition."""
        return stdev(self.values) if self.n > 1 else None

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None for a single repetition."""
        return None if self.deviation is None else self.deviation / math.sqrt(self.n)

    @property
    def interval(self) -> Interval | None:
        """Student's 95 % interval of the mean, for normal values; None for a single repetition."""
        return None if self.error is None else t_interval(self.mean, self.error, self.n - 1)


def welch_interval(estimate: float, errors: Sequence[float], freedoms: Sequence[float | int]) -> Interval:
    """Returns the 95 % interval of a difference of two estimates with these standard errors, not all zero."""
    variances = [error**2 for error in errors]
    freedom = sum(variances) ** 2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return t_interval(estimate, math.sqrt(sum(variances)), freedom)


def pooled_deviation(groups: Sequence[Spread]) -> tuple[float, int] | None:
    """Deviation within groups, and its degrees of freedom; None where every group is a single value."""
    several = [(group.n - 1, group.deviation) for group in groups if group.deviation is not None]
    freedom = sum(n for n, _ in several)
    if freedom == 0:
        return None
    return math.sqrt(sum(n * s**2 for n, s in several) / freedom), freedom


def ratio_of_means(a: Spread, b: Spread) -> tuple[float, Interval | None]:
    """Mean of a over mean of b, both positive, with a 95 % interval of Welch's kind for the logarithm.

    The error of a mean's logarithm is its relative error. Without repetitions of both there is no interval.
    """
    if min(*a.values, *b.values) <= 0:
        raise UserError("a ratio of means of values that are not all positive; expected positive ones")
    ratio = a.mean / b.mean
    if a.error is None or b.error is None:
        return ratio, None
    errors = [a.error / a.mean, b.error / b.mean]
    if not any(errors):
        return ratio, (ratio, ratio)
    low, high = welch_interval(math.log(ratio), errors, [a.n - 1, b.n - 1])
    return ratio, (math.exp(low), math.exp(high))


def ratio_of_deviations(a: Spread, b: Spread) -> tuple[float, Interval] | None:
    """Deviation of a over that of b, with the 95 % interval of the F distribution, for normal values.

    None where one has no repetition, or b no deviation.
    """
    from scipy.stats import f

    if a.deviation is None or not b.deviation:
        return None
    ratio = a.deviation / b.deviation
    bounds = f.ppf([1 - TAIL, TAIL], a.n - 1, b.n - 1)
    return ratio, (float(ratio / math.sqrt(bounds[0])), float(ratio / math.sqrt(bounds[1])))


def deviation_from_least(mean: float, least: float, n: int) -> tuple[float, float]:
    """Standard deviation that n normal values with this mean and least are expected to have, and its freedom.

    The least L of n standard normal values has E Lᵏ = n ∫ xᵏ φ(x) (1 − Φ(x))ⁿ⁻¹ dx, e.g. E L = −1.54 for
    ten. It lies below their mean by a distance of variance Var L − 1/n; the degrees of freedom are those of
    a deviation that is as uncertain (five for ten values, where the values themselves would give nine).
    Raises UserError for one value, and for a least above the mean.
    """
    from scipy.stats import norm

    if n < 2 or least > mean:
        raise UserError(f"mean {mean} and least {least} of {n} values; expected two or more, least ≤ mean")
    x = np.linspace(-10, 10, 20_001)
    density = n * norm.pdf(x) * norm.sf(x) ** (n - 1)
    first, second = (float(np.trapezoid(x**k * density, x)) for k in (1, 2))
    relative_variance = (second - first**2 - 1 / n) / first**2
    return (mean - least) / -first, 1 / (2 * relative_variance)


def first_reached(steps: Sequence[float | int], values: Sequence[float], level: float | int) -> float | None:
    """Where a falling quantity first reaches a level, linear between measurements; None if never.

    Before the first measurement nothing is known: a level reached by then counts as reached at it.
    """
    previous: tuple[float, float] | None = None
    for step, value in zip(steps, values, strict=True):
        if value <= level:
            if previous is None:
                return float(step)
            start, above = previous
            return float(start + (step - start) * (above - level) / (above - value))
        previous = (step, value)
    return None

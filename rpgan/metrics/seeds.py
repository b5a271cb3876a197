"""Statistics over independent repetitions, most often trainings from different seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from rpgan.errors import UserError

Interval = tuple[float, float]
TAIL = 0.025  # all intervals here are of 95 %


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
    def interval(self) -> Interval | None:
        """Student's 95 % interval of the mean, for normal values; None for a single repetition."""
        if self.deviation is None:
            return None
        return t_interval(self.mean, self.deviation / math.sqrt(self.n), self.n - 1)


def t_interval(estimate: float | int, error: float | int, freedom: float | int) -> Interval:
    """Returns the 95 % interval of an estimate with a standard error of so many degrees of freedom."""
    from scipy.stats import t

    half = float(t.ppf(1 - TAIL, freedom)) * error
    return estimate - half, estimate + half


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
    if a.deviation is None or b.deviation is None:
        return ratio, None
    errors = [(s.deviation or 0) ** 2 / (s.n * s.mean**2) for s in (a, b)]
    if sum(errors) == 0:
        return ratio, (ratio, ratio)
    freedom = sum(errors) ** 2 / sum(e**2 / (s.n - 1) for e, s in zip(errors, (a, b), strict=True))
    low, high = t_interval(math.log(ratio), math.sqrt(sum(errors)), freedom)
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


def deviation_from_least(mean: float, least: float, n: int) -> float:
    """Standard deviation that n normal values with this mean and this least value are expected to have.

    The expected least of n standard normal values is n ∫ x φ(x) (1 − Φ(x))ⁿ⁻¹ dx, e.g. −1.54 for ten.
    """
    from scipy.stats import norm

    if n < 2 or least > mean:
        raise UserError(f"mean {mean} and least {least} of {n} values; expected two or more, least ≤ mean")
    x = np.linspace(-10, 10, 20_001)
    expected = np.trapezoid(n * x * norm.pdf(x) * norm.sf(x) ** (n - 1), x)
    return (mean - least) / -float(expected)


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

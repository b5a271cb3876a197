"""Intervals: Student's, by the bootstrap, whose units are drawn again and again, and by the jackknife."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.errors import UserError

TAIL = 0.025  # on either side of an interval of 95 %
FEWEST = 4  # units, below which a rank correlation says nothing
SURE = 0.95  # share of the draws in which an order must hold, or fail, to be told


def central_interval(
    resampled: Float[Tensor, "draws *rest"], level: float = 0.95, ignore_nan: bool = False
) -> tuple[Float[Tensor, "*rest"], Float[Tensor, "*rest"]]:
    """Returns the ends between which the middle `level` of all draws lie (percentile interval), as float64.

    A NaN among the draws makes both ends NaN unless it is ignored.
    """
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64, device=resampled.device)
    quantile = torch.nanquantile if ignore_nan else torch.quantile
    low, high = quantile(resampled.double(), tails, dim=0)
    return low, high


def resampled_sums(
    values: Float[Tensor, "n *rest"], rng: torch.Generator, draws: int = 2_000
) -> Float[Tensor, "draws *rest"]:
    """Sums n units, drawn anew with repetition each time; what stands in one unit is drawn together.

    Raises UserError for fewer than two units, which would seem to be certain.
    """
    if len(values) < 2:
        raise UserError(f"a bootstrap over {len(values)} path, image or training; expected at least 2")
    units = torch.randint(len(values), (draws, len(values)), generator=rng)
    return values.double()[units].sum(1)


def count_orders(resampled: Float[Tensor, "draws n"]) -> dict[str, int]:
    """Counts the draws by the order of their n numbers, the commonest first: what `Result.orders` holds.

    An order is written as ranks from 1, the least; equal numbers share one. "1 3 2": the second is largest.
    Draws with a NaN have no order and do not count.
    """
    from scipy.stats import rankdata

    ranks = rankdata(resampled[~resampled.isnan().any(1)].numpy(), method="dense", axis=1).astype(int)
    return dict(Counter(" ".join(map(str, row)) for row in ranks.tolist()).most_common())


def t_interval(estimate: float | int, error: float | int, freedom: float | int) -> tuple[float, float]:
    """Returns the 95 % interval of an estimate with a standard error of so many degrees of freedom."""
    from scipy.stats import t

    half = float(t.ppf(1 - TAIL, freedom)) * error
    return estimate - half, estimate + half


def jackknife_error(without: Sequence[float]) -> float:
    """Returns the standard error of an estimate from what it is without each of at least two equal groups."""
    groups, mean = len(without), math.fsum(without) / len(without)
    return math.sqrt((groups - 1) / groups * math.fsum((value - mean) ** 2 for value in without))


def rank_interval(correlation: float, n: int) -> tuple[float, float]:
    """Returns the 95 % interval of Spearman's correlation of n units, `FEWEST` or more, taken as a sample.

    Fisher's transform with the error of Bonett and Wright (2000), eq. 3; a perfect order counts as half a
    step short of it. With n = 5 it holds nearly everything, which is what so few units tell.
    """
    most = 1 - 6 / (n * (n**2 - 1))
    inner = max(-most, min(most, correlation))
    low, high = t_interval(math.atanh(inner), math.sqrt((1 + inner**2 / 2) / (n - 3)), math.inf)
    return math.tanh(low), math.tanh(high)


def folded(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """Returns the interval of an absolute value from that of the value; None for none."""
    if interval is None:
        return None
    low, high = interval
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def bracketed(value: Any, ends: tuple[float, float] | None, spec: str = ".2f") -> str:
    """Returns a number and the ends of its interval as text, "1.00 [0.90, 1.10]"; without one, the number."""
    return f"{value:{spec}}" + ("" if ends is None else f" [{ends[0]:{spec}}, {ends[1]:{spec}}]")

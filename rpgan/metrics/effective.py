"""How many of several things are different, from their squared distances."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.errors import UserError
from rpgan.intervals import jackknife_error, t_interval

SMALLEST = 1e-12  # of the largest distance, below which an eigenvalue is rounding


def effective_number(distances: Float[Tensor, "m m"]) -> float:
    """1 + exp H of the spectrum of the centred Gram matrix, from 1 to m.

    H is the entropy of the eigenvalues of −½ JDJ as shares, J = I − 1/m; D are squared Euclidean distances.
    Things that are all alike count 1, m equidistant ones m; groups of identical things, equally large and
    equally far from each other, count one a group. The Vendi score (Friedman & Dieng 2023) is exp H of a
    similarity that must be chosen; centring needs no such choice, since it does not depend on any scale.
    """
    m = len(distances)
    centring = torch.eye(m, dtype=torch.float64) - 1 / m
    values = torch.linalg.eigvalsh(-0.5 * centring @ distances.double() @ centring).clamp(min=0)
    values = values[values > SMALLEST * distances.abs().max()]
    if len(values) == 0:
        return 1.0
    shares = values / values.sum()
    return 1 + float(torch.exp(-(shares * shares.log()).sum()))


def estimated_number(
    distances: Float[Tensor, "samples m m"],
) -> tuple[float, tuple[float, float]]:
    """Returns the effective number from 1 to m that the mean of more samples tends to, and its 95 % interval.

    Chance spreads the eigenvalues of a mean of few samples, which makes their number too small, and drawing
    samples anew makes it smaller still: the jackknife over the samples corrects it instead. Raises UserError
    for fewer than two samples.
    """
    n, m = distances.shape[:2]
    if n < 2:
        raise UserError(f"distances along {n} paths; expected at least 2, which the jackknife compares")
    total = distances.double().sum(0)
    without = [effective_number((total - sample) / (n - 1)) for sample in distances.double()]
    value = n * effective_number(total / n) - (n - 1) * math.fsum(without) / n
    ends = t_interval(value, jackknife_error(without), n - 1)
    value, low, high = (min(max(number, 1.0), float(m)) for number in (value, *ends))
    return value, (low, high)

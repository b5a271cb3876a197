"""How many of several things are different, from their squared distances."""

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.intervals import central_interval

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


def effective_interval(
    distances: Float[Tensor, "samples m m"],
    rng: torch.Generator,
    n_resamples: int = 200,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the effective number of the mean distances, over their samples."""
    chosen = torch.randint(len(distances), (n_resamples, len(distances)), generator=rng)
    numbers = torch.tensor([effective_number(distances[rows].mean(0)) for rows in chosen])
    low, high = central_interval(numbers, level)
    return float(low), float(high)

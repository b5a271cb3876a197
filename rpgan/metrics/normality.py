"""How far a distribution in many dimensions is from a Gaussian, by its third and fourth moments."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.errors import UserError

COMPONENTS = 32  # principal components along which a distribution is looked at
LIMIT = 5.991  # 95 % quantile of chi² with two degrees of freedom


@dataclass(frozen=True)
class Shape:
    """Skewness and excess kurtosis of n points along their leading principal components; 0 for a Gaussian."""

    n: int
    skewness: Float[Tensor, " k"]
    kurtosis: Float[Tensor, " k"]

    @property
    def bent_share(self) -> float:
        """Share of the components that Jarque and Bera's test at 5 % (1980) tells from a Gaussian."""
        statistic = self.n / 6 * (self.skewness**2 + self.kurtosis**2 / 4)
        return float((statistic > LIMIT).double().mean())


def shape_of(points: Float[Tensor, "n d"]) -> Shape:
    """Measures points along as many components as they have, at most COMPONENTS, in float64.

    Components of a Gaussian are independent, so that 5 % of them are told from one by chance. Raises
    UserError where the points do not differ.
    """
    centred = points.double() - points.double().mean(0)
    values, axes = torch.linalg.eigh(centred.t() @ centred)
    k = min(COMPONENTS, int((values > 1e-9 * values[-1]).sum()))
    if values[-1] <= 0 or k == 0:
        raise UserError(f"{len(points)} points do not differ; expected a distribution")
    along = centred @ axes[:, -k:]
    along = along / along.pow(2).mean(0).sqrt()
    return Shape(len(points), along.pow(3).mean(0), along.pow(4).mean(0) - 3)

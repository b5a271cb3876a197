"""How often something was seen, how surely, and what became what."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from rpgan.errors import UserError
from rpgan.results import Result


def share(hits: Bool[Tensor, " n"]) -> Result:
    """Share of what is true, with Wilson's 95 % interval; raises UserError where there is nothing."""
    from scipy.stats import binomtest

    if len(hits) == 0:
        raise UserError("a share of no images; expected at least one")
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return Result(float(hits.double().mean()), len(hits), interval=(interval.low, interval.high))


def class_shares(labels: Int64[Tensor, " n"], n_classes: int) -> list[float]:
    """Share of every class."""
    return (torch.bincount(labels, minlength=n_classes) / len(labels)).tolist()


def transitions(
    before: Int64[Tensor, " n"], after: Int64[Tensor, " n"], n_classes: int
) -> Float[Tensor, "classes classes"]:
    """Of the images of each class (row), the share that shows each class afterwards; NaN for an empty row."""
    counts = torch.bincount(before * n_classes + after, minlength=n_classes**2).view(n_classes, -1).double()
    return counts / counts.sum(1, keepdim=True)

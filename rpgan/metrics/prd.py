"""Precision and recall of distributions as a curve (Sajjadi et al. 2018, "Assessing generative models")."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from rpgan.errors import UserError

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class PrdCurve:
    """Precision against recall, each (n_angles,) in [0, 1], from the recall end to the precision end."""

    precision: Vector
    recall: Vector

    def f_score(self, beta: float) -> float:
        """Largest F_β = (1 + β²)·P·R / (β²·P + R) on the curve, in [0, 1]."""
        weighted = beta**2 * self.precision + self.recall
        product = (1 + beta**2) * self.precision * self.recall
        return float(np.max(np.divide(product, weighted, out=np.zeros_like(product), where=weighted > 0)))

    @property
    def f8(self) -> float:
        """F_8, which weighs recall: low where the generator drops modes."""
        return self.f_score(8.0)

    @property
    def f1_8(self) -> float:
        """F_1/8, which weighs precision: low where the generator makes what is not in the data."""
        return self.f_score(1 / 8)


def prd(
    *,
    real: Float[Tensor, "n d"],
    fake: Float[Tensor, "_ _"],
    rng: torch.Generator,
    n_clusters: int = 20,
    n_angles: int = 1001,
    n_runs: int = 10,
) -> PrdCurve:
    """Mean PRD curve over runs of k-means on the union of two equally large sets of features.

    Raises UserError when the sets differ in size (the clusters would favour the larger one) or are too small.
    The sets go by keyword because swapping them swaps precision and recall without any other sign.
    """
    if real.shape != fake.shape or len(real) < n_clusters:
        got = f"{tuple(real.shape)} real and {tuple(fake.shape)} generated features"
        raise UserError(
            f"{got}; expected equal shapes, at least {n_clusters} images each; take the first n of both"
        )
    union = torch.cat([real, fake]).float().cpu().numpy()
    seeds = torch.randint(2**31 - 1, (n_runs,), generator=rng).tolist()
    shares = [_cluster_shares(union, len(real), n_clusters, seed) for seed in seeds]
    curves = [prd_from_shares(real=p, fake=q, n_angles=n_angles) for p, q in shares]
    return mean_curve(curves)


def mean_curve(curves: Sequence[PrdCurve]) -> PrdCurve:
    """Mean precision and mean recall at every angle, over runs."""
    return PrdCurve(
        np.mean([curve.precision for curve in curves], axis=0),
        np.mean([curve.recall for curve in curves], axis=0),
    )


def prd_from_shares(*, real: Vector, fake: Vector, n_angles: int = 1001) -> PrdCurve:
    """PRD curve of two discrete distributions p (real) and q (generated) over the same bins.

    For λ, the tangents of angles evenly spread over (0, π/2): precision Σ min(λp, q), recall Σ min(p, q/λ).
    """
    margin = 1e-10  # the tangent of π/2 itself is infinite
    slopes = np.tan(np.linspace(margin, np.pi / 2 - margin, n_angles))[:, None]
    precision = np.minimum(slopes * real, fake).sum(axis=1)
    recall = np.minimum(real, fake / slopes).sum(axis=1)
    return PrdCurve(np.clip(precision, 0, 1), np.clip(recall, 0, 1))


def _cluster_shares(
    union: NDArray[np.float32], n_real: int, n_clusters: int, seed: int
) -> tuple[Vector, Vector]:
    from sklearn.cluster import KMeans

    # Full k-means: at some thousands of images it is both quicker and tighter than in mini-batches.
    labels = KMeans(n_clusters, n_init=3, random_state=seed).fit_predict(union)
    counts = [np.bincount(part, minlength=n_clusters) for part in (labels[:n_real], labels[n_real:])]
    return counts[0] / n_real, counts[1] / (len(union) - n_real)

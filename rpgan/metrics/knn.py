"""Precision, recall, density and coverage from balls around nearest neighbours.

The ball of a point reaches to its k-th nearest neighbour in its own set. The sets go by keyword because
swapping them swaps precision and recall without any other sign.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from rpgan.errors import UserError

Points = NDArray[np.float64]


@dataclass(frozen=True)
class PrecisionRecall:
    """Both in [0, 1]."""

    precision: float  # share of generated images inside the ball of a real one
    recall: float  # share of real images inside the ball of a generated one


@dataclass(frozen=True)
class DensityCoverage:
    """Both are near 1 when the sets come from one distribution; only coverage is bounded by 1."""

    density: float  # real balls around a generated image, as a multiple of k; in [0, n_real/k]
    coverage: float  # share of real balls that hold a generated image; in [0, 1]


def precision_recall(
    *, real: Float[Tensor, "n d"], fake: Float[Tensor, "m _"], k: int = 3
) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2).

    Raises UserError for sets of no more than k images or of different features.
    """
    x, y = _points(real, fake, k)
    return PrecisionRecall(precision=_share_inside(y, x, k), recall=_share_inside(x, y, k))


def density_coverage(
    *, real: Float[Tensor, "n d"], fake: Float[Tensor, "m _"], k: int = 5
) -> DensityCoverage:
    """Density Σⱼ #{i: yⱼ ∈ B(xᵢ)} / (k·m) and coverage, the share of balls not empty (Naeem et al. 2020).

    For one distribution the expected density is 1, and the expected coverage 1 − Π_{i≤k} (n − i)/(n + m − i).
    Raises UserError for sets of no more than k images or of different features.
    """
    x, y = _points(real, fake, k)
    balls, reached = 0, np.zeros(len(x), dtype=bool)
    for inside in _inside(y, x, k):
        balls += int(inside.sum())
        reached |= inside.any(axis=0)
    return DensityCoverage(density=balls / (k * len(y)), coverage=float(reached.mean()))


def neighbour_scores(*, real: Float[Tensor, "n d"], fake: Float[Tensor, "m _"]) -> dict[str, float]:
    """All four by name, with each paper's own k; raises UserError for sets of no more than 5 images."""
    return asdict(precision_recall(real=real, fake=fake)) | asdict(density_coverage(real=real, fake=fake))


def _points(real: Tensor, fake: Tensor, k: int) -> tuple[Points, Points]:
    if real.shape[1] != fake.shape[1] or min(len(real), len(fake)) <= k or k < 1:
        got = f"{tuple(real.shape)} real and {tuple(fake.shape)} generated features, k = {k}"
        raise UserError(
            f"{got}; expected features of one extractor, more than k images of each, k at least 1"
        )
    return real.double().cpu().numpy(), fake.double().cpu().numpy()


def _neighbours(points: Points, k: int) -> Any:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)


def _radii(points: Points, k: int) -> Points:
    # Asked without points, scikit-learn does not count a point as its own neighbour.
    distances, _ = _neighbours(points, k).kneighbors()
    return distances[:, -1]


def _inside(points: Points, centres: Points, k: int) -> Iterator[NDArray[np.bool_]]:
    """Yields, for rows of points in turn, which of the centres' balls hold them: (rows, n_centres)."""
    from sklearn.metrics import pairwise_distances_chunked

    radii = _radii(centres, k)
    for distances in pairwise_distances_chunked(points, centres, working_memory=256):
        yield distances <= radii


def _share_inside(points: Points, centres: Points, k: int) -> float:
    return float(np.concatenate([inside.any(axis=1) for inside in _inside(points, centres, k)]).mean())

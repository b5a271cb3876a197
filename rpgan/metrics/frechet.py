"""Fréchet distance between two sets of features, from streamed float64 moments."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from rpgan.errors import UserError
from rpgan.intervals import jackknife_error, t_interval

GROUPS = 10  # at most, that images are split into for a jackknife
LARGEST = 10_000  # features whose covariance is taken: 0.8 GB in float64


def check_features(features: Float[Tensor, "n d"]) -> None:
    """Raises UserError where an image has too many features for a covariance, as some of LPIPS have."""
    if features.shape[1] > LARGEST:
        raise UserError(
            f"{features.shape[1]:,} features an image; expected at most {LARGEST:,} for a covariance: "
            "take another extractor (those of LPIPS compare pairs of images)"
        )


class Moments:
    """Running count, mean and covariance of features in float64; only sums of a batch are ever held.

    Batches are merged by Chan, Golub & LeVeque (1979): scatter = A + B + δδᵀ·nₐn_b/(nₐ + n_b), which does
    not cancel as Σxxᵀ − nμμᵀ does.
    """

    def __init__(self, features: Float[Tensor, "n d"] | None = None) -> None:
        self.n = 0
        self.mean: NDArray[np.float64] = np.zeros(0)  # (d,)
        self.scatter: NDArray[np.float64] = np.zeros((0, 0))  # (d, d), sum of outer products about the mean
        self._root: NDArray[np.float64] | None = None
        if features is not None:
            self.update(features)

    def update(self, features: Float[Tensor, "n d"]) -> None:
        """Adds a batch of any size.

        Raises UserError for another number of features, for one not finite and for more than `LARGEST`.
        """
        check_features(features)
        batch = features.detach().cpu().double().numpy()
        if len(batch) == 0:
            return
        if not np.isfinite(batch).all():
            raise UserError("features hold NaN or infinity; expected finite ones; has the training diverged?")
        if self.n and batch.shape[1] != len(self.mean):
            expected = f"expected {len(self.mean)}, as in the batches before; use one extractor"
            raise UserError(f"features have {batch.shape[1]} dimensions; {expected}")
        mean = batch.mean(axis=0)
        self._merge(len(batch), mean, (batch - mean).T @ (batch - mean))

    @classmethod
    def merged(cls, parts: "Groups") -> "Moments":
        """Returns the moments of all images of several sets."""
        whole = cls()
        for part in parts:
            if part.n:
                whole._merge(part.n, part.mean, part.scatter)
        return whole

    @classmethod
    def grouped(cls, features: Float[Tensor, "units *each d"]) -> "Groups":
        """Returns the moments of each of `GROUPS` parts, or of fewer units each, for `jackknifed`.

        Units are what was drawn independently: images, or sets of them, none of which is split. Raises
        UserError for a single one, which does not tell what another would have brought.
        """
        if len(features) < 2:
            raise UserError(f"an interval from {len(features)} independent draw(s); expected at least 2")
        parts = features.tensor_split(min(GROUPS, len(features)))
        return tuple(cls(part.flatten(0, -2)) for part in parts)

    def _merge(self, n: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        self._root = None
        if self.n == 0:
            self.n, self.mean, self.scatter = n, mean, scatter
            return
        total, delta = self.n + n, mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(delta, delta) * (self.n * n / total)
        self.mean = self.mean + delta * (n / total)
        self.n = total

    @property
    def covariance(self) -> NDArray[np.float64]:
        """The unbiased covariance (d, d), as in pytorch-fid; raises UserError for fewer than two images."""
        if self.n < 2:
            raise UserError(f"moments of {self.n} images; expected at least 2 for a covariance")
        return self.scatter / (self.n - 1)

    @property
    def root(self) -> NDArray[np.float64]:
        """A root R of the covariance, R Rᵀ; kept, since many are compared with the same real images."""
        if self._root is None:
            values, vectors = np.linalg.eigh(self.covariance)
            # Rounding makes the zero eigenvalues of a rank-deficient covariance slightly negative.
            self._root = vectors * np.sqrt(np.clip(values, 0, None))
        return self._root

    def without(self, features: Float[Tensor, "n d"]) -> "Moments":
        """Returns the moments of the others, where these features were among those counted.

        Raises UserError where fewer than two would be left.
        """
        removed = Moments(features)
        if removed.n > self.n - 2:
            raise UserError(f"moments of {self.n} images without {removed.n}; expected at least 2 to be left")
        rest = Moments()
        rest.n = self.n - removed.n
        rest.mean = (self.n * self.mean - removed.n * removed.mean) / rest.n
        delta = removed.mean - rest.mean
        between = np.outer(delta, delta) * (rest.n * removed.n / self.n)
        rest.scatter = self.scatter - removed.scatter - between
        return rest


Groups = tuple[Moments, ...]  # of parts of a generator's images, of one size or nearly


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared Fréchet distance of two Gaussians: ‖μₐ − μ_b‖² + tr Σₐ + tr Σ_b − 2 tr (ΣₐΣ_b)^½, in [0, ∞).

    The root of the first covariance is kept: where many are compared with one, that one goes first.
    It is the FID only in the features "inception" (Heusel et al. 2017, eq. 6). The estimate is biased upwards
    for few images, so n belongs beside it. Raises UserError when the features differ in dimension.
    """
    if a.mean.shape != b.mean.shape:
        sizes = f"{len(a.mean)} and {len(b.mean)}"
        raise UserError(f"moments of {sizes} features; expected one number; use the same extractor for both")
    shift = float(np.sum((a.mean - b.mean) ** 2))
    left, right = a.covariance, b.covariance
    # tr (ab)^½ = tr (RᵀbR)^½ for a root R of a; the second product is symmetric, so its eigenvalues are real.
    values = np.linalg.eigvalsh(a.root.T @ right @ a.root)
    shared = float(np.sum(np.sqrt(np.clip(values, 0, None))))
    spread = float(np.trace(left) + np.trace(right)) - 2 * shared
    return max(0.0, shift + spread)  # equal sets differ by rounding, either way


@dataclass(frozen=True)
class Jackknifed:
    """Fréchet distance of a generator's images to real ones, and what it is without each of their groups."""

    whole: float
    without: tuple[float, ...]
    rounding: float  # below which a distance is none

    def over(self, other: "Jackknifed") -> tuple[float, tuple[float, float]]:
        """Ratio to the distance of another's images, and its 95 % interval.

        The interval is Student's for the logarithm, by the jackknife over groups of one size, pairwise the
        same in both: it tells of the choice of the generated images, not of trainings. Raises UserError where
        a generator's images are the real ones.
        """
        if min(self.whole, *self.without, other.whole, *other.without) <= self.rounding:
            raise UserError(
                "a ratio of Fréchet distances of which one is 0; expected images that are not the real ones"
            )
        logarithms = [math.log(x / y) for x, y in zip(self.without, other.without, strict=True)]
        middle = math.log(self.whole / other.whole)
        low, high = t_interval(middle, jackknife_error(logarithms), len(logarithms) - 1)
        return self.whole / other.whole, (math.exp(low), math.exp(high))


def jackknifed(groups: Groups, real: Moments) -> Jackknifed:
    """Takes the Fréchet distance of all groups together, and leaves out each in turn."""
    parts = [groups, *(groups[:k] + groups[k + 1 :] for k in range(len(groups)))]
    whole, *without = (frechet_distance(real, Moments.merged(part)) for part in parts)
    return Jackknifed(whole, tuple(without), 1e-9 * float(np.trace(real.covariance)))


def distance_ratio(a: Groups, b: Groups, real: Moments) -> tuple[float, tuple[float, float]]:
    """Fréchet distance of one generator's images to real ones over another's; see `Jackknifed.over`."""
    return jackknifed(a, real).over(jackknifed(b, real))

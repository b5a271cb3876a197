"""Distances between images as a network sees them, pair by pair within groups.

Both measures take uint8 groups (g, k, c, h, w) and return symmetric matrices (g, k, k) with a zero diagonal.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from rpgan.images import pad_to, to_float
from rpgan.models.modes import full_float32
from rpgan.weights import load_lpips_network

SMALLEST = 32  # pixels; the pooling of AlexNet has nothing left of smaller images


@dataclass(frozen=True)
class FeatureDistance:
    """Euclidean distance of features, in [0, ∞): the paper's first version takes those of Inception."""

    extractor: Callable[[Tensor], Tensor]  # uint8 (n, c, h, w) -> float (n, d); metrics.features has several
    squared: bool = False  # the squared distance is the one that adds up to Sobol indices

    def __call__(self, groups: UInt8[Tensor, "g k c h w"]) -> Float[Tensor, "g k k"]:
        """Returns ‖φᵢ − φⱼ‖, or its square, in float64."""
        features = self.extractor(groups.flatten(0, 1)).double().unflatten(0, groups.shape[:2])
        # Without matrix products: they lose the digits of small distances between long vectors.
        distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        return distances**2 if self.squared else distances


@dataclass(frozen=True)
class Lpips:
    """LPIPS v0.1 (Zhang et al. 2018, eq. 1), in [0, ∞), rarely above 1: the paper's second version takes it.

    Grey images are repeated to RGB; images under 32 pixels get a black border up to 32.
    """

    network: nn.Module  # (a, b) in [-1, 1], (n, 3, h, w) each -> (n, 1, 1, 1)
    device: str = "cpu"
    batch_size: int = 256  # pairs at once

    def __call__(self, groups: UInt8[Tensor, "g k c h w"]) -> Float[Tensor, "g k k"]:
        """Returns the distances within each group; LPIPS is symmetric, so each pair is computed once."""
        g, k = groups.shape[:2]
        first, second = torch.triu_indices(k, k, offset=1)
        pairs = self.between(groups[:, first].flatten(0, 1), groups[:, second].flatten(0, 1))
        distances = torch.zeros(g, k, k)
        distances[:, first, second] = pairs.view(g, -1)
        return distances + distances.mT

    @torch.no_grad()
    def between(self, a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """Returns the distance of each image of a to the one of b in the same place, on the CPU."""
        batches = zip(a.split(self.batch_size), b.split(self.batch_size), strict=True)
        with full_float32():
            distances = [self.network(self._prepare(x), self._prepare(y)).flatten().cpu() for x, y in batches]
        return torch.cat(distances)

    def _prepare(self, images: Tensor) -> Tensor:
        return to_float(pad_to(images, SMALLEST).expand(-1, 3, -1, -1)).to(self.device)


def load_lpips(trunk: str = "alex", device: str = "cpu") -> Lpips:
    """Builds LPIPS on a trunk (alex, the authors' default, or vgg) whose ImageNet weights are on the disk.

    Raises UserError, with what to fetch and where to put it, when they are not; nothing is downloaded.
    """
    return Lpips(load_lpips_network(trunk).to(device), device)

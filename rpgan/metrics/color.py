"""Difference of colour: the Hellinger distance between histograms of each channel (section 4.1)."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

BINS = 25  # of equal width over [0, 255]


def histograms(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c bins"]:
    """Shares of the pixels in each of 25 equal bins over [0, 255], channel by channel; float64, summing to 1.

    A bin is 10.2 levels wide and closed below; the last one is closed on both sides, as in numpy.histogram.
    """
    n, c, h, w = images.shape
    bins = (images.flatten(2).long() * BINS // 255).clamp(max=BINS - 1)
    offsets = torch.arange(n * c, device=images.device).view(n, c, 1) * BINS
    counts = torch.bincount((bins + offsets).flatten(), minlength=n * c * BINS)
    return counts.view(n, c, BINS).double() / (h * w)


def hellinger(p: Float[Tensor, "*n bins"], q: Float[Tensor, "*n bins"]) -> Float[Tensor, "*n"]:
    """Hellinger distance ‖√p − √q‖/√2 of two distributions: 0 if they are equal, 1 if they are disjoint."""
    return (p.sqrt() - q.sqrt()).norm(dim=-1) / math.sqrt(2)


def color_distances(groups: UInt8[Tensor, "g k c h w"]) -> Float[Tensor, "g k k c"]:
    """Hellinger distances between all images of a group, for each channel (R, G, B): symmetric, in [0, 1].

    What is reported is each channel and the mean over them, `color_distance`.
    """
    shares = histograms(groups.flatten(0, 1)).unflatten(0, groups.shape[:2])
    return hellinger(*torch.broadcast_tensors(shares[:, :, None], shares[:, None]))


def color_distance(groups: UInt8[Tensor, "g k c h w"]) -> Float[Tensor, "g k k"]:
    """Mean over channels of `color_distances`."""
    return color_distances(groups).mean(-1)


def color_change(a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Hellinger distance of the images' histograms, mean over channels: 0 to 1; places do not matter."""
    return hellinger(histograms(a), histograms(b)).mean(-1)

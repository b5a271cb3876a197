"""How much an image changes, and how much of it is tone: what a gain and a shift of each channel can do."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rpgan.intervals import central_interval, resampled_sums

INVERTED = -0.5  # correlation of two channels below which one counts as the other inverted


@dataclass(frozen=True)
class Share:
    """A part of a whole for every bucket; float64 (n_buckets,), NaN where there is nothing to share."""

    value: Tensor  # sum of the parts over the sum of the wholes, over routes
    low: Tensor  # ends of its percentile bootstrap interval over routes
    high: Tensor


def pixel_change(a: UInt8[Tensor, "n c h w"], b: UInt8[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Root mean square difference of all pixels and channels, in units of their range: 0 to 1, float64."""
    return (a.double() - b.double()).flatten(1).square().mean(1).sqrt() / 255


def tonal_changes(
    groups: UInt8[Tensor, "g k c h w"],
) -> tuple[Float[Tensor, "g k k"], Float[Tensor, "g k k"]]:
    """Returns the mean squared change between the images of each group, and the part of it that is tone.

    Levels are in [0, 1], and both are means over channels. With means μ, deviations σ and correlation r of
    two channels, the change is (μ − μ′)² + (σ − σ′)² + 2σσ′(1 − r) (Theil 1961). The first two terms are
    tone: a positive gain and a shift, and they alone, leave r = 1 and no third term. Regression by least
    squares is no measure of it: a gain of 0 already explains half the change between unrelated images.
    """
    means, deviations, covariance = _moments(groups)
    tone = _differences(means).square() + _differences(deviations).square()
    form = 2 * (deviations[..., :, None] * deviations[..., None, :] - covariance).clamp(min=0)
    return (tone + form).mean(1), tone.mean(1)


def inversions(groups: UInt8[Tensor, "g k c h w"]) -> Float[Tensor, "g k k"]:
    """Share of the channels in which what is bright in one image is dark in the other: r below INVERTED.

    An inverted image has r = −1, whatever the contrast; a channel of a single level is no inversion.
    """
    _, deviations, covariance = _moments(groups)
    scale = deviations[..., :, None] * deviations[..., None, :]
    return (covariance < INVERTED * scale).double().mean(1)


def _moments(groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns means (g, c, k), deviations (g, c, k) and covariances (g, c, k, k) of levels in [0, 1]."""
    # Of whole numbers, whose sum is exact: the centred levels of a plain channel are 0, not rounding.
    values = groups.flatten(3).transpose(1, 2).double()  # (g, c, k, pixels)
    means = values.mean(-1)
    centred = (values - means[..., None]) / 255
    covariance = centred @ centred.mT / values.shape[-1]
    return means / 255, covariance.diagonal(dim1=2, dim2=3).sqrt(), covariance


def _differences(values: Float[Tensor, "g c k"]) -> Float[Tensor, "g c k k"]:
    return values[..., :, None] - values[..., None, :]


def share_of_sums(
    part: Float[Tensor, "routes n_buckets"],
    whole: Float[Tensor, "routes n_buckets"],
    rng: torch.Generator,
) -> Share:
    """Divides sums over routes, so that a route counts by how much it changes; NaN where nothing changes."""
    parts, wholes = resampled_sums(torch.stack([part, whole], dim=-1), rng).unbind(-1)
    ends = central_interval(parts / wholes, ignore_nan=True)
    return Share(part.double().sum(0) / whole.double().sum(0), *ends)

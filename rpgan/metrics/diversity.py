"""Layer diversity D: how much each bucket changes the images, from sums of pair distances (eq. 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.errors import UserError
from rpgan.intervals import central_interval, resampled_sums


@dataclass(frozen=True)
class LayerDiversity:
    """Every form of D; all tensors are float64 of shape (n_buckets,), NaN where a bucket has one instance."""

    ratio_mean: Tensor  # the paper's D: mean over routes of S_l/S_1
    ratio_std: Tensor  # standard deviation of those ratios over routes
    zero_denominators: int  # routes without a ratio: S_1 = 0, or all, where the first bucket has one instance
    ratio: Tensor  # robust D: ΣS_l/ΣS_1 over routes
    ratio_low: Tensor  # ends of its percentile bootstrap interval over routes
    ratio_high: Tensor
    mean: Tensor  # absolute (m − 1)/m · S_l, mean over routes
    share: Tensor  # S_l/ΣS_l', summed over routes, of all buckets with a D
    resampled: dict[str, Tensor]  # (draws, n_buckets) of the bootstrap, mean and ratio_mean up to a factor

    def share_interval(self) -> tuple[Tensor, Tensor]:
        """Ends of the percentile bootstrap interval of `share` over routes."""
        sums = self.resampled["mean"]
        return central_interval(sums / sums.nansum(1, keepdim=True), ignore_nan=True)

    def places_held(self, places: Sequence[int]) -> float:
        """Share of the bootstrap's draws in which the largest share is where it is, and the least too.

        `places` are the buckets of the largest and of the least share, from 0.
        """
        sums = self.resampled["mean"]
        top, bottom = sums.nan_to_num(-torch.inf).argmax(1), sums.nan_to_num(torch.inf).argmin(1)
        return float(((top == places[0]) & (bottom == places[1])).double().mean())


def pair_sums(distances: Float[Tensor, "g k k"], images: int = 4) -> Float[Tensor, " g"]:
    """S = Σ_{i≠j} d(i, j) within each group, over ordered pairs as in eq. 1; NaN for groups of one image.

    Groups of another number of images than the paper's four are scaled to it, so that small buckets compare.
    """
    k = distances.shape[-1]
    total = distances.double().sum((1, 2)) - distances.double().diagonal(dim1=1, dim2=2).sum(1)
    return total / (k * (k - 1)) * (images * (images - 1)) if k > 1 else torch.full_like(total, torch.nan)


def sum_table(
    distances: Mapping[int, Float[Tensor, "routes k k"]], n_buckets: int
) -> Float[Tensor, "routes n_buckets"]:
    """Pair sums by bucket and route; NaN in the columns of buckets that were not varied."""
    routes = len(next(iter(distances.values())))
    table = torch.full((routes, n_buckets), torch.nan, dtype=torch.float64)
    for bucket, between in distances.items():
        table[:, bucket] = pair_sums(between)
    return table


def layer_diversity(
    sums: Float[Tensor, "routes buckets"],
    bucket_sizes: Sequence[int],
    rng: torch.Generator,
    n_resamples: int = 2_000,
    level: float = 0.95,
) -> LayerDiversity:
    """D of every bucket, from the pair sums S of distinct instances around each of many routes.

    S is multiplied by (m − 1)/m first: drawing distinct instances from m raises the mean distance by
    m/(m − 1), which would favour small buckets; with equal sizes this changes no ratio and no share.
    For squared distances, and only then, `ratio` estimates the ratio of two total Sobol indices.
    `ratio` is infinite or NaN where the first bucket changes nothing or has one instance; shares are not.
    Raises UserError when sums do not fit the bucket sizes, are negative, or are missing for a bucket.
    """
    corrected = _corrected(sums, bucket_sizes)
    divided = corrected[:, 0] != 0
    ratios = corrected[divided] / corrected[divided][:, :1]
    in_place = torch.zeros_like(corrected).masked_scatter(divided[:, None], ratios)
    both = resampled_sums(torch.stack([corrected, in_place], dim=-1), rng, n_resamples)
    resampled, resampled_ratios = both.unbind(-1)
    low, high = central_interval(resampled / resampled[:, :1], level, ignore_nan=True)
    totals = corrected.sum(0)
    return LayerDiversity(
        ratio_mean=ratios.mean(0),
        ratio_std=ratios.std(0) if len(ratios) > 1 else torch.full_like(totals, torch.nan),
        zero_denominators=int((~(corrected[:, 0] > 0)).sum()),
        ratio=totals / totals[0],
        ratio_low=low,
        ratio_high=high,
        mean=corrected.mean(0),
        share=totals / totals.nansum(),
        resampled={"mean": resampled, "ratio_mean": resampled_ratios},
    )


def tops_apart(first: LayerDiversity, second: LayerDiversity) -> tuple[int, tuple[float, float]]:
    """How many places apart two generators' buckets of largest S are, and its 95 % bootstrap interval."""
    points, draws = zip(*((d.mean[None], d.resampled["mean"]) for d in (first, second)), strict=True)
    apart = [(_top(one) - _top(other)).abs().double() for one, other in (points, draws)]
    low, high = central_interval(apart[1])
    return int(apart[0]), (float(low), float(high))


def _top(sums: Float[Tensor, "draws n_buckets"]) -> Tensor:
    return sums.nan_to_num(-torch.inf).argmax(1)


def _corrected(sums: Tensor, bucket_sizes: Sequence[int]) -> Tensor:
    """Returns the sums as if instances were drawn with repetition; NaN for buckets of one instance."""
    if sums.shape[1] != len(bucket_sizes) or len(sums) == 0:
        raise UserError(f"pair sums of shape {tuple(sums.shape)}; expected (routes, {len(bucket_sizes)})")
    sizes = torch.as_tensor(bucket_sizes, dtype=torch.float64)
    varied = sums.double()[:, sizes > 1]
    if varied.isnan().any() or (varied < 0).any():
        raise UserError("pair sums are negative or NaN in a bucket of several instances; expected distances")
    return (sums.double() * (sizes - 1) / sizes).masked_fill(sizes == 1, torch.nan)

"""Profiles over layers, and whether two of them put the layers in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.errors import UserError
from rpgan.intervals import central_interval


@dataclass(frozen=True)
class Profile:
    """The share of every layer in some quantity, with the same from bootstrap samples."""

    shares: Tensor  # float64 (layers,), summing to 1
    resampled: Tensor  # float64 (resamples, layers)

    def interval(self) -> tuple[Tensor, Tensor]:
        """Ends of the percentile interval of every share, (layers,) each."""
        return central_interval(self.resampled)


def profile(
    values: Float[Tensor, "layers n"],
    rng: torch.Generator,
    per: Float[Tensor, "layers n"] | None = None,
    n_resamples: int = 2_000,
) -> Profile:
    """Shares of the layers in means over n independent units, which the bootstrap draws with repetition.

    With `per`, each layer's mean is divided by its mean of that first, unit by unit from the same draws.
    Raises UserError for values that are negative, not finite, or all zero, and for fewer than two units.
    """
    for given in (values, values if per is None else per):
        if given.shape != values.shape or not given.isfinite().all() or bool((given < 0).any()):
            raise UserError(
                f"a profile of values of shape {tuple(given.shape)}, some negative or not finite, or of "
                f"another shape than {tuple(values.shape)}; expected distances, as many of both kinds"
            )
    if bool((values.sum(1) == 0).all()) or (per is not None and bool((per.sum(1) == 0).any())):
        raise UserError("a profile of layers that change nothing; expected at least one that does")
    if (n := values.shape[1]) < 2:
        raise UserError(f"a profile of {n} draw or path; expected at least 2, over which a bootstrap goes")
    draws = torch.cat([torch.arange(n)[None], torch.randint(n, (n_resamples, n), generator=rng)])
    means = _means(values, draws) if per is None else _means(values, draws) / _means(per, draws)
    shares = means / means.sum(1, keepdim=True)
    return Profile(shares[0], shares[1:])


def _means(values: Tensor, draws: Tensor) -> Float[Tensor, "resamples layers"]:
    return values.double()[:, draws].mean(-1).T


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two profiles over the same layers, with its bootstrap interval."""

    value: float
    low: float
    high: float


def rank_agreement(a: Profile, b: Profile) -> Agreement:
    """Rank correlation of two profiles in [−1, 1], and its percentile interval over both bootstraps.

    Ties share their mean rank; a profile without any order has correlation 0. Raises UserError for profiles
    of other numbers of layers or resamples.
    """
    return best_agreement([[(a, b)]])


def best_agreement(choices: Sequence[Sequence[tuple[Profile, Profile]]]) -> Agreement:
    """The best choice's rank correlation, where the least one over the pairs of a choice counts.

    Every bootstrap sample chooses for itself. Raises UserError as rank_agreement does.
    """
    least = [torch.stack([_correlations(*pair) for pair in pairs]).amin(0) for pairs in choices]
    best = torch.stack(least).amax(0)
    low, high = central_interval(best[1:])
    return Agreement(float(best[0]), float(low), float(high))


def _correlations(a: Profile, b: Profile) -> Float[Tensor, "_"]:
    """Rank correlations of the shares, and then of every bootstrap sample."""
    if a.resampled.shape != b.resampled.shape:
        shapes = f"{tuple(a.resampled.shape)} and {tuple(b.resampled.shape)}"
        raise UserError(f"profiles of shapes {shapes}; expected the same layers and resamples for both")
    return _spearman(*(torch.cat([p.shares[None], p.resampled]) for p in (a, b)))


def chance(n_layers: int, least: float) -> float:
    """Probability that a random order of the layers has a rank correlation of at least `least`."""
    orders = torch.tensor(list(permutations(range(n_layers))), dtype=torch.float64)
    correlations = _spearman(orders, orders[:1].expand_as(orders))
    return float((correlations >= least - 1e-9).double().mean())


def _spearman(a: Float[Tensor, "n layers"], b: Float[Tensor, "n layers"]) -> Float[Tensor, " n"]:
    x, y = _centred_ranks(a), _centred_ranks(b)
    scale = (x.square().sum(1) * y.square().sum(1)).sqrt()
    return torch.where(scale > 0, (x * y).sum(1) / scale.clamp(min=1e-12), 0.0)


def rank_correlations(a: Float[Tensor, "n layers"], b: Float[Tensor, "m layers"]) -> Float[Tensor, "n m"]:
    """Spearman's rank correlation of every row of a with every row of b; 0 with a row that has no order."""
    n, m = len(a), len(b)
    return _spearman(a.repeat_interleave(m, 0), b.repeat(n, 1)).view(n, m)


def _centred_ranks(values: Tensor) -> Float[Tensor, "n layers"]:
    from scipy.stats import rankdata

    ranks = torch.from_numpy(rankdata(values.numpy(), axis=1)).double()
    return ranks - ranks.mean(1, keepdim=True)

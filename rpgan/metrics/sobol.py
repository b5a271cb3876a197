"""Sobol indices: which share of an image statistic's variance each bucket, or pair of buckets, is behind.

The instances of a path are independent and uniform, so a statistic has one decomposition into effects of
buckets and of their interactions (Sobol 1993). A statistic of several numbers counts by the sum of their
variances (Gamboa, Janon, Klein & Lagnoux 2014): half the mean squared distance of two images is a variance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rpgan import paths
from rpgan.errors import UserError
from rpgan.intervals import central_interval

Statistic = Callable[[Int64[Tensor, "n b"]], Float[Tensor, "n d"]]  # paths -> numbers


@dataclass(frozen=True)
class Indices:
    """Indices as shares of the variance, float64; exact ones lie in [0, 1], estimates may stray.

    A statistic that is constant has no indices: they are NaN.
    """

    variance: Tensor  # (), sum of the variances of the statistic's numbers, in its squared unit
    first: Tensor  # (b,), by the bucket alone: Var E[f | s_l]
    total: Tensor  # (b,), by the bucket and all it interacts with: E Var[f | the other buckets]
    pairs: Tensor  # (b, b), by the interaction of exactly two buckets; zero diagonal


@dataclass(frozen=True)
class Estimate:
    """Estimated indices with the ends of a percentile bootstrap interval for each of them."""

    value: Indices
    low: Indices
    high: Indices
    resampled: Indices  # one for each bootstrap sample, along a first dimension

    def largest_pair(self) -> dict[str, float]:
        """The two buckets that interact most, from 1 on, and their share, with 95 % for all pairs at once.

        The largest of several estimates is rather too large. All but the buckets are NaN for a constant.
        """
        n = len(self.value.pairs)
        itself = torch.eye(n, dtype=torch.bool)
        i, j = divmod(int(self.value.pairs.masked_fill(itself, -torch.inf).argmax()), n)
        ends = central_interval(self.resampled.pairs[:, i, j], 1 - 0.05 / max(1, n * (n - 1) // 2))
        share, low, high = (float(number) for number in (self.value.pairs[i, j], *ends))
        return {"bucket": i + 1.0, "with": j + 1.0, "share": share, "95 % from": low, "to": high}


def exact(statistic: Statistic, bucket_sizes: Sequence[int]) -> Indices:
    """Indices from the enumeration of every path: the reference, for generators of few paths."""
    values = statistic(paths.enumerate_all(bucket_sizes)).double()
    values = values - values[0]  # a constant becomes exactly zero; its mean would leave rounding
    table = (values - values.mean(0)).view(*bucket_sizes, -1)
    buckets = range(len(bucket_sizes))
    closed = torch.stack([torch.stack([_closed(table, {i, j}) for j in buckets]) for i in buckets])
    others = torch.stack([_closed(table, set(buckets) - {i}) for i in buckets])
    variance = _closed(table, set(buckets))
    return _indices(variance, closed.diagonal(), variance - others, closed)


def design(bucket_sizes: Sequence[int], n: int, rng: torch.Generator) -> Int64[Tensor, "samples n b"]:
    """Paths to evaluate a statistic on, 2b + 2 samples of n rows: A, B, A_1, …, A_b, B_1, …, B_b.

    A and B are independent; A_l is A with bucket l from B, and B_l the reverse.
    """
    if n < 2:
        raise UserError(
            f"n = {n} rows for Sobol indices; expected at least 2, and some hundreds for narrow intervals"
        )
    a, b = (paths.sample(bucket_sizes, n, rng) for _ in range(2))
    buckets = range(len(bucket_sizes))
    mixed = [_mixed(base, other, i) for base, other in ((a, b), (b, a)) for i in buckets]
    return torch.stack([a, b, *mixed])


def indices(values: Float[Tensor, "samples n d"]) -> Indices:
    """Indices from the values of a statistic on a design, without intervals."""
    return _indices(*(term.mean(0) for term in _terms(values.double())))


def estimated(
    values: Float[Tensor, "samples n d"], counts: Float[Tensor, "resamples n"], level: float = 0.95
) -> Estimate:
    """Indices from the values of a statistic on a design, with intervals from `resampling_counts`.

    Statistics of the same images that share the counts share the bootstrap samples, sample by sample.
    """
    terms = _terms(values.double())
    resampled = _indices(*(torch.tensordot(counts, term, 1) / len(term) for term in terms))
    low, high = _ends(resampled, level)
    return Estimate(_indices(*(term.mean(0) for term in terms)), low, high, resampled)


def resampling_counts(n: int, n_resamples: int, rng: torch.Generator) -> Float[Tensor, "resamples n"]:
    """Returns how often each row occurs in each bootstrap sample, as float64."""
    drawn = torch.randint(n, (n_resamples, n), generator=rng)
    return torch.zeros(n_resamples, n, dtype=torch.float64).scatter_add_(
        1, drawn, torch.ones(n_resamples, n, dtype=torch.float64)
    )


def _closed(table: Tensor, kept: set[int]) -> Tensor:
    """Returns Var E[f | the kept buckets], summed over the statistic's numbers; the table is centred."""
    averaged = [bucket for bucket in range(table.ndim - 1) if bucket not in kept]
    means = table.mean(averaged, keepdim=True) if averaged else table
    return means.square().sum(-1).mean()


def _indices(variance: Tensor, first: Tensor, total: Tensor, closed: Tensor) -> Indices:
    """Divides by the variance and takes the buckets' own effects out of those of pairs; batched."""
    own = first[..., :, None] + first[..., None, :]
    off_diagonal = 1 - torch.eye(first.shape[-1], dtype=first.dtype)
    scale = torch.where(variance > 0, variance, torch.nan)[..., None]
    pairs = (closed - own) * off_diagonal / scale[..., None]
    return Indices(variance=variance, first=first / scale, total=total / scale, pairs=pairs)


def _terms(values: Tensor) -> tuple[Tensor, ...]:
    """Returns what rows average: variance (n,), first (n, b), total (n, b), closed pairs (n, b, b).

    First-order by Saltelli et al. (2010, table 2b), total by Jansen (1999), pairs by Saltelli (2002): A_i and
    B_j share exactly the entries of buckets i and j. Each is the mean of its two forms, A and B swapped.
    """
    n = values.shape[1]
    # Products of centred values vary less, with the same expectation; a constant is exactly 0 about itself.
    values = values - values[0, 0]
    values = values - values[:2].mean((0, 1))
    (a, b), mixed = values[:2], values[2:].transpose(0, 1)
    a_mixed, b_mixed = mixed.chunk(2, dim=1)
    x, y = a[:, None], b[:, None]
    variance = (a.square() + b.square()).sum(-1) / 2 * (2 * n / (2 * n - 1))
    first = (y * (a_mixed - x) + x * (b_mixed - y)).sum(-1) / 2
    total = ((x - a_mixed).square() + (y - b_mixed).square()).sum(-1) / 4
    shared = torch.einsum("nid,njd->nij", a_mixed, b_mixed)
    closed = (shared + shared.mT) / 2 - (x * y).sum(-1)[..., None]
    return variance, first, total, closed


def _mixed(base: Tensor, other: Tensor, bucket: int) -> Tensor:
    mixed = base.clone()
    mixed[:, bucket] = other[:, bucket]
    return mixed


def _ends(indices: Indices, level: float) -> tuple[Indices, Indices]:
    ends = {f.name: central_interval(getattr(indices, f.name), level) for f in fields(Indices)}
    low, high = (Indices(**{name: pair[end] for name, pair in ends.items()}) for end in (0, 1))
    return low, high

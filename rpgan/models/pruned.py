"""A generator with some of another's instances: fewer weights, and images of the other along its paths."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from rpgan.errors import UserError
from rpgan.models.bucket import Bucket
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.stacked import rebuilt

Kept = dict[int, tuple[int, ...]]  # bucket → instances that are left, ascending


@dataclass(frozen=True)
class Pruned:
    """A smaller generator and the instances of the original that it has; weights are shared."""

    generator: RandomPathGenerator
    kept: Kept

    def original_paths(self, paths: Int64[Tensor, "n n_buckets"]) -> Int64[Tensor, "n n_buckets"]:
        """The paths of the original that give the same images, bit for bit."""
        columns = [torch.tensor(self.kept[b])[column] for b, column in enumerate(paths.T)]
        return torch.stack(columns, dim=1)

    def own_paths(self, original: Int64[Tensor, "n n_buckets"]) -> Int64[Tensor, "n n_buckets"]:
        """The inverse; raises UserError for a path through an instance that is gone."""
        columns = [
            torch.searchsorted(torch.tensor(self.kept[b]), c.contiguous()) for b, c in enumerate(original.T)
        ]
        own = torch.stack([c.clamp(max=len(self.kept[b]) - 1) for b, c in enumerate(columns)], dim=1)
        if not torch.equal(self.original_paths(own), original):
            raise UserError("a path goes through an instance that was pruned; expected paths of `redirected`")
        return own


def prune(generator: RandomPathGenerator, kept: Kept) -> Pruned:
    """Drops all instances but those that are kept; raises UserError unless every bucket keeps some."""
    for bucket, size in enumerate(generator.bucket_sizes):
        left = kept.get(bucket, ())
        if not left or list(left) != sorted(set(left)) or not 0 <= left[0] <= left[-1] < size:
            expected = f"ascending instances from 0 to {size - 1}, at least one"
            raise UserError(f"bucket {bucket} is to keep {left}; expected {expected}")
    buckets = [
        Bucket(bucket.instances[i] for i in kept[number]) for number, bucket in enumerate(generator.buckets)
    ]
    return Pruned(rebuilt(generator, buckets, list(generator.links)), dict(kept))


def random_kept(bucket_sizes: Sequence[int], n: int, rng: torch.Generator) -> Kept:
    """What is left when n instances of all buckets are removed at random; one stays in every bucket."""
    every = [(b, i) for b, m in enumerate(bucket_sizes) for i in range(m)]
    if not 0 <= n <= len(every) - len(bucket_sizes):
        raise UserError(
            f"{n} removals from {tuple(bucket_sizes)}; expected at most {len(every) - len(bucket_sizes)}"
        )
    kept = {b: set(range(m)) for b, m in enumerate(bucket_sizes)}
    for k in torch.randperm(len(every), generator=rng).tolist():
        bucket, instance = every[k]
        if n > 0 and len(kept[bucket]) > 1:
            kept[bucket].remove(instance)
            n -= 1
    return {b: tuple(sorted(left)) for b, left in kept.items()}


def shuffled_kept(bucket_sizes: Sequence[int], kept: Kept, rng: torch.Generator) -> Kept:
    """As many instances of every bucket as `kept` has, but random ones."""
    drawn = {b: torch.randperm(m, generator=rng)[: len(kept[b])] for b, m in enumerate(bucket_sizes)}
    return {b: tuple(sorted(chosen.tolist())) for b, chosen in drawn.items()}

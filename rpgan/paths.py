"""Paths through the buckets: pure functions on integer tensors of shape (n, n_buckets).

A path names one instance of every bucket; the paper writes it s_1, …, s_n (section 3.2), counted from 0 here.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rpgan.errors import UserError


def count(bucket_sizes: Sequence[int]) -> int:
    """Number of distinct paths, the product of the bucket sizes.

    The paper's text has "the number of buckets to the power n_in"; its Table 1 agrees with the product.
    """
    return math.prod(bucket_sizes)


def plural(bucket_sizes: Sequence[int]) -> list[int]:
    """Buckets that can be varied, those of more than one instance."""
    return [bucket for bucket, size in enumerate(bucket_sizes) if size > 1]


def varied(bucket_sizes: Sequence[int]) -> list[int]:
    """The same for what varies them; raises UserError where there is none, as in a standard GAN."""
    if not (buckets := plural(bucket_sizes)):
        raise UserError(
            f"a generator with buckets of {tuple(bucket_sizes)} instances has one path, and nothing to vary; "
            "expected several instances in a bucket"
        )
    return buckets


def sample(
    bucket_sizes: Sequence[int],
    n: int,
    rng: torch.Generator,
    allowed: Mapping[int, Sequence[int]] | None = None,
) -> Tensor:
    """Draws n paths, every bucket uniform and independent: int64, (n, n_buckets).

    `allowed` restricts a bucket to some of its instances, e.g. `{0: [0, 3]}`.
    """
    allowed = allowed or {}
    if unknown := [bucket for bucket in allowed if not 0 <= bucket < len(bucket_sizes)]:
        raise UserError(f"allowed has buckets {unknown}; expected buckets from 0 to {len(bucket_sizes) - 1}")
    columns = []
    for bucket, size in enumerate(bucket_sizes):
        choices = torch.as_tensor(allowed.get(bucket, range(size)))
        if len(choices) == 0 or choices.min() < 0 or choices.max() >= size:
            raise UserError(
                f"allowed[{bucket}] = {choices.tolist()}; expected instances from 0 to {size - 1}"
            )
        columns.append(choices[torch.randint(len(choices), (n,), generator=rng)])
    return torch.stack(columns, dim=1)


def sample_balanced(bucket_sizes: Sequence[int], n: int, rng: torch.Generator) -> Tensor:
    """Draws n paths in which the instances of a bucket occur equally often, or once more: (n, n_buckets).

    Each path alone is still uniform; what changes is that few instances go without an image in a batch.
    """
    columns = []
    for size in bucket_sizes:
        rounds = [torch.randperm(size, generator=rng) for _ in range(-(-n // size))]
        columns.append(torch.cat(rounds)[:n][torch.randperm(n, generator=rng)])
    return torch.stack(columns, dim=1)


DRAWS = {"uniform": sample, "balanced": sample_balanced}  # ways to draw n paths, by name


def vary(path: Tensor, bucket: int, instances: Sequence[int] | Tensor) -> Tensor:
    """Copies one path (n_buckets,) with the bucket's entry replaced by each instance: (k, n_buckets)."""
    varied = path.repeat(len(instances), 1)
    varied[:, bucket] = torch.as_tensor(instances)
    return varied


def fix(paths: Tensor, instances: Mapping[int, int]) -> Tensor:
    """Copies paths (n, n_buckets) with the named buckets set to one instance each."""
    fixed = paths.clone()
    for bucket, instance in instances.items():
        fixed[:, bucket] = instance
    return fixed


def alternatives(path: Tensor, bucket: int, size: int, n: int, rng: torch.Generator) -> Tensor:
    """Draws n distinct instances of a bucket other than the path's own: int64, (n,).

    Fewer are returned where the bucket has no more.
    """
    order = torch.randperm(size, generator=rng)
    return order[order != path[bucket]][:n]


def enumerate_all(bucket_sizes: Sequence[int]) -> Tensor:
    """Lists every path in lexicographic order: int64, (count, n_buckets)."""
    grids = torch.meshgrid(*(torch.arange(size) for size in bucket_sizes), indexing="ij")
    return torch.stack([grid.flatten() for grid in grids], dim=1)


def check(paths: Tensor, bucket_sizes: Sequence[int]) -> None:
    """Raises UserError unless paths is an integer (n > 0, n_buckets) tensor within the bucket sizes."""
    expected = f"int64 of shape (n > 0, {len(bucket_sizes)}), entries below {tuple(bucket_sizes)}"
    wrong = paths.ndim != 2 or paths.shape[1] != len(bucket_sizes) or len(paths) == 0
    if paths.dtype != torch.int64 or wrong:
        raise UserError(f"paths are {paths.dtype} of shape {tuple(paths.shape)}; expected {expected}")
    if bool((paths < 0).any()) or bool((paths.cpu() >= torch.tensor(bucket_sizes)).any()):
        raise UserError(
            f"paths reach from {paths.amin(0).tolist()} to {paths.amax(0).tolist()}; expected {expected}"
        )

"""A generator that begins as another one, of which it may have more instances (section 4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from math import prod

import torch

from rpgan.errors import UserError
from rpgan.models.generator import RandomPathGenerator


@torch.no_grad()
def begin_as(generator: RandomPathGenerator, initial: RandomPathGenerator) -> tuple[str, ...]:
    """Copies every weight and statistic of `initial`; returns the names of parameters that it has not.

    Those are the instances by which the buckets are larger; they keep their random weights. Raises UserError
    where `initial` has an instance or a shape that the generator has not, and where its first bucket has no
    weights but what a table of outcomes was read into.
    """
    target, source = generator.state_dict(), initial.state_dict()
    wrong = [
        name for name, value in source.items() if name not in target or target[name].shape != value.shape
    ]
    extra = [name for name in target.keys() - source.keys() if ".instances." not in name]
    if wrong or extra:
        raise UserError(
            f"{(wrong + extra)[0]} differs between a generator of buckets {generator.bucket_sizes} and the "
            f"initial one of {initial.bucket_sizes}; expected the same layers, and at least as many instances"
        )
    first = initial.buckets[0].named_parameters()
    if not any(value.any() for name, value in first if name.endswith("weight")):
        raise UserError(
            "the first bucket of the initial generator was stored as a table of outcomes, which cannot be "
            "trained on; expected one with that bucket's own weights"
        )
    for name, value in source.items():
        target[name].copy_(value)
    return tuple(name for name, _ in generator.named_parameters() if name not in source)


def grown(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Buckets that have more instances than before; UserError where none has, or one has fewer."""
    larger = [b for b, (m, k) in enumerate(zip(before, after, strict=False)) if k > m]
    if len(before) != len(after) or any(k < m for m, k in zip(before, after, strict=True)) or not larger:
        got = f"buckets of {tuple(after)} after {tuple(before)}"
        raise UserError(f"{got}; expected as many buckets, some of them larger and none smaller")
    return larger


def path_kinds(before: Sequence[int], after: Sequence[int]) -> dict[str, dict[int, range]]:
    """What `sample_paths` may draw for old paths, and for those with new instances in some larger buckets."""
    larger = grown(before, after)
    every = chain.from_iterable(combinations(larger, k) for k in range(len(larger) + 1))
    kinds = {}
    for new in every:
        names = " and ".join(str(b + 1) for b in new)
        kinds[f"new in {names}" if new else "old paths"] = {
            b: range(before[b], after[b]) if b in new else range(before[b]) for b in larger
        }
    return kinds


def new_path_share(before: Sequence[int], after: Sequence[int]) -> float:
    """Probability that a uniform path takes a new instance: 1 − ∏ m/m′ (erratum 7)."""
    return 1 - prod(m / k for m, k in zip(before, after, strict=True))


@dataclass(frozen=True)
class Difference:
    """In what a generator differs from the one it started as."""

    instances: tuple[tuple[int, int], ...]  # bucket and instance, new or changed
    shared: tuple[str, ...]  # names of changed weights and statistics outside the buckets


def difference(before: RandomPathGenerator, after: RandomPathGenerator) -> Difference:
    """Compares all weights and statistics bit by bit; an instance that `before` has not counts as changed."""
    old, new = before.state_dict(), after.state_dict()
    changed = [name for name, v in new.items() if name not in old or not torch.equal(old[name], v)]
    parts = [name.split(".") for name in changed if ".instances." in name]
    instances = sorted({(int(bucket), int(instance)) for _, bucket, _, instance, *_ in parts})
    return Difference(tuple(instances), tuple(name for name in changed if ".instances." not in name))

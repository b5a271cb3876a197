"""A generator that begins as another one, of which it may have more instances (section 4.4)."""

import torch

from rpgan.errors import UserError
from rpgan.models.generator import RandomPathGenerator


@torch.no_grad()
def begin_as(generator: RandomPathGenerator, initial: RandomPathGenerator) -> tuple[str, ...]:
    """Copies every weight and statistic of `initial`; returns the names of parameters that it has not.

    Those are the instances by which the buckets are larger; they keep their random weights. Raises UserError
    where `initial` has an instance or a shape that the generator has not.
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
    for name, value in source.items():
        target[name].copy_(value)
    return tuple(name for name, _ in generator.named_parameters() if name not in source)

"""Which parameters a training changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rpgan.errors import UserError


def build_adam(module: nn.Module, lr: float, betas: tuple[float, ...]) -> torch.optim.Adam:
    """Adam for the parameters of a module that are not frozen."""
    trained = [p for p in module.parameters() if p.requires_grad]
    if len(betas) != 2:
        raise UserError(f"train.betas = {betas}; expected two decay rates, e.g. [0.5, 0.999]")
    first, second = betas
    return torch.optim.Adam(trained, lr=lr, betas=(first, second), fused=True)


def trained_by(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The parameters that an optimiser changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def named_prefixes(trainable: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Replaces the word "new" by the parameters that the initial generator did not have."""
    if "new" in trainable and not new:
        raise UserError("train.trainable has 'new', but no bucket is larger than in the initial generator")
    return tuple(name for prefix in trainable for name in (new if prefix == "new" else (prefix,)))


def freeze_all_but(module: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Freezes every parameter whose name has none of the prefixes; without prefixes, none."""
    if not prefixes:
        return
    found = {
        prefix for prefix in prefixes for name, _ in module.named_parameters() if name.startswith(prefix)
    }
    if missing := set(prefixes) - found:
        raise UserError(
            f"train.trainable {sorted(missing)} match no parameter; expected 'new' or prefixes as buckets.0."
        )
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name.startswith(prefixes))


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Keeps gradients out of a module's weights inside the block, which saves computing them."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)

"""Ways to run a network for a while: what a block changes is as before behind it, errors or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class Routed(Protocol):
    """What sends its rows through buckets by a strategy of its own."""

    strategy: str


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Evaluates a module inside the block and restores the mode of each of its parts behind it."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def routed_by(strategy: str, generator: Routed) -> Iterator[None]:
    """Routes a generator by one of `bucket.STRATEGIES` inside the block."""
    previous, generator.strategy = generator.strategy, strategy
    try:
        yield
    finally:
        generator.strategy = previous


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws weights on the CPU from a seed inside the block; all streams of the caller go on behind it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would begin the streams of GPUs anew
        yield


@contextmanager
def full_float32() -> Iterator[None]:
    """Keeps convolutions and products in float32 inside the block, where a GPU would take TF32's ten bits."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before

"""The shared BatchNorms of a generator, whose statistics are those of the images that it makes."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from rpgan.models.generator import RandomPathGenerator
from rpgan.models.modes import full_float32


def settle_norms(generator: RandomPathGenerator, batches: int, batch_size: int, rng: torch.Generator) -> None:
    """Takes the statistics of every BatchNorm anew, as a mean over batches of random paths.

    Averaged weights need it: the running statistics of training are those of weights that they never were
    (Izmailov et al. 2018, section 3.2).
    """
    with full_float32():
        update_bn(_drawn(generator, batches, batch_size, rng), _OfPaths(generator, rng))


def _drawn(
    generator: RandomPathGenerator, batches: int, batch_size: int, rng: torch.Generator
) -> Iterator[Tensor]:
    for _ in range(batches):
        yield generator.sample_paths(batch_size, rng)


class _OfPaths(nn.Module):
    """A generator as a function of paths alone: latents, where it takes them, are drawn beside."""

    def __init__(self, generator: RandomPathGenerator, rng: torch.Generator) -> None:
        super().__init__()
        self.generator, self.rng = generator, rng
        self.training = generator.training  # which update_bn restores

    def forward(self, paths: Tensor) -> Tensor:
        latents = self.generator.sample_latents(len(paths), self.rng)
        device = next(self.generator.parameters()).device
        return self.generator(paths, latents if latents is None else latents.to(device))

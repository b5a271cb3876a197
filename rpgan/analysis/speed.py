"""How fast generators are, measured against each other in one interleaved run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rpgan import paths as path
from rpgan.models.generator import RandomPathGenerator

Sampler = Callable[[Int64[Tensor, "n b"]], object]  # paths -> images, in inference mode


def per_image(generator: RandomPathGenerator) -> Sampler:
    """Sampling without shared beginnings: every image is multiplied through all buckets, as the paper has it."""
    z = generator.latent
    assert z is not None, "a standard GAN has nothing to share"
    return lambda paths: generator(paths, z.expand(len(paths), *z.shape[1:]))


class Tabulated:
    """Sampling with the first buckets read from a table of all their outputs, which exist because Z is constant."""

    @torch.no_grad()
    def __init__(self, generator: RandomPathGenerator, depth: int) -> None:
        self.sizes = generator.bucket_sizes[:depth]
        self.rest = list(zip(generator.buckets, generator.links, strict=True))[depth:]
        beginnings = path.enumerate_all(self.sizes)
        assert generator.latent is not None, "a standard GAN has no constant input"
        x = generator.latent.expand(len(beginnings), *generator.latent.shape[1:])
        for bucket in range(depth):
            x = generator.links[bucket](generator.buckets[bucket](x, beginnings[:, bucket]))
        self.table = x

    def __call__(self, paths: Int64[Tensor, "n b"]) -> Float[Tensor, "n ..."]:
        row = torch.zeros(len(paths), dtype=torch.int64)
        for bucket, size in enumerate(self.sizes):
            row = row * size + paths[:, bucket]
        x = self.table[row.to(self.table.device)]
        for bucket, (layer, link) in enumerate(self.rest, start=len(self.sizes)):
            x = link(layer(x, paths[:, bucket]))
        return x


@dataclass(frozen=True)
class Race:
    """Seconds of every entrant in every round, for one batch size."""

    batch_size: int
    seconds: dict[str, Tensor]  # entrant → float64 (rounds,)

    def median(self, entrant: str) -> float:
        """Median seconds of a call."""
        return float(self.seconds[entrant].median())

    def ratio(self, slow: str, fast: str, rng: torch.Generator) -> tuple[float, tuple[float, float]]:
        """Ratio of the medians, and its percentile bootstrap interval (95 %) over rounds."""
        a, b = self.seconds[slow], self.seconds[fast]
        rounds = torch.randint(len(a), (2_000, len(a)), generator=rng)
        drawn = a[rounds].quantile(0.5, dim=1) / b[rounds].quantile(0.5, dim=1)
        low, high = drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return float(a.quantile(0.5) / b.quantile(0.5)), (low, high)


def race(
    entrants: Mapping[str, Sampler],
    draw: Callable[[int], Mapping[str, Tensor]],
    batch_sizes: Sequence[int],
    budget: float,
    device: torch.device,
    rounds: tuple[int, int] = (5, 40),
) -> list[Race]:
    """Times entrants in turn, A B C A B C …, on new paths in every round.

    `draw(n)` gives each entrant its paths. The number of rounds of a batch size is what fits into `budget`
    seconds, within the limits; one round before them is not counted.
    """
    races = []
    for n in batch_sizes:
        warm = sum(_round(entrants, draw(n), device).values())
        count = max(rounds[0], min(rounds[1], int(budget / max(warm, 1e-6))))
        timed = [_round(entrants, draw(n), device) for _ in range(count)]
        seconds = {e: torch.tensor([t[e] for t in timed], dtype=torch.float64) for e in entrants}
        races.append(Race(n, seconds))
    return races


@torch.inference_mode()
def _round(
    entrants: Mapping[str, Sampler], paths: Mapping[str, Tensor], device: torch.device
) -> dict[str, float]:
    return {name: _seconds(sampler, paths[name], device) for name, sampler in entrants.items()}


def _seconds(sampler: Sampler, paths: Tensor, device: torch.device) -> float:
    _synchronise(device)
    start = time.perf_counter()
    sampler(paths)
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

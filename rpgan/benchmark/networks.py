"""What is timed: a routed GAN, the same networks trained as the paper describes it, and the standard twin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor

from rpgan import paths as path
from rpgan.analysis.speed import Call
from rpgan.config import DiscriminatorConfig, GanConfig, GeneratorConfig, TrainConfig, standard_twin
from rpgan.datasets.memory import MemoryImages
from rpgan.experiments import LINEAR_28
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.modes import routed_by
from rpgan.training.gan import GanTask

STRATEGIES = ("naive", "by_instance", "batched", "auto", "twin")
SAMPLES, CHUNK = 10_000, 256  # sampled images; how many are made in a call


@dataclass(frozen=True)
class Size:
    """How much a benchmark measures."""

    widths: tuple[int, ...] = (32, 64, 128, 256)
    batch_size: int = 64
    n_in: int = 40
    rounds: tuple[int, int] = (5, 30)  # least and most of them
    budget: float = 20.0  # seconds of a comparison, as far as the least rounds allow
    routes: int = 100  # around which layer diversity is measured
    beside: int = 64  # widest generator for which the other costs are measured
    linear: GeneratorConfig = LINEAR_28  # of the compression
    linear_batch: int = 64


SIZES = {
    "full": Size(),
    "quick": Size(widths=(32, 64), rounds=(3, 10), budget=4.0),
    "tiny": Size(
        widths=(4,), batch_size=4, n_in=3, rounds=(1, 1), budget=0.0, routes=2,
        linear=GeneratorConfig("fc", (1, 4, 4), (8, 8, 8, 8), (3,) * 5, leak=1.0),
    ),
}  # fmt: skip


class Networks:
    """A routed GAN and its standard twin under training, on images of noise."""

    def __init__(self, width: int, fabric: Fabric, size: Size) -> None:
        shape = (3, 32, 32)
        generator = GeneratorConfig(widths=(width,) * 4, bucket_sizes=(size.n_in,) * 5)
        config = GanConfig(
            "benchmark",
            generator=generator,
            discriminator=DiscriminatorConfig(widths=(max(1, width // 2),) * 4),
            train=TrainConfig(batch_size=size.batch_size),
        )
        twin = GanConfig(
            "twin", config.data, standard_twin(generator), config.discriminator, train=config.train
        )
        self.rng = torch.Generator().manual_seed(0)
        self.images = torch.randint(
            256, (size.batch_size * config.train.d_steps, *shape), dtype=torch.uint8, generator=self.rng
        )
        self.labels = torch.zeros(len(self.images), dtype=torch.int64)
        held_out = MemoryImages(self.images.numpy(), self.labels, ("none",), "noise")
        self.fabric, self.batch_size = fabric, size.batch_size
        self.routed, self.twin = (GanTask(c, fabric, held_out) for c in (config, twin))
        self.naive = NaiveTask(self.routed)
        self.upstream = torch.randn(size.batch_size, *shape, generator=self.rng).to(fabric.device)
        drawn = path.sample(generator.bucket_sizes, SAMPLES, self.rng).unique(dim=0)
        # in the order in which render goes
        self.sampled = [part for part in drawn.split(CHUNK) if len(part) == CHUNK] or [drawn]

    def calls(self, do: Callable[[GanTask], object]) -> dict[str, Call]:
        """The same thing for each strategy, in the order in which they take turns."""
        tasks = {"naive": self.naive, "twin": self.twin}
        return {s: partial(self._do, tasks.get(s, self.routed), s, do) for s in STRATEGIES}

    def _do(self, task: GanTask, strategy: str, do: Callable[[GanTask], object]) -> None:
        with routed_by(strategy if strategy in ("by_instance", "batched") else "auto", task.raw):
            do(task)


class NaiveTask(GanTask):
    """Training as the paper describes it, on the networks of another task: a call for each sample and bucket.

    Every discriminator step generates its own images with their graph, and the gradient of its loss goes
    through that as well, as in the authors' program.
    """

    def __init__(self, task: GanTask) -> None:
        self.__dict__.update(task.__dict__)

    def _generate(self, n: int, rng: torch.Generator, parts: int = 1) -> Tensor:
        assert self.raw.latent is not None, "a routed generator has a constant input"
        with self.fabric.autocast():
            return one_by_one(self.raw, path.sample(self.raw.bucket_sizes, n, rng)).float()

    def _fakes(self, rng: torch.Generator) -> Iterator[Tensor]:
        for _ in range(self.config.train.d_steps):
            yield self._generate(self.config.train.batch_size, rng)


def one_by_one(generator: RandomPathGenerator, routes: Tensor) -> Tensor:
    """Images of paths by one call for each sample and bucket, nothing shared or sorted."""
    assert generator.latent is not None, "a routed generator has a constant input"
    x = generator.latent.expand(len(routes), *generator.latent.shape[1:])
    for bucket, index, link in zip(generator.buckets, routes.T, generator.links, strict=True):
        x = link(torch.cat([bucket.instances[i](x[k : k + 1]) for k, i in enumerate(index.tolist())]))
    return x

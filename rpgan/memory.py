"""How much memory training and sampling take, computed before they start.

Networks are built on the meta device, where tensors have shapes and no data; one step on it counts what
lives at the same time. Weights, gradients and the optimiser's moments are counted from the parameters, and so
are the copies of weights that the strategy `batched` makes on a GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn

from rpgan.config import GanConfig, GeneratorConfig, InversionConfig
from rpgan.living import peak_bytes
from rpgan.losses import ADVERSARIAL
from rpgan.models.bucket import copied_bytes
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import RENDERED, RandomPathGenerator, build_generator
from rpgan.models.inverter import READ, Inverter, build_inverter

FLOAT, GIB = 4, 2**30  # bytes of a float32; of a GiB
ACTIVATIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Memory:
    """Bytes by what they are for; the phases of a step follow each other, so that the largest counts."""

    kept: Mapping[str, int]
    phases: Mapping[str, int]

    @property
    def peak(self) -> int:
        """Bytes at the largest moment, without the program, its libraries and the data set."""
        return sum(self.kept.values()) + max(self.phases.values())

    def line(self) -> str:
        """One line of text, with what is kept and the largest phase."""
        kept, phase = sum(self.kept.values()) / GIB, max(self.phases.values()) / GIB
        return (
            f"memory: {self.peak / GIB:.2f} GiB at the peak, {kept:.2f} of weights, gradients and moments "
            f"and {phase:.2f} of activations, beside the program and its data"
        )

    def table(self) -> str:
        """Lines of text: what is kept, the phases, the peak."""
        largest = max(self.phases, key=lambda name: self.phases[name])
        rows = [*self.kept.items(), *((f"while {name}", size) for name, size in self.phases.items())]
        marked = f"peak: the first {len(self.kept)} and {largest}"
        return "\n".join(f"{size / GIB:8.3f} GiB  {name}" for name, size in [*rows, (marked, self.peak)])


def training_memory(config: GanConfig, precision: str = "float32", device: str = "cpu") -> Memory:
    """Memory of training on one device, at its peak; measured on CPUs only.

    Precision is float32 or bfloat16; instances count as if all had been drawn, which soon they have.
    """
    generator, discriminator = _on_meta(config.generator), _discriminator_on_meta(config)
    held = _weights(generator, config.generator), _bytes(discriminator)
    images = config.train.batch_size * config.train.d_steps * prod(config.generator.image_shape)
    kept = {
        "weights of the generator": held[0],
        "weights of the discriminator": held[1],
        "gradients": sum(held),
        "Adam's moments": 2 * sum(held),
        **({"averaged generator": held[0]} if config.train.ema else {}),
        "real and generated images of a step": 2 * FLOAT * images,
    }
    n, d_steps = config.train.batch_size, config.train.d_steps
    fakes, step = (_copies(generator, rows, device) for rows in (n * d_steps, n))
    copied = (max(fakes), 0, sum(step) + max(step))  # of a step with their gradients, one bucket at a time
    phases = _phases(config, generator, discriminator, precision)
    return Memory(
        kept, {what: size + more for (what, size), more in zip(phases.items(), copied, strict=True)}
    )


def sampling_memory(config: GeneratorConfig, batch_size: int = RENDERED, device: str = "cpu") -> Memory:
    """Memory of sampling in batches in float32, without the images that are kept; measured on CPUs only."""
    generator = _on_meta(config).eval()
    with torch.no_grad():
        peak = peak_bytes(lambda: _generated(generator, batch_size, torch.float32))
    peak += max(_copies(generator, batch_size, device))
    return Memory({"weights": _weights(generator, config)}, {f"{batch_size} images are made": peak})


def inversion_memory(config: InversionConfig, generator: GeneratorConfig, device: str = "cpu") -> Memory:
    """Memory of training path classifiers in float32, with the generator that makes their images."""
    inverter = _inverter_on_meta(config)
    own, pixels = _bytes(inverter), config.train.evaluate_n * prod(config.image_shape)
    made = sampling_memory(generator, max(RENDERED, config.train.batch_size), device)
    _with_gradients(inverter)
    reading = peak_bytes(lambda: _read(inverter, config.train.batch_size).sum().backward())
    kept = {
        "weights of the generator": made.kept["weights"],
        "weights of the classifiers": own,
        "gradients": own,
        "Adam's moments": 2 * own,
        "held-out images": pixels,
    }
    making = max(made.phases.values()) + FLOAT * pixels
    return Memory(kept, {"held-out images are made": making, "the classifiers learn": reading})


def reading_memory(config: InversionConfig) -> Memory:
    """Memory of reading paths off images in batches."""
    inverter = _inverter_on_meta(config).eval()
    with torch.no_grad():
        peak = peak_bytes(lambda: _read(inverter, READ))
    return Memory({"weights": _bytes(inverter)}, {f"{READ} images are read": peak})


def _on_meta(config: GeneratorConfig) -> RandomPathGenerator:
    """Two instances a bucket are enough: activations depend on the batch alone, weights are multiplied."""
    few = tuple(min(size, 2) for size in config.bucket_sizes)
    with torch.device("meta"):
        return build_generator(replace(config, bucket_sizes=few))


def _discriminator_on_meta(config: GanConfig) -> nn.Module:
    with torch.device("meta"):
        return build_discriminator(config.discriminator, config.generator.image_shape)


def _inverter_on_meta(config: InversionConfig) -> Inverter:
    with torch.device("meta"):
        return build_inverter(config)


def _bytes(module: nn.Module) -> int:
    return sum(FLOAT * t.numel() for t in (*module.parameters(), *module.buffers()))


def _weights(generator: RandomPathGenerator, config: GeneratorConfig, draws: int = 0) -> int:
    """Bytes of all instances and shared layers in float32; with `draws`, only of those drawn in the mean."""
    total = _bytes(generator)
    for bucket, size in zip(generator.buckets, config.bucket_sizes, strict=True):
        drawn = size * (1 - (1 - 1 / size) ** draws) if draws else size
        total += round((drawn - len(bucket)) * _bytes(bucket.instances[0]))
    return total


def _copies(generator: RandomPathGenerator, rows: int, device: str) -> list[int]:
    """Bytes of the weights that each bucket stacks for so many rows, 0 where its instances take turns."""
    return [
        rows * copied_bytes(bucket.instances[0])
        if len(bucket) > 1 and bucket.fastest_on(torch.device(device), rows) == "batched"
        else 0
        for bucket in generator.buckets
    ]


def _phases(
    config: GanConfig, generator: RandomPathGenerator, discriminator: nn.Module, precision: str
) -> dict[str, int]:
    """Peaks of the three phases of a step; autocast keeps copies of the weights that it has cast."""
    dtype, n, d_steps = ACTIVATIONS[precision], config.train.batch_size, config.train.d_steps
    cast = 0 if precision == "float32" else 1
    few, many = (cast * _weights(generator, config.generator, k) // 2 for k in (n, n * d_steps))
    own = cast * _bytes(discriminator) // 2
    for module in (generator.to(dtype), discriminator.to(dtype)):
        _with_gradients(module)
    with torch.no_grad():
        fakes = many + peak_bytes(lambda: _generated(generator, n * d_steps, dtype))
    learning = own + peak_bytes(lambda: _d_step(config, discriminator, dtype))
    fooling = few + own + peak_bytes(lambda: _g_step(config, generator, discriminator, dtype))
    return {
        "the generator makes images": fakes,
        "the discriminator learns": learning,
        "the generator learns": fooling,
    }


def _with_gradients(module: nn.Module) -> None:
    """Gives a network its gradients, so that a step's own are temporary, and counted as such."""
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)


def _generated(generator: RandomPathGenerator, n: int, dtype: torch.dtype) -> Tensor:
    """Images that share no beginnings, which is the most that n images can take."""
    latents = torch.empty(n, *generator.latent_shape, dtype=dtype, device="meta")
    return generator(generator.sample_paths(n, torch.Generator().manual_seed(0)), latents)


def _read(inverter: Inverter, n: int) -> Tensor:
    return torch.cat(inverter(torch.empty(n, *inverter.image_shape, device="meta")), dim=1)


def _d_step(config: GanConfig, discriminator: nn.Module, dtype: torch.dtype) -> None:
    images = torch.empty(
        2 * config.train.batch_size, *config.generator.image_shape, dtype=dtype, device="meta"
    )
    loss = discriminator(images).sum()
    if ADVERSARIAL[config.loss.name].penalised:
        between = images[: config.train.batch_size].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
        loss = loss + gradient.square().sum()
    loss.backward()


def _g_step(
    config: GanConfig, generator: RandomPathGenerator, discriminator: nn.Module, dtype: torch.dtype
) -> None:
    discriminator.requires_grad_(False)
    discriminator(_generated(generator, config.train.batch_size, dtype)).sum().backward()
    discriminator.requires_grad_(True)

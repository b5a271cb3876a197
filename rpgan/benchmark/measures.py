"""The measures: what is done once a round, by every strategy that there is for it."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from rpgan import paths as path
from rpgan.analysis.compression import compress
from rpgan.analysis.speed import Call, per_image
from rpgan.benchmark.networks import CHUNK, NaiveTask, Networks, Size, one_by_one
from rpgan.models.generator import RandomPathGenerator, build_generator, render
from rpgan.models.modes import eval_mode
from rpgan.models.stacked import stacked
from rpgan.training.gan import GanTask
from rpgan.training.machine import PRECISIONS


def _forward(networks: Networks) -> dict[str, Call]:
    @torch.no_grad()
    def forward(task: GanTask) -> None:
        task.raw.train()
        task._generate(networks.batch_size, networks.rng)

    return networks.calls(forward)


def _g_step(networks: Networks) -> dict[str, Call]:
    def g_step(task: GanTask) -> None:
        task.raw.train()
        task.raw.zero_grad()
        images = task._generate(networks.batch_size, networks.rng)
        networks.fabric.backward((images * networks.upstream).sum())

    return networks.calls(g_step)


def _iteration(networks: Networks) -> dict[str, Call]:
    return networks.calls(lambda task: task.update(0, networks.images, networks.labels))


def _sample(networks: Networks) -> dict[str, Call]:
    routes = networks.sampled[int(torch.randint(len(networks.sampled), (1,), generator=networks.rng))]

    @torch.no_grad()
    def sample(task: GanTask) -> None:
        with eval_mode(task.raw), networks.fabric.autocast():
            if isinstance(task, NaiveTask):
                one_by_one(task.raw, routes)
            else:
                latents = task.raw.sample_latents(len(routes), networks.rng)
                single = torch.zeros_like(routes) if latents is not None else routes
                task.raw(single, latents if latents is None else latents.to(networks.fabric.device))

    return networks.calls(sample)


ROUTING: dict[str, Callable[[Networks], Mapping[str, Call]]] = {
    "forward": _forward,
    "g_step": _g_step,
    "iteration": _iteration,
    "sample_10k": _sample,
}


def diversity(networks: Networks, size: Size) -> dict[str, Call]:
    """The images of layer diversity, four a bucket around each route, with and without shared beginnings."""
    generator = networks.routed.raw.eval()
    routes = generator.sample_paths(size.routes, networks.rng)
    k = min(4, size.n_in)
    groups = [
        path.vary(route, bucket, torch.randperm(size.n_in, generator=networks.rng)[:k])
        for route in routes
        for bucket in range(len(generator.buckets))
    ]
    varied = torch.cat(groups)
    unshared = per_image(generator)

    @torch.no_grad()
    def one_after_another() -> None:
        with networks.fabric.autocast():
            for part in varied.split(CHUNK):
                unshared(part)

    def shared() -> None:
        with networks.fabric.autocast():
            render(generator, varied, batch_size=CHUNK)

    return {"diversity_shared auto": shared, "diversity_unshared auto": one_after_another}


def optimiser(networks: Networks, size: Size) -> dict[str, Call]:
    """Adam on all instances, on those that a batch drew, and on the twin."""
    routed, twin = networks.routed, networks.twin
    drawn = path.sample(routed.raw.bucket_sizes, networks.batch_size, networks.rng)
    idle = [
        parameter
        for bucket, index in zip(routed.raw.buckets, drawn.T, strict=True)
        for i, instance in enumerate(bucket.instances)
        if i not in index
        for parameter in instance.parameters()
    ]
    for task in (routed, twin):
        for parameter in task.raw.parameters():
            parameter.grad = torch.zeros_like(parameter)
    kept = [parameter.grad for parameter in idle]

    def step(task: GanTask, gradients: list[Tensor | None]) -> None:
        for parameter, gradient in zip(idle, gradients, strict=True):
            parameter.grad = gradient
        task.g_optimizer.step()

    return {
        "optimiser_zero auto": partial(step, routed, kept),
        "optimiser_skip auto": partial(step, routed, [None] * len(idle)),
        "optimiser_zero twin": partial(step, twin, kept),
    }


def compression(networks: Networks, size: Size) -> dict[str, Call]:
    """A linear generator and its compressed form, with stacked weights, which are for float32 only."""
    if networks.fabric.strategy.precision.precision != PRECISIONS["float32"]:
        return {}
    original = build_generator(size.linear).eval().to(networks.fabric.device)
    last = (2, 3, 4)
    k = min(128, path.count([original.bucket_sizes[b] for b in last]))
    joined = compress(original, last, k, networks.rng)
    routes = joined.generator.sample_paths(size.linear_batch, networks.rng)
    entrants = (
        ("linear_sample", stacked(original), joined.original_paths(routes)),
        ("compressed_sample", stacked(joined.generator), routes),
    )

    def sample(generator: RandomPathGenerator, paths: Tensor) -> None:
        with torch.inference_mode():
            per_image(generator)(paths)

    return {f"{name} auto": partial(sample, generator, paths) for name, generator, paths in entrants}


def one_thread(networks: Networks, size: Size) -> dict[str, Call]:
    """The generator's step where no operation is shared out among cores, which two images cannot fill."""
    if networks.fabric.device.type != "cpu":
        return {}

    def alone(call: Call) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            call()
        finally:
            torch.set_num_threads(threads)

    calls = _g_step(networks)
    return {f"g_step_one_thread {strategy}": partial(alone, calls[strategy]) for strategy in ("auto", "twin")}


BESIDE: dict[str, Callable[[Networks, Size], dict[str, Call]]] = {
    "diversity": diversity,
    "optimiser": optimiser,
    "compression": compression,
    "one_thread": one_thread,
}

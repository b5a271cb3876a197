"""Generators with noise in the weights of one layer (section 4.2), and the images that they then make."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render

Distance = Callable[[Tensor, Tensor], Tensor]  # uint8 images a and b, (n, c, h, w) each -> (n,), pair by pair
TOLERANCE = 0.02  # share of the wanted damage by which the found one may differ
LARGEST = 2.0**20  # α at which a layer is said to be unable to do more, and 1/α to do less


@contextmanager
def perturbed(
    generator: RandomPathGenerator, layer: int, alpha: float, rng: torch.Generator
) -> Iterator[None]:
    """Adds N(0, (α·std(w))²) to each weight tensor w of a layer inside the block, and restores it behind it.

    The layer is every instance of that bucket. Its biases stay, and so does all that lies between buckets:
    BatchNorm keeps the scale and the statistics of the unperturbed network. The same seed draws the same
    direction for every α. Weights return bit by bit. Raises UserError for no such layer and α below 0.
    """
    weights = layer_weights(generator, layer)
    if not 0 <= alpha < math.inf:
        raise UserError(f"alpha = {alpha}; expected a finite number of at least 0")
    before = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight in weights:
                direction = torch.randn(weight.shape, generator=rng).to(weight)
                weight.add_(direction * (alpha * weight.std(correction=0)))
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)


def layer_weights(generator: RandomPathGenerator, layer: int) -> list[nn.Parameter]:
    """The weight tensors of a bucket's instances: matrices and kernels, without biases."""
    if not 0 <= layer < len(generator.buckets):
        raise UserError(f"layer {layer}; expected one from 0 to {len(generator.buckets) - 1}")
    named = generator.buckets[layer].named_parameters()
    return [parameter for name, parameter in named if name.endswith("weight")]


@dataclass(frozen=True)
class Trials:
    """What all layers and levels of noise share, so that they differ in nothing else."""

    paths: Tensor  # int64 (draws, k, n_buckets)
    latents: Tensor | None  # float (draws, k, …), of a standard GAN
    seeds: Tensor  # int64 (draws,), of the noise
    clean: Tensor  # uint8 (draws, k, c, h, w), the images without noise


def sample_trials(
    generator: RandomPathGenerator, draws: int, k: int, rng: torch.Generator, shared: bool = False
) -> Trials:
    """Draws the seeds of noise, and k inputs for each of them; the same k for all where they are `shared`."""
    n = k if shared else draws * k
    paths, latents = generator.sample_paths(n, rng), generator.sample_latents(n, rng)
    seeds = torch.randint(2**62, (draws,), generator=rng)

    def grouped(part: Tensor) -> Tensor:
        return torch.cat([part] * (draws * k // n)).unflatten(0, (draws, k))

    clean = grouped(to_uint8(render(generator, paths, latents)))
    return Trials(grouped(paths), None if latents is None else grouped(latents), seeds, clean)


def perturbed_images(
    generator: RandomPathGenerator, layer: int, alpha: float, trials: Trials
) -> UInt8[Tensor, "draws k c h w"]:
    """The images of the trials with noise in one layer, drawn anew for every k of them."""
    images = []
    for draw, seed in enumerate(trials.seeds.tolist()):
        latents = None if trials.latents is None else trials.latents[draw]
        with perturbed(generator, layer, alpha, torch.Generator().manual_seed(seed)):
            images.append(to_uint8(render(generator, trials.paths[draw], latents)))
    return torch.stack(images)


def perturbed_grid(
    generator: RandomPathGenerator, alphas: Float[Tensor, "layers levels"], trials: Trials
) -> UInt8[Tensor, "layers levels draws k c h w"]:
    """The images of the trials with each level of noise in each layer; for figures, where all are shown."""
    rows = [
        torch.stack([perturbed_images(generator, layer, alpha, trials) for alpha in row])
        for layer, row in enumerate(alphas.tolist())
    ]
    return torch.stack(rows)


def equal_damage_alphas(
    generator: RandomPathGenerator,
    trials: Trials,
    target: float,
    distance: Distance,
    tolerance: float = TOLERANCE,
) -> Float[Tensor, " layers"]:
    """For each layer the α at which noise moves the images of the trials by the target in the mean.

    Found to the tolerance, a share of the target. The directions of the noise are the same for all α, so
    that the mean distance is a function of α without chance in it. Raises UserError for a target that is
    not positive, or that a layer does not reach.
    """
    if not 0 < target < math.inf:
        raise UserError(f"target = {target}; expected a positive distance")
    clean = trials.clean.flatten(0, 1)

    def damage_in(layer: int) -> Callable[[float], float]:
        return lambda alpha: float(
            distance(clean, perturbed_images(generator, layer, alpha, trials).flatten(0, 1)).mean()
        )

    layers = range(len(generator.buckets))
    return torch.tensor([_alpha_of(damage_in(layer), target, tolerance) for layer in layers])


def _alpha_of(damage: Callable[[float], float], target: float, tolerance: float) -> float:
    """Halves or doubles α until the target is bracketed, then narrows the bracket between its ends."""
    low, high = (alpha := 0.25), alpha
    at_low = at_high = damage(alpha)
    while at_high < target and high < LARGEST:
        low, at_low, high = high, at_high, 2 * high
        at_high = damage(high)
    while at_low > target and low > 1 / LARGEST:
        low, high, at_high = low / 2, low, at_low
        at_low = damage(low)
    if not at_low <= target <= at_high:
        got = f"noise moves the images by {at_low:.3g} at α = {low:.3g} and {at_high:.3g} at α = {high:.3g}"
        raise UserError(f"{got}; expected a target between them, not {target:.3g}")
    while high / low > 1 + 1e-6:
        share = math.log(target / at_low) / math.log(at_high / at_low) if at_low > 0 else 0.5
        alpha = low * (high / low) ** min(max(share, 0.05), 0.95)  # damage is nearly a power of α
        if abs((found := damage(alpha)) / target - 1) <= tolerance:
            return alpha
        low, at_low, high, at_high = (
            (alpha, found, high, at_high) if found < target else (low, at_low, alpha, found)
        )
    return high

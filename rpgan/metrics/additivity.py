"""Whether a generator is an affine map of its latent along every path, up to the Tanh (section 4.5)."""

from copy import deepcopy

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from rpgan.errors import UserError
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.modes import full_float32

AFFINE = 1e-9  # the largest relative deviation from additivity that counts as rounding


@torch.no_grad()
def additivity_error(generator: RandomPathGenerator, n: int, rng: torch.Generator) -> float:
    """Largest deviation of f(a z + (1 − a) z′) from a f(z) + (1 − a) f(z′), relative to the largest |f|.

    f is what reaches the Tanh along one path; n random paths are tried, in float64, a uniform in [−1, 2].
    An affine generator gives rounding, about 1e-15. A first bucket that was stored as a table sees no z:
    random weights stand for those that it has lost, so that what follows is tried.
    """
    double = deepcopy(generator).cpu().double().eval()  # where the random numbers are
    _restore_weights(double, rng)
    routes = double.sample_paths(n, rng)
    shape = (n, *double.latent_shape)
    z1, z2 = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    a = torch.rand(n, generator=rng, dtype=torch.float64) * 3 - 1
    f1, f2 = before_tanh(double, routes, z1).flatten(1), before_tanh(double, routes, z2).flatten(1)
    weights = a.view(-1, *[1] * len(double.latent_shape))
    mixed = before_tanh(double, routes, weights * z1 + (1 - weights) * z2).flatten(1)
    expected = a[:, None] * f1 + (1 - a[:, None]) * f2
    return float((mixed - expected).abs().max() / expected.abs().max())


def _restore_weights(generator: RandomPathGenerator, rng: torch.Generator) -> None:
    """Draws weights for those instances of the first bucket that are the rows of a table."""
    for instance in generator.buckets[0].instances:
        if isinstance(instance, nn.Linear) and not instance.weight.any():
            nn.init.normal_(instance.weight, std=instance.in_features**-0.5, generator=rng)


def before_tanh(
    generator: RandomPathGenerator, routes: Int64[Tensor, "n b"], latents: Float[Tensor, "n ..."] | None
) -> Float[Tensor, "n ..."]:
    """What the last Tanh is given, before it saturates; raises UserError where there is none."""
    tanh = [module for module in generator.links[-1].modules() if isinstance(module, nn.Tanh)]
    if not tanh:
        raise UserError(f"the generator ends in {type(generator.links[-1]).__name__}; expected a Tanh")
    seen: list[Tensor] = []
    hook = tanh[-1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        with full_float32():
            generator(routes, None if latents is None else latents.to(next(generator.parameters()).device))
    finally:
        hook.remove()
    return seen[0].cpu()

"""Generators without non-linearities: a proof of it, and why standard ones cannot be (section 4.5)."""

from copy import deepcopy

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan.errors import UserError
from rpgan.models.generator import RandomPathGenerator


@torch.no_grad()
def additivity_error(generator: RandomPathGenerator, n: int, rng: torch.Generator) -> float:
    """Largest deviation of f(a z + (1 − a) z′) from a f(z) + (1 − a) f(z′), relative to the largest |f|.

    f is what reaches the Tanh along one path; n random paths are tried, in float64, a uniform in [−1, 2].
    An affine generator gives rounding, about 1e-15.
    """
    double = deepcopy(generator).double().eval()
    routes = double.sample_paths(n, rng)
    shape = (n, *double.latent_shape)
    z1, z2 = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    a = torch.rand(n, generator=rng, dtype=torch.float64) * 3 - 1
    f1, f2 = before_tanh(double, routes, z1).flatten(1), before_tanh(double, routes, z2).flatten(1)
    weights = a.view(-1, *[1] * len(double.latent_shape))
    mixed = before_tanh(double, routes, weights * z1 + (1 - weights) * z2).flatten(1)
    expected = a[:, None] * f1 + (1 - a[:, None]) * f2
    return float((mixed - expected).abs().max() / expected.abs().max())


def before_tanh(
    generator: RandomPathGenerator, routes: Int64[Tensor, "n b"], latents: Float[Tensor, "n ..."]
) -> Float[Tensor, "n ..."]:
    """What the last Tanh is given; it cannot be had from the images, where Tanh saturates."""
    tanh = [module for module in generator.links[-1].modules() if isinstance(module, nn.Tanh)]
    if not tanh:
        raise UserError(f"the generator ends in {type(generator.links[-1]).__name__}; expected a Tanh")
    seen: list[Tensor] = []
    hook = tanh[-1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        generator(routes, latents.to(next(generator.parameters()).device))
    finally:
        hook.remove()
    return seen[0].cpu()


def gaussian_images(
    images: UInt8[Tensor, "n c h w"], n: int, latent_dim: int, rng: torch.Generator
) -> UInt8[Tensor, "k c h w"]:
    """What a standard GAN without non-linearities can give: n images from a Gaussian of these moments.

    Its covariance has the rank of the latent, whose principal components are taken. Pixels are cut at their
    range, in place of the Tanh.
    """
    pixels = images.flatten(1).double()
    mean = pixels.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(pixels.t()))
    top = vectors[:, -latent_dim:] * values[-latent_dim:].clamp(min=0).sqrt()
    drawn = mean + torch.randn(n, top.shape[1], generator=rng, dtype=torch.float64) @ top.t()
    return drawn.round().clamp(0, 255).to(torch.uint8).view(n, *images.shape[1:])

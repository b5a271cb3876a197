"""Random paths: their images, which is what most scores are of, and those with one instance exchanged."""

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render

PART = 10_000  # images that are floats at a time: 2 GB of 128 pixels


def draw(generator: RandomPathGenerator, n: int, rng: torch.Generator) -> UInt8[Tensor, "n c h w"]:
    """Draws n uniform paths, and Gaussian latents where the generator takes them, and renders them."""
    return images_of(generator, generator.sample_paths(n, rng), generator.sample_latents(n, rng))


def images_of(
    generator: RandomPathGenerator, routes: Int64[Tensor, "n n_buckets"], latents: Tensor | None
) -> UInt8[Tensor, "n c h w"]:
    """Renders paths, of which a part is floats at a time."""
    parts = [None] * len(routes.split(PART)) if latents is None else latents.split(PART)
    pairs = zip(routes.split(PART), parts, strict=True)
    return torch.cat([to_uint8(render(generator, r, z)) for r, z in pairs])


def exchanged(
    generator: RandomPathGenerator, bucket: int, n: int, rng: torch.Generator
) -> Int64[Tensor, "n n_buckets"]:
    """Draws n random paths and exchanges each one's instance of a bucket for another."""
    routes, size = generator.sample_paths(n, rng), generator.bucket_sizes[bucket]
    others = [path.alternatives(route, bucket, size, 1, rng) for route in routes]
    return torch.cat([path.vary(route, bucket, o) for route, o in zip(routes, others, strict=True)])

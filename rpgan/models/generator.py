"""The random path generator: G(s) = B_n,s_n ∘ … ∘ B_1,s_1 (Z), section 3.2."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from rpgan import paths as path
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError, choose
from rpgan.models.blocks import UpBlock, UpConv, activation, conv3x3, initialised
from rpgan.models.bucket import Bucket, by_chance, has_norms
from rpgan.models.modes import eval_mode, full_float32, seeded

RENDERED = 128  # images a call of the generator: larger ones leave the caches of a CPU


class RandomPathGenerator(nn.Module):
    """Buckets with shared links between them; the path through the buckets is the latent variable.

    `latent` is Z of shape (1, …), or None for a standard GAN, which takes a Gaussian of `latent_shape` for
    every image.
    """

    latent: Tensor | None

    def __init__(
        self,
        buckets: Sequence[Bucket],
        links: Sequence[nn.Module],
        latent_shape: Sequence[int],
        latent: str = "learned",
    ) -> None:
        super().__init__()
        make_latent = choose(LATENTS, latent, "latent")
        self.buckets = cast(Sequence[Bucket], nn.ModuleList(buckets))  # typed as what it holds
        self.links = nn.ModuleList(links)  # links[l] follows bucket l: reshape, BatchNorm, activation
        self.latent_shape = tuple(latent_shape)
        make_latent(self, _drawn(latent_shape))
        self.strategy = "auto"

    @property
    def bucket_sizes(self) -> tuple[int, ...]:
        """Number of instances in each bucket, m_1, …, m_n."""
        return tuple(len(bucket) for bucket in self.buckets)

    def sample_paths(
        self, n: int, rng: torch.Generator, allowed: Mapping[int, Sequence[int]] | None = None
    ) -> Int64[Tensor, "n n_buckets"]:
        """Draws n uniform paths, optionally through some instances of a bucket only (see `paths.sample`)."""
        return path.sample(self.bucket_sizes, n, rng, allowed)

    def sample_latents(self, n: int, rng: torch.Generator) -> Float[Tensor, "n ..."] | None:
        """Draws n Gaussian latents for a standard GAN, on the CPU; None where Z is constant."""
        if self.latent is not None:
            return None
        weight = next(self.parameters(), torch.empty(0))
        return torch.randn(n, *self.latent_shape, generator=rng).to(weight.dtype)

    def forward(
        self, paths: Int64[Tensor, "n n_buckets"], latents: Float[Tensor, "n ..."] | None = None
    ) -> Float[Tensor, "n c h w"]:
        """Generates one image in [−1, 1] a path.

        Paths that begin alike share that beginning: all of it in eval mode, the first bucket in training,
        where BatchNorm must see every image of the batch.
        """
        paths = paths.cpu()
        path.check(paths, self.bucket_sizes)
        x, row = self._inputs(len(paths), latents)
        last, sharing = len(self.buckets) - 1, self._may_share(latents)
        for bucket, (layer, link) in enumerate(zip(self.buckets, self.links, strict=True)):
            if sharing:
                keys, row = torch.unique(row * len(layer) + paths[:, bucket], return_inverse=True)
                parents, index = keys // len(layer), keys % len(layer)
                x = layer(x[parents.to(x.device)], index, self.strategy)
                sharing = not self.training and len(keys) < len(paths) and bucket < last
                x = x if sharing else x[row.to(x.device)]
            else:
                x = layer(x[row.to(x.device)] if bucket == 0 else x, paths[:, bucket], self.strategy)
            x = link(x)
        return x

    def _inputs(self, n: int, latents: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the distinct inputs of the first bucket and which of them every image takes."""
        if latents is not None:
            if len(latents) != n:
                raise UserError(f"{len(latents)} latents for {n} paths; expected one latent for each path")
            return latents, torch.arange(n)
        if self.latent is None:
            raise UserError("a generator with Gaussian latents needs them: generator(paths, latents)")
        return self.latent, torch.zeros(n, dtype=torch.int64)

    def _may_share(self, latents: Tensor | None) -> bool:
        """Whether equal beginnings give equal activations: not with norms or chance in the first bucket."""
        if latents is not None or self.latent is None:
            return False
        return not self.training or not (by_chance(self.buckets[0]) or has_norms(self.buckets[0]))


def _drawn(shape: Sequence[int]) -> Tensor:
    """A Gaussian vector; without data on the meta device, whose randn takes a second to load."""
    z = torch.empty(1, *shape)
    return z if z.is_meta else z.normal_()


def _learned(generator: RandomPathGenerator, value: Tensor) -> None:
    generator.latent = nn.Parameter(value)


def _fixed(generator: RandomPathGenerator, value: Tensor) -> None:
    generator.register_buffer("latent", value)


def _gaussian(generator: RandomPathGenerator, value: Tensor) -> None:
    generator.latent = None


LATENTS: dict[str, Callable[[RandomPathGenerator, Tensor], None]] = {
    "learned": _learned,
    "fixed": _fixed,
    "gaussian": _gaussian,
}


@torch.no_grad()
def render(
    generator: RandomPathGenerator,
    paths: Int64[Tensor, "n n_buckets"],
    latents: Float[Tensor, "n ..."] | None = None,
    batch_size: int = RENDERED,
) -> Float[Tensor, "n c h w"]:
    """Generates images in eval mode, batch by batch: float32 in [−1, 1] on the CPU.

    Paths are sorted and repeated ones generated once, so that beginnings are shared within a batch.
    """
    device = next(generator.parameters()).device
    with eval_mode(generator), full_float32():
        if latents is not None:
            pairs = zip(paths.split(batch_size), latents.split(batch_size), strict=True)
            return torch.cat([generator(p, z.to(device)).float().cpu() for p, z in pairs])
        distinct, row = paths.cpu().unique(dim=0, return_inverse=True)
        return torch.cat([generator(p).float().cpu() for p in distinct.split(batch_size)])[row]


def build_generator(config: GeneratorConfig, seed: int = 0) -> RandomPathGenerator:
    """Builds a generator with random weights; the same seed gives the same weights.

    Raises UserError where widths, bucket sizes and image shape do not fit each other.
    """
    build = choose(ARCHITECTURES, config.architecture, "architecture")
    if len(config.bucket_sizes) != len(config.widths) + 1 or min(config.bucket_sizes) < 1:
        raise UserError(
            f"bucket_sizes {config.bucket_sizes} for {len(config.widths)} widths; "
            f"expected {len(config.widths) + 1} numbers of at least 1"
        )
    if len(config.image_shape) != 3:
        raise UserError(f"image_shape {config.image_shape}; expected (channels, height, width)")
    with seeded(seed):
        return build(config)


def _sn_resnet(config: GeneratorConfig) -> RandomPathGenerator:
    channels, *_ = config.image_shape
    _check_resolution(config, 2 ** (len(config.widths) + 1))
    first, last = config.widths[0], config.widths[-1]

    def instance(bucket: int) -> nn.Module:
        if bucket == 0:
            return initialised(nn.Linear(config.latent_dim, first * 4 * 4))
        if bucket == len(config.widths):
            return conv3x3(last, channels)
        return UpBlock(config.widths[bucket - 1], config.widths[bucket], config.leak)

    links: list[nn.Module] = [nn.Identity() for _ in config.bucket_sizes]
    links[0] = nn.Unflatten(1, (first, 4, 4))
    links[-2] = nn.Sequential(
        links[-2], nn.BatchNorm2d(last), nn.ReLU() if config.last_relu else nn.Identity()
    )
    links[-1] = nn.Tanh()
    return _assembled(config, instance, links)


def _dcgan(config: GeneratorConfig) -> RandomPathGenerator:
    _check_resolution(config, 2 ** (len(config.widths) + 2))
    widths = (*config.widths, config.image_shape[0])

    def instance(bucket: int) -> nn.Module:
        if bucket == 0:
            return initialised(nn.Linear(config.latent_dim, widths[0] * 4 * 4))
        return UpConv(widths[bucket - 1], widths[bucket])

    links: list[nn.Module] = [
        nn.Sequential(
            nn.BatchNorm1d(widths[0] * 16), activation(config.leak), nn.Unflatten(1, (widths[0], 4, 4))
        )
    ]
    links += [nn.Sequential(nn.BatchNorm2d(width), activation(config.leak)) for width in widths[1:-1]]
    return _assembled(config, instance, [*links, nn.Tanh()])


def _fully_connected(config: GeneratorConfig) -> RandomPathGenerator:
    widths = (config.latent_dim, *config.widths, prod(config.image_shape))

    def instance(bucket: int) -> nn.Module:
        return initialised(nn.Linear(widths[bucket], widths[bucket + 1]))

    links: list[nn.Module] = [activation(config.leak) for _ in config.widths]
    return _assembled(
        config, instance, [*links, nn.Sequential(nn.Unflatten(1, config.image_shape), nn.Tanh())]
    )


def _assembled(
    config: GeneratorConfig, instance: Callable[[int], nn.Module], links: Sequence[nn.Module]
) -> RandomPathGenerator:
    buckets = [
        Bucket(instance(bucket) for _ in range(size)) for bucket, size in enumerate(config.bucket_sizes)
    ]
    return RandomPathGenerator(buckets, links, (config.latent_dim,), config.latent)


def _check_resolution(config: GeneratorConfig, resolution: int) -> None:
    if tuple(config.image_shape[1:]) != (resolution, resolution):
        raise UserError(
            f"image_shape {config.image_shape} for {config.architecture} with {len(config.widths)} widths; "
            f"expected {resolution}×{resolution} pixels: change the number of widths or the image shape"
        )


ARCHITECTURES: dict[str, Callable[[GeneratorConfig], RandomPathGenerator]] = {
    "sn-resnet": _sn_resnet,
    "dcgan": _dcgan,
    "fc": _fully_connected,
}

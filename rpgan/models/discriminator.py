"""Standard discriminators: images (n, c, h, w) in [−1, 1] to logits (n,)."""

from collections.abc import Callable
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rpgan.config import DiscriminatorConfig
from rpgan.errors import choose
from rpgan.models.blocks import DownBlock, check_halvings, initialised, spectrally_normalised
from rpgan.models.modes import seeded


class Discriminator(nn.Module):
    """A stack of layers that ends in one number an image."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        return self.layers(images).squeeze(1)


class Pooled(nn.Module):
    """Averages or adds up over all positions, (n, c, h, w) → (n, c)."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.pool = choose(POOLINGS, pooling, "discriminator.pooling =")

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x, (2, 3))


POOLINGS: dict[str, Callable[[Tensor, tuple[int, int]], Tensor]] = {"mean": torch.mean, "sum": torch.sum}


def build_discriminator(
    config: DiscriminatorConfig, image_shape: tuple[int, ...], seed: int = 0
) -> Discriminator:
    """Builds a discriminator with random weights; the same seed gives the same weights.

    Raises UserError for an unknown architecture, and for images that are halved too often.
    """
    build = choose(ARCHITECTURES, config.architecture, "architecture")
    with seeded(seed):
        discriminator = Discriminator(build(config, image_shape))
        if config.spectral_norm:
            spectrally_normalised(discriminator)
        return discriminator


def _sn_resnet(config: DiscriminatorConfig, image_shape: tuple[int, ...]) -> nn.Sequential:
    widths = (image_shape[0], *config.widths)
    check_halvings(image_shape, min(config.downsamplings, len(config.widths)), "discriminator.downsamplings")
    blocks = [
        DownBlock(widths[i], widths[i + 1], down=i < config.downsamplings, first=i == 0)
        for i in range(len(config.widths))
    ]
    return nn.Sequential(*blocks, nn.ReLU(), Pooled(config.pooling), initialised(nn.Linear(widths[-1], 1)))


def _dcgan(config: DiscriminatorConfig, image_shape: tuple[int, ...]) -> nn.Sequential:
    widths = (image_shape[0], *config.widths)
    layers: list[nn.Module] = []
    for channels, out_channels in pairwise(widths):
        layers += [
            initialised(nn.Conv2d(channels, out_channels, 5, stride=2, padding=2)),
            nn.LeakyReLU(0.2),
        ]
    positions = prod(-(-size // 2 ** len(config.widths)) for size in image_shape[1:])  # odd sizes round up
    return nn.Sequential(*layers, nn.Flatten(), initialised(nn.Linear(widths[-1] * positions, 1)))


def _fully_connected(config: DiscriminatorConfig, image_shape: tuple[int, ...]) -> nn.Sequential:
    widths = (prod(image_shape), *config.widths)
    layers: list[nn.Module] = [nn.Flatten()]
    for width, out_width in pairwise(widths):
        layers += [initialised(nn.Linear(width, out_width)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, initialised(nn.Linear(widths[-1], 1)))


ARCHITECTURES: dict[str, Callable[[DiscriminatorConfig, tuple[int, ...]], nn.Sequential]] = {
    "sn-resnet": _sn_resnet,
    "dcgan": _dcgan,
    "fc": _fully_connected,
}

"""Layers that generators and discriminators are made of."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from rpgan.errors import UserError

L = TypeVar("L", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
Layers = Callable[[str, Tensor], Tensor]  # name of a layer, its input -> its output


def activation(leak: float) -> nn.Module:
    """ReLU with a negative slope: 0 is ReLU, 1 the identity of the linear generators (section 4.5)."""
    if leak == 1:
        return nn.Identity()
    return nn.LeakyReLU(leak) if leak else nn.ReLU()


def initialised(layer: L, gain: float = 1.0) -> L:
    """Fills a layer's weight by Xavier-uniform and its bias with zeros, and returns it."""
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None, "every layer here has a bias"
    nn.init.zeros_(layer.bias)
    return layer


def conv3x3(channels: int, out_channels: int, gain: float = 1.0) -> nn.Conv2d:
    """A 3×3 convolution that keeps the resolution."""
    return initialised(nn.Conv2d(channels, out_channels, 3, padding=1), gain)


class Layered(nn.Module):
    """An instance whose weights are those of named layers, around which the rest is the same for all.

    So that the rest can run once on the rows of many such instances (`bucket.by_instance`).
    """

    layers: tuple[str, ...]  # names of the layers; no other part may have weights

    def forward(self, x: Tensor) -> Tensor:
        return self.through(x, lambda name, x: self.get_submodule(name)(x))

    def through(self, x: Tensor, layer: Layers) -> Tensor:
        """The instance around layers that are called by their names: its own, or those of many."""
        raise NotImplementedError


class UpBlock(Layered):
    """Residual block of a generator without norms, (n, c, h, w) → (n, c', 2h, 2w)."""

    layers = ("conv1", "conv2", "skip")

    def __init__(self, channels: int, out_channels: int, leak: float = 0.0) -> None:
        super().__init__()
        self.activation = activation(leak)
        self.conv1 = conv3x3(channels, out_channels, math.sqrt(2))
        self.conv2 = conv3x3(out_channels, out_channels, math.sqrt(2))
        self.skip = conv3x3(channels, out_channels) if channels != out_channels else nn.Identity()

    def through(self, x: Tensor, layer: Layers) -> Tensor:
        residual = layer("conv1", upsampled(self.activation(x)))
        return layer("conv2", self.activation(residual)) + layer("skip", upsampled(x))


def upsampled(x: Tensor) -> Tensor:
    """Doubles the resolution by repeating pixels."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class UpConv(Layered):
    """Transposed 5×5 convolution of a DCGAN generator, (n, c, h, w) → (n, c', 2h, 2w)."""

    layers = ("conv",)

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = initialised(nn.ConvTranspose2d(channels, out_channels, 5, stride=2, padding=1))

    def through(self, x: Tensor, layer: Layers) -> Tensor:
        return layer("conv", x)[..., :-1, :-1]  # stride 2 and padding 1 leave one row and column too many


class DownBlock(nn.Module):
    """Residual block of a discriminator (Miyato et al. 2018), halving the resolution where `down` is set."""

    def __init__(self, channels: int, out_channels: int, down: bool, first: bool = False) -> None:
        super().__init__()
        self.first, self.down = first, down
        self.conv1 = conv3x3(channels, out_channels, math.sqrt(2))
        self.conv2 = conv3x3(out_channels, out_channels, math.sqrt(2))
        learned = down or channels != out_channels
        self.skip = initialised(nn.Conv2d(channels, out_channels, 1)) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        # The first block sees an image, whose negative half a ReLU would throw away.
        residual = F.relu(self.conv1(x if self.first else F.relu(x)))
        if not self.down:
            return self.conv2(residual) + self.skip(x)
        # Pooling commutes with a 1×1 convolution; pooling first is four times cheaper.
        return pooled(self.conv2, residual) + self.skip(F.avg_pool2d(x, 2))


def pooled(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Means over 2×2 outputs of a 3×3 convolution, (n, c, 2h, 2w) → (n, c', h, w).

    The mean of four shifted kernels is one 4×4 kernel, which moves by two pixels: 16 products for 36.
    """
    kernel = F.avg_pool2d(F.pad(conv.weight, (1, 1, 1, 1)), 2, stride=1)
    return F.conv2d(x, kernel, conv.bias, stride=2, padding=1)


def check_halvings(image_shape: Sequence[int], halvings: int, setting: str) -> None:
    """Raises UserError where halving the resolution so often leaves no pixel."""
    least = min(image_shape[1:])
    if least < 2**halvings:
        raise UserError(
            f"{setting} halve {least} pixels {halvings} times; expected at most {least.bit_length() - 1}"
        )


def spectrally_normalised(module: nn.Module) -> nn.Module:
    """Divides every weight by its largest singular value, estimated by one power iteration a forward."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)
    return module

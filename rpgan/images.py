"""Images as tensors: the one uint8 ↔ [-1, 1] conversion, hues, sheets and PNG files."""

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from rpgan.files import replacing


def to_float(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Converts levels 0 … 255 to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    """Converts [-1, 1] to the nearest of the levels 0 … 255; what lies outside is clamped."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def all_distinct(images: UInt8[Tensor, "n c h w"]) -> bool:
    """Returns whether no two of these images are equal in every pixel."""
    return len(images.flatten(1).unique(dim=0)) == len(images)


def pad_to(images: Tensor, side: int) -> Tensor:
    """Surrounds images (n, c, h, w) by zeros, black before any conversion, up to `side` pixels a side."""
    h, w = (max(0, side - length) for length in images.shape[2:])
    return F.pad(images, (w // 2, w - w // 2, h // 2, h - h // 2))


def hue_to_rgb(hues: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3"]:
    """Converts hues, in turns (0 red, 1/3 green, 2/3 blue), to RGB in [0, 1] at full saturation and value."""
    turns = hues[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0], device=hues.device)
    return ((turns % 6 - 3).abs() - 1).clamp(0, 1)


def tile(images: Tensor, columns: int, padding: int = 2) -> Tensor:
    """Lays images (n, c, h, w) out row by row on a white sheet (c, H, W) of the same dtype.

    White is 255 for uint8 and 1 for floats; padding is in pixels, between images and around the sheet.
    """
    white = 255 if images.dtype == torch.uint8 else 1
    n, c, h, w = images.shape
    rows = -(-n // columns)
    cells = images.new_full((rows * columns, c, h + padding, w + padding), white)
    cells[:n, :, :h, :w] = images
    grid = cells.view(rows, columns, c, h + padding, w + padding).permute(2, 0, 3, 1, 4)
    sheet = grid.reshape(c, rows * (h + padding), columns * (w + padding))
    return F.pad(sheet, (padding, 0, padding, 0), value=white)


def save_png(image: UInt8[Tensor, "c h w"], path: str | Path) -> None:
    """Writes one image of 1 (grey) or 3 (RGB) channels as PNG; missing folders are made."""
    from PIL import Image

    pixels = image.cpu().permute(1, 2, 0).numpy()
    with replacing(Path(path)) as aside:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(aside, format="PNG")

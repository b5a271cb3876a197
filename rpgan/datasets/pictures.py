"""Pillow images as arrays: the one crop and resize, and torchvision datasets decoded on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def fit(picture: Any, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Returns a Pillow image as uint8 (c, h, w): the largest centre crop, resized bicubically unless it fits.

    Colour becomes grey, or grey colour, as the channels ask; transparency is dropped.
    """
    from PIL import Image, ImageOps

    channels, height, width = image_shape
    converted = picture.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(converted, (width, height), Image.Resampling.BICUBIC))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


@dataclass(frozen=True)
class Pictures:
    """A dataset of torchvision's, without its labels: one class."""

    source: Any  # source[i] -> (Pillow image, target)
    image_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    provenance: str

    def __len__(self) -> int:
        return len(self.source)

    def all_labels(self) -> Tensor:
        return torch.zeros(len(self.source), dtype=torch.int64)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images = np.stack([fit(self.source[int(i)][0], self.image_shape) for i in indices])
        return torch.from_numpy(images), torch.zeros(len(indices), dtype=torch.int64)

"""Coloured MNIST: every digit in one random hue on black (section 4.2 of the paper, figure 8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rpgan.config import DataConfig
from rpgan.datasets.memory import ImageDataset
from rpgan.errors import UserError
from rpgan.images import hue_to_rgb

SEEDS = {"train": 0, "test": 1}


@dataclass(frozen=True)
class ColoredDigits:
    """Grey digits, each multiplied with one fully saturated hue."""

    digits: ImageDataset  # of one channel
    hues: Tensor  # float32 (n,), in turns
    provenance: str

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.digits.class_names

    def all_labels(self) -> Tensor:
        return self.digits.all_labels()

    def __len__(self) -> int:
        return len(self.digits)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        grey, labels = self.digits.__getitems__(indices)
        colors = hue_to_rgb(self.hues[torch.as_tensor(indices, dtype=torch.int64)])
        return (grey * colors[..., None, None]).round().to(torch.uint8), labels


def load_colored(
    load_digits: Callable[[DataConfig, tuple[int, ...], str], ImageDataset],
    data: DataConfig,
    image_shape: tuple[int, ...],
    split: str,
) -> ColoredDigits:
    """Loads digits and draws a uniform hue for each, which depends on its index and split alone.

    Raises UserError for an image shape without three channels, and as `load_digits` does.
    """
    if image_shape[0] != 3:
        raise UserError(f"image_shape = {image_shape} for coloured digits; expected 3 channels")
    digits = load_digits(data, (1, *image_shape[1:]), split)
    hues = torch.rand(len(digits), generator=torch.Generator().manual_seed(SEEDS[split]))
    return ColoredDigits(digits, hues, f"{digits.provenance}, each in a random hue on black")

"""What a dataset is, and the two plain ones: images in memory, and some of another dataset's images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpgan.errors import UserError


@runtime_checkable
class ImageDataset(Protocol):
    """Images by index, a batch at a time."""

    @property
    def provenance(self) -> str:
        """Source, encoding and number of images, as a card quotes them."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, or of each factor where an image has several labels."""

    def all_labels(self) -> Tensor:
        """Returns the labels of all images, without decoding any: int64, (n,) or (n, k)."""

    def __len__(self) -> int: ...

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Returns images, uint8 (n, c, h, w), and their labels, int64 (n,) or (n, k)."""


@dataclass(frozen=True)
class MemoryImages:
    """Images in one array, which may be mapped from a file."""

    images: NDArray[np.uint8]  # (n, c, h, w)
    labels: Tensor  # int64, (n,) or (n, k)
    class_names: tuple[str, ...]
    provenance: str

    def __len__(self) -> int:
        return len(self.images)

    def all_labels(self) -> Tensor:
        return self.labels

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = np.asarray(indices, dtype=np.int64)
        return torch.from_numpy(np.asarray(self.images[chosen])), self.labels[torch.from_numpy(chosen)]


@dataclass(frozen=True)
class Subset:
    """Some images of another dataset, under their own labels."""

    whole: ImageDataset
    indices: Tensor  # int64 (n,), into the whole
    provenance: str

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.whole.class_names

    def all_labels(self) -> Tensor:
        return self.whole.all_labels()[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.whole.__getitems__(self.indices[torch.as_tensor(indices, dtype=torch.int64)].tolist())


def keep_classes(dataset: ImageDataset, classes: Sequence[int]) -> Subset:
    """Keeps the images with one of the labels, which stay as they are.

    Raises UserError for labels the dataset does not have, and where an image has several labels.
    """
    labels = dataset.all_labels()
    if labels.ndim != 1:
        got = f"classes = {tuple(classes)} of a dataset with {labels.shape[1]} labels an image"
        raise UserError(f"{got}; expected (), which keeps all")
    unknown = sorted(set(classes) - set(range(len(dataset.class_names))))
    if unknown:
        raise UserError(f"classes has {unknown}; expected labels from 0 to {len(dataset.class_names) - 1}")
    kept = torch.isin(labels, torch.tensor(classes)).nonzero().flatten()
    listed = ", ".join(map(str, classes))
    return Subset(dataset, kept, f"{dataset.provenance}; of these {len(kept):,} with label {listed}")

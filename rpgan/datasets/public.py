"""Public image sets by name: a folder or zip under the data root, else torchvision's download."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from rpgan.config import DataConfig
from rpgan.datasets.memory import ImageDataset, MemoryImages
from rpgan.download import data_root
from rpgan.errors import UserError


@dataclass(frozen=True)
class PublicSet:
    """What a set is called, how large it is, and where it comes from."""

    title: str
    folder: str  # below the data root; or a zip of this name
    images: int  # of the training split
    source: str
    download: Callable[[tuple[int, ...], str], ImageDataset] | None = None


def load_public(
    public: PublicSet,
    load_folder: Callable[[DataConfig, tuple[int, ...], str], ImageDataset],
    data: DataConfig,
    image_shape: tuple[int, ...],
    split: str,
) -> ImageDataset:
    """Loads a set from `<root>/NAME` or `<root>/NAME.zip`, or downloads it where that is possible.

    Raises UserError that says where to get it and where to put it.
    """
    for path in (data_root() / public.folder, data_root() / f"{public.folder}.zip"):
        if path.exists():
            return load_folder(replace(data, path=str(path.absolute())), image_shape, split)
    if public.download:
        return public.download(image_shape, split)
    raise UserError(
        f"{public.title} is not there; expected about {public.images:,} images in "
        f"{data_root() / public.folder} (or .zip); get them from {public.source}"
    )


def download_cifar10(image_shape: tuple[int, ...], split: str) -> MemoryImages:
    """Loads CIFAR-10 from torchvision's folder under `<root>/raw`, downloading it there.

    Raises UserError for another image shape, and when it cannot be had.
    """
    from torchvision.datasets import CIFAR10

    if image_shape != (3, 32, 32):
        raise UserError(f"image_shape = {image_shape} for torchvision's CIFAR-10; expected (3, 32, 32)")
    try:
        images = CIFAR10(str(data_root() / "raw"), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download CIFAR-10 ({error}); put cifar-10-batches-py into {data_root() / 'raw'}, "
            f"or images as train/CLASS/NAME.png and test/CLASS/NAME.png into {data_root() / 'cifar10'}"
        ) from error
    return MemoryImages(
        np.ascontiguousarray(images.data.transpose(0, 3, 1, 2)),
        torch.tensor(images.targets),
        tuple(images.classes),
        f"CIFAR-10 from torchvision, {split} split: {len(images):,} images",
    )


PUBLIC = {
    "cifar10": PublicSet(
        "CIFAR-10", "cifar10", 50_000, "https://www.cs.toronto.edu/~kriz/cifar.html", download_cifar10
    ),
    "anime-faces": PublicSet(
        "Anime Faces", "anime-faces", 21_551, "https://www.kaggle.com/datasets/soumikrakshit/anime-faces"
    ),
    "celeba": PublicSet(
        "CelebA (aligned, 178×218)", "celeba", 202_599, "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    ),
    "lsun-bedroom": PublicSet(
        "LSUN bedroom (exported as images)", "lsun-bedroom", 3_033_042, "https://github.com/fyu/lsun"
    ),
}

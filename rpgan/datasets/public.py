"""Public image sets by name: a folder or zip under the data root, else torchvision's download."""

from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import numpy as np
import torch

from rpgan.config import DataConfig
from rpgan.datasets.memory import ImageDataset, MemoryImages
from rpgan.datasets.pictures import Pictures
from rpgan.errors import UserError
from rpgan.places import data_root


@dataclass(frozen=True)
class PublicSet:
    """What a set is called, how large it is, and where it comes from."""

    title: str
    folder: str  # below the data root; or a zip of this name
    images: int  # of the training split; of CelebA and Anime Faces, of all
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


def download_celeba(image_shape: tuple[int, ...], split: str) -> Pictures:
    """Loads CelebA from torchvision's folder under `<root>/raw`, downloading it there (aligned, 178×218).

    Raises UserError, with what to fetch by hand, where the download fails.
    """
    from torchvision.datasets import CelebA

    try:
        source = CelebA(str(data_root() / "raw"), split=split, download=True)
    except (OSError, RuntimeError, ImportError) as error:
        raise UserError(
            f"cannot download CelebA ({error}); expected its images in {data_root() / 'celeba'} (or .zip): "
            f"get img_align_celeba.zip from {PUBLIC['celeba'].source}, or install gdown"
        ) from error
    return Pictures(source, image_shape, ("face",), _from_torchvision("CelebA", split, len(source)))


def read_lsun(image_shape: tuple[int, ...], split: str) -> Pictures:
    """Loads LSUN bedroom from LMDB folders under `<root>/raw/lsun`, which torchvision reads but cannot fetch.

    The published validation set serves as the test split. Raises UserError where the folder is not there.
    """
    from torchvision.datasets import LSUN

    root = (data_root() / "raw" / "lsun").absolute()
    name = {"train": "bedroom_train", "test": "bedroom_val"}[split]
    try:
        # torchvision keeps its list of keys in the current directory; one that is there may be cut off.
        with TemporaryDirectory() as empty, chdir(empty):
            source = LSUN(str(root), classes=[name])
    except Exception as error:  # those of lmdb share no other base
        raise UserError(
            f"cannot read LSUN bedroom ({error or type(error).__name__}); expected the folder {name}_lmdb in "
            f"{root}, from {PUBLIC['lsun-bedroom'].source}, and the package lmdb; or images in "
            f"{data_root() / 'lsun-bedroom'}"
        ) from error
    provenance = _from_torchvision("LSUN bedroom", split, len(source))
    return Pictures(source, image_shape, ("bedroom",), provenance)


def _from_torchvision(title: str, split: str, n: int) -> str:
    return f"{title} from torchvision, {split} split: {n:,} images, centre-cropped and resized"


PUBLIC = {
    "cifar10": PublicSet(
        "CIFAR-10", "cifar10", 50_000, "https://www.cs.toronto.edu/~kriz/cifar.html", download_cifar10
    ),
    "anime-faces": PublicSet(
        "Anime Faces", "anime-faces", 21_551, "https://www.kaggle.com/datasets/soumikrakshit/anime-faces"
    ),
    "celeba": PublicSet(
        "CelebA (aligned, 178×218)",
        "celeba",
        202_599,
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        download_celeba,
    ),
    "lsun-bedroom": PublicSet(
        "LSUN bedroom", "lsun-bedroom", 3_033_042, "https://github.com/fyu/lsun", read_lsun
    ),
}

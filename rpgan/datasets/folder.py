"""A user's own images: a folder or a zip, with optional train/ and test/, sub-folders being classes.

Without train/ and test/ every 20th image, in the order of the names, is held out as the test split.
"""

import errno
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpgan.config import DataConfig
from rpgan.datasets.archive import Entry, Files, open_files
from rpgan.datasets.memory import ImageDataset, MemoryImages
from rpgan.datasets.pictures import fit
from rpgan.errors import UserError
from rpgan.files import replacing
from rpgan.places import data_root

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# Whatever a file is called: others of Pillow's formats start programs, as EPS does.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
DECODER = 1  # of what is cached: another way to decode or to crop takes the next number
IN_MEMORY = 2 * 2**30  # bytes, decoded, up to which a set is decoded once
MOST_PIXELS = 80_000_000  # of one image
SPLITS = ("train", "test")
HELD_OUT = 20  # one image in so many
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


@dataclass(frozen=True)
class FolderImages:
    """Images decoded each time they are asked for."""

    files: Files
    names: tuple[str, ...]
    image_shape: tuple[int, ...]
    labels: Tensor  # int64 (n,)
    class_names: tuple[str, ...]
    provenance: str

    def __len__(self) -> int:
        return len(self.names)

    def all_labels(self) -> Tensor:
        return self.labels

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images = self.decoded([self.names[i] for i in indices])
        return torch.from_numpy(images), self.labels[torch.as_tensor(indices, dtype=torch.int64)]

    def decoded(self, names: Sequence[str]) -> NDArray[np.uint8]:
        """Returns the images of these names, uint8 (n, c, h, w)."""
        images = np.empty((len(names), *self.image_shape), np.uint8)
        for row, name in enumerate(names):
            images[row] = decode(self.files, name, self.image_shape)
        return images


def load_folder(data: DataConfig, image_shape: tuple[int, ...], split: str) -> ImageDataset:
    """Loads data.path, looked up in the current directory and then in the data root.

    Images are cropped around their centre and resized to image_shape. What fits is decoded once into a
    cache under `<root>/raw/cache`. Raises UserError for a path, a layout or an image that cannot be read.
    """
    files = open_files(resolve(data.path))
    images, chosen, part = select(files, split)  # classes count over both splits
    class_names, labels = _classes(images, chosen, files.path)
    entries = [images[i] for i in chosen]
    names = tuple(e.name for e in entries)
    provenance = f"{data.name} from {files.path.name}, {part}: {len(names):,} images{_encoding(names)}"
    decoded = FolderImages(files, names, image_shape, labels, class_names, provenance)
    if len(entries) * int(np.prod(image_shape)) > IN_MEMORY:
        return decoded
    return MemoryImages(_cached(decoded, entries), labels, class_names, provenance)


def resolve(path: str) -> Path:
    """Returns the path as given where it exists, else below the data root; raises UserError for none."""
    if not path:
        raise UserError("data.path is empty; expected a folder or a .zip of images: --set data.path=PATH")
    given = Path(path).expanduser()
    return given if given.exists() else data_root() / given


def select(files: Files, split: str) -> tuple[list[Entry], list[int], str]:
    """Returns the images whose classes count, the numbers of those in the split, and what the split is.

    Folders train/ and test/ at the top are the splits; without them every 20th image is held out. Raises
    UserError for a path without images, or without any in this split.
    """
    images = _images(files)
    _check_top([PurePosixPath(e.name).parts for e in images], files.path)
    if any(e.name.startswith(tuple(f"{name}/" for name in SPLITS)) for e in images):
        inside = [e for e in images if e.name.startswith(tuple(f"{name}/" for name in SPLITS))]
        chosen = [i for i, e in enumerate(inside) if e.name.startswith(f"{split}/")]
        if not chosen:
            raise UserError(
                f"{files.path} has no {split} split; expected a folder {split}/ of images at its top"
            )
        return inside, chosen, f"{split} split"
    held_out = range(HELD_OUT - 1, len(images), HELD_OUT)
    if split == "test" and not held_out:
        raise UserError(
            f"{files.path} has {len(images)} images and no test split; expected at least {HELD_OUT}, "
            f"of which every {HELD_OUT}th is held out, or folders train/ and test/ at its top"
        )
    if split == "test":
        return images, list(held_out), f"test split (every {HELD_OUT}th image)"
    kept = [i for i in range(len(images)) if i not in held_out]
    return images, kept, f"train split (without every {HELD_OUT}th image)"


def _images(files: Files) -> list[Entry]:
    entries = files.entries()
    images = [e for e in entries if e.name.lower().endswith(SUFFIXES)]
    if not images:
        others = sorted({PurePosixPath(e.name).suffix or PurePosixPath(e.name).name for e in entries})
        got = f"has only {', '.join(others[:5])} files" if others else "is empty"
        raise UserError(f"{files.path} {got}; expected images: {', '.join(SUFFIXES)}")
    return images


def _check_top(names: Sequence[tuple[str, ...]], path: Path) -> None:
    # As `zip -r set.zip set` makes it: its one class would hold both splits.
    tops, below = {parts[0] for parts in names}, {parts[1] for parts in names if len(parts) > 2}
    found = [split for split in SPLITS if split in below]
    if len(tops) == 1 and found and not tops & set(SPLITS):
        raise UserError(
            f"{path} has {' and '.join(found)} inside {tops.pop()}/; expected them at its top: take that "
            "folder, or zip what is in it"
        )


def decode(files: Files, name: str, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Decodes one image as (c, h, w): the largest centre crop, resized bicubically unless it fits.

    It is turned upright and transparency is dropped. Raises UserError for one that is broken or too large.
    """
    from PIL import Image, ImageOps

    content = files.read(name)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_pixels(image.size, f"{name} in {files.path}")
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16-bit levels at 255
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return fit(upright, image_shape)
    except UserError:
        raise
    except Exception as error:  # Pillow names none, and broken metadata raise struct.error, KeyError, …
        raise UserError(f"cannot decode {name} in {files.path} ({error}); mend or remove it") from error


def _check_pixels(size: tuple[int, int], what: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise UserError(f"{what} has {size[0]}×{size[1]} pixels; expected at most {MOST_PIXELS:,}; shrink it")


def _classes(images: Sequence[Entry], chosen: Sequence[int], path: Path) -> tuple[tuple[str, ...], Tensor]:
    """Names of all classes, sorted, and the class of each chosen image; a flat folder is one class."""
    in_splits = images[0].name.startswith(tuple(f"{name}/" for name in SPLITS))
    names = [e.name.partition("/")[2] if in_splits else e.name for e in images]
    folders = [name.partition("/")[0] if "/" in name else "" for name in names]
    classes = sorted(set(folders))
    if "" in classes and len(classes) > 1:
        stray = names[folders.index("")]
        raise UserError(f"{path} has images in sub-folders and beside them ({stray}); expected either")
    numbers = {name: i for i, name in enumerate(classes)}
    return tuple(name or "images" for name in classes), torch.tensor([numbers[folders[i]] for i in chosen])


def _encoding(names: Sequence[str]) -> str:
    jpegs = sum(name.lower().endswith((".jpg", ".jpeg")) for name in names)
    return {0: "", len(names): ", JPEG-encoded"}.get(jpegs, f", {jpegs:,} of them JPEG-encoded")


def _cached(decoded: FolderImages, entries: Sequence[Entry]) -> NDArray[np.uint8]:
    """Returns all images, mapped from the cache of these files and this shape, which is made if need be.

    Where no cache can be kept, in a data root that is read-only, they are decoded into memory.
    """
    listing = [[e.name, e.size, e.stamp] for e in entries]
    key = hashlib.sha256(json.dumps([DECODER, listing, decoded.image_shape]).encode()).hexdigest()[:32]
    target = data_root() / "raw" / "cache" / f"{key}.npy"
    if not target.exists():
        try:
            with replacing(target) as aside:
                _write(decoded, aside)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            return decoded.decoded(decoded.names)
    images: NDArray[np.uint8] = np.load(target, mmap_mode="r")
    return images


def _write(decoded: FolderImages, path: Path) -> None:
    # Not through a memory map: on a full disk that ends the process by a signal instead of an error.
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(decoded), *decoded.image_shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for name in decoded.names:
            file.write(decode(decoded.files, name, decoded.image_shape).tobytes())

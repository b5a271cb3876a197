"""Further classes learned by new instances alone, and what becomes of the old ones (section 4.4)."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan.checkpoint import load_classifier
from rpgan.config import DataConfig, GanConfig
from rpgan.images import to_uint8
from rpgan.metrics.features import Extractor, load_extractor
from rpgan.metrics.frechet import Moments, distance_ratio, frechet_distance
from rpgan.metrics.shares import class_shares, share
from rpgan.models.extend import Difference, new_path_share, path_kinds
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.references import find_reference
from rpgan.results import Result

OLD, NEW = (0, 1, 2, 3, 4, 5, 6), (7, 8, 9)  # digits of the first stage, and those that come in the second
STAGES = {  # what the chapter compares → experiment
    "first stage": "mnist-stage-one",
    "extended": "mnist-incremental",
    "fine-tuned": "mnist-fine-tuned",
    "from scratch": "mnist-from-scratch",
}


def plan(configs: Mapping[str, GanConfig]) -> dict[str, dict[str, str | int]]:
    """What each training begins with, trains and costs, from its settings."""
    return {
        name: {
            "buckets": "·".join(map(str, c.generator.bucket_sizes)),
            "begins as": c.train.initial or "random weights",
            "trains": ", ".join(c.train.trainable) or "everything",
            "statistics": "frozen" if c.train.frozen_norm else "moving",
            "steps": c.train.steps,
            "images made": c.train.steps * (c.train.d_steps + 1) * c.train.batch_size,
        }
        for name, c in configs.items()
    }


@dataclass(frozen=True)
class Seen:
    """Images and what a classifier takes them for."""

    images: UInt8[Tensor, "n c h w"]
    features: Float[Tensor, "n d"]
    labels: Int64[Tensor, " n"]

    def distance(self, real: Moments) -> float:
        """Fréchet distance to real images in the classifier's features."""
        return frechet_distance(real, Moments(self.features))

    def over(self, other: "Seen", real: Moments) -> Result:
        """That distance over another's."""
        own, others = Moments.grouped(self.features), Moments.grouped(other.features)
        ratio, interval = distance_ratio(own, others, real)
        return Result(ratio, len(self.images), "", interval)

    def share(self, classes: Sequence[int]) -> Result:
        """Share of the images in these classes."""
        return share(torch.isin(self.labels, torch.tensor(list(classes))))


@dataclass(frozen=True)
class DigitReader:
    """A classifier that reads images, or what a generator makes along paths."""

    extractor: Extractor  # its last hidden layer
    head: nn.Linear  # what is left of it, on the CPU

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.head.out_features

    @torch.no_grad()
    def read(self, images: UInt8[Tensor, "n c h w"]) -> Seen:
        """Looks at images."""
        features = self.extractor(images)
        return Seen(images, features, self.head(features).argmax(1))

    def along(self, generator: RandomPathGenerator, routes: Int64[Tensor, "n n_buckets"]) -> Seen:
        """Looks at what a generator makes along paths."""
        return self.read(to_uint8(render(generator, routes)))


def load_reader(name: str = "mnist-cnn", device: str = "cpu") -> DigitReader:
    """Loads one of this project's classifiers as a reader."""
    return DigitReader(load_extractor(name, device), load_classifier(name).head)


@dataclass(frozen=True)
class Comparison:
    """What four generators show: of the first stage, and of three ways to go on from there."""

    routes: Tensor  # int64 (n, n_buckets), old paths
    uniform: dict[str, Seen]  # first stage, extended, fine-tuned, from scratch: uniform paths
    kinds: dict[str, Seen]  # the extended generator, by kind of path
    old: dict[str, Seen]  # first stage, extended, fine-tuned: those old paths

    def shares(self) -> dict[str, list[float]]:
        """Share of every digit, for all generators and then for all kinds of path."""
        rows = self.uniform | {f"extended: {name}": seen for name, seen in self.kinds.items()}
        return {name: class_shares(seen.labels, len(OLD + NEW)) for name, seen in rows.items()}

    def old_images_identical(self) -> bool:
        """Whether the extended generator gives the first stage's images along old paths, bit for bit."""
        return torch.equal(self.old["first stage"].images, self.old["extended"].images)

    def old_digits_kept(self) -> bool:
        """Whether each old digit is at least half as frequent in the extended generator as before."""
        shares = self.shares()
        return all(shares["extended"][d] >= shares["first stage"][d] / 2 for d in OLD)

    def distances(self, real: Mapping[str, Moments]) -> dict[str, dict[str, float]]:
        """Fréchet distances to sets of real images, also of the old paths alone."""
        rows = self.uniform | {f"{n}: old paths": self.old[n] for n in ("extended", "fine-tuned")}
        return {
            to: {name: seen.distance(moments) for name, seen in rows.items()} for to, moments in real.items()
        }


def compare(
    generators: Mapping[str, RandomPathGenerator], reader: DigitReader, n: int, rng: torch.Generator
) -> Comparison:
    """Looks along n paths of every kind at the generators that `Comparison` names."""
    first, extended = generators["first stage"], generators["extended"]
    routes = first.sample_paths(n, rng)
    return Comparison(
        routes,
        {name: reader.along(g, g.sample_paths(n, rng)) for name, g in generators.items()},
        {
            name: reader.along(extended, extended.sample_paths(n, rng, allowed))
            for name, allowed in path_kinds(first.bucket_sizes, extended.bucket_sizes).items()
        },
        {name: reader.along(g, routes) for name, g in generators.items() if name != "from scratch"},
    )


def real_digits(
    data: str, image_shape: tuple[int, ...], n: int, seed: int, extractor: Extractor
) -> dict[str, Moments]:
    """Moments of real digits, all ten and the first seven; see `find_reference` for what serves as real."""
    sets = {"digits 0–9": DataConfig(data), "digits 0–6": DataConfig(data, classes=OLD)}
    return {
        name: find_reference(which, image_shape, n, seed, {extractor.name: extractor}).moments[extractor.name]
        for name, which in sets.items()
    }


@torch.no_grad()
def with_moving_statistics(
    generator: RandomPathGenerator, n_batches: int, batch_size: int, rng: torch.Generator
) -> RandomPathGenerator:
    """A copy with the same weights whose normalisation has seen batches of random paths, as in training."""
    moved = deepcopy(generator).train()
    for _ in range(n_batches):
        moved(moved.sample_paths(batch_size, rng))
    return moved.eval()


@dataclass(frozen=True)
class Drift:
    """How far images are from what they were."""

    levels: float  # mean absolute difference of pixels, of 255
    kept: Result  # share that is read as the same class


def drift(before: Seen, after: Seen) -> Drift:
    """Compares images in pairs."""
    levels = float((after.images.double() - before.images.double()).abs().mean())
    return Drift(levels, share(after.labels == before.labels))


def results(
    sizes: tuple[Sequence[int], Sequence[int]],
    changed: Difference,
    seen: Comparison,
    real: Moments,
    moved: Drift,
) -> dict[str, Result]:
    """What the ledger needs: sizes of the buckets before and after, and distances to real digits, all ten."""
    n, extended = len(seen.routes), seen.uniform["extended"]
    new = {name: along.share(NEW) for name, along in seen.uniform.items()}
    each = [extended.share([digit]) for digit in NEW]
    return {
        "bucket_sizes": Result([size for stage in sizes for size in stage if size > 1]),
        "trained_instances": Result(len(changed.instances)),
        "old_images_identical": Result(seen.old_images_identical()),
        "old_digits_kept": Result(seen.old_digits_kept()),
        "new_path_share": Result(new_path_share(*sizes)),
        "new_digit_share": new["extended"],
        "new_digit_shares": Result([share.value for share in each], n),
        "new_digit_least_share": min(each, key=lambda share: float(share.value)),
        "new_digit_share_by_path": Result([along.share(NEW).value for along in seen.kinds.values()]),
        "new_digit_share_fine_tuned": new["fine-tuned"],
        "new_digit_share_from_scratch": new["from scratch"],
        "new_digit_share_first_stage": new["first stage"],
        "fine_tuned_kept": drift(seen.old["first stage"], seen.old["fine-tuned"]).kept,
        "distance_over_scratch": extended.over(seen.uniform["from scratch"], real),
        "distance_over_fine_tuned": extended.over(seen.uniform["fine-tuned"], real),
        "moving_statistics_levels": Result(moved.levels, n, "levels of 255"),
        "moving_statistics_kept": moved.kept,
    }


def conclusion(found: Mapping[str, Result]) -> str:
    """Says what was found, from `results`."""
    value = {key: result.value for key, result in found.items()}
    low, high = found["new_digit_share"].interval or (0, 1)
    return (
        f"A uniform path takes a new instance with probability {value['new_path_share']:.0%}, and "
        f"{value['new_digit_share']:.0%} (95 % interval {low:.1%} to {high:.1%}) of the extended generator's "
        f"images are read as 7, 8 or 9; three in ten would be their due. Old paths are the first stage, "
        f"exactly; {value['new_digit_share_first_stage']:.1%} of its images are misread as new digits. After "
        f"fine-tuning, {value['fine_tuned_kept']:.0%} of the same paths are read as the digit that they "
        f"showed before, and {value['new_digit_share_fine_tuned']:.0%} of all images are new digits. "
        f"The extended generator's distance to all digits is {value['distance_over_fine_tuned']:.2f} times "
        f"the fine-tuned one's and {value['distance_over_scratch']:.2f} times that of the one from scratch."
    )

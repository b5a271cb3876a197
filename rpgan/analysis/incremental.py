"""Further classes learned by new instances alone, and what becomes of the old ones (section 4.4)."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain, combinations
from math import prod

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan import paths as path
from rpgan.checkpoint import load_classifier
from rpgan.config import DataConfig, GanConfig
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics.features import Extractor, load_extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.metrics.shares import class_shares, share
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.references import find_reference
from rpgan.results import Result

OLD, NEW = (0, 1, 2, 3, 4, 5, 6), (7, 8, 9)  # digits of the first stage, and those that come in the second


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
        return frechet_distance(Moments(self.features), real)

    def share(self, classes: Sequence[int]) -> Result:
        """Share of the images in these classes."""
        return share(torch.isin(self.labels, torch.tensor(list(classes))))


@dataclass(frozen=True)
class Reader:
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


def load_reader(name: str = "mnist-cnn", device: str = "cpu") -> Reader:
    """Loads one of this project's classifiers as a reader."""
    return Reader(load_extractor(name, device), load_classifier(name).head)


def grown(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Buckets that have more instances than before; UserError where none has, or one has fewer."""
    larger = [b for b, (m, k) in enumerate(zip(before, after, strict=False)) if k > m]
    if len(before) != len(after) or any(k < m for m, k in zip(before, after, strict=True)) or not larger:
        got = f"buckets of {tuple(after)} after {tuple(before)}"
        raise UserError(f"{got}; expected as many buckets, some of them larger and none smaller")
    return larger


def path_kinds(before: Sequence[int], after: Sequence[int]) -> dict[str, dict[int, range]]:
    """What `sample_paths` may draw for old paths, and for those with new instances in some larger buckets."""
    larger = grown(before, after)
    every = chain.from_iterable(combinations(larger, k) for k in range(len(larger) + 1))
    kinds = {}
    for new in every:
        names = " and ".join(str(b + 1) for b in new)
        kinds[f"new in {names}" if new else "old paths"] = {
            b: range(before[b], after[b]) if b in new else range(before[b]) for b in larger
        }
    return kinds


def new_path_share(before: Sequence[int], after: Sequence[int]) -> float:
    """Probability that a uniform path takes a new instance: 1 − ∏ m/m′ (specification, point 7)."""
    return 1 - prod(m / k for m, k in zip(before, after, strict=True))


@dataclass(frozen=True)
class Difference:
    """In what a generator differs from the one it started as."""

    instances: tuple[tuple[int, int], ...]  # bucket and instance, new or changed
    shared: tuple[str, ...]  # names of changed weights and statistics outside the buckets


def difference(before: RandomPathGenerator, after: RandomPathGenerator) -> Difference:
    """Compares all weights and statistics bit by bit; an instance that `before` has not counts as changed."""
    old, new = before.state_dict(), after.state_dict()
    changed = [name for name, v in new.items() if name not in old or not torch.equal(old[name], v)]
    parts = [name.split(".") for name in changed if ".instances." in name]
    instances = sorted({(int(bucket), int(instance)) for _, bucket, _, instance, *_ in parts})
    return Difference(tuple(instances), tuple(name for name in changed if ".instances." not in name))


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
    generators: Mapping[str, RandomPathGenerator], reader: Reader, n: int, rng: torch.Generator
) -> Comparison:
    """Looks along n paths of every kind at the generators that `Comparison` names."""
    first, extended = generators["first stage"], generators["extended"]
    kinds = path_kinds(first.bucket_sizes, extended.bucket_sizes)
    routes = first.sample_paths(n, rng)
    return Comparison(
        routes,
        {name: reader.along(g, g.sample_paths(n, rng)) for name, g in generators.items()},
        {
            name: reader.along(extended, extended.sample_paths(n, rng, allowed))
            for name, allowed in kinds.items()
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
    """A copy whose normalisation has seen batches of random paths, as it does where it is not frozen.

    No weight changes; what moves are running means and variances, with the momentum of training.
    """
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


@dataclass(frozen=True)
class ClassMap:
    """What pairs of instances of the first two buckets show, along several random remainders."""

    labels: Int64[Tensor, "m1 m2"]  # most frequent class
    agreement: Float[Tensor, "m1 m2"]  # share of the remainders that show it


def class_map(
    generator: RandomPathGenerator, reader: Reader, n_routes: int, rng: torch.Generator
) -> ClassMap:
    """Reads every pair of instances of the first two buckets along the same random remainders."""
    first, second, *_ = generator.bucket_sizes
    pairs = path.enumerate_all((first, second))
    routes = generator.sample_paths(n_routes, rng)
    every = torch.cat([torch.cat([pairs, rest[2:].expand(len(pairs), -1)], dim=1) for rest in routes])
    votes = reader.along(generator, every).labels.view(n_routes, -1)
    counts = torch.nn.functional.one_hot(votes, reader.n_classes).sum(0)
    most, labels = counts.max(1)
    return ClassMap(labels.view(first, second), (most / n_routes).view(first, second))

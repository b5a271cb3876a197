"""The path behind an image: how well it is recovered, and what it makes (appendix B)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan.config import GanConfig
from rpgan.datasets import load_dataset
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.intervals import central_interval, count_orders, resampled_sums
from rpgan.metrics.features import load_extractor
from rpgan.metrics.tone import pixel_change
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.inverter import Inverter, most_probable, read
from rpgan.references import STAND_INS
from rpgan.results import Result

Measure = Callable[[Tensor, Tensor], Tensor]  # uint8 (n, c, h, w), the same -> distances (n,)
PIXELS = "pixels (RMS)"


@dataclass(frozen=True)
class Recovery:
    """How often the instances of one bucket are recovered."""

    accuracy: float
    interval: tuple[float, float]  # Wilson's, 95 %
    chance: float  # 1 / m_l
    within: dict[int, float]  # k → share of images whose instance is among the k most probable
    confusion: Tensor  # float64 (m_l, m_l): share of the images of each instance (row) read as each other
    n: int


def recoveries(
    readings: Sequence[Tensor], routes: Int64[Tensor, "n n_buckets"], ks: Sequence[int] = (1, 3, 5)
) -> dict[int, Recovery]:
    """Compares log-probabilities (n, m_l) of every bucket with the paths that made the images (Table 5).

    A bucket of one instance has no entry: there is nothing to recover.
    """
    return {b: _recovery(r, routes[:, b], ks) for b, r in enumerate(readings) if r.shape[1] > 1}


def _recovery(reading: Tensor, truth: Tensor, ks: Sequence[int]) -> Recovery:
    from scipy.stats import binomtest

    n, size = reading.shape
    order = reading.argsort(dim=1, descending=True, stable=True)
    hits = order == truth[:, None]
    right = int(hits[:, 0].sum())
    interval = binomtest(right, n).proportion_ci(0.95, method="wilson")
    counts = torch.bincount(truth * size + order[:, 0], minlength=size * size).view(size, size).double()
    return Recovery(
        accuracy=right / n,
        interval=(float(interval.low), float(interval.high)),
        chance=1 / size,
        within={k: float(hits[:, :k].any(1).double().mean()) for k in ks},
        confusion=counts / counts.sum(1, keepdim=True).clamp(min=1),
        n=n,
    )


def hardest_later(found: Mapping[int, Recovery]) -> Recovery:
    """The one of least accuracy behind the first two buckets, which the paper calls hard (appendix B).

    Raises UserError where no later bucket has several instances.
    """
    later = [recovery for bucket, recovery in found.items() if bucket > 1]
    if not later:
        raise UserError(f"buckets {list(found)} have several instances; expected one behind the first two")
    return min(later, key=lambda recovery: recovery.accuracy)


@dataclass(frozen=True)
class Examined:
    """Classifiers tried on images whose paths are known."""

    images: Tensor  # uint8 (n, c, h, w)
    found: dict[int, Recovery]  # by bucket
    whole_path: float  # share of images of which every instance is recovered
    orders: dict[str, int]  # of the accuracies, as other images would have them (`Result.orders`)


def examine(generator: RandomPathGenerator, inverter: Inverter, n: int, rng: torch.Generator) -> Examined:
    """Reads the paths off n images of random paths (Table 5)."""
    routes = generator.sample_paths(n, rng)
    images = to_uint8(render(generator, routes))
    readings = read(inverter, images)
    right, found = most_probable(readings) == routes, recoveries(readings, routes)
    orders = count_orders(resampled_sums(right[:, list(found)].double(), rng))
    return Examined(images, found, float(right.all(1).double().mean()), orders)


def rows(found: Mapping[int, Recovery], apart: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Returns a table: bucket → instances, how far apart their images lie, chance, and how they were read."""
    table: dict[str, dict[str, float]] = {}
    for bucket, r in found.items():
        low, high = r.interval
        name = f"bucket {bucket + 1}"
        known = {"instances": float(len(r.confusion)), "levels apart": apart[name], "chance": r.chance}
        known |= {"accuracy": r.accuracy, "95 % from": low, "to": high}
        most = max(r.within)
        table[name] = known | {f"in first {most}": r.within[most]}
    return table


def alike_first(confusion: Float[Tensor, "m m"]) -> Int64[Tensor, " m"]:
    """Orders instances so that those that are taken for each other stand side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    mixed = (confusion + confusion.T) / 2
    distance = (1 - mixed).fill_diagonal_(0)
    links = linkage(squareform(distance.numpy(), checks=False), "average", optimal_ordering=True)
    return torch.from_numpy(leaves_list(links).astype("int64"))


def error_measures(features: str, device: str = "cpu") -> dict[str, Measure]:
    """Error of pixels, and of features where these are others, by the name in tables."""
    if features == "pixels":
        return {PIXELS: pixel_change}
    return {PIXELS: pixel_change, features: feature_error(load_extractor(features, device))}


def feature_error(extractor: Callable[[Tensor], Tensor]) -> Measure:
    """Euclidean distance of features as a measure."""
    return lambda a, b: (extractor(a).double() - extractor(b).double()).norm(dim=1)


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means over the same images."""

    value: float
    interval: tuple[float, float]  # 95 %, images resampled
    n: int

    def result(self, note: str = "") -> Result:
        """The ratio as the ledger takes it."""
        return Result(self.value, self.n, interval=self.interval, note=note)


def ratio(over: Float[Tensor, " n"], under: Float[Tensor, " n"], rng: torch.Generator) -> Ratio:
    """Divides the mean of one error by that of another, image by image the same."""
    overs, unders = resampled_sums(torch.stack([over, under], dim=-1), rng).unbind(-1)
    low, high = central_interval(overs / unders)
    return Ratio(float(over.mean() / under.mean()), (float(low), float(high)), len(over))


def gains(
    errors: Float[Tensor, " n"], listed: Float[Tensor, "n budget"], rng: torch.Generator
) -> dict[str, Ratio]:
    """Divides errors of a search by those of the first path that classifiers propose, and of all of them."""
    return {
        "search_over_classifiers": ratio(errors, listed[:, 0], rng),
        "search_over_list": ratio(errors, listed[:, -1], rng),
    }


def over_random(
    generator: RandomPathGenerator,
    images: UInt8[Tensor, "n c h w"],
    routes: Int64[Tensor, "n n_buckets"],
    measures: Mapping[str, Measure],
    repeats: int,
    rng: torch.Generator,
) -> dict[str, Ratio]:
    """Divides the error of the images' own paths by that of random ones, `repeats` for each; by measure.

    1 means that the paths say nothing of the images, 0 that they make them exactly.
    """
    made = to_uint8(render(generator, routes))
    random = draw(generator, len(images) * repeats, rng)
    repeated = images.repeat_interleave(repeats, dim=0)
    ratios = {}
    for name, measure in measures.items():
        chance = measure(random, repeated).view(len(images), repeats).mean(1)
        ratios[name] = ratio(measure(made, images), chance, rng)
    return ratios


def real_images(config: GanConfig, packaged: bool, n: int, rng: torch.Generator) -> UInt8[Tensor, "n c h w"]:
    """Draws n held-out images of an experiment's data, of those that need no download where `packaged`.

    The packaged digits are from MNIST's training set, so that a generator may have learned from them.
    """
    data = config.data
    if packaged:
        data = replace(data, name=STAND_INS.get(data.name, data.name))
    dataset = load_dataset(data, config.generator.image_shape, "test")
    images, _ = dataset.__getitems__(torch.randperm(len(dataset), generator=rng)[:n].tolist())
    return images


@dataclass(frozen=True)
class Reconstruction:
    """Images of several kinds drawn again from the paths that were read off them."""

    routes: Mapping[str, Tensor]  # kind of images → int64 (n, n_buckets)
    errors: Mapping[tuple[str, str], Ratio]  # kind, measure → error over that of random paths

    def rows(self) -> dict[tuple[str, str], dict[str, float]]:
        """Returns a table: kind and measure → error over that of random paths, with its interval."""
        return {
            key: {"over random": r.value, "95 % from": r.interval[0], "to": r.interval[1]}
            for key, r in self.errors.items()
        }


def reconstruct(
    generator: RandomPathGenerator,
    inverter: Inverter,
    images: Mapping[str, Tensor],
    measures: Mapping[str, Measure],
    rng: torch.Generator,
    repeats: int = 4,
) -> Reconstruction:
    """Reads the most probable path off every image (uint8) and draws it, beside `repeats` random paths."""
    routes = {kind: most_probable(read(inverter, some)) for kind, some in images.items()}
    errors = {
        (kind, measure): r
        for kind, some in images.items()
        for measure, r in over_random(generator, some, routes[kind], measures, repeats, rng).items()
    }
    return Reconstruction(routes, errors)


def results(
    model: str,
    tested: Examined,
    remade: Reconstruction,
    gained: Mapping[str, Ratio],
    selective: bool,
) -> dict[str, Result]:
    """What the ledger needs of a model: recovery, reconstruction, gains of searching, and of its edits."""
    later, n = hardest_later(tested.found), len(tested.images)
    over_random = remade.errors["real", PIXELS]
    return {
        "accuracy": Result([r.accuracy for r in tested.found.values()], n, note=model, orders=tested.orders),
        "accuracy_later": Result(later.accuracy, later.n, interval=later.interval, note=model),
        "whole_path": Result(tested.whole_path, n, note=model),
        "reconstruction_over_random": over_random.result(model),
        **{name: gain.result(f"{model}, descent") for name, gain in gained.items()},
        "edit_is_selective": Result(selective, over_random.n, note=model),
    }

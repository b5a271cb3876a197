"""How well the path behind an image is recovered (appendix B)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.intervals import count_orders, resampled_sums
from rpgan.metrics.shares import share, transitions
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.inverter import Inverter, most_probable, read
from rpgan.results import Result

FIRST = 5  # most probable instances, among which the right one may be


@dataclass(frozen=True)
class Recovery:
    """How often the instances of one bucket are recovered."""

    accuracy: float
    interval: tuple[float, float]  # Wilson's, 95 %
    chance: float  # 1 / m_l
    in_first: float  # share of images whose instance is among the FIRST most probable
    confusion: Tensor  # float64 (m_l, m_l): images of each instance (row) read as each, shares
    n: int


def recoveries(readings: Sequence[Tensor], routes: Int64[Tensor, "n n_buckets"]) -> dict[int, Recovery]:
    """Compares log-probabilities (n, m_l) of every bucket with the paths that made the images (Table 5).

    A bucket of one instance has no entry: there is nothing to recover.
    """
    return {b: _recovery(r, routes[:, b]) for b, r in enumerate(readings) if r.shape[1] > 1}


def _recovery(reading: Tensor, truth: Tensor) -> Recovery:
    size = reading.shape[1]
    order = reading.argsort(dim=1, descending=True, stable=True)
    hits = order == truth[:, None]
    right = share(hits[:, 0])
    assert isinstance(right.value, float) and right.interval is not None  # a share has both
    return Recovery(
        accuracy=right.value,
        interval=right.interval,
        chance=1 / size,
        in_first=float(hits[:, :FIRST].any(1).double().mean()),
        confusion=transitions(truth, order[:, 0], size).nan_to_num(0),
        n=len(reading),
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
        table[name] = known | {f"in first {FIRST}": r.in_first}
    return table


def alike_first(confusion: Float[Tensor, "m m"]) -> Int64[Tensor, " m"]:
    """Orders instances so that those that are taken for each other stand side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    mixed = (confusion + confusion.T) / 2
    distance = (1 - mixed).fill_diagonal_(0)
    links = linkage(squareform(distance.numpy(), checks=False), "average", optimal_ordering=True)
    return torch.from_numpy(leaves_list(links).astype("int64"))


def results(model: str, tested: Examined) -> dict[str, Result]:
    """What the ledger needs of the classifiers of a model."""
    later, n = hardest_later(tested.found), len(tested.images)
    return {
        "accuracy": Result([r.accuracy for r in tested.found.values()], n, note=model, orders=tested.orders),
        "accuracy_later": Result(later.accuracy, later.n, interval=later.interval, note=model),
        "whole_path": Result(tested.whole_path, n, note=model),
    }

"""How fast generators are, measured against each other in one interleaved run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rpgan import paths as path
from rpgan.intervals import central_interval
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.stacked import stacked
from rpgan.results import Result

Call = Callable[[], object]
Sampler = Callable[[Int64[Tensor, "n b"]], object]  # paths -> images, in inference mode


def per_image(generator: RandomPathGenerator) -> Sampler:
    """Sampling without shared beginnings: every image passes through all buckets, as the paper has it."""
    z = generator.latent
    assert z is not None, "a standard GAN has nothing to share"
    return lambda paths: generator(paths, z.expand(len(paths), *z.shape[1:]))


class Tabulated:
    """Sampling with the first buckets read from a table of all they can give, since Z is constant."""

    @torch.no_grad()
    def __init__(self, generator: RandomPathGenerator, depth: int) -> None:
        self.sizes = generator.bucket_sizes[:depth]
        self.rest = list(zip(generator.buckets, generator.links, strict=True))[depth:]
        beginnings = path.enumerate_all(self.sizes)
        assert generator.latent is not None, "a standard GAN has no constant input"
        x = generator.latent.expand(len(beginnings), *generator.latent.shape[1:])
        for bucket in range(depth):
            x = generator.links[bucket](generator.buckets[bucket](x, beginnings[:, bucket]))
        self.table = x

    def __call__(self, paths: Int64[Tensor, "n b"]) -> Float[Tensor, "n ..."]:
        row = torch.zeros(len(paths), dtype=torch.int64)
        for bucket, size in enumerate(self.sizes):
            row = row * size + paths[:, bucket]
        x = self.table[row.to(self.table.device)]
        for bucket, (layer, link) in enumerate(self.rest, start=len(self.sizes)):
            x = link(layer(x, paths[:, bucket]))
        return x


@dataclass(frozen=True)
class Race:
    """Seconds of every entrant in every round, for one batch size."""

    batch_size: int
    seconds: dict[str, Tensor]  # entrant → float64 (rounds,)

    def median(self, entrant: str) -> float:
        """Median seconds of a call."""
        return float(self.seconds[entrant].quantile(0.5))

    def quartiles(self, entrant: str) -> tuple[float, float]:
        """Quartiles of the seconds of a call, between which half of the rounds lie."""
        low, high = self.seconds[entrant].quantile(torch.tensor([0.25, 0.75], dtype=torch.float64)).tolist()
        return low, high

    def ratio(self, slow: str, fast: str, rng: torch.Generator) -> tuple[float, tuple[float, float]]:
        """Ratio of the medians, and its percentile bootstrap interval (95 %) over rounds."""
        a, b = self.seconds[slow], self.seconds[fast]
        rounds = torch.randint(len(a), (2_000, len(a)), generator=rng)
        drawn = a[rounds].quantile(0.5, dim=1) / b[rounds].quantile(0.5, dim=1)
        low, high = central_interval(drawn)
        return self.median(slow) / self.median(fast), (float(low), float(high))


PAIRS = {  # what is compared → slow, fast
    "same storage": ("original", "compressed"),
    "as trained": ("trained", "compressed"),
    "with tables": ("original, table", "compressed, table"),
}


@dataclass(frozen=True)
class Comparison:
    """A compressed generator against its original, for several batch sizes."""

    races: list[Race]
    ratios: dict[str, list[tuple[float, tuple[float, float]]]]  # pair → ratio and interval of each batch size

    def results(self, batch_size: int) -> dict[str, Result]:
        """Ratios at the largest batch size up to this one (else the smallest), and the least one of all."""
        sizes = [race.batch_size for race in self.races]
        at = sizes.index(max((size for size in sizes if size <= batch_size), default=min(sizes)))
        what = f"{sizes[at]} images a call, 95 % interval"
        n = len(self.races[at].seconds["original"])
        found = {
            f"speed_ratio{suffix}": Result(
                self.ratios[pair][at][0], n, interval=self.ratios[pair][at][1], note=what
            )
            for pair, suffix in zip(PAIRS, ("", "_as_trained", "_tables"), strict=True)
        }
        return found | {"speed_least": Result(min(ratio for ratio, _ in self.ratios["same storage"]))}

    def rows(self) -> dict[int, dict[str, float]]:
        """Median microseconds an image of every entrant, by batch size."""
        return {r.batch_size: {e: 1e6 * r.median(e) / r.batch_size for e in r.seconds} for r in self.races}


def compare(
    trained: RandomPathGenerator,
    compressed: RandomPathGenerator,
    original_paths: Callable[[Tensor], Tensor],
    batch_sizes: Sequence[int],
    budget: float,
    rng: torch.Generator,
    depth: int = 2,
) -> Comparison:
    """Races a generator, as trained and with stacked weights, against its compressed form on the same images.

    Every image passes through all buckets, except where the first `depth` come from a table on both sides.
    """
    original, short = stacked(trained), stacked(compressed)
    entrants: dict[str, Sampler] = {
        "trained": per_image(trained),
        "original": per_image(original),
        "original, table": Tabulated(original, depth),
        "compressed": per_image(short),
        "compressed, table": Tabulated(short, depth),
    }

    def draw(n: int) -> dict[str, Tensor]:
        routes = short.sample_paths(n, rng)
        longer = original_paths(routes)
        return {name: routes if name.startswith("compressed") else longer for name in entrants}

    device = next(trained.parameters()).device
    races = race(entrants, draw, batch_sizes, budget, device)
    return Comparison(races, {name: [r.ratio(*pair, rng) for r in races] for name, pair in PAIRS.items()})


@dataclass(frozen=True)
class KeptRaces:
    """Generators that keep some products, against each other and their original, for several batch sizes."""

    counts: tuple[int, ...]  # of products, in rising order
    races: list[Race]  # entrants: "original", and each count as a text

    def microseconds(self) -> dict[int, dict[str, list[float]]]:
        """Median and quartiles for an image, by batch size and entrant."""
        return {
            r.batch_size: {
                name: [1e6 * s / r.batch_size for s in (r.median(name), *r.quartiles(name))]
                for name in r.seconds
            }
            for r in self.races
        }

    def results(self) -> dict[str, Result]:
        """How many times faster than the original each count is, in the last race."""
        race = self.races[-1]
        ratios = [race.median("original") / race.median(str(count)) for count in self.counts]
        counts = ", ".join(map(str, self.counts))
        note = f"{counts} products kept, {race.batch_size} images a call, same storage"
        return {"speed_ratio_by_products": Result(ratios, len(race.seconds["original"]), note=note)}


def race_kept(
    trained: RandomPathGenerator,
    kept: Mapping[int, RandomPathGenerator],
    batch_sizes: Sequence[int],
    budget: float,
    rng: torch.Generator,
) -> KeptRaces:
    """Races generators by their number of kept products and the original, all with stacked weights.

    Every image passes through all buckets; everyone is given new random paths of its own in every round.
    """
    named = {"original": trained} | {str(count): kept[count] for count in sorted(kept)}
    ready = {name: stacked(generator) for name, generator in named.items()}
    entrants = {name: per_image(generator) for name, generator in ready.items()}

    def draw(n: int) -> dict[str, Tensor]:
        return {name: generator.sample_paths(n, rng) for name, generator in ready.items()}

    device = next(trained.parameters()).device
    return KeptRaces(tuple(sorted(kept)), race(entrants, draw, batch_sizes, budget, device))


def race(
    entrants: Mapping[str, Sampler],
    draw: Callable[[int], Mapping[str, Tensor]],
    batch_sizes: Sequence[int],
    budget: float,
    device: torch.device,
    rounds: tuple[int, int] = (5, 200),
) -> list[Race]:
    """Times entrants in turn, A B C A B C …, on new paths in every round.

    `draw(n)` gives each entrant its paths. A batch size takes `budget` seconds, within the limits on rounds;
    one round before them is not counted.
    """
    races = []
    for n in batch_sizes:

        def calls(n: int = n) -> dict[str, Call]:
            routes = draw(n)
            return {name: partial(sampler, routes[name]) for name, sampler in entrants.items()}

        with torch.inference_mode():
            races.append(Race(n, interleaved(calls, budget, device, rounds)))
    return races


def interleaved(
    calls: Callable[[], Mapping[str, Call]], budget: float, device: torch.device, rounds: tuple[int, int]
) -> dict[str, Tensor]:
    """Seconds of every call, float64 (rounds,), made in turn; `calls()` prepares a round, which is not timed.

    Takes `budget` seconds, within the least and most rounds; one round before them is not counted. Every
    round has an order of its own, since a call pays for the state of memory that the one before it left.
    """
    rng, timed = torch.Generator().manual_seed(0), list[dict[str, float]]()
    names = list(_round(calls(), None, device))
    stop = time.perf_counter() + budget
    while len(timed) < rounds[0] or (len(timed) < rounds[1] and time.perf_counter() < stop):
        order = torch.randperm(len(names), generator=rng).tolist()
        timed.append(_round(calls(), [names[i] for i in order], device))
    return {name: torch.tensor([t[name] for t in timed], dtype=torch.float64) for name in names}


def _round(calls: Mapping[str, Call], order: Sequence[str] | None, device: torch.device) -> dict[str, float]:
    return {name: _seconds(calls[name], device) for name in order or calls}


def _seconds(call: Call, device: torch.device) -> float:
    _synchronise(device)
    start = time.perf_counter()
    call()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

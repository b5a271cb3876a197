"""What routing costs: the naive loop, each routing strategy and the standard GAN, timed in turn."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from rpgan.analysis.speed import Call, interleaved
from rpgan.benchmark.measures import BESIDE, ROUTING
from rpgan.benchmark.networks import CHUNK, SAMPLES, SIZES, Networks, Size
from rpgan.benchmark.operators import Share, operators
from rpgan.errors import choose
from rpgan.results import save
from rpgan.training.machine import build_fabric, describe_machine, describe_versions


@dataclass(frozen=True)
class Row:
    """Median milliseconds of one thing, done in one way."""

    what: str  # forward, g_step, iteration, sample_10k, and those of `beside`
    width: int  # channels of the generator; the discriminator has half as many, as the paper's has
    precision: str  # float32 | bfloat16
    strategy: str  # one of STRATEGIES
    ms: float
    rounds: int  # of which ms is the median


def benchmark(size: str, device: str = "auto", echo: Callable[[str], None] = print) -> dict[str, Any]:
    """Measures everything of a size in SIZES; returns plain data: machine, settings, rows, operators."""
    amount = choose(SIZES, size, "size")
    rows: list[Row] = []
    shares: list[Share] = []
    for width in amount.widths:
        for precision in ("float32", "bfloat16"):
            fabric = build_fabric(precision, device)
            networks = Networks(width, fabric, amount)
            for row in measure(networks, width, precision, amount):
                rows.append(row)
                echo(f"{row.what:<22}{row.width:>5} {row.precision:<9} {row.strategy:<12}{row.ms:>12.1f} ms")
            shares += operators(networks, width, precision)
    machine = {k: v for k, v in describe_machine(build_fabric("float32", device)).items() if k != "precision"}
    return {
        "machine": machine,
        "versions": describe_versions(),
        "size": size,
        "settings": {"batch_size": amount.batch_size, "n_in": amount.n_in},
        "rows": [asdict(row) for row in rows],
        "operators": [asdict(share) for share in shares],
    }


def write_benchmark(size: str, out: Path, device: str = "auto", echo: Callable[[str], None] = print) -> None:
    """Measures and writes the document as JSON."""
    save(out, benchmark(size, device, echo))


def measure(networks: Networks, width: int, precision: str, size: Size) -> Iterator[Row]:
    """Times forward, g_step, iteration and sample_10k by every strategy, and the other costs."""
    fabric = networks.fabric
    for what, prepare in ROUTING.items():
        scale = SAMPLES / CHUNK if what == "sample_10k" else 1
        for strategy, times in timed(partial(prepare, networks), fabric, size).items():
            yield Row(what, width, precision, strategy, scale * _ms(times), len(times))
    for prepare_beside in BESIDE.values() if width <= size.beside else ():
        calls = prepare_beside(networks, size)
        for name, times in timed(lambda calls=calls: calls, fabric, size).items():  # type: ignore[misc]
            what, _, strategy = name.partition(" ")
            yield Row(what, width, precision, strategy, _ms(times), len(times))


def timed(calls: Callable[[], Mapping[str, Call]], fabric: Fabric, size: Size) -> dict[str, Tensor]:
    """Seconds of every call, made in turn."""
    return interleaved(calls, size.budget, fabric.device, size.rounds)


def _ms(times: Tensor) -> float:
    return 1_000 * float(times.quantile(0.5))

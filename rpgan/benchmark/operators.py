"""Where the time of the generator's step goes, by kinds of operator, from torch's profiler."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile

from rpgan.benchmark.measures import ROUTING
from rpgan.benchmark.networks import Networks

KINDS = {
    "aten::mkldnn_convolution": "convolutions, forward",
    "aten::convolution_backward": "convolutions, backward",
    "aten::native_batch_norm": "normalisation",
    "aten::native_batch_norm_backward": "normalisation",
    "aten::clamp_min": "activations",
    "aten::threshold_backward": "activations",
    "aten::copy_": "copies and casts",
    "aten::cat": "copies and casts",
    "aten::index_select": "copies and casts",
    "aten::index": "copies and casts",
    "aten::upsample_nearest2d": "upsampling",
    "aten::upsample_nearest2d_backward": "upsampling",
}
OTHER, BETWEEN = "other operators", "between operators"
STEPS = 3


@dataclass(frozen=True)
class Share:
    """Milliseconds of one kind of operator in a step, and how often operators of it are called."""

    width: int
    precision: str
    strategy: str  # auto | twin
    kind: str
    ms: float
    calls: float


def operators(networks: Networks, width: int, precision: str) -> Iterator[Share]:
    """Yields every kind's share in a step of the routed generator and of its twin; on a CPU only.

    The profiler itself takes time with every operator, which lengthens kinds of many small calls.
    """
    if networks.fabric.device.type != "cpu":
        return
    steps = ROUTING["g_step"](networks)
    for strategy in ("auto", "twin"):
        steps[strategy]()
        with profile(activities=[ProfilerActivity.CPU]) as found:
            start = time.perf_counter()
            for _ in range(STEPS):
                steps[strategy]()
            wall = 1e6 * (time.perf_counter() - start)
        spent: dict[str, float] = defaultdict(float)
        calls: dict[str, int] = defaultdict(int)
        for event in found.key_averages():
            kind = KINDS.get(event.key, OTHER)
            spent[kind] += event.self_cpu_time_total
            calls[kind] += event.count
        spent[BETWEEN] = wall - sum(spent.values())
        for kind in [*dict.fromkeys(KINDS.values()), OTHER, BETWEEN]:
            yield Share(width, precision, strategy, kind, spent[kind] / STEPS / 1_000, calls[kind] / STEPS)

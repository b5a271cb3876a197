"""The committed benchmark on a page: tables of what routing costs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rpgan.book.pages import table
from rpgan.results import show

HEADS = {
    "naive": "naive loop",
    "by_instance": "by instance",
    "batched": "batched",
    "auto": "auto",
    "twin": "standard GAN",
}
WORDS = {
    "forward": "Forward of a batch",
    "g_step": "Forward and backward of the generator",
    "iteration": "Training iteration, five discriminator steps and one of the generator",
    "sample_10k": "10,000 images",
    "diversity_shared": "Images of layer diversity around 100 routes, beginnings shared",
    "diversity_unshared": "The same, nothing shared",
    "optimiser_zero": "Adam on all instances",
    "optimiser_skip": "Adam on the instances that were drawn",
    "g_step_one_thread": "Forward and backward of the generator on one thread",
    "linear_sample": "64 digits of the linear generator",
    "compressed_sample": "64 digits of its compressed form",
}
ROUTED = ("forward", "g_step", "iteration", "sample_10k")
AT_PAPER_SIZE = ("cifar10-rpgan", "cifar10-gan", "anime-rpgan", "lsun-rpgan")
PARTS = ("cost_machine", "cost_aims", "cost_times", "cost_beside", "cost_operators")
UNMEASURED = "*Unmeasured: no benchmark is stored.*"
Times = dict[tuple[str, int, str, str], float]  # what, width, precision, strategy → milliseconds


def read_benchmark(path: Path) -> dict[str, Any] | None:
    """Returns the stored benchmark, None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def cost_parts(document: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns the generated parts of the page by name."""
    if document is None:
        return dict.fromkeys(PARTS, UNMEASURED)
    times = _times(document)
    return {
        "cost_machine": _machine(document),
        "cost_aims": _aims(times),
        "cost_times": "\n\n".join(_strategies(times, what) for what in ROUTED),
        "cost_beside": _beside(times),
        "cost_operators": _operators(document),
    }


def memory_table() -> str:
    """Returns the computed memory of the paper's own trainings, the largest moment in GiB."""
    from rpgan.memory import GIB, sampling_memory, training_memory
    from rpgan.presets import resolve_gan

    rows = []
    for name in AT_PAPER_SIZE:
        config = resolve_gan(name, "paper")
        peaks = [training_memory(config, precision).peak for precision in ("float32", "bfloat16")]
        sampling = sampling_memory(config.generator).peak
        rows.append([f"`{name}`", *(f"{peak / GIB:.1f}" for peak in (*peaks, sampling))])
    header = [
        "Experiment, profile `paper`",
        "Training, float32, GiB",
        "Training, bfloat16, GiB",
        "Sampling, GiB",
    ]
    return table(header, rows, "plain", "40 20 20 20")


def _times(document: Mapping[str, Any]) -> Times:
    return {(r["what"], r["width"], r["precision"], r["strategy"]): r["ms"] for r in document["rows"]}


def _machine(document: Mapping[str, Any]) -> str:
    machine, settings = document["machine"], document["settings"]
    quick = "" if document["size"] == "full" else f" This is the {document['size']} form of it."
    return (
        f"Measured on {machine['processor']} ({machine['device']}, {machine['cores']} cores, "
        f"{machine['threads']} threads) with torch {document['versions']['torch']}; batches of "
        f"{settings['batch_size']} images, {settings['n_in']} instances in every bucket.{quick}"
    )


def _keys(times: Times, what: str) -> Iterator[tuple[int, str]]:
    return iter(dict.fromkeys((width, precision) for w, width, precision, _ in times if w == what))


def _strategies(times: Times, what: str) -> str:
    """Milliseconds of one thing by every strategy, a row for each width and precision."""
    rows = []
    for width, precision in _keys(times, what):
        found = [times[what, width, precision, strategy] for strategy in HEADS]
        over = times[what, width, precision, "auto"] / times[what, width, precision, "twin"]
        rows.append([str(width), precision, *map(_milliseconds, found), f"{over:.2f}"])
    header = ["Width", "Precision", *(f"{head}, ms" for head in HEADS.values()), "auto over standard"]
    return f"**{WORDS[what]}**\n\n{table(header, rows, 'plain', '8 14 13 13 13 13 13 13')}"


def _aims(times: Times) -> str:
    """The four aims against what was measured, each at its least favourable width."""
    rows = [
        [aim, f"{bound} {limit:g}", _extreme(found, bound), _met(found, bound, limit)]
        for aim, bound, limit, found in _ratios(times)
    ]
    return table(["Aim", "Limit", "Measured, worst first", "Met"], rows, "plain", "44 14 30 12")


def _ratios(times: Times) -> Iterator[tuple[str, str, float, dict[str, float]]]:
    """Aim, at least or at most, limit, and the ratio at every width (and precision)."""
    for precision, limit in (("bfloat16", 4.0), ("float32", 1.7)):
        aim = f"An iteration in {precision}: times faster than the naive loop in float32"
        yield (
            aim,
            "at least",
            limit,
            {
                f"width {w}": times["iteration", w, "float32", "naive"]
                / times["iteration", w, precision, "auto"]
                for w, p in _keys(times, "iteration")
                if p == precision
            },
        )
    for what, limit, least in (("g_step", 1.25, 64), ("sample_10k", 1.1, 0)):
        aim = f"{WORDS[what]}: times the standard GAN" + (f", width {least} and more" if least else "")
        yield (
            aim,
            "at most",
            limit,
            {
                f"width {w}, {p}": times[what, w, p, "auto"] / times[what, w, p, "twin"]
                for w, p in _keys(times, what)
                if w >= least
            },
        )
    yield (
        "auto: times the fastest strategy",
        "at most",
        1.1,
        {
            f"{what}, width {w}, {p}": times[what, w, p, "auto"]
            / min(times[what, w, p, strategy] for strategy in ("naive", "by_instance", "batched", "auto"))
            for what in ROUTED
            for w, p in _keys(times, what)
        },
    )


def _extreme(found: Mapping[str, float], bound: str) -> str:
    """The worst value with its place, and the best."""
    if not found:
        return "unmeasured"
    worst = sorted(found, key=lambda place: found[place], reverse=bound == "at most")
    return f"{found[worst[0]]:.2f} ({worst[0]}); best {found[worst[-1]]:.2f}"


def _met(found: Mapping[str, float], bound: str, limit: float) -> str:
    """At how many of the widths and precisions an aim is met."""
    if not found:
        return "–"
    met = sum(value <= limit if bound == "at most" else value >= limit for value in found.values())
    return "yes" if met == len(found) else f"at {met} of {len(found)}"


def _operators(document: Mapping[str, Any]) -> str:
    """Milliseconds and calls of every kind of operator in a step of the widest generator, in bfloat16."""
    shares = document.get("operators") or []
    if not shares:
        return UNMEASURED
    width = max(share["width"] for share in shares)
    cells: dict[str, dict[str, str]] = {}
    for share in shares:
        if share["width"] == width and share["precision"] == "bfloat16":
            cell = f"{_milliseconds(share['ms'])} ({share['calls']:,.0f})"
            cells.setdefault(share["kind"], {})[share["strategy"]] = cell
    rows = [[kind.capitalize(), found["auto"], found["twin"]] for kind, found in cells.items()]
    header = [f"Width {width}, bfloat16: ms (calls)", "routed", HEADS["twin"]]
    return table(header, rows, "plain", "50 25 25")


def _beside(times: Times) -> str:
    rows = [
        [
            WORDS[what] + (", standard GAN" if strategy == "twin" else ""),
            str(width),
            precision,
            _milliseconds(ms),
        ]
        for (what, width, precision, strategy), ms in times.items()
        if what not in ROUTED
    ]
    return table(["What", "Width", "Precision", "ms"], rows, "plain", "55 12 16 17")


def _milliseconds(ms: float) -> str:
    return show(float(f"{ms:.3g}"))

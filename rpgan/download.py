"""Where data lie, and files fetched once: URL + SHA-256 → `<root>/raw`."""

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path

from rpgan.errors import UserError

TIMEOUT = 60  # seconds without an answer


def data_root() -> Path:
    """Returns `$RPGAN_DATA`, else the repository's `data/`, else, without a repository, `./data`."""
    if chosen := os.environ.get("RPGAN_DATA"):
        return Path(chosen).expanduser()
    beside = Path(__file__).resolve().parents[1] / "data"
    return beside if (beside / "checkpoints").is_dir() else Path("data")


def fetch(url: str, sha256: str, name: str) -> Path:
    """Returns `<root>/raw/name`, downloading it unless it is there already.

    Raises UserError when the file cannot be had or its hash differs; a partial file never takes the name.
    """
    target = data_root() / "raw" / name
    if target.exists():
        _check(target, sha256, f"delete it, or put the file of {url} there")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        _download(url, aside, target)
        _check(aside, sha256, f"{url} has changed or the download was cut off; try again")
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def _download(url: str, aside: Path, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, aside.open("wb") as file:
            shutil.copyfileobj(response, file)
    except OSError as error:  # URLError, timeouts and broken connections are OSErrors
        raise UserError(f"cannot download {url} ({error}); put the file by hand at {target}") from error


def _check(path: Path, sha256: str, remedy: str) -> None:
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256.lower():
        raise UserError(f"{path} has SHA-256 {got}; expected {sha256}; {remedy}")

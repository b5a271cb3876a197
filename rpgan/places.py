"""Where data lie: what the repository holds, and what the user has."""

import os
from pathlib import Path

COMMITTED = Path(__file__).resolve().parents[1] / "data"  # there in a checkout only


def data_root() -> Path:
    """Returns `$RPGAN_DATA`, else the repository's `data/`, else, without a repository, `./data`."""
    if chosen := os.environ.get("RPGAN_DATA"):
        return Path(chosen).expanduser()
    return COMMITTED if (COMMITTED / "checkpoints").is_dir() else Path("data")

"""Where things lie: what the repository holds, what the user has, and what is made."""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
COMMITTED = CHECKOUT / "data"  # there in a checkout only
CLONE = "expected a checkout, which has notebooks and trained models: clone it and pip install -e ."


def data_root() -> Path:
    """Returns `$RPGAN_DATA`, else the repository's `data/`, else, without a repository, `./data`."""
    if chosen := os.environ.get("RPGAN_DATA"):
        return Path(chosen).expanduser()
    return COMMITTED if (COMMITTED / "checkpoints").is_dir() else Path("data")


def home() -> Path:
    """Returns the checkout, or the working directory where the package is installed without one."""
    return CHECKOUT if (CHECKOUT / "_toc.yml").exists() else Path.cwd()


def build_root() -> Path:
    """Returns where generated files go: `$RPGAN_BUILD`, else `_build` of the checkout or working folder."""
    return Path(os.environ.get("RPGAN_BUILD") or home() / "_build").expanduser().resolve()


def runs_root() -> Path:
    """Returns where training runs go, a folder each profile: `runs` of the checkout or working directory."""
    return home() / "runs"

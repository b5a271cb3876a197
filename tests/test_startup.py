"""Start-up: seconds of processor time, which other work on the machine hardly changes."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HELP, GRID = 0.5, 4.0  # seconds


def seconds(*arguments: str) -> float:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return used() - before


def test_help_answers_at_once():
    used = min(seconds("-m", "rpgan", "--help") for _ in range(3))
    assert used < max(HELP, 2 * seconds("-c", "import typer"))  # the latter where the machine is busy


@pytest.mark.slow
def test_a_grid_of_a_committed_checkpoint_takes_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    used = min(
        seconds("-m", "rpgan", "grid", "mnist-rpgan", "--out", str(tmp_path / "g.png")) for _ in range(2)
    )
    assert used < max(GRID, 2 * seconds("-c", "import torch"))  # the latter where the machine is busy

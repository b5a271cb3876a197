"""A chapter needs nothing but itself: not a certain directory, no network, no folder to write data into."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

from rpgan import results
from rpgan.book import notebooks
from rpgan.errors import UserError

CHEAP = "12_pruning"
DEAD = dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], "http://127.0.0.1:9")
GIVEN = ["-p", "seed", "3", "-y", "{profile: smoke, overrides: {train.batch_size: 5}}"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, a data root that cannot be made, and a network that does not answer."""
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "_build"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "file" / "data"))
    for name, proxy in DEAD.items():
        monkeypatch.setenv(name, proxy)
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def papermill(notebook: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs papermill's own command in a folder, which gets the output."""
    command = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb", *arguments, "--no-progress-bar"]
    command += ["--kernel", "python3"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem == CHEAP else [pytest.mark.slow])
        for path in notebooks.chapters()
    ],
)
def test_a_chapter_runs_alone_by_plain_papermill(path: Path, elsewhere: Path) -> None:
    done = papermill(path, elsewhere, *GIVEN)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert [file.name for file in elsewhere.iterdir()] == ["out.ipynb"], "it wrote into the working directory"
    found = results.read_results("smoke").values()
    assert {(m.seed, m.changed["train.batch_size"]) for m in found} == {(3, 5)}


def test_a_wrong_name_given_to_plain_papermill_is_told_with_the_right_ones(elsewhere: Path) -> None:
    notebook = next(path for path in notebooks.chapters() if path.stem == CHEAP)
    done = papermill(notebook, elsewhere, "-p", "n_route", "3", "-p", "profile", "smoke")
    assert done.returncode != 0
    assert "does not know the parameter n_route; its parameters are profile, device, seed" in done.stderr
    cells = nbformat.read(elsewhere / "out.ipynb", 4).cells
    assert any("n_route = 3" in cell.source for cell in cells)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_told_before_any_work(elsewhere: Path) -> None:
    notebook = next(path for path in notebooks.chapters() if path.stem == CHEAP)
    with pytest.raises(UserError, match="device 'cuda' is not here; expected auto, cpu"):
        notebooks.run_notebook(notebook, "smoke", {"device": "cuda"})
    assert not results.read_results("smoke")

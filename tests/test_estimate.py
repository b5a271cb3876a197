"""What a chapter would have to train is read off its source, for one profile."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from rpgan.analysis import linearity
from rpgan.book import estimate
from rpgan.book.notebooks import chapters
from rpgan.experiments import EXPERIMENTS

SOURCE = """
from rpgan.obtain import obtain_generator, obtain_inverter
cfg = settings(
    globals(),
    "09_x",
    model={"smoke": "mnist-linear", "book": "mnist-rpgan", "paper": "anime-rpgan"},
    models={"smoke": [], "book": [], "paper": ["cifar10-dcgan"]},
)
widths = resolve("lsun-rpgan", cfg.profile).generator.widths
NAMES = {"book": "celeba-dcgan"}, "mnist-cnn", "mnist-rpgan"
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    nbformat.write(new_notebook(cells=[new_code_cell(SOURCE)]), tmp_path / "09_x.ipynb")
    return tmp_path / "09_x.ipynb"


def test_experiments_are_those_of_the_profile_and_of_the_parameters(notebook: Path) -> None:
    book = ["mnist-rpgan", "celeba-dcgan", "mnist-inversion"]
    assert estimate.experiments(notebook, "book", {}) == book
    paper = estimate.experiments(notebook, "paper", {"model": "lsun-rpgan", "models": None})
    assert paper == ["lsun-rpgan", "cifar10-dcgan", "celeba-dcgan", "mnist-rpgan", "mnist-inversion"]


def test_a_training_is_told_with_its_size_and_what_to_do(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpgan.obtain.runs_root", lambda: tmp_path)
    given = {"model": "cifar10-gan", "models": []}
    steps = EXPERIMENTS["cifar10-gan"].train.steps
    told = estimate.trainings(notebook, "paper", given)
    assert told[0].startswith(f"cifar10-gan: {steps:,} steps, {320 * steps:,} real images; ")
    assert told[0].endswith(f"watch {tmp_path / 'paper' / 'cifar10-gan' / 'log.jsonl'}")
    changed = estimate.trainings(notebook, "paper", given | {"overrides": {"train.steps": 10}})
    assert changed[0].startswith("cifar10-gan: 10 steps, 3,200 real images; ")
    assert "mnist-inversion: " in told[-1]


def test_what_is_committed_needs_no_training(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "trained", lambda name, *_: None if name == "celeba-dcgan" else Path(name))
    monkeypatch.setattr(estimate, "trained_inverter", lambda *_: Path("there"))
    monkeypatch.setattr(estimate, "resolve", lambda name, *_: estimate.EXPERIMENTS[name])
    monkeypatch.setattr(estimate, "_effort", lambda config: "hours")
    assert estimate.trainings(notebook, "book", {}) == [
        "celeba-dcgan: hours; not here: rpgan train celeba-dcgan"
    ]


@pytest.mark.parametrize("profile", ["book", "paper"])
@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_every_chapter_can_be_estimated(path: Path, profile: str) -> None:
    obtains = "obtain_generator(" in path.read_text() or "obtain_checkpoint(" in path.read_text()
    assert bool(estimate.experiments(path, profile, {})) == obtains
    estimate.trainings(path, profile, {})


def test_names_that_an_analysis_keeps_count_and_words_that_are_sweeps_elsewhere_do_not() -> None:
    by_name = {path.stem: path for path in chapters()}
    compression = estimate.experiments(by_name["08_compression"], "paper", {})
    assert set(compression) == {"mnist-linear", *linearity.RESNETS}
    assert not any(
        line.startswith("sweep") for line in estimate.trainings(by_name["09_inversion"], "paper", {})
    )

"""What is committed: one version, no machine's paths, nothing large, notebooks without outputs."""

import json
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import rpgan
from rpgan.sweep import SWEEPS, plan
from rpgan.sweep.table import published_rows

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(rb"(?<![\w.])/(?:(?:work|root)/|(?:home|Users)/\w)")
MEGABYTE = 10**6


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [p for p in paths if p.is_file()]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_source_notebooks_carry_no_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_one_version_everywhere() -> None:
    changelog = re.search(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    versions = {
        "pyproject.toml": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        "CITATION.cff": yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"],
        "CHANGELOG.md": changelog and changelog[1],
        "package": rpgan.__version__,
        "installed": metadata.version("rpgan"),
    }
    assert len(set(versions.values())) == 1, versions


def test_citation_names_the_paper() -> None:
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    assert paper["doi"].endswith("1912.10920")
    assert [author["family-names"] for author in paper["authors"]] == ["Voynov", "Babenko"]


def test_a_machine_path_is_recognised() -> None:
    home = b"/".join([b"", b"home", b"me"])  # in pieces, or this file would be found itself
    assert MACHINE_PATH.search(b'"' + home + b'/x"')
    assert not MACHINE_PATH.search(b"data" + home)


def test_no_committed_file_names_a_machine_path() -> None:
    assert not [p for p in committed() if MACHINE_PATH.search(p.read_bytes())]


def test_the_repository_stays_small() -> None:
    sizes = {p: p.stat().st_size for p in committed()}
    assert not [p for p, size in sizes.items() if size > 20 * MEGABYTE]
    assert sum(size for p, size in sizes.items() if ROOT / "data" in p.parents) < 100 * MEGABYTE


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "rpgan").rglob("*.py")}
    assert not [path for path, length in lengths.items() if length > 250]


def test_all_published_trainings_are_those_that_sweeps_plan_today() -> None:
    for name, sweep in SWEEPS.items():
        planned = {trial.digest for trial in plan(sweep, "book")}
        rows = published_rows(name, "book").keys()
        assert rows <= planned, f"{name}: {rows - planned} would be trained again"
    assert published_rows("twins", "book")

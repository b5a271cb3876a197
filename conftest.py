"""What concerns every run of pytest: the notebooks that it executes, and the record of what was tried.

The package is imported late: its signatures are checked only in what is imported after the start.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from nbmake.pytest_items import NotebookFile

BUILD = Path(os.environ.get("RPGAN_BUILD") or Path(__file__).parent / "_build")
EXECUTED = BUILD.expanduser().resolve() / "executed"
tried: dict[str, dict[str, Any]] = {}
failed: set[str] = set()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """nbmake by itself passes over every `_build`, where Jupyter Book leaves copies of its own."""
    if parent.config.option.nbmake and file_path.suffix == ".ipynb" and EXECUTED in file_path.parents:
        return NotebookFile.from_parent(parent, path=file_path)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Attaches the marker to the test's report, which is all that other processes see of it."""
    for marker in item.iter_markers("tried"):
        kind, what, outcome = marker.args
        item.user_properties.append(("tried", {"kind": kind, "what": what, "outcome": outcome}))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds a test that passed to its row."""
    properties = dict(report.user_properties)
    if "tried" not in properties:
        return
    where = report.nodeid.partition("[")[0]
    if report.failed:
        failed.add(where)
    elif report.passed and report.when == "call":
        row = tried.setdefault(where, {"where": where, **properties["tried"], "cases": 0})
        row["cases"] += properties.get("cases", 1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the rows; under xdist the process that sees all reports does."""
    rows = [row for where, row in tried.items() if where not in failed]
    if rows and not hasattr(session.config, "workerinput"):
        from rpgan import __version__
        from rpgan.book.tried import record_path, save_rows

        save_rows([row | {"version": __version__} for row in rows], record_path())

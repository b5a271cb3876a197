"""Makes `pytest --nbmake` collect the copies of the notebooks that it is to execute for the book."""

from pathlib import Path

import pytest
from nbmake.pytest_items import NotebookFile

EXECUTED = Path(__file__).parent / "_build" / "executed"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """nbmake by itself passes over every `_build`, where Jupyter Book leaves copies of its own."""
    if parent.config.option.nbmake and file_path.suffix == ".ipynb" and EXECUTED in file_path.parents:
        return NotebookFile.from_parent(parent, path=file_path)
    return None

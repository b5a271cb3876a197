"""What was tried to break the package, as the tests record it, and the book's table of it.

A test with the marker `tried(kind, what, outcome)` is a row; its cases are those of its parameters, or as
many as it says. A run of pytest writes the rows that passed to `_build/tried.json`, and
`python -m rpgan.book.tried`, by which `make test-all` ends its tests, merges them into
`data/results/tried.json`, from which the page is made:

    rows: [{where, kind, what, outcome, cases, version}]
"""

import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rpgan.book.pages import table
from rpgan.errors import UserError
from rpgan.places import CHECKOUT, build_root
from rpgan.results import save

KINDS = {
    "fault": "Faults",
    "hostile": "Files from strangers",
    "determinism": "The same again",
}
Row = dict[str, Any]


def record_path() -> Path:
    """Returns where a run of pytest leaves its rows."""
    return build_root() / "tried.json"


def published_path(root: Path = CHECKOUT) -> Path:
    """Returns the committed record."""
    return root / "data" / "results" / "tried.json"


def read_rows(path: Path) -> list[Row]:
    """Returns the rows of a record, none where there is no file; raises UserError where it holds no rows."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
        return [
            {key: row[key] for key in ("where", "kind", "what", "outcome", "cases", "version")}
            for row in rows
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{path} is no record of tests ({error}); restore it, or run make test-all") from None


def save_rows(rows: Iterable[Row], path: Path) -> None:
    """Writes rows, by kind and then in the order of their tests."""
    kinds = list(KINDS)
    save(path, {"rows": sorted(rows, key=lambda row: (kinds.index(row["kind"]), row["where"]))})


def merge(root: Path = CHECKOUT) -> list[Row]:
    """Puts the rows of the last run into the committed record; returns those whose tests have the marker."""
    rows = {row["where"]: row for path in (published_path(root), record_path()) for row in read_rows(path)}
    kept = [row for row in rows.values() if is_there(row["where"], root)]
    save_rows(kept, published_path(root))
    return kept


def is_there(where: str, root: Path = CHECKOUT) -> bool:
    """Whether a test such as "tests/test_x.py::test_y" exists and has the marker."""
    file, _, name = where.partition("::")
    path = root / file
    made = ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []
    tests = [node for node in made if isinstance(node, ast.FunctionDef) and node.name == name]
    return any("pytest.mark.tried(" in ast.unparse(mark) for test in tests for mark in test.decorator_list)


def parts(rows: list[Row]) -> dict[str, str]:
    """Returns the generated parts of the page by name."""
    missing = "*No run of the tests is recorded.*"
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    tables = {f"tried_{kind}": _table(found) if found else missing for kind, found in by_kind.items()}
    return {"tried_counts": _counts(by_kind) if rows else missing, **tables}


def _counts(by_kind: Mapping[str, list[Row]]) -> str:
    rows = [row for found in by_kind.values() for row in found]
    versions = ", ".join(sorted({row["version"] for row in rows}))
    each = "; ".join(
        f"{KINDS[kind].lower()}: {_cases(found)} in {len(found)} tests"
        for kind, found in by_kind.items()
        if found
    )
    return f"Version {versions}, {_cases(rows)} cases in all. {each[0].upper()}{each[1:]}."


def _cases(rows: Iterable[Row]) -> str:
    return f"{sum(row['cases'] for row in rows):,}"


def _table(rows: list[Row]) -> str:
    cells = [[row["what"], f"{row['cases']:,}", row["outcome"], f"`{_short(row['where'])}`"] for row in rows]
    return table(["Tried", "Cases", "Outcome", "Test"], cells, "plain tried", "30 9 33 28")


def _short(where: str) -> str:
    return where.removeprefix("tests/").replace("::test_", " ").replace(".py", "").replace("_", " ")


if __name__ == "__main__":
    merged = merge()
    print(f"{_cases(merged)} cases of {len(merged)} tests: {published_path()}")

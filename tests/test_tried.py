"""The record of what was tried: rows of today's tests, newest counts, and a page that adds them up."""

from pathlib import Path

import pytest

from rpgan.book import tried
from rpgan.errors import UserError

MARK = "@pytest.mark.tried('fault', 'a kill', 'it goes on')"
ROW = {"kind": "fault", "what": "a kill", "outcome": "it goes on", "version": "1"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two tests that have the marker, and one that has not."""
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        f"{MARK}\ndef test_a(): ...\n{MARK}\ndef test_b(): ...\ndef test_c(): ...\n"
    )
    return tmp_path


def rows(**cases: int) -> list[tried.Row]:
    return [{**ROW, "where": f"tests/test_x.py::test_{name}", "cases": n} for name, n in cases.items()]


def test_the_last_run_replaces_its_rows_and_tests_without_the_marker_lose_theirs(root):
    tried.save_rows(rows(a=20, b=3, c=4, gone=7), tried.published_path(root))
    tried.save_rows(rows(b=5), tried.record_path())
    assert {row["where"][-1]: row["cases"] for row in tried.merge(root)} == {"a": 20, "b": 5}
    before = tried.published_path(root).read_bytes()
    tried.merge(root)
    assert tried.published_path(root).read_bytes() == before


def test_the_page_adds_up(root):
    parts = tried.parts([*rows(a=1000, b=234), {**rows(c=6)[0], "kind": "hostile"}])
    assert (
        "Version 1, 1,240 cases in all. Faults: 1,234 in 2 tests; files from strangers: 6 in 1 tests."
        in (parts["tried_counts"])
    )
    assert "1,000" in parts["tried_fault"] and "a kill" in parts["tried_hostile"]
    assert "No run" in parts["tried_determinism"] and "No run" in tried.parts([])["tried_counts"]


@pytest.mark.parametrize("text", ["", "[]", '{"rows": 3}', '{"rows": [{}]}'])
def test_a_damaged_record_is_named(root, text):
    tried.record_path().parent.mkdir()
    tried.record_path().write_text(text)
    with pytest.raises(UserError, match=r"tried\.json is no record"):
        tried.merge(root)


def test_committed_rows_are_of_tests_that_have_the_marker():
    assert all(tried.is_there(row["where"]) for row in tried.read_rows(tried.published_path()))

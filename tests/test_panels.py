"""The panel that closes a chapter, and the links from its figures."""

import dataclasses
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from rpgan.book import durations, estimate, notebooks, panels
from rpgan.book.receipts import RECEIPT, draft, executed_path, read_receipt, sign
from rpgan.errors import UserError
from rpgan.places import CHECKOUT
from rpgan.results import PROFILES, processor

CHAPTERS = notebooks.chapters()


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda path: path.stem)
def test_every_parameter_of_a_chapter_has_a_row_and_every_profile_a_cost(notebook: Path) -> None:
    from papermill import inspect_notebook

    text = panels.panel(notebook)
    assert all(f"* - `{name}`\n" in text for name in inspect_notebook(str(notebook)))
    assert f"rpgan run {notebook.stem[:2]} -p seed=1" in text
    assert all(f"`rpgan run {notebook.stem[:2]} --profile {p}`" in text for p in ("smoke", "book", "paper"))


def test_a_chapter_says_how_its_models_differ_from_the_papers() -> None:
    text = panels.panel(CHECKOUT / "notebooks" / "07_incremental.ipynb")
    table = text.partition("{dropdown}")[2]
    assert all(f"`{name}`" in table for name in ("mnist-stage-one", "mnist-incremental", "mnist-fine-tuned"))
    assert "`generator.widths` 4 × 32 (4 × 256)" in table and "sprites" not in table
    assert "{dropdown}" not in panels.panel(CHECKOUT / "notebooks" / "06_instances.ipynb")


def test_help_cannot_break_the_table() -> None:
    parameter = {"name": "x", "inferred_type_name": "int", "default": "None", "help": "a | *b* {c}`"}
    row = panels._row(parameter, {"smoke": "2", "book": "`f(3)`"})
    assert row == ["`x`", "`int`", "smoke 2; book `f(3)`", r"a \| \*b\* \{c\}\`"]
    assert panels._row(parameter, {"smoke": "2", "book": "2"})[2] == "2"


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_says_what_every_profile_takes(notebook: Path) -> None:
    from papermill import inspect_notebook

    open_ones = {
        n for n, parameter in inspect_notebook(str(notebook)).items() if parameter["default"] == "None"
    }
    taken = estimate.values_by_profile(notebook)
    assert open_ones <= taken.keys() and all(list(of) == list(PROFILES) for of in taken.values())


def test_numbers_are_written_out_and_names_stand_for_what_they_name() -> None:
    taken = estimate.values_by_profile(CHECKOUT / "notebooks" / "08_compression.ipynb")
    assert taken["n_images"] == {"smoke": "50", "book": "1,000", "paper": "10,000"}
    assert taken["resnets"]["paper"] == '`["cifar10-linear", "cifar10-linear-gan", "cifar10-rpgan"]`'
    assert taken["resnets"]["book"] == f"what is trained of {taken['resnets']['paper']}"
    assert set(estimate.values_by_profile(CHECKOUT / "notebooks" / "01_model.ipynb")) == {"n_paths"}
    twins = estimate.values_by_profile(CHECKOUT / "notebooks" / "04_quality.ipynb")["models"]
    assert set(twins.values()) == {'`["cifar10-rpgan", "cifar10-gan"]`'}


def test_durations_have_the_unit_that_suits_them() -> None:
    assert [panels.duration(s) for s in (3.4, 119.0, 150.0, 9000.0)] == ["3 s", "119 s", "2 min", "2.5 h"]


def test_the_book_keeps_to_its_minutes() -> None:
    found = [there[0] for notebook in CHAPTERS if (there := durations.published(notebook, "book"))]
    assert len(found) >= 11 and max(found) <= 120 and sum(found) <= 15 * 60


def test_cost_is_what_the_last_execution_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path))
    source = CHECKOUT / "notebooks" / "01_model.ipynb"
    monkeypatch.setattr(durations, "published", lambda *_: None)
    assert panels.cost(source, "book") == "not measured"
    monkeypatch.setattr(durations, "published", lambda *_: (7.2, "a processor"))
    assert panels.cost(source, "book") == "7 s when it was measured, on a processor"
    receipt = dataclasses.replace(draft(source, "book", {}), seconds=42.0)
    executed = executed_path("book", source)
    executed.parent.mkdir(parents=True)
    nbformat.write(new_notebook(metadata={RECEIPT: dataclasses.asdict(receipt)}), executed)
    assert panels.cost(source, "book").startswith("42 s")


def test_durations_are_recorded_where_a_chapter_ran_to_its_end_as_the_profile_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))
    (tmp_path / "notebooks").mkdir()
    for stem, given in (("01_a", {}), ("02_b", {"seed": 3})):
        source = tmp_path / "notebooks" / f"{stem}.ipynb"
        nbformat.write(new_notebook(), source)
        receipt = dataclasses.replace(draft(source, "smoke", given, tmp_path), seconds=5.0)
        executed_path("smoke", source).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(
            new_notebook(metadata={RECEIPT: dataclasses.asdict(receipt)}), executed_path("smoke", source)
        )
    assert durations.record(tmp_path)["02_b"] == {}
    seconds, where = durations.published(tmp_path / "notebooks" / "01_a.ipynb", "smoke", tmp_path)
    assert seconds == 5 and where == processor()
    durations.published_path(tmp_path).write_text("[1]")
    with pytest.raises(UserError, match=r"durations\.json is no record"):
        durations.record(tmp_path)


def test_where_another_runner_executed_a_copy_the_cells_clocks_count(tmp_path: Path) -> None:
    clock = {"iopub.status.busy": "2026-01-01T00:00:01Z", "iopub.status.idle": "2026-01-01T00:00:03.5Z"}
    cells = [new_code_cell("1", metadata={"execution": clock}), new_code_cell("2")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "x.ipynb")
    sign(tmp_path / "x.ipynb", draft(CHECKOUT / "notebooks" / "01_model.ipynb", "smoke", {}))
    receipt = read_receipt(tmp_path / "x.ipynb")
    assert receipt is not None and receipt.seconds == 2.5


def test_a_caption_ends_in_a_link_to_the_cell_before_which_its_anchor_lies() -> None:
    figure = {"mystnb": {"figure": {"name": "fig-a", "caption": "A."}}}
    anchor, cell, other = panels.with_figure_links([new_code_cell("1", metadata=figure), new_code_cell("2")])
    assert anchor.source == "(cell-fig-a)=" and other.source == "2"
    assert cell.metadata["mystnb"]["figure"]["caption"] == "A. [Its code](#cell-fig-a)"

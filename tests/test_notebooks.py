import json
import re
import subprocess
from functools import partial
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from rpgan import obtain, places, results
from rpgan.book import estimate, inputs, notebooks, receipts
from rpgan.chapter import Result, settings, write_results
from rpgan.errors import MissingCheckpoint, UserError

COMMON = {"profile": "smoke", "device": "cpu", "seed": 0, "overrides": {}}
N = {"smoke": 2, "book": 20, "paper": 100}
PARAMETERS = 'profile: str = "book"  # smoke | book | paper\nseed: int = 0\nrate: float = None  # a rate'


@pytest.fixture(autouse=True)
def build_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "_build"))
    monkeypatch.setenv("PYTHONPATH", str(places.CHECKOUT))
    return tmp_path / "_build"


def write_notebook(root: Path, name: str, *sources: str) -> Path:
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (root / "notebooks").mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=kernel), root / "notebooks" / f"{name}.ipynb")
    return root / "notebooks" / f"{name}.ipynb"


def test_none_takes_the_value_of_the_profile_and_a_given_value_wins() -> None:
    assert settings({**COMMON, "n": None}, "01_x", n=N).n == 2
    given = settings({**COMMON, "n": 7}, "01_x", n=N)
    assert given.n == 7
    assert given.changed == {"n": 7}
    assert settings({**COMMON, "n": 2}, "01_x", n=N).changed == {}


def test_a_whole_number_serves_as_a_rate_but_not_a_rate_as_a_whole_number() -> None:
    rates = {"smoke": 0.5, "book": 0.5, "paper": 0.5}
    assert settings({**COMMON, "rate": 1}, "01_x", rate=rates).rate == 1.0
    with pytest.raises(UserError, match=r"n = 2.5 is a float; expected int"):
        settings({**COMMON, "n": 2.5}, "01_x", n=N)
    with pytest.raises(UserError, match="is a bool; expected int"):
        settings({**COMMON, "n": True}, "01_x", n=N)


def test_equal_seeds_give_equal_draws() -> None:
    one, two = (settings({**COMMON, "seed": 3}, "01_x") for _ in range(2))
    assert torch.equal(torch.rand(5, generator=one.rng), torch.rand(5, generator=two.rng))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"profile": "quick"}, "smoke, book, paper"),
        ({"seed": "0"}, "expected int"),
        ({"overrides": ["train.steps"]}, "expected dict"),
        ({"overrides": {3: 4}}, "dotted"),
        ({"device": "gpu"}, "expected auto, cpu"),
        ({"In": ["", "# Parameters\nn_route = 3\n"]}, "n_route.*its parameters are profile, .*, n$"),
    ],
)
def test_a_wrong_setting_is_told_with_the_right_ones(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings({**COMMON, "n": None, **wrong}, "01_x", n=N)


def test_a_missing_parameter_is_told() -> None:
    with pytest.raises(UserError, match="has no parameter n; its parameters are profile"):
        settings(COMMON, "01_x", n=N)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_absent_gpu_is_an_error_and_auto_is_not() -> None:
    with pytest.raises(UserError, match="'cuda' is not here"):
        settings({**COMMON, "device": "cuda"}, "01_x")
    assert settings({**COMMON, "device": "auto"}, "01_x").device == torch.device("cpu")


def test_results_are_read_back_as_written_and_do_not_depend_on_the_time() -> None:
    cfg = settings({**COMMON, "n": 7, "seed": 5}, "01_x", n=N)
    values = {
        "mean": Result(torch.tensor(1.5), n=4, unit="s", interval=(1.0, 2.0)),
        "works": True,
        "row": [1, 2],
    }
    first = write_results(cfg, values).read_bytes()
    assert write_results(cfg, values).read_bytes() == first
    read = results.read_results("smoke")
    assert read["01_x/mean"] == results.Measured(
        1.5, 4, "s", (1.0, 2.0), "", None, "smoke", 5, "cpu", {"n": 7}
    )
    assert (read["01_x/works"].value, read["01_x/row"].value) == (True, [1, 2])
    assert results.read_results("paper") == {}


@pytest.mark.parametrize("value", [float("nan"), torch.tensor([1.0, float("inf")]), object()])
def test_only_finite_plain_values_are_results(value: object) -> None:
    with pytest.raises(UserError, match="result 'x'"):
        write_results(settings(COMMON, "01_x"), {"x": value})


def test_what_rounds_up_to_another_digit_is_shown_in_full() -> None:
    shown = [results.show(999.7, 3), results.show(9999.7), results.show(-9999.7)]
    assert shown == ["1,000", "10,000", "-10,000"]


def test_values_are_shown_with_four_digits_and_counts_in_full() -> None:
    assert results.show(102_400_000) == "102,400,000"
    assert results.show([0.123456, 2048.0, True]) == "0.1235, 2,048, yes"


def test_chapters_go_by_number_name_or_path(tmp_path: Path) -> None:
    two, ten = (write_notebook(tmp_path, name, "x = 1") for name in ("02_two", "10_ten"))
    assert notebooks.select([], tmp_path) == [two, ten]
    assert notebooks.select(["2", "02_two", "10", "notebooks/10_ten.ipynb"], tmp_path) == [two, two, ten, ten]
    with pytest.raises(UserError, match="no chapter '3'; chapters: 02_two, 10_ten"):
        notebooks.select(["3"], tmp_path)


def test_unknown_and_mistyped_parameters_fail_before_anything_runs(tmp_path: Path) -> None:
    write_notebook(tmp_path, "01_x", PARAMETERS, "raise SystemExit")
    with pytest.raises(
        UserError, match=r"no parameter 'rat'; its parameters are profile: str = .*rate: float"
    ):
        notebooks.run([], "smoke", {"rat": 3}, root=tmp_path)
    with pytest.raises(UserError, match="rate = 'high' is a str; expected float"):
        notebooks.run([], "smoke", {"rate": "high"}, root=tmp_path)
    assert not list(tmp_path.glob("_build/**/*.ipynb"))


def test_the_profile_is_no_parameter_beside_the_option(tmp_path: Path) -> None:
    write_notebook(tmp_path, "01_x", PARAMETERS)
    with pytest.raises(UserError, match="'smoke'; use --profile"):
        notebooks.run([], "book", {"profile": "smoke"}, root=tmp_path)


def test_a_run_leaves_a_signed_copy_with_its_results(tmp_path: Path) -> None:
    work = (
        "from rpgan.chapter import settings, write_results\n"
        'cfg = settings(globals() | {"device": "cpu", "overrides": {}}, "01_x",\n'
        '    rate={"smoke": 0.1, "book": 0.2, "paper": 0.3})\n'
        'write_results(cfg, {"rate": cfg.rate})'
    )
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS, work)
    lines: list[str] = []
    run = partial(notebooks.run, ["1"], "smoke", root=tmp_path, echo=lines.append)
    (receipt,) = run({"rate": 2})
    executed = receipts.executed_path("smoke", notebook)
    assert receipts.read_receipt(executed) == receipt
    assert (receipt.seed, receipt.device, receipt.parameters) == (0, "cpu", {"rate": 2})
    assert results.read_results("smoke")["01_x/rate"].value == 2.0
    announced, told = lines
    assert "to run, first run" in announced and f"{receipt.seconds:.1f} s · seed 0 on cpu" in told
    assert str(executed) in told
    (injected,) = (c for c in nbformat.read(executed, 4).cells if "injected-parameters" in c.metadata.tags)
    assert "remove-cell" in injected.metadata.tags
    written = executed.stat().st_mtime_ns
    assert run({"rate": 2}) == [receipt] and executed.stat().st_mtime_ns == written
    assert "unchanged" in lines[-1]
    assert notebooks.outdated(notebook, "smoke", {"rate": 3}, tmp_path) == ["changed: parameters"]
    run({"rate": 2}, force=True)
    assert executed.stat().st_mtime_ns != written
    assert f"to run, --force; took {receipt.seconds:.1f} s the last time" in lines[-2]


@pytest.mark.parametrize(
    "profile", ["book", "smoke"]
)  # one without, one with an injected cell before the failure
def test_a_failing_cell_is_named_as_in_the_source(tmp_path: Path, profile: str) -> None:
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS, "y = 1", "z = y\n1 / 0")
    with pytest.raises(
        UserError, match=r"01_x.ipynb, cell 2 \('z = y'\) raised ZeroDivisionError: division by zero"
    ):
        notebooks.run_notebook(notebook, profile, root=tmp_path)
    assert not receipts.executed_path(profile, notebook).exists()


def test_a_failing_run_keeps_the_execution_before_it(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS, "1 / 0")
    sign(notebook, tmp_path)
    executed, found = receipts.executed_path("smoke", notebook), results.results_path("smoke", "01_x")
    before = executed.read_bytes(), found.read_bytes()
    with pytest.raises(UserError, match="ZeroDivisionError"):
        notebooks.run_notebook(notebook, "smoke", {"rate": 2}, root=tmp_path)
    assert (executed.read_bytes(), found.read_bytes()) == before


def test_relative_folders_mean_the_same_to_a_chapter_as_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "(build_root() / 'told').write_text(str(data_root().resolve()))"
    imported = "from rpgan.places import build_root, data_root"
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS, imported, told)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RPGAN_BUILD", "out")
    monkeypatch.setenv("RPGAN_DATA", "mine")
    notebooks.run_notebook(notebook, "smoke", root=tmp_path)
    assert (tmp_path / "out" / "told").read_text() == str(tmp_path / "mine")


def test_a_killed_kernel_is_one_line(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS, "import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match="killed, as a system does that runs out of memory"):
        notebooks.run_notebook(notebook, "smoke", root=tmp_path)


def test_trainings_and_trials_that_a_chapter_reads_make_its_copy_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (inputs, obtain):
        monkeypatch.setattr(module, "runs_root", lambda: tmp_path / "runs")
    reading = write_notebook(
        tmp_path, "01_x", PARAMETERS, 'import rpgan.sweep\nobtain_generator("mnist-rpgan", gather(["twins"]))'
    )
    other = write_notebook(tmp_path, "02_y", PARAMETERS, 'obtain_generator("sprites-rpgan")')
    trial = estimate.trials(reading, "paper", {})[0]
    for name, said in (
        ("mnist-rpgan-0/last/card.json", {"config": {"name": "mnist-rpgan"}}),
        (trial / "result.json", {}),
    ):
        before = [receipts.draft(notebook, "paper", {}, tmp_path) for notebook in (reading, other)]
        results.save(tmp_path / "runs" / "paper" / name, said)
        after = [receipts.draft(notebook, "paper", {}, tmp_path) for notebook in (reading, other)]
        assert [b.changes(a) for b, a in zip(before, after, strict=True)] == [["runs"], []]


def sign(notebook: Path, root: Path) -> None:
    """Puts a copy and results in place of an execution without a kernel."""
    executed = receipts.executed_path("smoke", notebook)
    executed.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(), executed)
    receipts.sign(executed, receipts.draft(notebook, "smoke", {}, root))
    results.save(results.results_path("smoke", notebook.stem), {})


def test_what_a_notebook_depends_on_makes_its_copy_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS)
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == ["first run"]
    sign(notebook, tmp_path)
    assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == []
    files = {"package": "rpgan/cli/new.py", "checkpoints": "data/checkpoints/a/card.json"}
    for kind, name in (*files.items(), ("notebook", "notebooks/01_x.ipynb")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / name).open("a") as file:
            file.write("\n")
        assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == [f"changed: {kind}"]
        sign(notebook, tmp_path)
    monkeypatch.setattr(receipts, "versions", lambda *names: dict.fromkeys(["python", *names], "0"))
    assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == ["changed: versions"]
    results.results_path("smoke", "01_x").unlink()
    assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == ["unfinished"]


def test_copies_of_failures_and_of_chapters_that_are_gone_are_not_left_to_the_test_runner(
    tmp_path: Path,
) -> None:
    write_notebook(tmp_path, "01_x", PARAMETERS)
    copies = notebooks.prepare([], "smoke", tmp_path)
    left = [copies[0].with_name(name) for name in ("01_x.failed.ipynb", "09_gone.ipynb")]
    for path in left:
        path.write_text("{}")
    assert notebooks.prepare(["01"], "smoke", tmp_path) == copies and all(path.exists() for path in left)
    notebooks.prepare([], "smoke", tmp_path)
    assert list(copies[0].parent.glob("*.ipynb")) == copies


def test_what_the_paper_published_counts_for_chapters_that_show_it_and_its_rules_do_not(
    tmp_path: Path,
) -> None:
    claims = tmp_path / "book" / "claims.yml"
    claims.parent.mkdir()
    text = (places.CHECKOUT / "book" / "claims.yml").read_text(encoding="utf-8")
    showing = write_notebook(tmp_path, "01_x", PARAMETERS, "published_values()")
    other = write_notebook(tmp_path, "02_y", PARAMETERS)

    def drafts(written: str) -> list[receipts.Receipt]:
        claims.write_text(written, encoding="utf-8")
        return [receipts.draft(notebook, "smoke", {}, tmp_path) for notebook in (showing, other)]

    before = drafts(text)
    published, rule = (drafts(text.replace(*pair)) for pair in (("22.79", "22.8"), ("less: ", "less:  ")))
    assert [b.changes(a) for b, a in zip(before, published, strict=True)] == [["published"], []]
    assert [b.changes(a) for b, a in zip(before, rule, strict=True)] == [[], []]


@pytest.mark.parametrize(
    ("name", "book", "paper"),
    [
        ("results/curves/a.json", [], []),
        ("cifar10/train/cat/a.png", ["data"], []),
        ("cifar10/train/cat/b.png", ["data"], []),  # was there, with other content
        ("cifar10.zip", ["data"], []),
        ("raw/cifar-10-batches-py/test_batch", ["data"], []),
        ("raw/pt_inception-2015-12-05-6726825d.pth", ["data", "weights"], ["weights"]),
    ],
)
def test_data_and_weights_that_arrive_or_change_make_a_copy_outdated_and_curves_do_not(
    name: str, book: list[str], paper: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook, known = write_notebook(tmp_path, "01_x", PARAMETERS), {"book": book, "paper": paper}
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    for path in ("data/cifar10/train/cat/b.png", f"data/{name}"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data/cifar10/train/cat/b.png").write_text("{}")
    before = {profile: receipts.draft(notebook, profile, {}, tmp_path) for profile in known}
    (tmp_path / "data" / name).write_text("{ }")
    after = {profile: receipts.draft(notebook, profile, {}, tmp_path) for profile in known}
    assert {p: before[p].changes(after[p]) for p in before} == known


def test_results_of_another_run_make_a_copy_outdated(tmp_path: Path) -> None:
    """Plain papermill writes a chapter's results too: the ledger must not show them beside another page."""
    notebook = write_notebook(tmp_path, "01_x", PARAMETERS)
    sign(notebook, tmp_path)
    left = results.results_path("smoke", "01_x")
    copy = receipts.executed_path("smoke", notebook)
    receipts.sign(copy, receipts.finish(receipts.draft(notebook, "smoke", {}, tmp_path), notebook, 1.0))
    assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == []
    left.write_text(left.read_text() + "\n")
    assert notebooks.outdated(notebook, "smoke", {}, tmp_path) == ["changed: results"]


@pytest.mark.parametrize("absolute", [True, False])
def test_a_checkpoint_given_as_a_path_counts_by_its_card(
    absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook, card = write_notebook(tmp_path, "01_x", PARAMETERS), tmp_path / "best" / "card.json"
    given = {"checkpoint": str(card.parent) if absolute else "best"}
    before = receipts.draft(notebook, "smoke", given, tmp_path)
    card.parent.mkdir()
    card.write_text("{}")
    assert before.changes(receipts.draft(notebook, "smoke", given, tmp_path)) == ["checkpoints"]


def test_chapters_finished_before_an_interruption_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (write_notebook(tmp_path, f"0{i}_x", PARAMETERS) for i in (1, 2, 3))
    executed: list[Path] = []
    interrupted = True

    def execute(notebook: Path, *_: object) -> receipts.Receipt:
        if notebook == second and interrupted:
            raise KeyboardInterrupt
        executed.append(notebook)
        sign(notebook, tmp_path)
        return receipts.draft(notebook, "smoke", {}, tmp_path)

    monkeypatch.setattr(notebooks, "run_notebook", execute)
    with pytest.raises(KeyboardInterrupt):
        notebooks.run([], "smoke", root=tmp_path)
    interrupted = False
    notebooks.run([], "smoke", root=tmp_path)
    assert executed == [first, second, third]


def test_the_commit_tells_local_changes_and_a_copy_without_git_has_none(tmp_path: Path) -> None:
    assert receipts.commit(tmp_path) == "unknown"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    head = receipts.commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", head)
    (tmp_path / "new").touch()
    assert receipts.commit(tmp_path) == f"{head}+changes"


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_source_notebooks_follow_the_template(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert code[0]["metadata"]["tags"] == ["parameters"]
    sources = ["".join(cell["source"]) for cell in code]
    assert any("settings(" in source and f'"{path.stem}"' in source for source in sources)
    parameters = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    assert parameters == code[:1] and 'profile: str = "book"' in sources[0]
    for cell in code:
        shown = cell["metadata"].get("mystnb", {})
        assert ("figure" in shown) == bool(shown.get("image", {}).get("alt")), "a caption and an alt text"
    # Parameters, Colab's cell and what only draws aside, a chapter calls, shows and concludes.
    shown = [
        line
        for source, cell in zip(sources[1:], code[1:], strict=True)
        for line in source.splitlines()
        if line.strip() and "hide-input" not in cell["metadata"].get("tags", [])
    ]
    assert len(shown) <= 80
    assert not any(re.match(r"\s*(class|def) ", line) for line in shown)


def test_a_chapter_without_its_checkpoint_waits_in_the_book_and_is_an_error_alone(tmp_path: Path) -> None:
    missing = "from rpgan.errors import MissingCheckpoint\nraise MissingCheckpoint('x is not here; train it')"
    write_notebook(tmp_path, "01_x", PARAMETERS, missing)
    with pytest.raises(MissingCheckpoint, match="x is not here; train it"):
        notebooks.run([], "book", root=tmp_path)
    told: list[str] = []
    (receipt,) = notebooks.run([], "book", waiting=True, root=tmp_path, echo=told.append)
    assert receipt.waits_for == "x is not here; train it" and receipt.waits_for in told[-1]
    page = nbformat.read(receipts.executed_path("book", tmp_path / "01_x.ipynb"), as_version=4)
    assert "x is not here; train it" in page.cells[-1].source and len(page.cells) == 2
    notebooks.run([], "book", waiting=True, root=tmp_path, echo=told.append)
    assert "to run, waited for a checkpoint" in told[-2], "it may have come since"

"""Executing notebooks: which there are, and runs of them by papermill."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from rpgan.book import durations
from rpgan.book.parameters import check_parameters
from rpgan.book.receipts import (
    Receipt,
    altered,
    draft,
    executed_path,
    finish,
    is_executed,
    read_receipt,
    sign,
)
from rpgan.errors import MissingCheckpoint, UserError
from rpgan.files import taken_away
from rpgan.places import CHECKOUT, CLONE
from rpgan.results import results_path

WAITS = """\
:::{{admonition}} Not executed under this profile
:class: warning
The chapter reads a trained model that is not here, so that this page has its question only.

```text
{}
```
:::"""
# One line that is written over on a terminal; nothing where the output goes to a file.
PROGRESS: dict[str, Any] = {"bar_format": "{desc}: cell {n_fmt} of {total_fmt}, {elapsed}", "leave": False}


def chapters(root: Path = CHECKOUT) -> list[Path]:
    """Returns the source notebooks in the order of their numbers."""
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def select(names: Sequence[str], root: Path = CHECKOUT) -> list[Path]:
    """Returns the notebooks of these chapters ("2", "02", "02_variation" or a path); all of them for no name.

    Raises UserError for a name that is no chapter, with those there are.
    """
    by_name = {path.stem: path for path in chapters(root)}
    by_name |= {path.stem[:2]: path for path in chapters(root)}
    keys = [Path(name).stem.zfill(2) for name in names]
    for name, key in zip(names, keys, strict=True):
        if key not in by_name:
            there = ", ".join(path.stem for path in chapters(root)) or f"none in {root / 'notebooks'}"
            raise UserError(f"there is no chapter {name!r}; chapters: {there}")
    if not by_name:
        raise UserError(f"no notebooks in {root / 'notebooks'}; {CLONE}")
    return [by_name[key] for key in keys] or chapters(root)


def run(
    names: Sequence[str] = (),
    profile: str = "book",
    parameters: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    waiting: bool = False,
    root: Path = CHECKOUT,
    echo: Callable[[str], None] = print,
) -> list[Receipt]:
    """Executes chapters in turn and returns their receipts; says before what it will take.

    A chapter is not executed again if nothing changed since: neither notebook, package, checkpoints nor
    parameters. So after an interruption the same call goes on with the chapter that was interrupted. All
    parameters are checked before the first chapter starts. With `waiting`, a chapter whose checkpoint is
    missing becomes a page that says so, instead of an error.
    """
    given = dict(parameters or {})
    notebooks = list(dict.fromkeys(select(names, root)))
    for notebook in notebooks:
        check_parameters(notebook, profile, given)
    reasons = {n: ["--force"] if force else outdated(n, profile, given, root) for n in notebooks}
    for notebook in notebooks:
        for line in _announce(notebook, profile, given, reasons[notebook], root):
            echo(line)
    receipts = []
    for notebook in notebooks:
        if reasons[notebook]:
            receipts.append(_run_or_wait(notebook, profile, given, waiting, root))
            there = f"{receipts[-1]}\n{'':<20} {executed_path(profile, notebook)}"
            echo(f"{notebook.stem:<20} {receipts[-1].waits_for or there}")
        else:
            receipts += [r for r in [read_receipt(executed_path(profile, notebook))] if r]
    return receipts


def _run_or_wait(
    notebook: Path, profile: str, parameters: dict[str, Any], waiting: bool, root: Path
) -> Receipt:
    try:
        return run_notebook(notebook, profile, parameters, root)
    except MissingCheckpoint as missing:
        if not waiting:
            raise
        return put_aside(notebook, profile, str(missing), root)


def put_aside(notebook: Path, profile: str, reason: str, root: Path = CHECKOUT) -> Receipt:
    """Stores a page in place of an executed chapter: its first cell, and what it waits for."""
    from nbformat import read, write
    from nbformat.v4 import new_markdown_cell

    results_path(profile, notebook.stem).unlink(missing_ok=True)
    page = read(notebook, as_version=4)
    page.cells = [page.cells[0], new_markdown_cell(WAITS.format(fill(reason, 72)), id="waits")]
    done = executed_path(profile, notebook)
    done.parent.mkdir(parents=True, exist_ok=True)
    receipt = replace(draft(notebook, profile, {}, root), waits_for=reason)
    write(page, done)
    sign(done, receipt)
    return receipt


def outdated(
    notebook: Path, profile: str, parameters: Mapping[str, Any] | None = None, root: Path = CHECKOUT
) -> list[str]:
    """Says why an executed copy does not hold, or not any more; nothing where it does."""
    executed = executed_path(profile, notebook)
    receipt = read_receipt(executed)
    if receipt is None:
        return ["first run"]
    if receipt.waits_for:
        return ["waited for a checkpoint"]
    if not is_executed(executed) or not results_path(profile, notebook.stem).exists():
        return ["unfinished"]
    changes = altered(receipt, notebook, parameters or {}, root)
    return [f"changed: {', '.join(changes)}"] if changes else []


def _announce(
    notebook: Path, profile: str, parameters: dict[str, Any], reasons: list[str], root: Path
) -> list[str]:
    if not reasons:
        return [f"{notebook.stem:<20} unchanged, not run again (--force runs it)"]
    last = read_receipt(executed_path(profile, notebook))
    took = f"; took {last.seconds:.1f} s the last time" if last and last.seconds else ""
    if not took and (there := durations.published(notebook, profile, root)):
        took = f"; took {there[0]:.0f} s on {there[1]}"
    lines = [f"{notebook.stem:<20} to run, {', '.join(reasons)}{took}"]
    if profile != "smoke":
        from rpgan.book.estimate import trainings  # loads torch

        lines += [f"{'':<20} asks for {line}" for line in trainings(notebook, profile, parameters)]
    return lines


def run_notebook(
    notebook: Path, profile: str = "book", parameters: Mapping[str, Any] | None = None, root: Path = CHECKOUT
) -> Receipt:
    """Executes a notebook in the working directory and stores the copy under `_build/executed/PROFILE`.

    Raises UserError for wrong parameters before anything runs, and for a failing cell, which it names;
    the copy up to that cell is then kept as `NOTEBOOK.failed.ipynb`, and an earlier execution with its
    results stays as it was.
    """
    given = dict(parameters or {})
    check_parameters(notebook, profile, given)
    done = executed_path(profile, notebook)
    failed = done.with_suffix(".failed.ipynb")
    failed.unlink(missing_ok=True)
    failed.parent.mkdir(parents=True, exist_ok=True)
    before, start = draft(notebook, profile, given, root), time.perf_counter()
    with taken_away(results_path(profile, notebook.stem)):
        _execute(notebook, failed, given if profile == "book" else {**given, "profile": profile})
    receipt = finish(before, notebook, time.perf_counter() - start)
    sign(failed, receipt)
    failed.replace(done)
    return receipt


def _execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    # Where the command was given, so that relative paths mean the same to it and to the chapter.
    options: dict[str, Any] = {"kernel_name": "python3", "cwd": str(Path.cwd())}
    _import_from_checkout()
    options["progress_bar"] = {**PROGRESS, "desc": notebook.stem, "disable": None}
    options["extra_arguments"] = [
        "--IPKernelApp.log_level=50",  # it warns about loopback TCP each time
        "--InlineBackend.figure_formats=retina",  # sharp on screens of two pixels for one
    ]
    try:
        papermill.execute_notebook(str(notebook), str(output), parameters, **options)
    except DeadKernelError:
        raise UserError(
            f"the process that ran {notebook.name} was killed, as a system does that runs out of memory; "
            f"close other programs, or take smaller parameters or --profile smoke"
        ) from None
    except papermill.PapermillExecutionError as error:
        if error.ename == MissingCheckpoint.__name__:
            output.unlink(missing_ok=True)
            raise MissingCheckpoint(error.evalue) from None
        first = next(iter(error.source.strip().splitlines()), "")
        index = error.cell_index - _n_injected(output, error.cell_index)
        raise UserError(
            f"{notebook.name}, cell {index} ({first!r}) raised {error.ename}: {error.evalue}\n"
            f"The cell's traceback is in {output}"
        ) from None


def _import_from_checkout() -> None:
    """Has kernels find the package behind a working directory that holds a clone named `rpgan`."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(CHECKOUT) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CHECKOUT), *paths]))


def _n_injected(output: Path, before: int) -> int:
    """Returns how many cells papermill put before a cell, so that its number is the source's."""
    from nbformat import read

    tags = [cell.metadata.get("tags", []) for cell in read(output, as_version=4).cells]
    as_run = [t for t in tags if "papermill-error-cell-tag" not in t]  # those were added after the failure
    return sum("injected-parameters" in t for t in as_run[:before])


def prepare(names: Sequence[str], profile: str, root: Path = CHECKOUT) -> list[Path]:
    """Writes signed copies of chapters that lack only their execution, for a test runner to run in place.

    Without names, of all chapters: copies of others, and those of failures, are then removed.
    """
    import papermill

    copies = []
    for notebook in select(names, root):
        copies.append(executed_path(profile, notebook))
        copies[-1].parent.mkdir(parents=True, exist_ok=True)
        results_path(profile, notebook.stem).unlink(missing_ok=True)
        options = {"kernel_name": "python3", "progress_bar": False, "prepare_only": True}
        papermill.execute_notebook(str(notebook), str(copies[-1]), {"profile": profile}, **options)
        sign(copies[-1], draft(notebook, profile, {}, root))
    if not names:
        for left in set(copies[0].parent.glob("*.ipynb")) - set(copies):
            left.unlink()
    return copies

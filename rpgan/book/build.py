"""The Jupyter Book: a staging tree of executed notebooks and generated pages, and its build."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from rpgan.book import claims, costs, explorer, launch, notebooks, pages, panels, quotes, trained, tried
from rpgan.book.receipts import Receipt, altered, executed_path, is_executed, read_receipt
from rpgan.errors import UserError
from rpgan.files import exchange
from rpgan.ledger import Ledger, load_ledger
from rpgan.places import CHECKOUT, COMMITTED, build_root
from rpgan.results import check_profile, read_results

JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"  # it has no __main__ of its own
SMOKE_BANNER = (
    "Smoke build: tiny or random models, made only to test that every page builds. Numbers mean nothing."
)


def book(
    profile: str = "book",
    run: bool = True,
    force: bool = False,
    single_page: bool = False,
    root: Path = CHECKOUT,
    echo: Callable[[str], None] = print,
) -> Path:
    """Executes chapters, stages and builds the book; returns its front page.

    Chapters that did not change are executed with `force` only; with `run=False` none is, changed or not.
    Raises UserError for a failing notebook, a stale one, and any warning of the build.
    """
    if (root / "_config.yml").exists():
        config_text(profile, root)  # an address that is wrong is better known before the chapters run
    if run:
        notebooks.run([], profile, force=force, waiting=True, root=root, echo=echo)
    with FileLock(build_root() / ".sphinx.lock"):  # two builds at once would clear each other's workshop away
        staged = stage(profile, root)
        echo(f"staged {staged}")
        page = build(staged, "singlehtml" if single_page else "html")
    echo(f"built {page}")
    return page


def stage(profile: str = "book", root: Path = CHECKOUT) -> Path:
    """Returns a fresh tree of the repository's relative paths: notebooks executed, pages generated.

    Raises UserError without a checkout, and for a chapter that was not executed as it is today.
    """
    if not (root / "_toc.yml").exists():
        raise UserError(f"{root} holds no book; run from a checkout, installed with pip install -e")
    receipts = {path.stem: current_receipt(profile, path, root) for path in notebooks.chapters(root)}
    target = build_root() / "stage" / check_profile(profile)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "book", target / "book")
    shutil.copy(root / "_toc.yml", target / "_toc.yml")
    (target / "_config.yml").write_text(config_text(profile, root), encoding="utf-8")
    ledger = load_ledger(root / "book" / "claims.yml")
    _stage_page(target / "book" / "explorer.md", lambda folder: _explorer_parts(folder, root))
    _stage_page(target / "book" / "trained.md", lambda folder: trained.trained_parts(folder, root))
    _stage_page(target / "book" / "routing_cost.md", lambda folder: _cost_parts(root))
    _stage_page(target / "book" / "tried.md", lambda folder: _tried_parts(root))
    _stage_pages(target / "book", profile, ledger, receipts)
    _stage_notebooks(target / "notebooks", profile, ledger, root)
    return target


def current_receipt(profile: str, notebook: Path, root: Path = CHECKOUT) -> Receipt:
    """Returns the receipt of a notebook's execution; raises UserError where none still holds."""
    executed = executed_path(profile, notebook)
    remedy = f"run: rpgan run {notebook.stem} --profile {profile}"
    if not executed.exists():
        raise UserError(f"{notebook.stem} was not executed under the profile {profile}; {remedy}")
    receipt = read_receipt(executed)
    if receipt is None:
        raise UserError(f"{notebook.stem} was executed by another version of rpgan; {remedy}")
    if not is_executed(executed) and not receipt.waits_for:
        raise UserError(
            f"the copy of {notebook.stem} for the profile {profile} did not run to its end; {remedy}"
        )
    changes = altered(receipt, notebook, receipt.parameters, root)
    if changes:
        raise UserError(f"{' and '.join(changes)} of {notebook.stem} changed since the execution; {remedy}")
    if receipt.parameters:
        raise UserError(
            f"{notebook.stem} was executed with {receipt.parameters}, not as the profile has it; {remedy}"
        )
    return receipt


def config_text(profile: str, root: Path) -> str:
    """Returns `_config.yml` for the stage: launch buttons, and a banner on a smoke build."""
    source: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config = launch.with_launch_buttons(source, root)
    if profile == "smoke":
        config.setdefault("html", {})["announcement"] = SMOKE_BANNER
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _stage_page(page: Path, parts: Callable[[Path], dict[str, str]]) -> None:
    """Fills a page that has parts of its own, which are made only where a book has that page."""
    if page.exists():
        page.write_text(pages.fill(page.read_text(encoding="utf-8"), parts(page.parent)), encoding="utf-8")


def _explorer_parts(folder: Path, root: Path) -> dict[str, str]:
    checkpoint = COMMITTED / "checkpoints" / explorer.EXPLORED
    return {"explorer": explorer.write_explorer(folder, checkpoint, root)}


def _cost_parts(root: Path) -> dict[str, str]:
    document = costs.read_benchmark(root / "data" / "results" / "benchmark.json")
    return costs.cost_parts(document) | {"cost_memory": costs.memory_table()}


def _tried_parts(root: Path) -> dict[str, str]:
    return tried.parts(tried.read_rows(tried.published_path(root)))


def _stage_pages(folder: Path, profile: str, ledger: Ledger, receipts: dict[str, Receipt]) -> None:
    results = read_results(profile)
    parts = {
        "summary": claims.summary(ledger, results),
        "claims": claims.claims_tables(ledger, results, set(receipts)),
        "executions": pages.executions(receipts, results),
        "environment": pages.environment(),
        "costs": pages.costs(),
        "citation": pages.citation(),
    }
    for path in folder.glob("*.md"):
        text = quotes.quote(path.read_text(encoding="utf-8"), ledger, results)
        path.write_text(pages.fill(text, parts), encoding="utf-8")


def _stage_notebooks(folder: Path, profile: str, ledger: Ledger, root: Path) -> None:
    from nbformat import read, write
    from nbformat.v4 import new_markdown_cell

    folder.mkdir(parents=True)
    results = read_results(profile)
    for path in notebooks.chapters(root):
        executed = read(executed_path(profile, path), as_version=4)
        executed.cells = panels.with_figure_links(executed.cells)
        links = claims.back_links(path.stem, ledger, results)
        for name, text in (("run-it-yourself", panels.panel(path, root)), ("in-the-ledger", links)):
            executed.cells += [new_markdown_cell(text, id=name)] if text else []
        write(executed, folder / path.name)


def build(staged: Path, builder: str = "html") -> Path:
    """Builds the stage of a profile from clean doctrees and returns the front page.

    The profile `book` goes to `_build/html`, others beside it, so that a test takes no reader's book away.
    Raises UserError with the warnings: every one of them is an error.
    """
    for left in build_root().glob("sphinx*"):
        shutil.rmtree(left, ignore_errors=True)
    # After a kill the last build may still be at work: it must not write into this one.
    workshop = build_root() / f"sphinx-{os.getpid()}"
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(staged), "--path-output", str(workshop)]
    command += ["--builder", builder, "-W", "-n", "--keep-going", "--all"]
    plain = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=plain)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        told = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-40:]
        raise UserError("the book does not build:\n" + "\n".join(told))
    name = builder if staged.name == "book" else f"{builder}-{staged.name}"
    exchange(workshop / "_build" / builder, build_root() / name)
    shutil.rmtree(workshop, ignore_errors=True)
    return build_root() / name / "index.html"

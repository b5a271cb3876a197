"""Commands that run notebooks and build the book."""

from typing import Annotated

import typer

from rpgan.arguments import parse_assignments
from rpgan.cli.options import Profile
from rpgan.errors import UserError

Force = Annotated[bool, typer.Option("--force", help="Also run chapters that did not change.")]


def run_command(
    chapters: Annotated[list[str], typer.Argument(help="Chapters, e.g. 02 08; all by default.")] = [],  # noqa: B006
    profile: Profile = "book",
    parameters: Annotated[
        list[str], typer.Option("-p", "--parameter", help="A notebook's parameter, e.g. seed=3; repeatable.")
    ] = [],  # noqa: B006
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Only put the notebooks where a test runner executes them.")
    ] = False,
    force: Force = False,
) -> None:
    """Execute notebooks by papermill, those that changed since their last run; results go to _build."""
    from rpgan.book import notebooks

    if prepare_only and (parameters or force):
        raise UserError("--prepare-only with -p or --force; expected neither: it executes nothing")
    if prepare_only:
        notebooks.prepare(chapters, profile)
    else:
        notebooks.run(chapters, profile, parse_assignments(parameters, "n_routes=20"), force=force)


def book_command(
    profile: Profile = "book",
    run: Annotated[bool, typer.Option(help="Execute the notebooks first.")] = True,
    force: Force = False,
    single_page: Annotated[
        bool,
        typer.Option("--single-page", help="One HTML page, to print or to search in, in _build/singlehtml."),
    ] = False,
) -> None:
    """Execute the chapters that changed and build the Jupyter Book into _build/html."""
    from rpgan.book.build import book

    book(profile, run=run, force=force, single_page=single_page)


def stamp_command() -> None:
    """Write the repository's address from _config.yml into README and notebooks."""
    from rpgan.book.launch import stamp
    from rpgan.places import CHECKOUT, CLONE

    if not (CHECKOUT / "_config.yml").exists():
        raise UserError(f"no _config.yml in {CHECKOUT}; {CLONE}")
    for path in stamp(CHECKOUT):
        print(f"stamped {path.relative_to(CHECKOUT)}")

"""What a chapter's page says about running it: parameters, command, measured cost; links from its figures."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpgan.book import durations, trained
from rpgan.book.estimate import experiments, values_by_profile
from rpgan.book.notebooks import outdated
from rpgan.book.pages import table
from rpgan.places import CHECKOUT
from rpgan.presets import resolve
from rpgan.results import PROFILES

MARKUP = re.compile(r"([\\`*_<>\[\]{}$#|])")
PANEL = """\
## Run it yourself

What the chapter can be asked, as its parameters cell has it, and what each profile takes:

{parameters}

A name or a type that is not in this table is refused before anything runs:

```bash
rpgan run {number} -p seed=1
```

What it costs, measured on the machine that the [environment page](../book/environment.md) names unless
another is named here:

{costs}
"""
SETTINGS = """
Under `book` it takes models that were trained once each, on CPU cores: no interval of theirs tells of
another training. The page [Trained models](../book/trained.md) has their scores and curves.

:::::{{dropdown}} Their settings beside the paper's
{settings}
:::::
"""


def panel(notebook: Path, root: Path = CHECKOUT) -> str:
    """Returns the section on a chapter's parameters and cost, MyST text; "" where it has no parameters."""
    from papermill import inspect_notebook

    known = inspect_notebook(str(notebook))
    if not known:
        return ""
    taken = values_by_profile(notebook)
    rows = [_row(parameter, taken.get(name, {})) for name, parameter in known.items()]
    parameters = table(["Parameter", "Type", "Default", "Meaning"], rows, "plain parameters", "18 8 38 36")
    costs = table(["Profile", "Duration", "Command"], _costs(notebook, root), "plain", "12 52 36")
    text = PANEL.format(parameters=parameters, number=notebook.stem[:2], costs=costs)
    settings = trained.departures_table(experiments(notebook, "book", {}), root)
    return text + SETTINGS.format(settings=settings) if settings else text


def _row(parameter: dict[str, str], taken: Mapping[str, str]) -> list[str]:
    meaning = MARKUP.sub(r"\\\1", parameter["help"]) or "–"
    return [
        f"`{parameter['name']}`",
        f"`{parameter['inferred_type_name']}`",
        _default(parameter, taken),
        meaning,
    ]


def _default(parameter: dict[str, str], taken: Mapping[str, str]) -> str:
    """Says what is taken where nothing is given: one value, or what each profile has."""
    if parameter["default"] != "None":
        return f"`{parameter['default']}`"
    if len(set(taken.values())) == 1:
        return next(iter(taken.values()))
    return "; ".join(f"{profile} {value}" for profile, value in taken.items()) or "the profile's"


def _costs(notebook: Path, root: Path) -> list[list[str]]:
    command = f"rpgan run {notebook.stem[:2]} --profile"
    return [[name, cost(notebook, name, root), f"`{command} {name}`"] for name in PROFILES]


def cost(notebook: Path, profile: str, root: Path = CHECKOUT) -> str:
    """Returns in words how long a complete execution under a profile took, or else what it trains."""
    seconds = durations.measured(notebook, profile)
    if seconds is not None:
        earlier = ", before later changes" if outdated(notebook, profile, {}, root) else ""
        return f"{duration(seconds)}{earlier}"
    if there := durations.published(notebook, profile, root):
        return f"{duration(there[0])} when it was measured, on {there[1]}"
    return f"not measured{_training(notebook) if profile == 'paper' else ''}"


def _training(notebook: Path) -> str:
    steps = {name: resolve(name, "paper").train.steps for name in experiments(notebook, "paper", {})}
    told = ", ".join(f"{name} ({n:,} steps)" for name, n in steps.items())
    return f"; trains what is missing of {told}" if told else ""


def duration(seconds: float) -> str:
    """Returns a duration in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def with_figure_links(cells: list[Any]) -> list[Any]:
    """Returns a page's cells; each figure's caption ends in a link to the cell that made it."""
    from nbformat.v4 import new_markdown_cell

    linked = []
    for cell in cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if "name" in figure and "caption" in figure:
            anchor = f"cell-{figure['name']}"
            figure["caption"] += f" [Its code](#{anchor})"
            linked.append(new_markdown_cell(f"({anchor})=", id=anchor[:64]))
        linked.append(cell)
    return linked

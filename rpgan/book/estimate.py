"""What running a notebook would take, told before it runs."""

import ast
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from rpgan import analysis
from rpgan.config import Config, GanConfig, InversionConfig
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS, INVERSIONS
from rpgan.obtain import refuses_hours, run_directory, trained, trained_inverter
from rpgan.presets import changes_of, resolve
from rpgan.results import PROFILES
from rpgan.sweep.points import SWEEPS, plan
from rpgan.sweep.table import read_table


def trainings(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> list[str]:
    """Returns a line for every generator, inversion and sweep that a chapter asks for and that is not there.

    They are read off the chapter's source: a name that it never asks for may be among them.
    """
    changes, of_classifiers = (parameters.get(name) or {} for name in ("overrides", "classifiers"))
    lines = []
    for name in experiments(notebook, profile, parameters):
        own = changes_of(name, changes) if isinstance(EXPERIMENTS[name], GanConfig) else of_classifiers
        with suppress(
            UserError
        ):  # of a size or setting that there is not, which the chapter itself will tell
            config = resolve(name, profile, own)
            if not _is_there(name, profile, changes, own):
                where = f"watch {run_directory(config, profile, own) / 'log.jsonl'}"
                remedy = f"not here: rpgan train {name}"
                refused = refuses_hours(profile, {**changes, **own})
                lines.append(f"{name}: {_effort(config)}; {remedy if refused else where}")
    return lines + _sweeps(notebook, profile, parameters)


def _sweeps(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> list[str]:
    """Under `book` chapters only read what is published of a sweep."""
    names = _swept(notebook, profile, parameters) if profile != "book" else []
    tables = [read_table(name, profile) for name in names]
    return [
        f"sweep {table.sweep}: {table.points - len(table.rows)} of {table.points} trainings; "
        f"rpgan sweep {table.sweep} --profile {profile} shares them out over machines"
        for table in tables
        if len(table.rows) < table.points
    ]


def _is_there(name: str, profile: str, changes: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    config = EXPERIMENTS[name]
    if not isinstance(config, InversionConfig):
        return trained(name, profile, own) is not None
    source = trained(config.generator, profile, changes)
    return source is not None and trained_inverter(name, profile, source, own) is not None


def _effort(config: Config) -> str:
    images = config.train.steps * config.train.batch_size
    if isinstance(config, GanConfig):
        return f"{config.train.steps:,} steps, {images * config.train.d_steps:,} real images"
    return f"{config.train.steps:,} steps, {images:,} generated images"


def experiments(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> list[str]:
    """Names the generators and inversions that a chapter mentions for a profile, in the order of its source.

    None for a chapter that obtains none. Values for other profiles, those that a parameter replaces, and
    statements that only look at a config do not count; an inversion comes with its generator.
    """
    source = "".join(_sources(notebook))
    if "obtain_" not in source:
        return []
    mentioned = _mentions(notebook, profile, parameters)
    names = [name for name in mentioned if isinstance(EXPERIMENTS.get(name), GanConfig)]
    if "obtain_inverter" in source:
        names += [INVERSIONS[name] for name in names if name in INVERSIONS]
    return names


def trials(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> list[Path]:
    """Returns where all trainings of the sweeps that a chapter reads are, or would be."""
    names = _swept(notebook, profile, parameters)
    return [trial.directory for name in names for trial in plan(SWEEPS[name], profile)]


def _swept(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> list[str]:
    """Names the sweeps that a chapter mentions, if it reads any: their names are words of other uses too."""
    if "rpgan.sweep" not in "".join(_sources(notebook)):
        return []
    return [name for name in _mentions(notebook, profile, parameters) if name in SWEEPS]


def values_by_profile(notebook: Path) -> dict[str, dict[str, str]]:
    """Returns what each profile takes for a parameter of a chapter, as its call of `settings` has it.

    Numbers are written out, names stand for what they name, and all else is code.
    """
    nodes = [node for text in _sources(notebook) for node in ast.walk(ast.parse(text))]
    names = dict(pair for node in nodes if isinstance(node, ast.Assign) for pair in _assigned(node))
    return {
        str(keyword.arg): {name: _told(value, names) for name, value in _by_profile(keyword.value, names)}
        for call in nodes
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "settings"
        for keyword in call.keywords
    }


def _assigned(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """Yields the names that a statement gives to what it has in the same places."""
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            places = zip(target.elts, node.value.elts, strict=False)
            yield from ((name.id, value) for name, value in places if isinstance(name, ast.Name))


def _by_profile(node: ast.expr, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, ast.expr]]:
    """Yields profiles and their values in a table of them, or of one value for all."""
    if isinstance(node, ast.Name):
        node = names[node.id]
    if isinstance(node, ast.Dict):
        rows = zip(node.keys, node.values, strict=True)
        yield from ((str(key.value), value) for key, value in rows if isinstance(key, ast.Constant))
    elif isinstance(node, ast.Call):  # dict.fromkeys
        yield from ((profile, node.args[1]) for profile in PROFILES)


def _told(node: ast.expr, names: Mapping[str, ast.expr]) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return f"{node.value:,}"
    if isinstance(node, ast.Name) and node.id in names:
        return _told(names[node.id], names)
    if isinstance(node, ast.List) and len(node.elts) == 1 and isinstance(node.elts[0], ast.Starred):
        return _told(node.elts[0].value, names)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("present", "together", "present_inverted"):
        return f"what is trained of {_told(node.args[0], names)}"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"`{json.dumps(_texts_of(node.value.id, node.attr))}`"
    return f"`{ast.unparse(node)}`".replace("'", '"')


def _mentions(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> list[str]:
    """Returns every text in a chapter's code once, in the order of the source.

    Where the chapter names no generator, the texts of the analyses that it imports come too.
    """
    statements = [s for text in _sources(notebook) for s in ast.parse(text).body if not _only_resolves(s)]
    names = dict.fromkeys(name for s in statements for name in _mentioned(s, profile, parameters))
    if not any(isinstance(EXPERIMENTS.get(name), GanConfig) for name in names):
        names |= dict.fromkeys(n for s in statements for n in _mentioned(_analyses(s), profile, {}))
    return list(names)


def _analyses(statement: ast.stmt) -> ast.Module:
    """Returns the source of the analyses that a statement imports; an empty one for any other statement."""
    if not isinstance(statement, ast.ImportFrom) or statement.module != analysis.__name__:
        return ast.parse("")
    files = [Path(analysis.__path__[0]) / f"{alias.name}.py" for alias in statement.names]
    return ast.parse("\n".join(file.read_text(encoding="utf-8") for file in files))


def _only_resolves(statement: ast.stmt) -> bool:
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return "resolve" in names and not any(name.startswith("obtain_") for name in names)


def _sources(notebook: Path) -> Iterator[str]:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", []):
            yield "".join(cell["source"])


def _mentioned(node: ast.AST, profile: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Yields the texts of a piece of source as they come."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield from _texts_of(node.value.id, node.attr)
    elif isinstance(node, ast.keyword) and given.get(node.arg or "") is not None:
        value = given[node.arg or ""]
        yield from (str(part) for part in (value if isinstance(value, list) else [value]))
    else:
        for child in _chosen(node, profile):
            yield from _mentioned(child, profile, given)


def _texts_of(module: str, name: str) -> list[str]:
    """Returns the texts that an analysis keeps in a constant, such as linearity.TWINS."""
    if not name.isupper() or not (Path(analysis.__path__[0]) / f"{module}.py").exists():
        return []
    value = getattr(import_module(f"{analysis.__name__}.{module}"), name)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
    return [part for part in parts if isinstance(part, str)]


def _chosen(node: ast.AST, profile: str) -> list[ast.AST]:
    """Returns the parts of a node, but of a table with a value for every profile only this profile's."""
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        if set(keys) == set(PROFILES):
            return [node.values[keys.index(profile)]]
    if isinstance(node, ast.Subscript):
        return [node.value]  # a row of what is there already
    return list(ast.iter_child_nodes(node))

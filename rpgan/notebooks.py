"""Executing notebooks: which there are, what parameters they take, and one run of each by papermill."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rpgan.errors import UserError
from rpgan.results import CHECKOUT, build_root, check_profile, results_path

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "dict": (dict,),
    "list": (list,),
    "tuple": (list, tuple),
}
RECEIPT = "rpgan"  # key of the receipt in an executed notebook's metadata


@dataclass(frozen=True)
class Receipt:
    """What an executed notebook came from."""

    profile: str
    parameters: dict[str, Any]  # given in place of the notebook's own values
    seconds: float
    fingerprint: str  # of the notebook, the package and the committed data


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
    return [by_name[key] for key in keys] or chapters(root)


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Raises UserError for a parameter that the notebook does not name or types otherwise."""
    from papermill import inspect_notebook

    known = inspect_notebook(str(notebook))
    for name, value in parameters.items():
        if name not in known:
            table = "; ".join(_describe(p) for p in known.values()) or "none (no cell is tagged parameters)"
            raise UserError(f"{notebook.stem} has no parameter {name!r}; its parameters are {table}")
        wanted = known[name]["inferred_type_name"]
        if value is not None and type(value) not in TYPES.get(wanted, (type(value),)):
            raise UserError(
                f"{notebook.stem}: {name} = {value!r} is a {type(value).__name__}; expected {wanted}"
            )


def _describe(parameter: Mapping[str, str]) -> str:
    text = f"{parameter['name']}: {parameter['inferred_type_name']} = {parameter['default']}"
    return f"{text} ({parameter['help']})" if parameter["help"] else text


def executed_path(profile: str, notebook: Path) -> Path:
    """Returns where the executed copy of a notebook lies."""
    return build_root() / "executed" / check_profile(profile) / notebook.name


def run_notebook(
    notebook: Path, profile: str = "book", parameters: Mapping[str, Any] | None = None, root: Path = CHECKOUT
) -> Receipt:
    """Executes a notebook beside its source and stores the copy under `_build/executed/PROFILE`.

    Raises UserError for wrong parameters before anything runs, and for a failing cell, which it names;
    the copy up to that cell is then kept as `NOTEBOOK.failed.ipynb`.
    """
    given = dict(parameters or {})
    check_parameters(notebook, {"profile": check_profile(profile), **given})
    done = executed_path(profile, notebook)
    failed = done.with_suffix(".failed.ipynb")
    for stale in (done, failed, results_path(profile, notebook.stem)):
        stale.unlink(missing_ok=True)
    failed.parent.mkdir(parents=True, exist_ok=True)
    before = fingerprint(notebook, root)
    start = time.perf_counter()
    _execute(notebook, failed, given if profile == "book" else {"profile": profile, **given})
    receipt = Receipt(profile, given, round(time.perf_counter() - start, 1), before)
    _sign(failed, receipt)
    failed.replace(done)
    return receipt


def _execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    import papermill

    options = {"kernel_name": "python3", "progress_bar": False, "cwd": str(notebook.parent)}
    options["extra_arguments"] = ["--IPKernelApp.log_level=50"]  # it warns about loopback TCP each time
    try:
        papermill.execute_notebook(str(notebook), str(output), parameters, **options)
    except papermill.PapermillExecutionError as error:
        first = next(iter(error.source.strip().splitlines()), "")
        index = error.cell_index - _n_injected(output, error.cell_index)
        raise UserError(
            f"{notebook.name}, cell {index} ({first!r}) raised {error.ename}: {error.evalue}\n"
            f"The cell's traceback is in {output}"
        ) from None


def _n_injected(output: Path, before: int) -> int:
    """Returns how many cells papermill put before a cell, so that its number is the source's."""
    from nbformat import read

    tags = [cell.metadata.get("tags", []) for cell in read(output, as_version=4).cells]
    as_run = [t for t in tags if "papermill-error-cell-tag" not in t]  # those were added after the failure
    return sum("injected-parameters" in t for t in as_run[:before])


def _sign(path: Path, receipt: Receipt) -> None:
    """Adds the receipt, and takes the injected cell off the page: the notebook prints its settings."""
    from nbformat import read, write

    notebook = read(path, as_version=4)
    notebook.metadata[RECEIPT] = asdict(receipt)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
    write(notebook, path)


def prepare(names: Sequence[str], profile: str, root: Path = CHECKOUT) -> list[Path]:
    """Writes signed copies of chapters that lack only their execution, for a test runner to run in place."""
    import papermill

    copies = []
    for notebook in select(names, root):
        copies.append(executed_path(profile, notebook))
        copies[-1].parent.mkdir(parents=True, exist_ok=True)
        results_path(profile, notebook.stem).unlink(missing_ok=True)
        options = {"kernel_name": "python3", "progress_bar": False, "prepare_only": True}
        papermill.execute_notebook(str(notebook), str(copies[-1]), {"profile": profile}, **options)
        _sign(copies[-1], Receipt(profile, {}, 0.0, fingerprint(notebook, root)))
    return copies


def is_executed(path: Path) -> bool:
    """Whether every code cell of a copy has run, without an error."""
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    ran = all(cell["execution_count"] is not None for cell in cells if "".join(cell["source"]).strip())
    return ran and not any(o["output_type"] == "error" for cell in cells for o in cell["outputs"])


def read_receipt(path: Path) -> Receipt:
    """Returns the receipt of an executed notebook."""
    return Receipt(**json.loads(path.read_text(encoding="utf-8"))["metadata"][RECEIPT])


def fingerprint(notebook: Path, root: Path = CHECKOUT) -> str:
    """Returns a hash of all that an executed notebook depends on inside the repository."""
    digest = hashlib.sha256()
    for path in [notebook, *_sources(root)]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(root: Path) -> Iterator[Path]:
    yield from sorted((root / "rpgan").rglob("*.py"))
    for folder in ("checkpoints", "results"):
        yield from sorted(p for p in (root / "data" / folder).rglob("*") if p.is_file())


def run(
    names: Sequence[str] = (),
    profile: str = "book",
    parameters: Mapping[str, Any] | None = None,
    root: Path = CHECKOUT,
    echo: Callable[[str], None] = print,
) -> list[Receipt]:
    """Executes chapters in turn, a line each; all parameters are checked before the first starts."""
    notebooks = select(names, root)
    for notebook in notebooks:
        check_parameters(notebook, {"profile": check_profile(profile), **(parameters or {})})
    receipts = []
    for notebook in notebooks:
        receipts.append(run_notebook(notebook, profile, parameters, root))
        echo(f"{notebook.stem:<24} {receipts[-1].seconds:7.1f} s")
    return receipts

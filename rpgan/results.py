"""Results of notebooks on disk: `_build/results/PROFILE/NOTEBOOK.json`."""

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from rpgan.errors import UserError
from rpgan.files import replacing
from rpgan.places import build_root

PROFILES = ("smoke", "book", "paper")


@dataclass(frozen=True)
class Result:
    """One quantity that a notebook found."""

    value: Any  # number, truth value, text, or a list of them
    n: int | None = None  # how many samples, paths or repetitions it rests on
    unit: str = ""  # e.g. "images", "%", "s"
    interval: tuple[float, float] | None = None  # what the notebook says it is, e.g. a bootstrap's 95 %
    note: str = ""  # protocol, where the key cannot say it
    orders: Mapping[str, int] | None = None  # of a list: in how many draws it had which order, as "1 3 2"


@dataclass(frozen=True)
class Measured(Result):
    """A result as read back, with the circumstances of its run."""

    profile: str = "book"
    seed: int = 0
    device: str = "cpu"
    changed: Mapping[str, Any] = field(default_factory=dict)  # parameters that differed from the profile's


def results_path(profile: str, notebook: str) -> Path:
    """Returns the file of a notebook's results."""
    return build_root() / "results" / profile / f"{notebook}.json"


def check_profile(profile: str) -> str:
    """Returns the profile; raises UserError with the right names for any other."""
    if profile not in PROFILES:
        raise UserError(f"profile {profile!r}; expected one of {', '.join(PROFILES)}")
    return profile


def encode(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns results as plain data; a bare number, truth value or list stands for `Result(value)`.

    Raises UserError for a value that is not finite or that JSON cannot hold.
    """
    return {key: _entry(key, r if isinstance(r, Result) else Result(r)) for key, r in results.items()}


def _entry(key: str, result: Result) -> dict[str, Any]:
    optional = {
        "n": result.n,
        "unit": result.unit or None,
        "interval": None if result.interval is None else [_plain(key, v) for v in result.interval],
        "note": result.note or None,
        "orders": dict(result.orders) if result.orders else None,
    }
    return {"value": _plain(key, result.value)} | {k: v for k, v in optional.items() if v is not None}


def _plain(key: str, value: Any) -> Any:
    """Returns a value of Python's own types; arrays and tensors become nested lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(key, v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"result {key!r} is {value}; report only finite numbers, or leave the key out")
    if not isinstance(value, bool | int | float | str):
        expected = "a number, a truth value, a text or a list of them"
        raise UserError(f"result {key!r} is a {type(value).__name__}; expected {expected}")
    return value


def save(path: Path, document: Mapping[str, Any]) -> None:
    """Writes JSON aside and renames it, so that a reader never sees half a file."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def read_results(profile: str) -> dict[str, Measured]:
    """Returns every result of a profile by `NOTEBOOK/key`; empty where nothing was run.

    Raises UserError that names a file which `write_results` did not write.
    """
    files = sorted((build_root() / "results" / check_profile(profile)).glob("*.json"))
    return {f"{path.stem}/{key}": m for path in files for key, m in _read(path).items()}


def _read(path: Path) -> dict[str, Measured]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        run = {name: document[name] for name in ("profile", "seed", "device", "changed")}
        return {key: _measured(entry, run) for key, entry in document["results"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} holds no results ({error}); run the chapter again with --force") from None


def _measured(entry: dict[str, Any], run: dict[str, Any]) -> Measured:
    interval, orders = entry.get("interval"), entry.get("orders")
    return Measured(
        value=entry["value"],
        n=entry.get("n"),
        unit=entry.get("unit", ""),
        interval=None if interval is None else (interval[0], interval[1]),
        note=entry.get("note", ""),
        orders=None if orders is None else {order: int(times) for order, times in orders.items()},
        **run,
    )


def show(value: Any, digits: int = 4) -> str:
    """Returns a value as the book prints it: so many significant digits, whole numbers in full."""
    if isinstance(value, list | tuple):
        return ", ".join(show(v, digits) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if not isinstance(value, float):
        return str(value)
    rounded = f"{value:.{digits}g}"
    return f"{value:,.0f}" if min(10**digits, 1_000) <= abs(float(rounded)) < 1e15 else rounded


def show_value(result: Result, digits: int = 4) -> str:
    """Returns a result with its unit and interval."""
    text = f"{show(result.value, digits)} {result.unit}".strip()
    return text if result.interval is None else f"{text} [{show(result.interval, digits)}]"


def show_measured(result: Result) -> str:
    """Returns a result with its unit, interval, sample size and, of a stored one, any changed parameter."""
    text = show_value(result)
    notes = [f"n = {result.n:,}"] if result.n is not None else []
    changed = result.changed if isinstance(result, Measured) else {}
    notes += [f"{name} = {value}" for name, value in changed.items()]
    return f"{text} ({'; '.join(notes)})" if notes else text


def processor() -> str:
    """Returns the processor's name, or its kind where the system does not tell the name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # rpgan itself, run from a checkout without an install
            found[name] = "not installed"
    return found

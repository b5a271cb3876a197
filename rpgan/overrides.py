"""The one way to read and change a config: dotted keys, checked names, types and ranges."""

import dataclasses
import difflib
import hashlib
import json
import re
import reprlib
import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from rpgan.config import ClassifierConfig, Config, GanConfig, InversionConfig
from rpgan.errors import UserError

C = TypeVar("C", bound=Config)
T = TypeVar("T")
KINDS: dict[str, type[Config]] = {
    "gan": GanConfig,
    "classifier": ClassifierConfig,
    "inversion": InversionConfig,
}
FILE_NAME = re.compile(r"\w[\w.-]*")  # no path: what is trained goes to a directory of the config's name
LARGEST = 2**63 - 1  # of whole numbers
# Least and most of a number, by the last part of its key; 0 and what its type holds for all others.
AT_LEAST_ONE = (
    "image_shape widths bucket_sizes latent_dim pool stride hidden outputs "
    "steps batch_size d_steps evaluate_every save_every"
)
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(AT_LEAST_ONE.split(), (1, LARGEST)),
    "evaluate_n": (2, LARGEST),  # a covariance needs two images
    "leak": (0, 1),
    "ema": (0, 1),
    "betas": (0, 0.9999999),  # Adam divides by 1 − β
}


def override(config: C, changes: Mapping[str, Any]) -> C:
    """Returns the config with dotted keys replaced, e.g. `{"train.steps": 20}`.

    Raises UserError for an unknown key (with those close to it, or else all) and for a value of another type.
    """
    known = flatten(config)
    for key in changes:
        if key not in known:
            close = difflib.get_close_matches(str(key)[:80], known, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"valid keys: {', '.join(known)}"
            raise UserError(f"unknown setting {reprlib.repr(key)}; {hint}")
    return _build(type(config), {**known, **changes})


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the config's leaves by dotted key."""
    leaves: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        nested = dataclasses.is_dataclass(value)
        leaves |= flatten(value, f"{prefix}{f.name}.") if nested else {f"{prefix}{f.name}": value}
    return leaves


def fingerprint(config: Config, *more: Any) -> str:
    """Returns eight hex digits of a config and of what else JSON may tell of it.

    Settings at their defaults do not count, so that one of a later version leaves fingerprints as they were.
    """
    usual = flatten(type(config)(name=""))
    own = {key: value for key, value in flatten(config).items() if value != usual[key]}
    return hashlib.sha256(json.dumps([own, *more]).encode()).hexdigest()[:8]


def to_dict(config: Config) -> dict[str, Any]:
    """Returns the config as plain nested data, with its kind."""
    kind = next(name for name, cls in KINDS.items() if cls is type(config))
    return {"kind": kind, **dataclasses.asdict(config)}


def from_dict(data: Any) -> Config:
    """Returns the config that `to_dict` wrote (or JSON of it); every value is checked.

    A key that an earlier version did not have takes its default, which is what that version did.
    """
    expects = "expected nested names and values, as to_dict writes"
    if not isinstance(data, Mapping):
        raise UserError(f"config is a {type(data).__name__}; {expects}")
    try:
        leaves = dict(_leaves(data))
    except RecursionError:
        raise UserError(f"config is nested without end; {expects}") from None
    kind = leaves.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"config of kind {kind!r}; expected one of {', '.join(KINDS)}")
    expected = flatten(KINDS[kind](name=""))
    if unknown := sorted(leaves.keys() - expected.keys()):
        raise UserError(f"config has unknown keys {reprlib.repr(unknown)}; expected {', '.join(expected)}")
    if "name" not in leaves:
        raise UserError("config has no name; expected that of its experiment")
    return _build(KINDS[kind], {**expected, **leaves})


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _build(cls: type[T], leaves: Mapping[str, Any], prefix: str = "") -> T:
    values = {}
    for name, annotation in typing.get_type_hints(cls).items():
        key = f"{prefix}{name}"
        nested = dataclasses.is_dataclass(annotation)
        values[name] = (
            _build(annotation, leaves, f"{key}.") if nested else _checked(key, leaves[key], annotation)
        )
    return cls(**values)


def _checked(key: str, value: Any, annotation: Any) -> Any:
    """Returns the value as the annotated type, where nothing is lost by it."""
    if typing.get_origin(annotation) is tuple:
        item = typing.get_args(annotation)[0]
        if isinstance(value, list | tuple):
            return tuple(_checked(key, v, item) for v in value)
        got = f"{key} = {reprlib.repr(value)} is a {type(value).__name__}"
        raise UserError(f"{got}; expected a list of {item.__name__}")
    if annotation is float and type(value) is int and abs(value) <= LARGEST:
        value = float(value)
    if type(value) is not annotation:
        got = f"{key} = {reprlib.repr(value)} is a {type(value).__name__}"
        raise UserError(f"{got}; expected {annotation.__name__}")
    if key == "name" and not FILE_NAME.fullmatch(value):
        raise UserError(f"name = {value!r}; expected letters, digits, - and _: directories are named by it")
    return _in_range(key, value) if annotation in (int, float) else value


def _in_range(key: str, value: int | float) -> int | float:
    unbounded = (0, LARGEST if isinstance(value, int) else sys.float_info.max)
    least, most = RANGES.get(key.rpartition(".")[2], unbounded)
    if not least <= value <= most:
        expected = f"from {least} to {most}" if most < LARGEST else f"of at least {least}"
        raise UserError(f"{key} = {value}; expected a number {expected}")
    return value

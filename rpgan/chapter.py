"""What a notebook calls: checked settings at its top, results at its end."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rpgan.device import find_device
from rpgan.errors import UserError
from rpgan.results import PROFILES, Result, check_profile, encode, results_path, save, versions

__all__ = ["Result", "Settings", "settings", "write_results"]

COMMON: dict[str, tuple[type, ...]] = {
    "profile": (str,),
    "device": (str,),
    "seed": (int,),
    "overrides": (dict,),
}


@dataclass(frozen=True)
class Settings:
    """What a notebook runs with; the chapter's own parameters are attributes too, e.g. `cfg.n_routes`."""

    chapter: str  # name of the notebook without its suffix
    profile: str  # smoke | book | paper
    device: torch.device
    seed: int
    rng: torch.Generator = field(repr=False)  # on the CPU, seeded with `seed`
    overrides: dict[str, Any]  # dotted keys of the experiment's config
    own: dict[str, Any]  # the chapter's parameters, resolved
    changed: dict[str, Any]  # what was given in place of the profile's value

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("own", {})
        if name not in own:
            raise AttributeError(
                f"{name!r} is no setting of this chapter; its own are {', '.join(own) or 'none'}"
            )
        return own[name]

    def __repr__(self) -> str:
        shown = {
            "profile": self.profile,
            "device": self.device,
            "seed": self.seed,
            **self.own,
            **self.overrides,
        }
        return " · ".join([self.chapter, *(f"{name} {value}" for name, value in shown.items())])


def settings(namespace: Mapping[str, Any], chapter: str, **own: Mapping[str, Any]) -> Settings:
    """Returns the checked settings of a notebook, called as `settings(globals(), "02_variation", ...)`.

    Each keyword names a parameter of the chapter and gives its value for every profile:
    `n_routes={"smoke": 2, "book": 20, "paper": 100}`. In the notebook, None takes the profile's value.
    Raises UserError for a missing, unknown or mistyped parameter and for a device that is absent.
    """
    names = [*COMMON, *own]
    _check_names(namespace, names)
    common = {name: checked(name, namespace[name], types) for name, types in COMMON.items()}
    profile = check_profile(common["profile"])
    values = {name: _resolve(name, namespace[name], table, profile) for name, table in own.items()}
    changed = {name: values[name] for name, table in own.items() if values[name] != table[profile]}
    return Settings(
        chapter=chapter,
        profile=profile,
        device=find_device(common["device"]),
        seed=common["seed"],
        rng=torch.Generator().manual_seed(common["seed"]),
        overrides=_dotted(common["overrides"]),
        own=values,
        changed=changed | common["overrides"],
    )


def checked(name: str, value: Any, types: tuple[type, ...]) -> Any:
    """Returns the value if it has one of the types; an int serves as a float, a bool only as itself.

    Raises UserError for any other.
    """
    if type(value) in types:
        return value
    if type(value) is int and float in types:
        return float(value)
    expected = " or ".join(sorted(t.__name__ for t in types))
    raise UserError(f"{name} = {value!r} is a {type(value).__name__}; expected {expected}")


def _check_names(namespace: Mapping[str, Any], names: list[str]) -> None:
    missing = [name for name in names if name not in namespace]
    unknown = [name for name in _injected(namespace) if name not in names]
    for problem, wrong in (("has no parameter", missing), ("does not know the parameter", unknown)):
        if wrong:
            raise UserError(
                f"this notebook {problem} {', '.join(wrong)}; its parameters are {', '.join(names)}"
            )


def _injected(namespace: Mapping[str, Any]) -> Iterator[str]:
    """Yields the names that papermill put in; it heads its cell with the comment `# Parameters`."""
    for source in namespace.get("In", []):
        if source.startswith("# Parameters\n"):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def _resolve(name: str, given: Any, table: Mapping[str, Any], profile: str) -> Any:
    if set(table) != set(PROFILES):
        raise UserError(
            f"{name} has values for {', '.join(table)}; give one for each of {', '.join(PROFILES)}"
        )
    return table[profile] if given is None else checked(name, given, tuple({type(v) for v in table.values()}))


def _dotted(overrides: dict[Any, Any]) -> dict[str, Any]:
    for key in overrides:
        if not isinstance(key, str):
            raise UserError(
                f"overrides has the key {key!r}; expected dotted names, e.g. {{'train.steps': 20}}"
            )
    return overrides


def write_results(cfg: Settings, results: Mapping[str, Any]) -> Path:
    """Writes what the notebook found to `_build/results/PROFILE/NOTEBOOK.json` and returns that path.

    Values are `Result`s or bare numbers, truth values, texts and lists of them; nothing in the file
    depends on the time or place of the run. Raises UserError for a value that is not finite.
    """
    path = results_path(cfg.profile, cfg.chapter)
    run = {
        "profile": cfg.profile,
        "seed": cfg.seed,
        "device": str(cfg.device),
        "changed": cfg.changed,
        "versions": versions("rpgan", "torch", "torchvision", "numpy"),
    }
    save(path, {"chapter": cfg.chapter, **run, "results": encode(results)})
    return path

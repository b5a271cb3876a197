"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PYPI_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib", "seaborn-base": "seaborn"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def ranges(requirements: list[str]) -> dict[str, SpecifierSet]:
    parsed = [Requirement(r) for r in requirements]
    return {canonicalize_name(r.name): r.specifier for r in parsed}


def declared() -> dict[str, SpecifierSet]:
    extras = project()["optional-dependencies"].values()
    return ranges(project()["dependencies"]) | ranges([r for extra in extras for r in extra])


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def conda() -> list:
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def conda_ranges() -> dict[str, SpecifierSet]:
    entries = [re.split(r"(?=[<>=])", d, maxsplit=1) for d in conda() if isinstance(d, str)]
    named = {PYPI_NAMES.get(name, name): rest for name, *rest in entries if name not in ("python", "pip")}
    return {canonicalize_name(name): SpecifierSet("".join(rest)) for name, rest in named.items()}


def overlap(a: SpecifierSet, b: SpecifierSet) -> bool:
    """Ranges of >=, == and < meet exactly if they share one of the versions they name."""
    named = [Version(s.version) for s in (*a, *b)]
    return any(a.contains(v, prereleases=True) and b.contains(v, prereleases=True) for v in named)


@pytest.mark.parametrize(
    ("a", "b", "meet"),
    [(">=1,<2", ">=1.5", True), (">=1,<2", ">=2,<3", False), (">=1,<2", "==1.7", True), ("<1", ">=1", False)],
)
def test_overlap_of_ranges(a: str, b: str, meet: bool) -> None:
    assert overlap(SpecifierSet(a), SpecifierSet(b)) == meet


def test_every_pin_lies_in_its_declared_range() -> None:
    pins = pinned()
    missed = {name: spec for name, spec in declared().items() if pins.get(name) not in spec}
    assert not missed


def test_every_dependency_has_a_lower_bound() -> None:
    assert not [name for name, spec in declared().items() if not any(s.operator == ">=" for s in spec)]


def test_constraints_pin_no_accelerator_library() -> None:
    assert not [name for name in pinned() if re.match(r"nvidia-|cuda-|triton$", name)]


def test_conda_ranges_overlap_those_of_pip() -> None:
    pip_ranges = declared()
    disjoint = {name: spec for name, spec in conda_ranges().items() if not overlap(spec, pip_ranges[name])}
    assert not disjoint


def test_conda_covers_what_is_compiled_and_leaves_the_package_to_pip() -> None:
    assert {"torch", "torchvision", "numpy", "scipy", "scikit-learn"} <= conda_ranges().keys()
    assert {"pip": ["-e .[book,widgets]"]} in conda()


def test_binder_reads_environment_yml() -> None:
    """A folder named binder or .binder would hide it, and Binder takes Python as x.y only."""
    assert not [name for name in ("binder", ".binder") if (ROOT / name).exists()]
    [python] = [d for d in conda() if isinstance(d, str) and d.startswith("python=")]
    assert re.fullmatch(r"python=3\.\d+", python)
    assert Version(python.removeprefix("python=")) in SpecifierSet(project()["requires-python"])

"""What may be given to a notebook: the parameters that its tagged cell names and types."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpgan.errors import UserError
from rpgan.results import check_profile

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "dict": (dict,),
    "list": (list,),
    "tuple": (list, tuple),
}


def check_parameters(notebook: Path, profile: str, parameters: Mapping[str, Any]) -> None:
    """Raises UserError for a parameter that the notebook does not name or types otherwise."""
    from papermill import inspect_notebook

    known = inspect_notebook(str(notebook))
    if parameters.get("profile", profile) != profile:
        raise UserError(f"the parameter profile = {parameters['profile']!r}; use --profile in its place")
    for name, value in {"profile": check_profile(profile), **parameters}.items():
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

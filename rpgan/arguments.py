"""`key=value` texts of the command line as data."""

import ast
import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from rpgan.errors import UserError


def parse_assignments(texts: Sequence[str], example: str) -> dict[str, Any]:
    """Returns `key=value` texts as data: values are JSON, else Python literals, else text.

    A key is a name, or dotted names where the example has such. Raises UserError with the example.
    """
    key = r"[A-Za-z_]\w*" + (r"(\.\w+)*" if "." in example.partition("=")[0] else "")
    pairs = [re.fullmatch(rf"({key})=(.*)", text, re.DOTALL) for text in texts]
    for pair, text in zip(pairs, texts, strict=True):
        if pair is None:
            raise UserError(f"got {text!r}; expected key=value, e.g. {example}")
    return {pair[1]: _parse(pair[pair.re.groups]) for pair in pairs if pair}


def _parse(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return parse(text)
    return text

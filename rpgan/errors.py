"""The exception that stands for a user's mistake, its special case, and the most frequent mistake."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """A mistake that the user can mend; the message says what was got, what was expected and what to do."""


class MissingCheckpoint(UserError):
    """A trained network that is neither in the repository nor in a run; the message says how to train it."""


def choose(table: Mapping[str, T], name: str, what: str) -> T:
    """Returns the entry of that name; raises UserError with all names where there is none."""
    if name not in table:
        raise UserError(f"{what} {name!r}; expected one of {', '.join(table)}")
    return table[name]

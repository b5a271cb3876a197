"""Numbers quoted in the book's pages, and short answers that are read off them when the book is built."""

import re
from collections.abc import Callable
from functools import partial

from rpgan.book.pages import Results
from rpgan.errors import UserError
from rpgan.ledger import Ledger
from rpgan.results import Measured, show_value

DIGITS = 3  # significant ones; the ledger's tables have more
QUOTE = re.compile(r"\{\{\s*(?P<key>[\w-]+/[\w-]+)\s*(?:\?\s*(?P<question>[^{}]*?)\s*)?\}\}")
RARE = 0.05  # share of the draws in which a place must be the largest to be named
MISSING = "*(not run)*"


def quote(text: str, ledger: Ledger, results: Results) -> str:
    """Returns a page in which every quotation is what was found, or `MISSING` where nothing was run.

    `{{ NOTEBOOK/key }}` is a result's value and interval. `{{ NOTEBOOK/key ? 1: less / open / more }}` is one
    of the three texts: the first where value and interval lie below the bound, the last where above it, else
    the second; a list must do so in all its numbers. `{{ NOTEBOOK/key ? largest }}` names the places of the
    list that are largest in some of its draws. Raises UserError for a chapter that the ledger does not know,
    and for any other question.
    """

    def found(match: re.Match[str]) -> str:
        key, question = match["key"], match["question"]
        if key.partition("/")[0] not in ledger.chapters:
            raise UserError(f"{{{{ {key} }}}} quotes no chapter of the ledger: {', '.join(ledger.chapters)}")
        read = _shown if question is None else reader(question)
        return read(results[key]) if key in results else MISSING

    return QUOTE.sub(found, text)


def reader(question: str) -> Callable[[Measured], str]:
    """Returns how a question of `quote` is answered from a result; raises UserError for one that is none."""
    if question == "largest":
        return _largest
    bound, _, texts = question.partition(":")
    words = tuple(text.strip() for text in texts.split("/"))
    try:
        level = float(bound)
    except ValueError:
        level, words = 0.0, ()
    if len(words) != 3:
        raise UserError(
            f"got the question {question!r} of a page; expected largest, or 1: less / open / more"
        )
    return partial(_compared, level=level, words=words)


def _compared(measured: Measured, level: float, words: tuple[str, ...]) -> str:
    ends = [*_numbers(measured), *(measured.interval or ())]
    below, between, above = words
    return below if max(ends) < level else above if min(ends) > level else between


def _numbers(measured: Measured) -> list[float]:
    numbers = measured.value if isinstance(measured.value, list) else [measured.value]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise UserError(f"a page asks a question of {measured.value!r}; expected a number or a list of them")
    return [float(number) for number in numbers]


def _shown(measured: Measured) -> str:
    return show_value(measured, DIGITS)


def _largest(measured: Measured) -> str:
    """Names the places from 1 that are largest, the surest first; of the values, where nothing was drawn."""
    orders = measured.orders or {" ".join(str(number) for number in _numbers(measured)): 1}
    times: dict[int, int] = {}
    for order, n in orders.items():
        ranks = [float(rank) for rank in order.split()]
        place = 1 + ranks.index(max(ranks))
        times[place] = times.get(place, 0) + n
    often = [place for place in times if times[place] > RARE * sum(times.values())]
    return " or ".join(str(place) for place in sorted(often, key=lambda place: -times[place]))

"""Numbers quoted in the book's pages, and short answers that are read off them when the book is built."""

import re

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
        if key not in results:
            return MISSING
        return show_value(results[key], DIGITS) if question is None else answer(question, results[key])

    return QUOTE.sub(found, text)


def answer(question: str, measured: Measured) -> str:
    """Returns what a result says to a question of `quote`; raises UserError for one that it does not know."""
    if question == "largest":
        return _largest(measured)
    bound, colon, texts = question.partition(":")
    words = [text.strip() for text in texts.split("/")]
    try:
        level = float(bound)
    except ValueError:
        level, words = 0.0, []
    if not colon or len(words) != 3:
        raise UserError(
            f"got the question {question!r} of a page; expected largest, or 1: less / open / more"
        )
    numbers = measured.value if isinstance(measured.value, list) else [measured.value]
    ends = [*numbers, *(measured.interval or ())]
    below, between, above = words
    return below if max(ends) < level else above if min(ends) > level else between


def _largest(measured: Measured) -> str:
    """Names the places from 1 that are largest, the surest first; of the values, where nothing was drawn."""
    orders = measured.orders or {" ".join(str(number) for number in measured.value): 1}
    times: dict[int, int] = {}
    for order, n in orders.items():
        ranks = [float(rank) for rank in order.split()]
        place = 1 + ranks.index(max(ranks))
        times[place] = times.get(place, 0) + n
    often = [place for place in times if times[place] > RARE * sum(times.values())]
    return " or ".join(str(place) for place in sorted(often, key=lambda place: -times[place]))

"""The ledger in the book: claims with what was found, their verdicts, and the counts of these."""

from collections.abc import Callable, Sequence
from typing import Any

from rpgan.book.pages import Results, table
from rpgan.ledger import BOUNDS, VERDICTS, Claim, Ledger, asks_order, support, verdict
from rpgan.results import Measured, show, show_measured

# How the page words a rule of rpgan.ledger.RULES.
WORDS: dict[str, Callable[[Any], str]] = {
    "within": lambda x: f"within {100 * x:g} %" if x else "equal",
    "greater": lambda x: f"greater than {x:g}",
    "less": lambda x: f"less than {x:g}",
    "largest": lambda x: f"largest at {_either(x)}",
    "smallest": lambda x: f"smallest at {_either(x)}",
    "above": lambda x: f"{_listed(x[0])} above {_listed(x[1])}",
    "mostly_above": lambda x: f"{_listed(x[0])} above {_listed(x[1])} in most pairs",
    "ranks": lambda x: f"rank correlation at least {x:g}",
    "exactly": lambda x: f"exactly {show(x)}",
    "holds": lambda x: "the chapter's test says yes" if x else "the chapter's test says no",
    "tested": lambda x: "the chapter's test finds it",
}
TOTALS = {
    "paper": "All statements of the paper",
    "carried over": "Its statements, carried over to other data",
    "beyond": "Beyond the paper",
}  # of Claim.source, as the summary names them
ORIGINS = {"paper": "", "carried over": " *(carried over)*", "beyond": " *(beyond the paper)*"}


def _either(places: list[int]) -> str:
    return "number " + " or ".join(str(place) for place in places)


def _listed(places: list[int]) -> str:
    *first, last = map(str, places)
    return f"numbers {', '.join(first)} and {last}" if first else f"number {last}"


def slug(outcome: str) -> str:
    """Returns a verdict as a CSS class."""
    return f"verdict-{outcome.split(' at ')[0].replace(' ', '-')}"


def badge(outcome: str) -> str:
    """Returns a verdict as an inline badge, in two words at most."""
    return f"[{outcome.split(' at ')[0]}]{{.verdict .{slug(outcome)}}}"


def summary(ledger: Ledger, results: Results) -> str:
    """Returns the counts of verdicts: of the paper's statements in every chapter, and all by their source."""
    claims = ledger.claims
    rows = {
        f"{{ref}}`{title} <ledger-{name.replace('_', '-')}>`": [
            c for c in claims if c.chapter == name and c.source == "paper"
        ]
        for name, title in ledger.chapters.items()
        if any(c.chapter == name for c in claims)
    }
    rows |= {f"**{title}**": [c for c in claims if c.source == source] for source, title in TOTALS.items()}
    counts = [[label, *_counts(some, results)] for label, some in rows.items()]
    return table(["Chapter", *(badge(v) for v in VERDICTS)], counts, "counts", "28 11 11 9 10 11 9 11")


def _counts(claims: Sequence[Claim], results: Results) -> list[str]:
    outcomes = [verdict(claim, results.get(claim.result)) for claim in claims]
    return [str(outcomes.count(v) or "–") for v in VERDICTS]


def claims_tables(ledger: Ledger, results: Results, existing: set[str]) -> str:
    """Returns a section with a table for every chapter; `existing` are the notebooks that are in the book."""
    return "\n\n".join(_section(name, ledger, results, name in existing) for name in ledger.chapters)


def _section(name: str, ledger: Ledger, results: Results, exists: bool) -> str:
    rows = [_row(claim, results.get(claim.result)) for claim in ledger.claims if claim.chapter == name]
    if not rows:
        return ""
    title = ledger.chapters[name]
    link = (
        f"Judged in [chapter {title}](../notebooks/{name}.ipynb)."
        if exists
        else "This chapter is still to come."
    )
    body = table(["Claim", "Published", "Here", "Verdict"], rows, "ledger", "42 17 20 21")
    return f"(ledger-{name.replace('_', '-')})=\n## {title}\n\n{link}\n\n{body}"


def _row(claim: Claim, measured: Measured | None) -> list[str]:
    outcome = verdict(claim, measured)  # first, since it names the claim whose result does not fit
    small = [
        claim.experiment,
        claim.where,
        *(["carried over"] if claim.source == "carried over" else []),
        *([claim.note] if claim.note else []),
        _counts_if(claim),
    ]
    return [
        f"[{claim.claim}]{{#{claim.id}}}\n\n    {{.small-print}}\n    {' · '.join(small)}",
        show(claim.published),
        "–" if measured is None else _here(claim, measured),
        badge(outcome),
    ]


def _counts_if(claim: Claim) -> str:
    if not claim.rule:
        return "*not judged*"
    return f"*{'given; checked:' if claim.scale == 'given' else 'counts if'} {rule_text(claim)}*"


def _here(claim: Claim, measured: Measured) -> str:
    run = f"*{measured.profile}*, {measured.device}, seed {measured.seed}"
    told = (f"{show_measured(measured)}, {run}", measured.note, draws_note(claim, measured))
    return "; ".join(part for part in told if part)


def draws_note(claim: Claim, measured: Measured) -> str:
    """Returns in which share of its draws a claim about an order holds, or that draws or an interval lack."""
    rules = [rules for rules in (claim.rule, claim.order) if asks_order(rules)]
    if not rules:
        bounded = claim.scale == "paper" and claim.rule and claim.rule.keys() <= set(BOUNDS)
        return "no interval" if bounded and measured.interval is None else ""
    if not measured.orders:
        return "point estimates"
    named = {"holds": claim.rule, claim.weaker: claim.order}
    told = [
        f"{name} in {100 * support(rule, measured, claim.published):.3g} %"
        for name, rule in named.items()
        if asks_order(rule)
    ]
    in_part = f" ({told[1]})" if len(told) > 1 else ""
    return f"{told[0]}{in_part} of {sum(measured.orders.values()):,} draws"


def rule_text(claim: Claim) -> str:
    """Returns in words what counts as reproduced, and what as less where a weaker rule is given."""
    strong = " and ".join(WORDS[name](argument) for name, argument in claim.rule.items())
    weak = " and ".join(WORDS[name](argument) for name, argument in claim.order.items())
    return f"{strong}; {claim.weaker} if {weak}" if weak else strong


def back_links(chapter: str, ledger: Ledger, results: Results) -> str:
    """Returns the section that closes a chapter: its claims with their verdicts, linked to the ledger."""
    rows = [
        [
            f"{{ref}}`{c.claim} <{c.id}>`{ORIGINS[c.source]}",
            show(c.published),
            badge(verdict(c, results.get(c.result))),
        ]
        for c in ledger.claims
        if c.chapter == chapter
    ]
    if not rows:
        return ""
    return "## In the ledger\n\n" + table(["Claim", "Published", "Verdict"], rows, "ledger", "58 22 20")

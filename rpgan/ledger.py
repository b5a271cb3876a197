"""The claim ledger: what the paper states, what was found here, and a verdict that is computed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from rpgan.errors import UserError
from rpgan.intervals import SURE
from rpgan.places import home
from rpgan.results import Measured

JUDGED = ("reproduced", "same order", "partly", "undecided", "not reproduced")
VERDICTS = (*JUDGED, "shown", "not attempted at this budget")
SCALES = ("any", "paper", "given")
SOURCES = ("paper", "carried over", "beyond")
ROUNDING = 1e-9  # of a bound that is met exactly
BOUNDS = ("greater", "less")  # rules that are asked of the whole of an interval
# rules about the order of a list, asked of every draw
ORDERS = ("largest", "smallest", "above", "mostly_above", "ranks")


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, or one that the companion adds to them."""

    id: str  # anchor on the ledger page
    experiment: str  # E1 … E17 of the companion's list, or "model"
    where: str  # version, table, figure or section
    claim: str  # the statement, in the companion's words
    published: Any  # value, list of values, or text where the paper gives no number
    result: str  # NOTEBOOK/key
    rule: dict[str, Any]  # what counts as reproduced: names of RULES, all of which must hold
    # what counts as the same order where the rule fails, and as a part of the order where the rule is one
    order: dict[str, Any] = field(default_factory=dict)
    # any (arithmetic, independent of training) | paper (comparable under `paper` only) | given (a setting, or
    # what holds by construction: no finding, so that its rule is a check)
    scale: str = "paper"
    note: str = ""  # scale or protocol, or why nothing is judged
    source: str = "paper"  # paper | carried over (the paper's, judged on other data) | beyond (not its own)

    @property
    def chapter(self) -> str:
        return self.result.partition("/")[0]

    @property
    def weaker(self) -> str:
        """The verdict where only `order` holds."""
        return "partly" if asks_order(self.rule) else "same order"


@dataclass(frozen=True)
class Ledger:
    """All claims, and the chapters that judge them (some of which are still to come)."""

    chapters: dict[str, str]  # notebook → title
    claims: tuple[Claim, ...]


def _within(value: Any, published: Any, tolerance: float | int) -> bool:
    pairs = list(zip(_numbers(value), _numbers(published), strict=True))
    return all(abs(v - p) <= tolerance * abs(p) * (1 + ROUNDING) for v, p in pairs)


def _ranks(value: Any, published: Any, least: float | int) -> bool:
    from scipy.stats import spearmanr

    return bool(spearmanr(_numbers(value), _numbers(published)).statistic >= least)


def _above(value: Any, groups: Sequence[Sequence[int]]) -> bool:
    upper, lower = ([_numbers(value)[place - 1] for place in group] for group in groups)
    return min(upper) > max(lower)


def _mostly_above(value: Any, groups: Sequence[Sequence[int]]) -> bool:
    upper, lower = ([_numbers(value)[place - 1] for place in group] for group in groups)
    wins = sum(a > b for a in upper for b in lower)
    return 2 * wins > len(upper) * len(lower)


# name of a rule → (value, published, argument) → whether it holds; positions count from 1
RULES: dict[str, Callable[[Any, Any, Any], bool]] = {
    "within": _within,  # so large a part of what is published, element by element
    "greater": lambda v, p, bound: all(number > bound for number in _numbers(v)),
    "less": lambda v, p, bound: all(number < bound for number in _numbers(v)),
    "largest": lambda v, p, places: _highest(_numbers(v)) <= set(places),  # and none beside them as large
    "smallest": lambda v, p, places: _highest([-number for number in _numbers(v)]) <= set(places),
    "above": lambda v, p, groups: _above(v, groups),  # [[1, 2], [3]]: each of the first two exceeds the third
    "mostly_above": lambda v, p, groups: _mostly_above(v, groups),  # in more than half of the pairs
    "ranks": _ranks,  # least Spearman correlation with the published values
    "exactly": lambda v, p, wanted: _numbers(v) == _numbers(wanted),  # a list, with neither more nor fewer
    "holds": lambda v, p, wanted: v is wanted,  # a truth value that the notebook computed
    "tested": lambda v, p, wanted: v is wanted,  # what a test found, which says nothing where it did not
}


def _numbers(value: Any) -> list[float]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise UserError(f"got {value!r} where a rule of the ledger expects numbers")
    return [float(v) for v in values]


def _highest(numbers: list[float]) -> set[int]:
    return {place for place, number in enumerate(numbers, start=1) if number == max(numbers)}


def asks_order(rules: Mapping[str, Any]) -> bool:
    """Returns whether rules are about nothing but the order of a list; no rule is about none."""
    return bool(rules) and rules.keys() <= set(ORDERS)


def holds(rules: Mapping[str, Any], value: Any, published: Any) -> bool:
    """Returns whether all the rules hold; no rule holds nothing."""
    return bool(rules) and all(RULES[name](value, published, argument) for name, argument in rules.items())


def verdict(claim: Claim, measured: Measured | None) -> str:
    """Returns one of VERDICTS.

    A claim about trained networks can be reproduced by the paper's own budget only: under a smaller
    profile, a rule that holds shows the same order. Where the rule is about an order, a weaker one that
    surely holds shows a part of it, and saves nothing otherwise. What is given is no finding: it is shown
    unless its rule surely fails. A rule that neither holds nor fails surely, see `support`, leaves the claim
    undecided. Raises UserError, naming the claim, where result and rule do not fit.
    """
    if measured is None:
        return "not attempted at this budget"
    if not claim.rule:
        return "shown"
    rules = claim.rule, claim.order or claim.rule
    try:
        strong, weak = (support(rule, measured, claim.published) for rule in rules)
    except (UserError, ValueError, IndexError, ZeroDivisionError) as error:
        raise UserError(f"claim {claim.id}: {claim.result} does not fit its rule: {error}") from None
    if claim.scale == "given" and strong > 1 - SURE:
        return "shown"
    if strong >= SURE:
        comparable = claim.scale == "any" or measured.profile == "paper"
        return "reproduced" if comparable else "same order"
    if weak >= SURE:
        return claim.weaker
    failed = strong if asks_order(claim.rule) else max(strong, weak)
    return "not reproduced" if failed <= 1 - SURE else "undecided"


def support(rules: Mapping[str, Any], measured: Measured, published: Any) -> float:
    """Returns the share, in [0, 1], of what a result may be at which all the rules hold.

    Bounds are asked of a number and of both ends of its interval, so that only 0 and 1 are sure. Orders are
    asked of all draws of a list, where a chapter has drawn it again. A test that found nothing leaves it
    open, 0.5. All else is 0 or 1, by the value alone.
    """
    kept = [(holds(rules, value, published), times) for value, times in _readings(rules, measured)]
    return sum(times for held, times in kept if held) / sum(times for _, times in kept)


def _readings(rules: Mapping[str, Any], measured: Measured) -> list[tuple[Any, int]]:
    """Returns the values at which rules are judged, and how often each occurs; ranks stand for a draw."""
    if "tested" in rules and not measured.value:
        return [(False, 1), (True, 1)]  # what was not found may be there
    if measured.orders and asks_order(rules):
        return [([int(rank) for rank in order.split()], n) for order, n in measured.orders.items()]
    if measured.interval is not None and rules.keys() <= set(BOUNDS):
        return [(value, 1) for value in (measured.value, *measured.interval)]
    return [(measured.value, 1)]


def published_values(root: Path | None = None) -> dict[str, Any]:
    """What the paper reports by claim, from the ledger of a checkout, for chapters that show it."""
    return {c.id: c.published for c in load_ledger((root or home()) / "book" / "claims.yml").claims}


def load_ledger(path: Path) -> Ledger:
    """Returns the ledger of a `claims.yml`; raises UserError that names the claim and the field at fault."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or set(document) != {"chapters", "claims"}:
        raise UserError(f"{path.name}: expected exactly the keys chapters and claims at the top")
    claims = tuple(_claim(i, entry) for i, entry in enumerate(document["claims"], start=1))
    ids = [claim.id for claim in claims]
    for claim in claims:
        if ids.count(claim.id) > 1:
            raise UserError(f"claim {claim.id}: the id is taken twice; ids are anchors on the page")
        if claim.chapter not in document["chapters"]:
            there = ", ".join(document["chapters"])
            raise UserError(
                f"claim {claim.id}: no chapter {claim.chapter!r} is registered; chapters: {there}"
            )
    return Ledger(document["chapters"], claims)


def _claim(number: int, entry: Any) -> Claim:
    name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
    known = [f.name for f in fields(Claim)]
    required = known[: known.index("order")]
    given = set(entry) if isinstance(entry, dict) else set()
    if wrong := sorted(given - set(known)) or [key for key in required if key not in given]:
        raise UserError(f"claim {name}: {', '.join(wrong)} missing or unknown; fields: {', '.join(known)}")
    claim = Claim(**entry)
    for field_name, allowed in (("scale", SCALES), ("source", SOURCES)):
        if getattr(claim, field_name) not in allowed:
            got = getattr(claim, field_name)
            raise UserError(f"claim {name}: {field_name} is {got!r}; expected one of {', '.join(allowed)}")
    if (claim.source == "beyond") != claim.where.startswith("beyond the paper"):
        raise UserError(f"claim {name}: source is {claim.source!r}, where is {claim.where!r}; one is wrong")
    _check_rules(claim)
    return claim


def _check_rules(claim: Claim) -> None:
    for name in [*claim.rule, *claim.order]:
        if name not in RULES:
            raise UserError(f"claim {claim.id}: there is no rule {name!r}; rules: {', '.join(RULES)}")
    if not claim.rule and (claim.order or not claim.note):
        remedy = "say what counts as reproduced, or in the note why it is only shown"
        raise UserError(f"claim {claim.id}: rule is empty; {remedy}")
    if not all(claim.result.partition("/")):
        raise UserError(f"claim {claim.id}: result is {claim.result!r}; expected NOTEBOOK/key")

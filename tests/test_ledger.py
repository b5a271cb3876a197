import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
import torch
import yaml

from rpgan.book import claims
from rpgan.book.notebooks import chapters
from rpgan.errors import UserError
from rpgan.intervals import count_orders, resampled_sums
from rpgan.ledger import RULES, VERDICTS, Claim, holds, load_ledger, support, verdict
from rpgan.places import CHECKOUT
from rpgan.results import Measured, Result, encode, read_results, results_path, save

CLAIM = Claim(
    "speed",
    "E15",
    "section 4.5",
    "it is faster",
    2.2,
    "08_x/speed",
    {"within": 0.1},
    {"greater": 1},
)
LEDGER = CHECKOUT / "book" / "claims.yml"


def test_every_verdict_is_computed() -> None:
    exact = replace(CLAIM, scale="any")
    found = [Measured(2.3), Measured(4.0), Measured(1.2, interval=(0.9, 1.4)), Measured(0.9)]
    outcomes = [verdict(exact, measured) for measured in found]
    outcomes.insert(2, verdict(LATE_ABOVE_EARLY, Measured([1, 3, 2, 4])))
    shown = replace(exact, rule={}, order={}, note="a picture")
    assert (*outcomes, verdict(shown, Measured(False)), verdict(shown, None)) == VERDICTS


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        ((2.5, 3.0), "reproduced"),
        ((1.5, 3.0), "same order"),
        ((0.5, 3.0), "undecided"),
        ((0.1, 0.9), "not reproduced"),
    ],
)
def test_a_bound_is_asked_of_the_whole_interval(interval: tuple[float, float], outcome: str) -> None:
    claim = replace(CLAIM, rule={"greater": 2}, scale="any")
    assert verdict(claim, Measured(sum(interval) / 2, interval=interval)) == outcome


def test_a_value_outside_its_interval_is_open_and_a_given_one_that_straddles_is_shown() -> None:
    claim = replace(CLAIM, rule={"greater": 1}, order={}, scale="any")
    assert verdict(claim, Measured(0.9, interval=(1.1, 1.4))) == "undecided"
    given = replace(CLAIM, rule={"less": 1.1}, order={}, scale="given")
    assert verdict(given, Measured(1.05, interval=(0.9, 1.2))) == "shown"


LATE = [[3, 4], [1, 2]]
LATE_ABOVE_EARLY = replace(CLAIM, rule={"above": LATE}, order={"mostly_above": LATE}, scale="any")
LAYERS = replace(CLAIM, rule={"above": [[2], [1, 3]]}, order={}, scale="any")


@pytest.mark.parametrize(
    ("means", "outcome"),
    [
        ([1, 3, 1], "reproduced"),  # far apart for noise of deviation 1 over 50 units
        ([1, 1, 0], "undecided"),  # the first two are tied
        ([3, 1, 1], "not reproduced"),
        ([1, 3, 3], "undecided"),
    ],
)
def test_an_order_is_asked_of_every_draw(means: list, outcome: str, rng: torch.Generator) -> None:
    noise = torch.randn(50, 3, generator=rng, dtype=torch.float64)
    values = noise - noise.mean(0) + torch.tensor(means)  # so that a tie is exact
    orders = count_orders(resampled_sums(values, rng))
    assert verdict(LAYERS, Measured(values.mean(0).tolist(), orders=orders)) == outcome


def test_the_point_decides_where_nothing_was_drawn_and_not_where_it_was() -> None:
    assert verdict(LAYERS, Measured([1, 2, 1])) == "reproduced"
    assert verdict(LAYERS, Measured([2, 1, 1])) == "not reproduced"
    drawn = {"1 2 1": 60, "2 1 1": 40}
    assert support(LAYERS.rule, Measured([1, 2, 1], orders=drawn), None) == 0.6
    assert verdict(LAYERS, Measured([1, 2, 1], orders=drawn)) == "undecided"


@pytest.mark.parametrize(("times", "outcome"), [(94, "undecided"), (95, "reproduced"), (5, "not reproduced")])
def test_an_order_is_sure_from_95_percent_on(times: int, outcome: str) -> None:
    orders = {"1 3 2": times, "3 1 2": 100 - times}
    assert verdict(LAYERS, Measured([1, 3, 2], orders=orders)) == outcome


def test_a_weaker_order_is_asked_of_the_draws_too() -> None:
    claim = replace(CLAIM, published=[3, 2, 1], rule={"within": 0.1}, order={"ranks": 0.9}, scale="any")
    assert verdict(claim, Measured([9, 8, 1], orders={"3 2 1": 99, "2 3 1": 1})) == "same order"
    assert verdict(claim, Measured([9, 8, 1], orders={"3 2 1": 60, "2 3 1": 40})) == "undecided"


def test_a_part_of_an_order_is_never_the_order() -> None:
    for profile in ("book", "paper"):
        assert verdict(LATE_ABOVE_EARLY, Measured([1, 3, 2, 4], profile=profile)) == "partly"
        half = Measured([1, 4, 2, 3], profile=profile)  # two of four pairs
        assert verdict(LATE_ABOVE_EARLY, half) == "not reproduced"
    rare = Measured([1, 3, 2, 4], orders={"1 3 2 4": 90, "1 2 3 4": 10})
    assert verdict(LATE_ABOVE_EARLY, rare) == "partly"
    assert claims.draws_note(LATE_ABOVE_EARLY, rare) == "holds in 10 % (partly in 100 %) of 100 draws"


def test_most_pairs_are_had_by_chance_in_up_to_half_of_all_orders() -> None:
    rules = [{**c.rule, **c.order}.get("mostly_above") for c in load_ledger(LEDGER).claims]
    for upper, lower in filter(None, rules):
        orders = list(permutations(range(max(*upper, *lower))))
        by_chance = sum(holds({"mostly_above": [upper, lower]}, list(order), None) for order in orders)
        assert by_chance <= len(orders) / 2  # as the ledger's page says


def test_draws_survive_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path))
    run = {"profile": "book", "seed": 0, "device": "cpu", "changed": {}}
    results = encode({"a": Result([1.0, 2.0], orders={"1 2": 9, "2 1": 1}), "b": Result([1.0], orders={})})
    save(results_path("book", "01_x"), {**run, "results": results})
    read = read_results("book")
    assert read["01_x/a"].orders == {"1 2": 9, "2 1": 1} and read["01_x/b"].orders is None


def test_a_claim_about_training_is_reproduced_by_the_papers_budget_only() -> None:
    assert verdict(CLAIM, Measured(2.2, profile="book")) == "same order"
    assert verdict(CLAIM, Measured(2.2, profile="paper")) == "reproduced"
    assert verdict(CLAIM, Measured(0.5, profile="book")) == "not reproduced"


def test_a_test_that_finds_nothing_leaves_the_claim_open() -> None:
    tested = replace(CLAIM, rule={"tested": True}, order={})
    assert verdict(tested, Measured(True, profile="book")) == "same order"
    assert verdict(tested, Measured(False, profile="book")) == "undecided"


def test_what_is_given_is_no_finding() -> None:
    given = replace(CLAIM, scale="given", order={})
    for profile in ("book", "paper"):
        assert verdict(given, Measured(2.2, profile=profile)) == "shown"
        assert verdict(given, Measured(0.5, profile=profile)) == "not reproduced"


@pytest.mark.parametrize(
    ("rule", "yes", "no", "published"),
    [
        ({"within": 0.1}, [95, 21], [95, 23], [100, 20]),
        ({"within": 0}, 10, 10.001, 10),
        ({"within": 0.1}, 110, 111, 100),
        ({"within": 0.1}, 90, 89, 100),
        ({"greater": 1}, [1.1, 2], [1, 2], None),
        ({"less": 1}, 0.9, 1.0, None),
        ({"largest": [2, 3]}, [1, 5, 2], [6, 5, 2], None),
        ({"smallest": [1]}, [1, 5, 2], [3, 5, 2], None),
        ({"largest": [1, 2]}, [5, 5, 2], [5, 2, 5], None),
        ({"mostly_above": [[1, 2], [3, 4]]}, [5, 2, 3, 1], [4, 1, 2, 3], None),  # 3 of 4 pairs, 2 of 4
        ({"above": [[2, 3], [1]]}, [1, 5, 2], [2, 5, 2], None),
        ({"ranks": 0.9}, [10, 20, 40], [10, 40, 20], [1, 2, 3]),
        ({"exactly": [5, 10]}, [5, 10], [5, 10, 15], None),
        ({"exactly": [5, 10]}, [5.0, 10.0], [5], None),
        ({"holds": True}, True, False, None),
        ({"tested": True}, True, False, None),
        ({"greater": 1, "less": 3}, 2, 4, None),
    ],
)
def test_each_rule_can_hold_and_can_fail(rule: dict, yes: object, no: object, published: object) -> None:
    assert holds(rule, yes, published)
    assert not holds(rule, no, published)


def test_a_number_that_is_merely_true_does_not_hold() -> None:
    assert not holds({"holds": True}, 1, None)
    with pytest.raises(UserError, match="claim speed: 08_x/speed does not fit its rule"):
        verdict(CLAIM, Measured(True))
    with pytest.raises(UserError, match="claim speed"):
        verdict(CLAIM, Measured([2.2, 2.2]))


def test_every_rule_has_words() -> None:
    assert RULES.keys() == claims.WORDS.keys()
    assert claims.rule_text(CLAIM) == "within 10 %; same order if greater than 1"


def write(tmp_path: Path, **changes: object) -> Path:
    entry = {
        "id": "a",
        "experiment": "E1",
        "where": "Table 1",
        "claim": "c",
        "published": 1,
        "result": "01_x/key",
        "rule": {"within": 0.1},
    }
    entry = {k: v for k, v in (entry | changes).items() if v is not None}
    document = {"chapters": {"01_x": "1. X"}, "claims": [entry]}
    (tmp_path / "claims.yml").write_text(yaml.safe_dump(document))
    return tmp_path / "claims.yml"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"where": None}, "claim a: where missing"),
        ({"verdict": "reproduced"}, "claim a: verdict missing or unknown"),
        ({"scale": "smoke"}, "scale is 'smoke'; expected one of any, paper"),
        ({"rule": {"near": 1}}, "no rule 'near'; rules: within"),
        ({"rule": {}}, "rule is empty"),
        ({"rule": {}, "order": {"greater": 1}, "note": "a picture"}, "rule is empty"),
        ({"source": "ours"}, "source is 'ours'; expected one of paper, carried over, beyond"),
        ({"source": "beyond"}, "source is 'beyond', where is 'Table 1'; one is wrong"),
        ({"where": "beyond the paper"}, "source is 'paper'"),
        ({"result": "02_y/key"}, "no chapter '02_y' is registered; chapters: 01_x"),
        ({"result": "01_x"}, "expected NOTEBOOK/key"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    assert load_ledger(write(tmp_path)).claims[0].id == "a"
    with pytest.raises(UserError, match=message):
        load_ledger(write(tmp_path, **changes))


def test_an_id_is_taken_once(tmp_path: Path) -> None:
    path = write(tmp_path)
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**document, "claims": document["claims"] * 2}))
    with pytest.raises(UserError, match="taken twice"):
        load_ledger(path)


def test_the_ledger_covers_every_experiment_and_table_of_the_paper() -> None:
    claims = [claim for claim in load_ledger(LEDGER).claims if claim.source != "beyond"]
    assert {f"E{i}" for i in range(1, 18)} <= {claim.experiment for claim in claims}
    for i in range(1, 6):
        assert any(f"Table {i}" in claim.where for claim in claims), f"Table {i}"
    current = [re.sub(r"\(?version 1:.*", "", claim.where) for claim in claims]
    figures = [numbers for where in current for numbers in re.findall(r"Fig\. (\d[\d, ]*)", where)]
    shown = {int(number) for numbers in figures for number in re.findall(r"\d+", numbers)}
    assert set(range(3, 19)) <= shown, "Figures 1 and 2 are diagrams; all others have a row"


def test_every_notebook_is_a_chapter_of_the_ledger() -> None:
    assert {path.stem for path in chapters()} <= load_ledger(LEDGER).chapters.keys()


def test_every_rule_of_the_ledger_can_judge_what_it_publishes() -> None:
    for claim in load_ledger(LEDGER).claims:
        if {"within", "ranks"} & {*claim.rule, *claim.order}:
            assert verdict(replace(claim, scale="any"), Measured(claim.published)) == "reproduced", claim.id


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [
        ("quality-comparable", [0.95, 20.8 / 18.7], [1.3]),  # better is not worse than comparable
        ("table-3-noise", [list(range(10, 55, 5))], [[40], list(range(15, 55, 5))]),
        ("inversion-later-easy", [0.96], [0.69]),
        ("training-steps", [[450_000, 250_000, 250_000]], [[90_000, 250_000, 250_000]]),
        ("cardinality-typical", [[2048, 2970, 420]], [[2048, 2970, 3.3]]),
    ],
)
def test_a_rule_is_as_strong_as_its_sentence(name: str, kept: list, broken: list) -> None:
    (claim,) = (claim for claim in load_ledger(LEDGER).claims if claim.id == name)
    assert all(holds(claim.rule, value, claim.published) for value in kept)
    assert not any(holds(claim.rule, value, claim.published) for value in broken)


def test_what_is_judged_on_other_data_says_on_which() -> None:
    for claim in load_ledger(LEDGER).claims:
        if claim.source == "carried over":
            assert re.search(r"; on (sprites|digits|CIFAR-10)\b", claim.claim), claim.id


def test_anchors_are_what_html_makes_of_them() -> None:
    for claim in load_ledger(LEDGER).claims:
        assert claim.id == claim.id.lower() and claim.id.replace("-", "").isalnum(), claim.id

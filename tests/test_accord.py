"""Roles of layers over trainings, on planted numbers."""

from dataclasses import dataclass, field
from statistics import fmean

import pytest
import torch

from rpgan.analysis.accord import RPGAN, STANDARD, accord
from rpgan.metrics.agreement import rank_correlations

RISING, FALLING, SWAPPED = [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.4, 0.3]


@dataclass
class Row:
    diversity: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    damage: dict[str, list[float]] = field(default_factory=dict)
    semantic: str = "other²"


def routed(color, semantic=RISING):
    return Row({"color": {"share": color}, "own²": {"share": FALLING}, "other²": {"share": semantic}})


def standard(color, semantic=RISING):
    return Row(damage={"color": color, "own²": FALLING, "other²": semantic})


def test_rank_correlations_are_of_every_row_with_every_row():
    a, b = torch.tensor([RISING, FALLING]), torch.tensor([RISING, SWAPPED, [0.25] * 4])
    expected = torch.tensor([[1, 0.8, 0], [-1, -0.8, 0]], dtype=torch.float64)
    assert torch.allclose(rank_correlations(a, b), expected)


def test_agreement_is_the_mean_over_pairs_of_both_kinds():
    found = accord([routed(RISING), routed(SWAPPED), standard(RISING), standard(FALLING), standard(RISING)])
    across = found.agreement("color", STANDARD, RPGAN)
    assert across.value == pytest.approx(fmean([1, -1, 1, 0.8, -0.8, 0.8])) and across.n == 5
    assert -1 <= across.interval[0] < across.value < across.interval[1] <= 1


def test_a_kind_that_agrees_with_itself_leaves_the_error_to_the_other():
    """By hand: RPGANs agree with every twin by 1 and 0.8, so that the error is 0.1 and has 1 degree."""
    found = accord([routed(RISING), routed(SWAPPED), standard(RISING), standard(RISING)])
    across = found.agreement("color", STANDARD, RPGAN)
    assert across.value == pytest.approx(0.9)
    assert across.interval == pytest.approx((0.9 - 12.706 * 0.1, 1), abs=1e-3)
    same = accord([routed(RISING)] * 2 + [standard(RISING)] * 2).agreement("color", STANDARD, RPGAN)
    assert same.value == pytest.approx(1) and same.interval == pytest.approx((1, 1))


def test_one_training_of_a_kind_has_no_interval():
    found = accord([routed(RISING), routed(SWAPPED), standard(RISING)])
    assert found.agreement("color", STANDARD, RPGAN).interval is None
    assert found.agreement("color", RPGAN, RPGAN) is None, "two trainings are one pair"
    assert found.results().keys() == {"trainings_color_rank_agreement", "trainings_semantic_rank_agreement"}
    assert "nan" not in found.summary() and "–" in found.table()[f"{RPGAN} – {RPGAN}"]["color"]


def test_trainings_of_one_kind_agree_with_each_other_as_pairs_do():
    rows = [routed(RISING), routed(RISING), routed(SWAPPED), standard(RISING)]
    among = accord(rows).agreement("color", RPGAN, RPGAN)
    assert among.value == pytest.approx((1 + 0.8 + 0.8) / 3) and among.n == 3
    # Left out in turn: 0.8, 0.8, 1; the jackknife's error is then sqrt(2/3 · 0.02667) = 0.1333.
    assert among.interval == pytest.approx((max(-1, 0.8667 - 4.3027 * 0.1333), 1), abs=1e-3)


def test_what_is_concluded_from_did_not_choose_the_checkpoints():
    found = accord([routed(RISING, FALLING)] * 2 + [standard(RISING)] * 2)
    assert found.results()["trainings_semantic_rank_agreement"].value == pytest.approx(-1)
    assert list(found.table()[f"{STANDARD} – {RPGAN}"]) == ["trainings", "color", "own²", "other²"]


def test_lines_are_of_all_trainings():
    found = accord([routed(RISING), standard(FALLING), routed(SWAPPED)])
    assert found.kinds == [RPGAN, RPGAN, STANDARD]
    expected = torch.tensor([RISING, SWAPPED, FALLING], dtype=torch.float64)
    assert torch.equal(found.lines["color"], expected)


def test_trainings_that_cannot_be_compared_are_left_out():
    dead = routed([0.5, 0.5, None, None])
    longer = standard([0.2] * 5)
    found = accord([dead, routed(RISING), longer, standard(RISING), Row()])
    assert found.kinds == [RPGAN, STANDARD]
    assert accord([routed(RISING)]) is None and accord([standard(RISING)]) is None and accord([]) is None

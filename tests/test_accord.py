"""Roles of layers over trainings, on planted numbers."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch
from rows import row

from rpgan.analysis import accord as module
from rpgan.analysis.accord import ALL, OTHER, RPGAN, STANDARD
from rpgan.metrics.agreement import rank_correlations
from rpgan.presets import resolve

RISING, FALLING, SWAPPED = [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.4, 0.3]
CHOSE = {"name": "frechet_own"}
USUAL = resolve("cifar10-rpgan", "book").generator.bucket_sizes


def routed(color, semantic=RISING, n_in=USUAL[0]):
    shares = {"color": color, "own²": FALLING, "other²": semantic}
    sizes = {"generator.bucket_sizes": [n_in] * len(USUAL)}
    return row(
        diversity={name: {"share": share} for name, share in shares.items()}, overrides=sizes, selected=CHOSE
    )


def standard(color, semantic=RISING):
    damage = {"color": color, "own²": FALLING, "other²": semantic}
    return row(experiment="cifar10-gan", damage=damage, selected=CHOSE)


def accord(*rows):
    return module.accord(rows, "cifar10-rpgan", "book")


def test_rank_correlations_are_of_every_row_with_every_row():
    a, b = torch.tensor([RISING, FALLING]), torch.tensor([RISING, SWAPPED, [0.25] * 4])
    expected = torch.tensor([[1, 0.8, 0], [-1, -0.8, 0]], dtype=torch.float64)
    assert torch.allclose(rank_correlations(a, b), expected)


def test_agreement_is_the_mean_over_pairs_of_both_kinds():
    found = accord(routed(RISING), routed(SWAPPED), standard(RISING), standard(FALLING), standard(RISING))
    across = found.agreement("color", STANDARD, RPGAN)
    assert across.value == pytest.approx(fmean([1, -1, 1, 0.8, -0.8, 0.8])) and across.n == 5
    assert -1 <= across.interval[0] < across.value < across.interval[1] <= 1
    assert "3 and 2 trainings" in across.note and "color" in across.note


def test_a_generator_with_a_fixed_z_is_of_neither_kind():
    fixed = routed(FALLING)
    fixed.overrides["generator.latent"] = "fixed"
    found = accord(fixed, routed(RISING), standard(RISING))
    assert found.kinds == (RPGAN, STANDARD)


def test_the_smaller_group_has_the_degrees_of_freedom():
    """By hand: five RPGANs agree by 1, 1, 1, 1 and 0.8 with both twins; the error is 0.04, of 1 degree."""
    five = [routed(RISING)] * 4 + [routed(SWAPPED)]
    across = accord(*five, standard(RISING), standard(RISING)).agreement("color", STANDARD, RPGAN)
    assert across.value == pytest.approx(0.96)
    assert across.interval == pytest.approx((0.96 - 12.706 * 0.04, 1), abs=1e-3)


def test_the_errors_of_both_groups_add_up():
    rows = [kind(order) for kind in (routed, standard) for order in [RISING] * 4 + [SWAPPED]]
    across = accord(*rows).agreement("color", STANDARD, RPGAN)
    assert across.value == pytest.approx(0.936)
    half = 2.7764 * 0.024 * 2**0.5  # Student's with 4 degrees of freedom; each group's jackknife gives 0.024
    assert across.interval[0] == pytest.approx(0.936 - half, abs=1e-4)


def test_rounding_is_no_error():
    orders = ([1.0, 2, 3, 4, 5], [2.0, 3, 1, 4, 5], [3.0, 1, 2, 4, 5])
    found = accord(*(routed([x / 15 for x in o], [0.2] * 5) for o in orders), standard([0.2] * 5, [0.2] * 5))
    within = found.agreement("color", ALL, ALL)
    assert within.value == pytest.approx(0.7) and within.interval is None


def test_coincidence_is_no_certainty():
    """Few trainings that put few layers into the same order leave no error, and so no interval."""
    found = accord(*[routed(RISING)] * 3, *[standard(RISING)] * 3)
    for pair in ((STANDARD, RPGAN), (RPGAN, RPGAN), (STANDARD, STANDARD)):
        same = found.agreement("color", *pair)
        assert same.value == pytest.approx(1) and same.interval is None


def test_one_training_of_a_kind_has_no_interval():
    found = accord(routed(RISING), routed(SWAPPED), standard(RISING))
    assert found.agreement("color", STANDARD, RPGAN).interval is None
    assert found.agreement("color", RPGAN, RPGAN) is None, "two trainings are one pair"
    assert "nan" not in found.summary() and found.table()[f"{ALL} – {ALL}"]["color"] == "–"
    assert not any(key.endswith(("_gans", "_rpgans", "_instances")) for key in found.results())


def test_trainings_of_one_kind_agree_with_each_other_as_pairs_do():
    rows = [routed(RISING), routed(RISING), routed(SWAPPED), standard(RISING)]
    among = accord(*rows).agreement("color", ALL, ALL)
    assert among.value == pytest.approx((1 + 0.8 + 0.8) / 3) and among.n == 3
    # Left out in turn: 0.8, 0.8, 1; the jackknife's error is then sqrt(2/3 · 0.02667) = 0.1333.
    assert among.interval == pytest.approx((max(-1, 0.8667 - 4.3027 * 0.1333), 1), abs=1e-3)


def test_rpgans_of_other_sizes_count_for_themselves():
    found = accord(routed(RISING), routed(FALLING, n_in=5), standard(RISING), standard(RISING))
    assert found.kinds == (RPGAN, OTHER, STANDARD, STANDARD)
    assert found.agreement("color", STANDARD, RPGAN).value == pytest.approx(1)
    assert found.agreement("color", STANDARD, ALL).value == pytest.approx(0)
    only = accord(routed(RISING, n_in=5), standard(RISING))
    assert only.agreement("color", STANDARD, RPGAN) is None and only.results()
    assert "rank correlation of noise with RPGAN is in colour –" in only.summary()


def test_agreement_may_go_with_the_number_of_instances():
    orders = [FALLING, [0.3, 0.4, 0.2, 0.1], SWAPPED, RISING]
    rows = [routed(order, n_in=n) for n, order in zip((5, 10, 20, 40), orders, strict=True)]
    found = accord(*rows, standard(RISING))
    assert found.by_instances("color").value == pytest.approx(1)
    assert found.by_instances("other²") is None, "all agree equally"
    assert accord(*rows[1:], standard(RISING)).by_instances("color") is None, "three tell nothing"


def test_what_is_concluded_from_did_not_choose_the_checkpoints():
    found = accord(*[routed(RISING, FALLING)] * 2, *[standard(RISING)] * 2)
    assert found.results()["trainings_semantic_rank_agreement"].value == pytest.approx(-1)
    assert list(found.table()[f"{STANDARD} – {RPGAN}"]) == ["trainings", "color", "own²", "other²"]


def test_trainings_that_cannot_be_compared_are_left_out():
    dead = replace(routed([0.5, 0.5, None, None]), selected={"name": "frechet_other"})
    longer = standard([0.2] * 5)
    found = accord(dead, routed(RISING), longer, standard(RISING), row())
    assert found.kinds == (RPGAN, STANDARD) and found.measures["semantic"] == "other²"
    assert accord(routed(RISING)) is None and accord(standard(RISING)) is None and accord() is None

"""Layer diversity over trainings, on planted numbers."""

from dataclasses import replace

import pytest
import rows as planted
import torch

from rpgan.analysis.consistency import consistency
from rpgan.presets import resolve

FIVE = {"generator.bucket_sizes": [5] * 5}
FIRST, MIDDLE, LAST = [0.4, 0.3, 0.2, 0.1], [0.1, 0.4, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]


def row(semantic, color, overrides=FIVE):
    shares = {"color": color, "own²": LAST, "other²": semantic}
    forms = {
        name: {"share": share, "ratio_mean": [None if s is None else s / share[0] for s in share]}
        for name, share in shares.items()
    }
    return planted.row(diversity=forms, overrides=overrides)


def test_statements_are_counted_over_trainings():
    found = consistency([row(MIDDLE, LAST), row(MIDDLE, LAST), row(LAST, LAST), row(FIRST, MIDDLE)], "book")
    counts = {line["statement"]: (line["other²"], line["color"]) for line in found.table()}
    assert list(counts.values()) == [(2, 1), (3, 4), (1, 3), (1, 0)]
    assert found.n_in == (5,) * 4 and all(line["trainings"] == 4 for line in found.table())


def test_a_fixed_z_is_another_model():
    fixed = row(FIRST, FIRST, overrides={"generator.latent": "fixed"})
    assert consistency([fixed, row(LAST, LAST), fixed], "book") is None
    assert len(consistency([fixed, row(MIDDLE, LAST), row(LAST, LAST)], "book").n_in) == 2


def test_results_are_means_over_trainings_whose_orders_tell_how_sure_they_are():
    found = consistency([row(MIDDLE, LAST)] * 3, "book").results(torch.Generator().manual_seed(0))
    assert found["trainings_semantic_share"].value == pytest.approx(MIDDLE)
    assert found["trainings_semantic"].value == pytest.approx([1, 4, 2, 3])
    assert list(found["trainings_color"].orders) == ["1 2 3 4"], "all trainings alike, no other order"
    assert found["trainings_color_late"].value == 1 and found["trainings_color_late"].n == 3
    split = consistency([row(MIDDLE, LAST), row(LAST, LAST)] * 3, "book").results(
        torch.Generator().manual_seed(0)
    )
    assert len(split["trainings_semantic"].orders) > 1, "trainings that differ leave the order open"


def test_more_instances_may_go_with_more_in_the_last_bucket():
    rows = [row(MIDDLE, [0.5 - x, 0.2, 0.1, 0.2 + x]) for x in (0.0, 0.1, 0.2, 0.3, 0.4)]
    sizes = [{"generator.bucket_sizes": [n_in] * 5} for n_in in (5, 10, 15, 20, 25)]
    rows = [replace(each, overrides=own) for each, own in zip(rows, sizes, strict=True)]
    found = consistency(rows, "book")
    grows = found.last_by_instances("color")
    assert grows.value == pytest.approx(1) and grows.interval[0] > 0 and grows.n == 5
    rows[4] = replace(rows[4], overrides={"seed": 1})
    usual = resolve("cifar10-rpgan", "book").generator.bucket_sizes[0]
    assert consistency(rows, "book").n_in == (5, 10, 15, 20, usual), "a row says what is not the experiment's"
    assert consistency(rows[:3], "book").last_by_instances("color") is None, "three tell nothing"
    alike = [row(MIDDLE, LAST, overrides=own) for own in sizes]
    assert consistency(alike, "book").last_by_instances("color") is None, "equal shares have no order"
    assert consistency([rows[0]] * 5, "book").last_by_instances("color") is None, "all of one size"


def test_trainings_that_cannot_be_compared_are_left_out():
    other = row([0.5, 0.5], [0.5, 0.5])
    other.diversity["own²"] = other.diversity["color"]
    single = row([0.5, 0.3, 0.2, None], LAST)
    whole = [row(MIDDLE, LAST)] * 2
    assert consistency([*whole, other, single], "book").n_in == (5, 5)
    assert consistency([*whole[:1], single, planted.row()], "book") is None
    assert consistency([], "book") is None


def test_the_last_two_are_no_middle_and_both_must_lead():
    third, uneven = [0.1, 0.2, 0.4, 0.3], [0.2, 0.3, 0.1, 0.4]
    color = consistency([row(third, third), row(uneven, uneven)], "book").measures["color"]
    assert color.peaks_between().tolist() == [False, False]
    assert color.late_are_most().tolist() == [True, False]

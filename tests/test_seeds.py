"""Statistics over independent repetitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpgan.errors import UserError
from rpgan.metrics.seeds import (
    Spread,
    deviation_from_least,
    first_reached,
    pooled_deviation,
    ratio_of_deviations,
    ratio_of_means,
)

POSITIVE = st.lists(st.floats(1, 100), min_size=2, max_size=6)


def normal(rng, n, mean=10.0, deviation=1.0):
    return Spread(tuple(rng.normal(mean, deviation, n)))


def covered(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    assert covered([normal(rng, 3).interval for _ in range(2_000)], 10) == pytest.approx(0.95, abs=0.015)


def test_the_interval_of_a_ratio_covers_it_for_unequal_numbers_and_deviations():
    rng = np.random.default_rng(1)
    pairs = ((normal(rng, 4, 20.0, 2.0), normal(rng, 8, 10.0, 0.3)) for _ in range(1_000))
    assert covered([ratio_of_means(a, b)[1] for a, b in pairs], 2) == pytest.approx(0.95, abs=0.025)


def test_the_interval_of_a_ratio_of_deviations_covers_it():
    rng = np.random.default_rng(2)
    pairs = [(normal(rng, 3, 0.0, 3.0), normal(rng, 5, 0.0, 1.0)) for _ in range(1_000)]
    assert covered([ratio_of_deviations(a, b)[1] for a, b in pairs], 3) == pytest.approx(0.95, abs=0.025)


@given(POSITIVE, POSITIVE, st.floats(0.1, 10))
def test_ratios_turn_over_and_do_not_depend_on_the_unit(a, b, unit):
    a, b = Spread(tuple(a)), Spread(tuple(b))
    ratio, interval = ratio_of_means(a, b)
    back, turned = ratio_of_means(b, a)
    scaled, _ = ratio_of_means(*(Spread(tuple(unit * v for v in s.values)) for s in (a, b)))
    assert ratio * back == pytest.approx(1) and scaled == pytest.approx(ratio)
    assert interval[0] <= ratio <= interval[1]
    assert turned == pytest.approx((1 / interval[1], 1 / interval[0]))


def test_one_repetition_has_no_interval():
    one, two = Spread((3.0,)), Spread((1.0, 2.0))
    assert one.interval is None and one.deviation is None and one.mean == one.least == 3
    assert ratio_of_means(one, two) == (2.0, None)
    assert ratio_of_deviations(one, two) is None and ratio_of_deviations(two, Spread((1.0, 1.0))) is None


@pytest.mark.parametrize("values", [(), (1.0, math.nan), (math.inf,)])
def test_repetitions_are_finite(values):
    with pytest.raises(UserError, match="expected finite"):
        Spread(values)


def test_a_ratio_needs_positive_values():
    with pytest.raises(UserError, match="positive"):
        ratio_of_means(Spread((1.0, 2.0)), Spread((0.0, 1.0)))


def test_pooling_ignores_where_the_groups_lie():
    groups = [Spread((1.0, 3.0)), Spread((101.0, 103.0, 102.0)), Spread((7.0,))]
    pooled = pooled_deviation(groups)
    assert pooled is not None and pooled[1] == 3
    assert pooled[0] == pytest.approx(math.sqrt((2 + 2) / 3))  # sums of squares over degrees of freedom
    assert pooled_deviation(groups[2:]) is None


@pytest.mark.parametrize("n", [2, 10])
def test_the_deviation_is_found_from_the_least_and_the_mean(n):
    draws = 3 + 2 * np.random.default_rng(3).standard_normal((20_000, n))
    found, freedom = deviation_from_least(3.0, float(draws.min(axis=1).mean()), n)
    assert found == pytest.approx(2, rel=0.03)
    each = draws.mean(axis=1) - draws.min(axis=1)  # what a single table of n values would tell
    assert freedom == pytest.approx(each.mean() ** 2 / (2 * each.var()), rel=0.05)


def test_the_least_of_two_has_a_closed_form():
    expected = 1, 1 / (math.pi - 2)
    assert deviation_from_least(0.0, -1 / math.sqrt(math.pi), 2) == pytest.approx(expected)
    with pytest.raises(UserError, match="least"):
        deviation_from_least(1.0, 2.0, 10)


def test_a_level_is_reached_between_measurements():
    steps, values = [10, 20, 30], [8.0, 4.0, 6.0]
    assert first_reached(steps, values, 6.0) == 15
    assert first_reached(steps, values, 9.0) == 10  # nothing is known before
    assert first_reached(steps, values, 3.9) is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0, 100), st.floats(0, 100))
def test_a_lower_level_is_never_reached_sooner(values, a, b):
    steps = [10.0 * (k + 1) for k in range(len(values))]
    low, high = (first_reached(steps, values, level) for level in sorted((a, b)))
    assert low is None or (high is not None and high <= low + 1e-9)

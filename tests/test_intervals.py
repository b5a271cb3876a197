"""Central intervals: order statistics of what was drawn."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from rpgan.errors import UserError
from rpgan.intervals import central_interval, count_orders, rank_interval, resampled_sums


def test_the_middle_of_a_hundred_and_one_draws():
    """Of 0, 1, …, 100 the middle 90 % lie between 5 and 95, whatever their order; columns on their own."""
    draws = torch.randperm(101).float()
    low, high = central_interval(torch.stack([draws, -2 * draws], dim=1), 0.9)
    torch.testing.assert_close(low, torch.tensor([5.0, -190.0], dtype=torch.float64))
    torch.testing.assert_close(high, torch.tensor([95.0, -10.0], dtype=torch.float64))


def test_a_nan_spreads_unless_it_is_ignored():
    draws = torch.tensor([1.0, torch.nan, 3.0])
    assert all(end.isnan() for end in central_interval(draws))
    low, high = central_interval(draws, 0.5, ignore_nan=True)
    assert (float(low), float(high)) == (1.5, 2.5)


def test_sums_are_over_units_that_are_drawn_together(rng):
    """Of two units, each draw takes one twice or both once; what stands in one row stays together."""
    sums = resampled_sums(torch.tensor([[1.0, 10.0], [2.0, 20.0]]), rng, 500)
    assert sums.dtype == torch.float64 and torch.equal(sums[:, 1], 10 * sums[:, 0])
    assert set(sums[:, 0].tolist()) == {2.0, 3.0, 4.0}
    assert abs(float((sums[:, 0] == 3).double().mean()) - 0.5) < 0.1


def test_one_unit_is_not_certain(rng):
    with pytest.raises(UserError, match="over 1 path, image or training; expected at least 2"):
        resampled_sums(torch.tensor([[1.0, 10.0]]), rng)


def test_orders_are_counted_by_ranks_whatever_the_scale():
    draws = torch.tensor([[1.0, 9.0, 2.0], [0.1, 0.3, 0.2], [5.0, 5.0, 7.0], [1.0, torch.nan, 2.0]])
    assert count_orders(draws) == {"1 3 2": 2, "1 1 2": 1}
    assert count_orders(draws[3:]) == {}


@pytest.mark.parametrize("truth", [0.0, 0.7])
def test_the_interval_of_a_rank_correlation_covers_it(truth):
    """Of bivariate normals with Pearson's r, whose Spearman correlation is 6/π asin(r/2)."""
    rng, n, held = np.random.default_rng(0), 12, 0
    pearson = 2 * math.sin(math.pi * truth / 6)
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], n).T
        low, high = rank_interval(float(spearmanr(x, y).statistic), n)
        held += low <= truth <= high
    assert 0.9 < held / 400 < 0.99


def test_its_error_is_that_of_bonett_and_wright():
    half = 1.959964 * math.sqrt((1 + 0.7**2 / 2) / 9)
    expected = [math.tanh(math.atanh(0.7) + side * half) for side in (-1, 1)]
    assert rank_interval(0.7, 12) == pytest.approx(expected, abs=1e-6)


def test_few_units_tell_next_to_nothing_even_in_perfect_order():
    low, high = rank_interval(1.0, 4)
    assert low < 0 < 0.99 < high <= 1 and rank_interval(-1.0, 4) == pytest.approx((-high, -low))

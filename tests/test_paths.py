"""Paths: how many there are, how they are drawn, and how single entries are changed."""

import pytest
import torch
from scipy.stats import chi2

from rpgan import paths
from rpgan.errors import UserError

SIZES = (3, 1, 4)


def test_count_is_the_product_and_agrees_with_table_1():
    assert paths.count(SIZES) == 12
    assert paths.count((40,) * 5) / 50_000 == 2048
    assert round(paths.count((10,) * 7) / 3_033_042, 1) == 3.3
    assert round(paths.count((20,) * 7) / 3_033_042) == 422


def test_sampled_paths_are_uniform(rng):
    drawn = paths.sample(SIZES, 6_000, rng)
    assert drawn.dtype == torch.int64 and drawn.shape == (6_000, 3)
    counts = torch.bincount(drawn[:, 0] * 4 + drawn[:, 2], minlength=12).double()
    statistic = float(((counts - 500).square() / 500).sum())
    assert 1e-3 < chi2.sf(statistic, df=11) < 1 - 1e-3


def test_sampling_depends_on_the_generator_only():
    first, second, third = (paths.sample(SIZES, 50, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_allowed_restricts_one_bucket_and_leaves_the_others(rng):
    drawn = paths.sample(SIZES, 400, rng, allowed={0: [0, 2], 1: range(1)})
    assert drawn[:, 0].unique().tolist() == [0, 2]
    assert drawn[:, 2].unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("allowed", [{0: []}, {0: [3]}, {0: [-1]}, {3: [0]}, {-1: [0]}])
def test_allowed_must_name_what_exists(allowed, rng):
    with pytest.raises(UserError, match=r"expected .* from 0 to"):
        paths.sample(SIZES, 4, rng, allowed)


@pytest.mark.parametrize("n", [1, 5, 12, 64])
def test_balanced_instances_occur_equally_often_or_once_more(n, rng):
    drawn = paths.sample_balanced((5, 1, 12), n, rng)
    assert drawn.shape == (n, 3)
    for column, size in enumerate((5, 1, 12)):
        counts = torch.bincount(drawn[:, column], minlength=size)
        assert counts.sum() == n and counts.max() - counts.min() <= 1


def test_a_balanced_path_alone_is_uniform():
    draws = torch.cat(
        [paths.sample_balanced((2, 3), 3, torch.Generator().manual_seed(s)) for s in range(800)]
    )
    counts = torch.bincount(draws[0::3, 0] * 3 + draws[0::3, 1], minlength=6).double()
    expected = 800 / 6
    assert chi2.sf(float(((counts - expected).square() / expected).sum()), df=5) > 1e-3


def test_vary_replaces_one_entry():
    varied = paths.vary(torch.tensor([2, 0, 1]), 2, [3, 0])
    assert varied.tolist() == [[2, 0, 3], [2, 0, 0]]
    assert paths.vary(torch.tensor([2, 0, 1]), 0, torch.arange(3))[:, 0].tolist() == [0, 1, 2]


def test_fix_copies():
    original = paths.enumerate_all(SIZES)
    before = original.clone()
    fixed = paths.fix(original, {0: 1, 2: 3})
    assert (fixed == torch.tensor([1, 0, 3])).all() and torch.equal(original, before)


@pytest.mark.parametrize("n", [1, 3, 5, 9])
def test_alternatives_are_distinct_and_never_the_paths_own(n, rng):
    for own in range(6):
        others = paths.alternatives(torch.tensor([0, own]), 1, 6, n, rng).tolist()
        assert len(others) == len(set(others)) == min(n, 5) and own not in others


def test_alternatives_are_uniform(rng):
    path = torch.tensor([2])
    counts = torch.bincount(
        torch.cat([paths.alternatives(path, 0, 5, 2, rng) for _ in range(1_000)]), minlength=5
    )
    assert counts[2] == 0 and (counts[[0, 1, 3, 4]] - 500).abs().max() < 100


def test_enumeration_is_lexicographic_and_complete():
    every = paths.enumerate_all(SIZES).tolist()
    assert every == sorted(every) and len({tuple(p) for p in every}) == paths.count(SIZES) == len(every)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 3),
        torch.zeros(3, dtype=torch.int64),
        torch.zeros(2, 4, dtype=torch.int64),
        torch.tensor([[0, 0, 4]]),
        torch.tensor([[0, -1, 0]]),
        torch.zeros(0, 3, dtype=torch.int64),
    ],
)
def test_check_says_what_was_got_and_expected(wrong):
    with pytest.raises(UserError, match=r"paths .*; expected int64 of shape \(n > 0, 3\)"):
        paths.check(wrong, SIZES)


def test_check_accepts_the_largest_entries():
    paths.check(torch.tensor([[2, 0, 3]]), SIZES)

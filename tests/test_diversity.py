"""Layer diversity D: both forms, their correction, and when the robust one is a ratio of Sobol indices."""

import pytest
import torch

from rpgan import paths
from rpgan.errors import UserError
from rpgan.metrics import sobol
from rpgan.metrics.diversity import layer_diversity, pair_sums, tops_apart
from rpgan.metrics.perceptual import FeatureDistance


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_pair_sums_are_over_ordered_pairs():
    distances = torch.tensor([[[0.0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]])
    assert pair_sums(distances).tolist() == [2 * (1 + 2 + 3 + 4 + 5 + 6)]


def test_fewer_images_are_scaled_and_one_has_no_sum():
    assert pair_sums(torch.ones(2, 3, 3) - torch.eye(3)).tolist() == [12, 12]
    assert pair_sums(torch.zeros(2, 1, 1)).isnan().all()


def test_both_forms_by_hand():
    d = layer_diversity(torch.tensor([[1.0, 3.0], [4.0, 4.0]]), (4, 4), rng())
    assert d.ratio_mean.tolist() == [1, 2]  # mean of 3 and 1
    assert d.ratio_std.tolist() == pytest.approx([0, 2**0.5])
    assert d.ratio.tolist() == pytest.approx([1, 7 / 5])
    assert d.share.tolist() == pytest.approx([5 / 12, 7 / 12])
    assert d.mean.tolist() == pytest.approx([0.75 * 2.5, 0.75 * 3.5]) and d.zero_denominators == 0


def test_zero_denominators_are_counted_not_hidden():
    d = layer_diversity(torch.tensor([[0.0, 3.0], [2.0, 4.0], [0.0, 0.0]]), (4, 4), rng())
    assert d.zero_denominators == 2 and d.ratio_mean.tolist() == [1, 2]
    assert d.ratio.tolist() == pytest.approx([1, 3.5])
    single = layer_diversity(torch.tensor([[torch.nan, 3.0], [torch.nan, 4.0]]), (1, 4), rng())
    assert single.zero_denominators == 2, "no path has a ratio to a bucket of one instance"


def test_distinct_draws_are_corrected_where_sizes_differ():
    """Two buckets with the same spread, one of 2 instances and one of 100: equal after the correction."""
    truth = torch.tensor([[6.0, 6.0]] * 2)
    inflated = truth * torch.tensor([2 / 1, 100 / 99])
    d = layer_diversity(inflated, (2, 100), rng())
    torch.testing.assert_close(d.mean, truth[0].double())
    torch.testing.assert_close(d.ratio, torch.ones(2, dtype=torch.float64))


def test_equal_sizes_leave_ratios_and_shares_alone():
    sums = torch.rand(20, 3, generator=rng()) + 0.1
    few, many = layer_diversity(sums, (4, 4, 4), rng()), layer_diversity(sums, (40, 40, 40), rng())
    for name in ("ratio_mean", "ratio_std", "ratio", "share", "ratio_low", "ratio_high"):
        torch.testing.assert_close(getattr(few, name), getattr(many, name))


def test_a_bucket_of_one_instance_has_no_diversity():
    sums = torch.tensor([[1.0, 7.0, 3.0], [2.0, float("nan"), 3.0]])
    d = layer_diversity(sums, (4, 1, 4), rng())
    for value in (d.ratio_mean, d.ratio_std, d.ratio, d.ratio_low, d.ratio_high, d.mean, d.share):
        assert value.isnan().tolist() == [False, True, False]
    assert d.share.nansum().item() == pytest.approx(1)


def test_draws_are_of_routes_and_rank_as_their_form_does():
    """The ratios prefer bucket 3, owing to one route in ten; the means prefer bucket 2, on all the others."""
    routine, rare = torch.tensor([[10.0, 20, 1]]), torch.tensor([[0.1, 0, 90]])
    sums = torch.cat([routine.expand(90, 3), rare.expand(10, 3), torch.tensor([[0.0, 0, 0]])])
    d = layer_diversity(sums, (4, 4, 4), rng())
    assert d.ratio_mean.argmax() == 2 and d.mean.argmax() == 1
    for form, bucket in (("ratio_mean", 2), ("mean", 1)):
        drawn = d.resampled[form]
        assert drawn.shape == (2_000, 3) and (drawn.argmax(1) == bucket).double().mean() > 0.95


def test_buckets_on_top_are_as_far_apart_as_draws_say():
    first, second, even = torch.tensor([[9.0, 1.0, 2.0]]), torch.tensor([[1.0, 2.0, 9.0]]), torch.eye(3)
    one, other, unsure = (layer_diversity(s.repeat(30, 1), [4] * 3, rng()) for s in (first, second, even))
    assert tops_apart(one, one) == (0, (0, 0)) and tops_apart(one, other) == (2, (2, 2))
    assert tops_apart(other, unsure)[1] == (0, 2)
    single = layer_diversity(torch.tensor([[1.0, float("nan"), 9.0]]).repeat(30, 1), [4, 1, 4], rng())
    assert tops_apart(single, other) == (0, (0, 0))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        draw = torch.Generator().manual_seed(seed)
        sums = torch.rand(80, 2, generator=draw) * torch.tensor([2.0, 6.0])
        d = layer_diversity(sums, (9, 9), draw, n_resamples=300, level=0.9)
        assert d.ratio_low[0] == d.ratio_high[0] == 1
        hits += int(d.ratio_low[1] <= 3 <= d.ratio_high[1])
    assert 46 <= hits <= 59


def _varied(sizes: tuple[int, ...]) -> list[torch.Tensor]:
    """For each bucket, every path with all instances of that bucket: (n_paths, m, n_buckets)."""
    routes = paths.enumerate_all(sizes)
    return [
        torch.stack([paths.vary(route, bucket, range(size)) for route in routes])
        for bucket, size in enumerate(sizes)
    ]


def _sums(statistic, sizes: tuple[int, ...], squared: bool) -> torch.Tensor:
    columns = []
    for group in _varied(sizes):
        values = statistic(group.flatten(0, 1)).view(*group.shape[:2], -1, 1, 1)
        columns.append(pair_sums(FeatureDistance(lambda x: x.flatten(1), squared)(values), images=2))
    return torch.stack(columns, dim=1)


def test_robust_squared_diversity_is_a_ratio_of_total_sobol_indices_and_no_other_form_is():
    sizes = (2, 3, 4)
    table = torch.randint(256, (2, 3, 4, 5), generator=rng()).to(torch.uint8)

    def statistic(p):
        return table[p[:, 0], p[:, 1], p[:, 2]]

    total = sobol.exact(lambda p: statistic(p).double(), sizes).total
    squared = layer_diversity(_sums(statistic, sizes, True), sizes, rng())
    plain = layer_diversity(_sums(statistic, sizes, False), sizes, rng())
    torch.testing.assert_close(squared.ratio, total / total[0])
    torch.testing.assert_close(squared.share, total / total.sum())
    variance = sobol.exact(lambda p: statistic(p).double(), sizes).variance
    # Sums over two ordered pairs are twice the mean pair distance, hence four times the variance within.
    torch.testing.assert_close(squared.mean / 4, total * variance)
    assert (squared.ratio_mean[1:] - total[1:] / total[0]).abs().max() > 0.01
    assert (plain.ratio[1:] - total[1:] / total[0]).abs().max() > 0.01


def test_mistakes_are_named():
    with pytest.raises(UserError, match=r"expected \(routes, 3\)"):
        layer_diversity(torch.ones(5, 2), (4, 4, 4), rng())
    with pytest.raises(UserError, match="negative or NaN"):
        layer_diversity(torch.tensor([[1.0, float("nan")]]), (4, 4), rng())

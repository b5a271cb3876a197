"""Sobol indices: closed forms by enumeration, and estimates against the enumeration."""

import pytest
import torch

from rpgan.errors import UserError
from rpgan.metrics import sobol
from rpgan.metrics.sobol import exact

SIZES = (4, 3, 5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def additive(paths: torch.Tensor) -> torch.Tensor:
    """Independent effects 1·i, 2·j, 0.5·k, in one number."""
    return (paths.double() * torch.tensor([1.0, 2.0, 0.5])).sum(1, keepdim=True)


def parity(paths: torch.Tensor) -> torch.Tensor:
    """The exclusive or of the first two buckets: nothing but interaction."""
    return ((paths[:, 0] + paths[:, 1]) % 2).double()[:, None]


def mixed(paths: torch.Tensor) -> torch.Tensor:
    """Several numbers with effects of every order, far from zero."""
    table = torch.randn(*SIZES, 6, generator=rng(3), dtype=torch.float64) + 100
    table = table + 2 * torch.randn(1, SIZES[1], 1, 6, generator=rng(4), dtype=torch.float64)
    return table[paths[:, 0], paths[:, 1], paths[:, 2]]


def estimate(statistic, sizes, n, rng, n_resamples=1_000, level=0.95):
    values = torch.stack([statistic(sample) for sample in sobol.design(sizes, n, rng)])
    return sobol.estimated(values, sobol.resampling_counts(n, n_resamples, rng), level)


def test_additive_functions_have_no_interaction():
    indices = exact(additive, SIZES)
    variances = torch.tensor([1.0, 4.0, 0.25]) * torch.tensor([(m**2 - 1) / 12 for m in SIZES])
    expected = (variances / variances.sum()).double()
    assert indices.variance.item() == pytest.approx(variances.sum().item())
    torch.testing.assert_close(indices.first, expected)
    torch.testing.assert_close(indices.total, expected)
    torch.testing.assert_close(indices.pairs, torch.zeros(3, 3, dtype=torch.float64))


def test_pure_interaction_belongs_to_the_pair():
    indices = exact(parity, (2, 2, 3))
    torch.testing.assert_close(indices.first, torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(indices.total, torch.tensor([1.0, 1, 0], dtype=torch.float64))
    expected = torch.zeros(3, 3, dtype=torch.float64)
    expected[0, 1] = expected[1, 0] = 1
    torch.testing.assert_close(indices.pairs, expected)


def test_two_buckets_share_out_the_whole_variance():
    indices = exact(lambda p: torch.randn(4, 5, 3, generator=rng())[p[:, 0], p[:, 1]], (4, 5))
    assert (indices.first.sum() + indices.pairs[0, 1]).item() == pytest.approx(1)
    torch.testing.assert_close(indices.total, indices.first + indices.pairs[0, 1])


def test_a_vector_counts_by_its_summed_variances():
    """Duplicating a number changes no index; rotating the numbers does not either."""
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=rng(), dtype=torch.float64))[0]
    reference = exact(mixed, SIZES)
    torch.testing.assert_close(exact(lambda p: mixed(p) @ rotation, SIZES).pairs, reference.pairs)
    torch.testing.assert_close(exact(lambda p: mixed(p).repeat(1, 2), SIZES).total, reference.total)


@pytest.mark.parametrize("statistic", [additive, mixed])
def test_estimates_approach_the_enumeration(statistic):
    reference = exact(statistic, SIZES)
    result = estimate(statistic, SIZES, 20_000, rng(), n_resamples=2).value
    assert result.variance.item() == pytest.approx(reference.variance.item(), rel=0.03)
    for name in ("first", "total", "pairs"):
        torch.testing.assert_close(getattr(result, name), getattr(reference, name), rtol=0, atol=0.03)


def test_estimates_of_pure_interaction():
    result = estimate(parity, (2, 2, 3), 5_000, rng(), n_resamples=2).value
    torch.testing.assert_close(result.first, torch.zeros(3, dtype=torch.float64), rtol=0, atol=0.05)
    assert result.pairs[0, 1].item() == pytest.approx(1, abs=0.08) and result.total[2] == 0


def test_the_pair_that_interacts_most_is_found():
    pair = estimate(parity, (2, 2, 3), 1_000, rng(), n_resamples=100).largest_pair()
    assert (pair["bucket"], pair["with"]) == (1, 2)
    assert pair["95 % from"] < 1 < pair["to"] and pair["share"] == pytest.approx(1, abs=0.2)


def test_a_pair_is_of_two_buckets_where_all_estimates_are_negative():
    pairs = torch.tensor([[0.0, -0.2], [-0.2, 0.0]], dtype=torch.float64)
    one = sobol.Indices(torch.tensor(1.0), torch.ones(2), torch.ones(2), pairs)
    drawn = sobol.Indices(torch.ones(9), torch.ones(9, 2), torch.ones(9, 2), pairs.expand(9, 2, 2))
    found = sobol.Estimate(one, one, one, drawn).largest_pair()
    assert (found["bucket"], found["with"], found["share"]) == (1, 2, -0.2)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    reference, hits = exact(mixed, SIZES), torch.zeros(3, 3)
    for seed in range(50):
        result = estimate(mixed, SIZES, 200, rng(seed), n_resamples=200, level=0.9)
        for row, name in enumerate(("first", "total")):
            truth = getattr(reference, name)
            hits[row] += (getattr(result.low, name) <= truth) & (truth <= getattr(result.high, name))
        pairs = reference.pairs[0]
        hits[2] += (result.low.pairs[0] <= pairs) & (pairs <= result.high.pairs[0])
    assert hits.min() >= 37 and 0.84 < hits.mean() / 50 < 0.96, hits


def test_a_bootstrap_sample_has_as_many_rows_as_there_are():
    counts = sobol.resampling_counts(30, 50, rng())
    assert (counts.sum(1) == 30).all() and counts.mean(0).std() > 0 and counts.max() > 1


def test_estimates_are_without_bias():
    reference = exact(mixed, SIZES)
    results = [estimate(mixed, SIZES, 50, rng(seed), n_resamples=2).value for seed in range(200)]
    for name in ("first", "total", "pairs"):
        values = torch.stack([getattr(r, name) * r.variance for r in results])
        error = values.std(0) / len(results) ** 0.5
        difference = (values.mean(0) - getattr(reference, name) * reference.variance).abs()
        assert (difference <= 4 * error + 1e-12).all(), name
    few = [estimate(mixed, SIZES, 5, rng(seed), n_resamples=2).value.variance for seed in range(2_000)]
    variance = torch.stack(few)
    assert (variance.mean() - reference.variance).abs() <= 4 * variance.std() / len(few) ** 0.5


def test_the_seed_decides_and_only_it():
    one, same, other = (estimate(mixed, SIZES, 50, rng(s), n_resamples=20) for s in (1, 1, 2))
    assert torch.equal(one.value.pairs, same.value.pairs) and torch.equal(one.low.first, same.low.first)
    assert not torch.equal(one.value.pairs, other.value.pairs)


def test_a_bucket_of_one_instance_is_behind_nothing():
    def lone(p):
        return additive(p) + p[:, :1] ** 2

    reference, result = exact(lone, (4, 1, 5)), estimate(lone, (4, 1, 5), 100, rng())
    assert reference.total[1] == 0 and result.value.total[1] == 0 and result.value.first[1] == 0
    assert reference.pairs[1].abs().max() < 1e-12


def test_a_constant_has_no_indices():
    def constant(paths):
        return torch.full((len(paths), 2), 0.1)

    for indices in (exact(constant, SIZES), estimate(constant, SIZES, 30, rng()).value):
        assert indices.variance == 0 and indices.first.isnan().all() and indices.total.isnan().all()


def test_mistakes_are_named():
    with pytest.raises(UserError, match="at least 2"):
        estimate(additive, SIZES, 1, rng())

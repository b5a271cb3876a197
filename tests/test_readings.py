"""What the readings of the errata page change, in closed form."""

import pytest
import torch

from rpgan.analysis import readings
from rpgan.analysis.variation import varied_groups
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.losses import all_pairs_diversity
from rpgan.models.generator import build_generator


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_pair_term_is_two_minus_twice_the_correlation_and_sleeps_above_the_margin():
    correlations = [0.0, 0.2, 0.3, 0.6, 0.9]
    values, norms = readings.pair_term(correlations, 1.5, rng())
    assert values == pytest.approx([2 * (1 - c) for c in correlations], abs=0.05)
    assert [norm > 0 for norm in norms] == [False, False, True, True, True]


def test_instances_are_independent_at_the_start():
    generator = build_generator(GeneratorConfig(widths=(16,) * 4, bucket_sizes=(6,) * 5))
    values = readings.pair_terms_at_start(generator, 5, rng())
    assert values.shape == (5, 5) and float(values.mean()) == pytest.approx(2, abs=0.1)


def test_distances_of_weights_are_those_of_independent_and_of_equal_instances():
    """Normal weights of correlation ρ: MSE(w_i/s, w_j/s)/2 = 1 − ρ."""
    for correlation in (0.0, 0.3, 0.9, 1.0):
        between = readings.weight_distances(readings.correlated_bucket(correlation, 20_000, rng()))
        assert float(between[0, 1]) == pytest.approx(1 - correlation, abs=0.03)
        assert between.diagonal().abs().max() == 0 and torch.equal(between, between.mT)


def test_distances_do_not_depend_on_the_scale_and_are_the_papers_sum():
    bucket = build_generator(GeneratorConfig(widths=(8,) * 4, bucket_sizes=(3, 4, 1, 2, 5))).buckets[1]
    m, between = len(bucket), readings.weight_distances(bucket)
    torch.testing.assert_close(2 * between.sum(), all_pairs_diversity(bucket).detach().double())
    with torch.no_grad():
        for weight in bucket.parameters():
            weight *= 7
    torch.testing.assert_close(readings.weight_distances(bucket), between)
    assert between.shape == (m, m)


def test_the_most_alike_instances_of_every_plural_bucket_are_found():
    generator = build_generator(GeneratorConfig(widths=(8,) * 4, bucket_sizes=(3, 4, 1, 2, 5)))
    generator.buckets[1].instances[3].load_state_dict(generator.buckets[1].instances[0].state_dict())
    for instance in generator.buckets[0].instances:
        torch.nn.init.zeros_(instance.weight)  # as where the bucket's outcomes stand in its biases
    found = readings.least_apart(generator)
    assert list(found) == ["bucket 2", "bucket 4", "bucket 5"]
    assert found["bucket 2"] == 0 and min(found["bucket 4"], found["bucket 5"]) > 0.5


def test_a_bucket_contributes_what_its_instances_differ_by():
    generator = build_generator(GeneratorConfig(widths=(32,) * 4, bucket_sizes=(4, 4, 1, 4, 4)))
    for instance in generator.buckets[3].instances[1:]:
        instance.load_state_dict(generator.buckets[3].instances[0].state_dict())
    found = readings.diversity_shares(generator)
    assert list(found) == ["bucket 1", "bucket 2", "bucket 4", "bucket 5"]
    assert found["bucket 4"] == 0 and found["bucket 2"] == pytest.approx(3 / 4, abs=0.02)


def test_networks_with_the_term_and_without_are_told_apart():
    apart = {"a": {"bucket 1": 0.9, "bucket 2": 0.7}, "b": {"bucket 1": 0.2}, "c": {"bucket 3": 0.4}}
    found = readings.apart_results(apart, {"a": "pair", "b": "off", "c": "all-pairs"})
    assert found["instances_apart"].value == [0.7, 0.4] and found["instances_apart"].note == "a, c"
    assert found["instances_apart_without"].value == [0.2]
    assert list(readings.apart_results({"b": {"bucket 1": 0.2}}, {"b": "off"})) == ["instances_apart_without"]


def test_images_lie_as_far_apart_as_their_levels():
    images = torch.full((5, 2, 3, 4, 4), 100, dtype=torch.uint8)
    images[:, 1] = 107
    assert readings.images_apart({0: images, 3: images[:, :1].repeat(1, 4, 1, 1, 1)}) == {
        "bucket 1": pytest.approx(7),
        "bucket 4": 0,
    }


def test_a_block_of_hidden_units_that_are_off_decides_nothing_though_its_weights_differ():
    generator = build_generator(GeneratorConfig(widths=(8,) * 4, bucket_sizes=(3,) * 5))
    for instance in generator.buckets[1].instances:
        torch.nn.init.constant_(instance.conv1.bias, -1e3)
    on = readings.hidden_on(generator, generator.sample_paths(20, rng()))
    assert list(on) == ["bucket 2", "bucket 3", "bucket 4"]
    assert on["bucket 2"] == 0 and 0.2 < on["bucket 3"] < 0.8
    between = readings.images_apart(varied_groups(generator, 4, 3, rng()))
    assert between["bucket 2"] == 0 and between["bucket 3"] > 1
    assert readings.least_apart(generator)["bucket 2"] > 0.5


def test_an_idle_weight_drifts_by_the_sum_of_its_fading_momentum():
    """With a constant gradient Adam moves one rate a step; idle, the moments shrink by their own rates."""
    drift = readings.idle_drift(used=200, idle=50, betas=(0.5, 0.999))
    zero, skip = drift["zero"], drift["skip"]
    assert torch.equal(zero[:200], skip[:200]) and float(zero[199]) == pytest.approx(200, rel=1e-6)
    assert bool((skip[199:] == skip[199]).all())
    steps = torch.arange(201, 251, dtype=torch.float64)
    idle = torch.arange(1, 51, dtype=torch.float64)
    first = (1 - 0.5**200) * 0.5**idle / (1 - 0.5**steps)
    second = (1 - 0.999**200) * 0.999**idle / (1 - 0.999**steps)
    torch.testing.assert_close(zero[200:], 200 + (first / second.sqrt()).cumsum(0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("size", "batch"), [(40, 64), (20, 32), (20, 16)])
def test_idle_shares_are_those_of_independent_draws(size, batch):
    uniform, expected = readings.idle_share(size, batch, "uniform", 3_000, rng())
    assert uniform == pytest.approx(expected, abs=0.01)
    balanced, _ = readings.idle_share(size, batch, "balanced", 10, rng())
    assert balanced == pytest.approx(max(0.0, 1 - batch / size), abs=1e-12)
    with pytest.raises(UserError, match="expected one of uniform, balanced"):
        readings.idle_share(size, batch, "random", 1, rng())


@pytest.mark.parametrize("m", [2, 3, 8])
def test_distinct_draws_raise_the_distance_by_m_over_m_minus_one(m):
    values = torch.randn(m, 7, generator=rng())
    assert readings.distinct_over_repeated(values) == pytest.approx(m / (m - 1), rel=1e-9)


def test_the_table_has_a_row_a_setting():
    table = readings.idle_table({"a": (4, 4), "b": (3, 9)}, 20, rng())
    assert set(table) == {"a", "b"} and set(table["a"]) == {"expected", "uniform", "balanced"}

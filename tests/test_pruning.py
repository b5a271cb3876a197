"""Instances that do the same are found, and a generator without them is the original on fewer paths."""

from itertools import pairwise
from math import log10

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rpgan import paths
from rpgan.analysis import likeness, pruning
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics import pathwise
from rpgan.metrics.effective import effective_number, estimated_number
from rpgan.metrics.frechet import Moments
from rpgan.metrics.seeds import Spread, ratio_of_means
from rpgan.models.generator import render
from rpgan.models.pruned import prune, random_kept, shuffled_kept
from rpgan.results import Result


def between(points: torch.Tensor) -> torch.Tensor:
    return torch.cdist(points.double(), points.double()) ** 2


def pixels(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1).float()


def mean_distances(generator, n_routes: int, rng: torch.Generator) -> dict[int, torch.Tensor]:
    found = likeness.functional_distances(generator, {"pixels": pixels}, n_routes, rng)["pixels"]
    return {bucket: distances.mean(0) for bucket, distances in found.items()}


def corners(*sizes: int) -> torch.Tensor:
    """Groups of identical points, all groups equally far from each other."""
    return between(torch.eye(len(sizes))[[k for k, size in enumerate(sizes) for _ in range(size)]])


@pytest.mark.parametrize("k, copies", [(1, 4), (2, 3), (5, 2), (7, 1)])
def test_equal_groups_of_twins_count_once_each(k, copies):
    assert effective_number(corners(*[copies] * k)) == pytest.approx(k)


def test_a_rare_kind_counts_less_than_a_frequent_one():
    assert 1 < effective_number(corners(9, 9, 1)) < effective_number(corners(6, 6, 6))


@given(st.integers(2, 8), st.floats(1e-6, 1e6), st.integers(0, 10**6))
def test_effective_number_has_no_scale_and_stays_within_1_and_m(m, scale, seed):
    rng = torch.Generator().manual_seed(seed)
    points, order = torch.randn(m, 5, generator=rng), torch.randperm(m, generator=rng)
    number = effective_number(between(points))
    assert 1 <= number <= m + 1e-9
    assert effective_number(scale * between(points)) == pytest.approx(number, rel=1e-6)
    assert effective_number(between(points[order])) == pytest.approx(number, rel=1e-6)


def test_the_estimate_makes_up_for_few_samples_where_their_mean_does_not(rng):
    """Twelve instances whose distances differ by path, a path's size most of all: all twelve count alike."""

    def sample(n: int) -> torch.Tensor:
        sizes = torch.randn(n, generator=rng).exp()
        return torch.stack([size * between(torch.randn(12, 16, generator=rng)) for size in sizes])

    truth, plain, held = effective_number(sample(4_000).mean(0)), [], 0
    estimates = []
    for few in (sample(24) for _ in range(20)):
        value, (low, high) = estimated_number(few)
        assert 1 <= low <= value <= high <= 12
        held += low <= truth <= high
        plain.append(effective_number(few.mean(0)))
        estimates.append(value)
    assert held >= 17
    assert abs(sum(estimates) / 20 - truth) < abs(sum(plain) / 20 - truth) / 2


def test_the_estimate_wants_two_samples():
    with pytest.raises(UserError, match="along 1 paths; expected at least 2"):
        estimated_number(torch.ones(1, 3, 3))


def test_functional_distances_are_mean_squared_changes_along_common_routes(generator, rng):
    twice = {"pixels": pixels, "doubled": lambda images: 2 * pixels(images)}
    found = likeness.functional_distances(generator, twice, 3, torch.Generator().manual_seed(4))
    distances = found["pixels"]
    assert all(torch.equal(found["doubled"][b], 4 * apart) for b, apart in distances.items())
    routes = generator.sample_paths(3, torch.Generator().manual_seed(4))
    assert list(distances) == [b for b, m in enumerate(generator.bucket_sizes) if m > 1]
    for bucket, apart in distances.items():
        assert torch.equal(apart, apart.mT) and apart.diagonal(dim1=1, dim2=2).eq(0).all()
        a, b = (pixels(to_uint8(render(generator, paths.fix(routes, {bucket: i})))) for i in (0, 1))
        change = (
            (a - b).double().square().mean(1)
        )  # to a level here and there, where rounding falls otherwise
        torch.testing.assert_close(apart[:, 0, 1], change, rtol=0.01, atol=0.01)


def test_a_twin_is_found_and_goes_first(generator, rng):
    instances = generator.buckets[0].instances
    instances[2].load_state_dict(instances[0].state_dict())
    apart = mean_distances(generator, 4, rng)
    ends = likeness.extremes(apart[0])
    assert ends["closest"] == (0, 2) and apart[0][0, 2] == 0
    assert apart[0][ends["farthest"]] == apart[0].max()
    routes = likeness.extreme_paths(apart, generator.sample_paths(3, rng))["closest"]
    assert len(routes) == 3 * 2 * len(apart)
    assert torch.equal(render(generator, routes[:3]), render(generator, routes[3:6]))
    assert effective_number(apart[0]) == pytest.approx(2)
    order = pruning.removal_order(apart)
    assert (order[0].bucket, order[0].instance, order[0].loss) == (0, 0, 0.0)


def test_the_summary_counts_and_measures(generator, rng):
    found = likeness.functional_distances(generator, {"pixels": pixels}, 3, rng)
    columns = likeness.summary(found)
    apart = found["pixels"][0].mean(0)
    estimate, _ = estimated_number(found["pixels"][0])
    number, change = (columns["pixels", name][0] for name in ("effective number", "mean squared change"))
    assert number == estimate
    assert change == pytest.approx(float(apart[0, 1] + apart[0, 2] + apart[1, 2]) / 3)


def test_removals_leave_one_of_each_and_losses_never_fall():
    apart = {0: between(torch.tensor([[0.0], [1.0], [10.0]])), 2: between(torch.tensor([[0.0], [0.5]]))}
    order = pruning.removal_order(apart)
    assert [(r.bucket, r.instance) for r in order[:2]] == [(2, 0), (0, 0)]
    assert all(a.loss <= b.loss for a, b in pairwise(order))
    assert order[0].loss == 0.125 and order[1].loss == pytest.approx(0.125 + 1 / 3)
    assert pruning.left_after((3, 1, 2), order) == {0: [3, 3, 2, 1], 2: [2, 1, 1, 1]}
    kept = pruning.kept_after((3, 1, 2), order, len(order))
    assert [len(left) for left in kept.values()] == [1, 1, 1]
    assert pruning.kept_after((3, 1, 2), order, 0) == {0: (0, 1, 2), 1: (0,), 2: (0, 1)}
    for n in (-1, len(order) + 1):
        with pytest.raises(UserError, match=f"{n} removals; expected 0 to 3"):
            pruning.kept_after((3, 1, 2), order, n)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 99))
def test_random_removals_are_as_many_as_asked(sizes, n, seed):
    rng = torch.Generator().manual_seed(seed)
    most = sum(sizes) - len(sizes)
    if n > most:
        with pytest.raises(UserError, match=f"at most {most}"):
            random_kept(sizes, n, rng)
        return
    kept = random_kept(sizes, n, rng)
    assert sum(map(len, kept.values())) == sum(sizes) - n and min(map(len, kept.values())) >= 1
    shuffled = shuffled_kept(sizes, kept, rng)
    assert [len(left) for left in shuffled.values()] == [len(left) for left in kept.values()]
    prune_fits = all(left == tuple(sorted(set(left))) and left[-1] < sizes[b] for b, left in shuffled.items())
    assert prune_fits


def test_a_smaller_generator_is_the_restriction_bit_for_bit(generator, rng):
    kept = {0: (0, 2), 1: (1,), 2: (0, 1, 2), 3: (0, 1), 4: (1, 3)}
    small = prune(generator, kept)
    assert small.generator.bucket_sizes == (2, 1, 3, 2, 2)
    restricted = generator.sample_paths(60, rng, kept)
    own = small.own_paths(restricted)
    assert torch.equal(small.original_paths(own), restricted)
    assert torch.equal(render(small.generator, own), render(generator, restricted))


def test_costs_fall_with_the_instances(generator):
    before = pruning.cost(generator)
    assert before["log10 of paths"] == pytest.approx(log10(3 * 2 * 3 * 2 * 4))
    small = prune(generator, {0: (0, 2), 1: (1,), 2: (0, 1, 2), 3: (0, 1), 4: (1, 3)}).generator
    gone = [(0, 1), (1, 0), (4, 0), (4, 2)]
    weights = sum(p.numel() for b, i in gone for p in generator.buckets[b].instances[i].parameters())
    after = pruning.cost(small)
    assert before["parameters"] - after["parameters"] == weights
    assert after["bytes"] == 4 * after["parameters"] and before["instances"] - after["instances"] == 4


def test_merging_goes_to_the_nearest_that_is_left(generator, rng):
    apart = {4: between(torch.tensor([[0.0], [1.0], [10.0], [11.0]]))}
    kept = {0: (0, 1, 2), 1: (0, 1), 2: (0, 1, 2), 3: (0, 1), 4: (0, 3)}
    routes = generator.sample_paths(40, rng)
    merged = pruning.redirected(routes, kept, apart)
    assert torch.equal(merged[:, :4], routes[:, :4])
    assert torch.equal(merged[:, 4], torch.tensor([0, 0, 3, 3])[routes[:, 4]])
    small = prune(generator, kept)
    assert torch.equal(render(small.generator, small.own_paths(merged)), render(generator, merged))
    with pytest.raises(UserError, match="was pruned"):
        small.own_paths(torch.full((1, 5), 1))


@pytest.mark.parametrize("left", [(), (1, 0), (0, 0), (0, 3)])
def test_what_cannot_be_kept_is_named(generator, left):
    kept = {b: (0,) for b in range(1, 5)} | {0: left}
    with pytest.raises(UserError, match=r"bucket 0 is to keep .* ascending instances from 0 to 2"):
        prune(generator, kept)


def test_the_distance_of_paths_is_that_of_their_images(generator, rng):
    routes = generator.sample_paths(40, rng)  # of 144, so that some repeat

    def small(images: torch.Tensor) -> torch.Tensor:
        return pixels(images)[:, ::300]

    real = Moments(small(to_uint8(render(generator, routes))))
    distance = pruning.distance_to(generator, small, real)
    assert distance(routes) < 1e-6 * float(real.covariance.trace())
    assert distance(routes[:1].repeat(40, 1)) > distance(generator.sample_paths(40, rng))


@pytest.mark.parametrize("most", [144, 143])
def test_features_are_those_of_the_paths_and_are_remembered_where_there_are_few(
    generator, rng, monkeypatch, most
):
    made = []

    def counted(images: torch.Tensor) -> torch.Tensor:
        made.append(len(images))
        return pixels(images)

    monkeypatch.setattr(pathwise, "MOST_KEPT", most)
    seen = pathwise.PathFeatures(generator, counted)
    first, again = generator.sample_paths(60, rng), generator.sample_paths(100, rng)
    for routes in (first, again, paths.enumerate_all(generator.bucket_sizes)):
        expected = pixels(to_uint8(render(generator, routes)))
        assert (seen(routes) - expected).abs().max() <= 1, "a level here and there, where rounding falls"
    assert (sum(made) == 144) is (most == 144)
    assert sum(made) <= len(first.unique(dim=0)) + len(again.unique(dim=0)) + 144


def test_a_curve_compares_all_ways(generator, rng):
    apart = mean_distances(generator, 2, rng)
    seen = []

    def distinct(routes: torch.Tensor) -> float:
        seen.append(routes)
        return float(len(routes.unique(dim=0))) + torch.rand(1, generator=rng).item()

    curve = pruning.pruning_curve(generator, apart, (2, 9), distinct, 50, 2, rng)
    assert list(curve.distances) == list(pruning.WAYS) and len(curve.whole) == 4
    assert all(list(rows) == [2, 9] for rows in curve.distances.values())
    assert all(int(value) == 1 for rows in curve.distances.values() for value in rows[9])
    assert all(1 < value <= 51 for rows in curve.distances.values() for value in rows[2])
    assert all(len(routes) == 50 for routes in seen)


def curve_of(rows: dict[int, list[float]], whole: tuple[float, ...] = (99.0, 100.0, 101.0)) -> pruning.Curve:
    """The same distances whichever way; random ways are four times as far."""
    worse = {count: [4 * value for value in row] for count, row in rows.items()}
    return pruning.Curve(100, list(whole), dict(zip(pruning.WAYS, (rows, rows, worse, worse), strict=True)))


def test_free_is_the_last_count_before_the_loss_can_exceed_the_tolerance():
    rows = {4: [100.0, 101.0, 102.0], 8: [104.0, 105.0, 106.0], 12: [200.0, 201.0, 202.0], 16: [100.0] * 3}
    curve = curve_of(rows)
    assert curve.band == pytest.approx((100, 110))
    assert curve.free("pruned") == 8 and curve.free("random") == 0
    assert curve.free_share("pruned", 64).value == 1 / 8
    mean, interval = ratio_of_means(Spread((104.0, 105.0, 106.0)), Spread((99.0, 100.0, 101.0)))
    assert (mean, interval) == (curve.over_whole("pruned", 8).value, curve.over_whole("pruned", 8).interval)
    assert curve.losses()["pruned"][8] == "1.05 [{:.2f}, {:.2f}]".format(*interval)


@given(st.floats(0, 8), st.floats(0, 30), st.floats(1, 3))
def test_a_worse_measurement_never_makes_more_instances_free(loss: float, noise: float, worse: float) -> None:
    def free(noise: float) -> int:
        whole, pruned = ([mean - noise, mean, mean + noise] for mean in (100.0, 100.0 + loss))
        return curve_of({4: pruned}, tuple(whole)).free("pruned")

    assert free(worse * noise) <= free(noise)


def test_a_single_draw_makes_nothing_free():
    alone = curve_of({4: [100.0]})
    assert alone.over_whole("pruned", 4).interval is None and alone.free("pruned") == 0
    assert alone.losses()["pruned"][4] == "1.00"


def test_more_draws_of_the_same_noise_make_more_instances_free():
    few, many = ([104.0 + 5 * (-1) ** i for i in range(n)] for n in (4, 64))
    whole = [100.0 + 5 * (-1) ** i for i in range(64)]
    assert curve_of({4: few}, tuple(whole[:4])).free("pruned") == 0
    assert curve_of({4: many}, tuple(whole)).free("pruned") == 4


def test_the_interval_of_a_ratio_shrinks_with_its_draws():
    few, many = ({4: [10.0 + i % 2 for i in range(n)]} for n in (3, 60))
    narrow, wide = (curve_of(rows).ratio("pruned", "random", 4) for rows in (many, few))
    assert narrow.value == pytest.approx(0.25) and wide.interval[0] < narrow.interval[0] < 0.25
    assert 0.25 < narrow.interval[1] < wide.interval[1]


def test_results_are_said_as_they_are():
    curve = curve_of({4: [100.0, 101.0], 8: [100.0, 100.0], 12: [900.0, 910.0]})
    costs = [
        {"instances": 40, "parameters": 1_000, "log10 of paths": 6.0},
        {"instances": 32, "parameters": 750, "log10 of paths": 5.0},
    ]
    found = pruning.results(curve, Result([2.0, 3.5]), costs, same=True)
    assert found["redundant_share"].value == 8 / 40 and found["redundant_share_random"].value == 0
    assert found["over_random"].value == 0.25 and found["parameters_left"].value == 0.75
    assert found["smaller_is_restriction"].value is True and found["log10_paths"].value == [6.0, 5.0]
    said = pruning.conclusion(curve, found, 40)
    assert "Of 40 instances, 8 can go" in said and "grows by less than 10%" in said
    assert "25% of the parameters" in said and "10<sup>5.0</sup>" in said


def test_a_smaller_generator_gives_the_same_images(generator, rng, monkeypatch):
    apart = mean_distances(generator, 3, rng)
    kept = pruning.kept_after(generator.bucket_sizes, pruning.removal_order(apart), 3)
    assert pruning.same_images(generator, kept, apart, 30, rng)
    monkeypatch.setattr(pruning, "redirected", lambda routes, kept, apart: routes.clone())
    with pytest.raises(UserError, match="was pruned"):
        pruning.same_images(generator, kept, apart, 30, rng)


def test_effective_numbers_are_told_by_bucket(rng):
    samples = {1: corners(1, 1, 1).expand(5, 3, 3), 2: corners(2, 2).expand(5, 4, 4)}
    found = likeness.effective_result(samples, "pixels")
    assert found.value == pytest.approx([3, 2]) and (found.n, found.note) == (5, "pixels")
    said = likeness.conclusion(samples, ["bucket 2 of 3", "bucket 3 of 4"], "pixels")
    assert "bucket 2 of 3: 3.0 [3.0, 3.0]; bucket 3 of 4: 2.0 [2.0, 2.0]" in said


def test_every_way_draws_through_what_it_says(rng):
    sizes, kept = (4, 4), {0: (0, 3), 1: (0, 1, 2, 3)}
    apart = {0: between(torch.tensor([[0.0], [0.1], [0.2], [9.0]])), 1: between(torch.eye(4))}
    drawn = {
        way: [draw(sizes, kept, apart, 4_000, rng) for _ in range(20)] for way, draw in pruning.WAYS.items()
    }
    for way, often in (("pruned", 0.5), ("merged", 0.75)):
        assert all(abs(float((r[:, 0] == 0).double().mean()) - often) < 0.05 for r in drawn[way])
    left = {w: {tuple(len(c.unique()) for c in r.T) for r in some} for w, some in drawn.items()}
    assert left["random, as many a bucket"] == {(2, 4)}
    assert len(left["random"]) > 1 and all(sum(k) == 6 for k in left["random"])

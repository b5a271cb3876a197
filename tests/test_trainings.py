"""RPGAN beside its twin over many trainings, and over numbers of instances."""

import math
from dataclasses import replace

import pytest
import torch
from rows import row

from rpgan.analysis.instances import N_IN, ablation, published_within_noise
from rpgan.analysis.trainings import FIXED, RPGAN, STANDARD, contest, published_noise
from rpgan.intervals import t_interval
from rpgan.plotting.quality import draw_contest, draw_curves, draw_instances, draw_progress

TABLE_3 = dict(zip(N_IN, [61.0, 25.6, 23.4, 20.0, 19.7, 18.0, 17.4, 17.1, 18.6, 22.9], strict=True))
STEPS = [100, 200, 400]


def of(experiment, values, name="frechet_cifar10-cnn", n=5_000, **planted):
    """Trainings that end at these distances, which they reach from four times as much."""
    return [
        row(
            experiment=experiment,
            final=[{"name": name, "value": value, "n": n}],
            curve={"name": name, "steps": STEPS, "values": [4 * value, 2 * value, value]},
            prd={"cifar10-cnn": {"precision": [0.0, value / 100, 1.0], "recall": [1.0, value / 100, 0.0]}},
            **planted,
        )
        for value in values
    ]


def judged(rows, profile="book"):
    return contest(rows, profile, "cifar10-rpgan", "cifar10-gan")


def test_trainings_are_sorted_by_what_was_changed():
    small = {"generator.bucket_sizes": [5] * 5}
    usual = {"generator.bucket_sizes": [40] * 5}
    rows = [
        *of("cifar10-rpgan", [1.0], overrides=small),
        *of("cifar10-rpgan", [2.0], overrides=usual),
        *of("cifar10-rpgan", [3.0], overrides={"generator.latent": "learned"}),
        *of("cifar10-rpgan", [4.0], overrides={"generator.latent": "fixed"}),
        *of("cifar10-gan", [5.0]),
        *of("mnist-rpgan", [6.0]),
    ]
    found = judged(rows)
    values = {kind: found.spread(kind, found.distance).values for kind in found.trainings}
    assert values == {RPGAN: (2.0, 3.0), STANDARD: (5.0,), FIXED: (4.0,)}


def test_equal_models_have_ratios_of_one_and_twice_the_time_shows_in_time_alone():
    values = [10.0, 12.0, 11.0]
    rows = of("cifar10-gan", values) + of("cifar10-rpgan", values, step_seconds=2.0)
    found = judged(rows).results()
    assert found["distance_ratio"].value == found["data_ratio"].value == 1
    assert found["training_time_ratio"].value == pytest.approx(2)
    low, high = found["distance_ratio"].interval
    assert low < 1 < high


def test_a_training_that_others_slowed_down_takes_its_model_no_longer():
    values = [10.0, 12.0, 11.0]
    slowed = [*of("cifar10-rpgan", values[:2]), *of("cifar10-rpgan", values[2:], step_seconds=9.0)]
    found = judged([*of("cifar10-gan", values), *slowed])
    assert found.results()["training_time_ratio"] == found.results()["data_ratio"]


def test_the_level_is_one_that_every_training_reaches():
    found = judged(of("cifar10-gan", [5.0, 6.0]) + of("cifar10-rpgan", [9.0, 5.5]))
    assert found.level == 9 and found.reaching().value == pytest.approx((9 + 5.5) / (5 + 6))
    assert found.updates(RPGAN).n == found.updates(STANDARD).n == 2
    assert max(found.updates(RPGAN).values) == STEPS[-1]
    assert found.updates(STANDARD).mean < found.updates(RPGAN).mean


def test_what_is_reached_before_the_first_measurement_has_no_time():
    diverged = [*of("cifar10-gan", [12.0]), *of("cifar10-gan", [70.0])]
    diverged[1] = replace(diverged[1], curve={"name": "x", "steps": STEPS, "values": [50.0, 60.0, 70.0]})
    found = judged([*diverged, *of("cifar10-rpgan", [10.0, 11.0])])
    assert found.level == 50 and set(found.results()) == {"distance_ratio", "reaches_standard"}


def test_ratios_are_rpgan_over_the_standard_gan():
    found = judged(of("cifar10-gan", [10.0, 10.0, 11.0]) + of("cifar10-rpgan", [20.0, 21.0, 20.0]))
    results = found.results()
    assert results["distance_ratio"].value == pytest.approx(61 / 31)
    updates = found.updates(RPGAN).mean / found.updates(STANDARD).mean
    assert results["data_ratio"].value == pytest.approx(updates) and updates > 1


def test_what_is_not_there_has_no_result():
    nothing = judged([])
    assert nothing.results() == {} and nothing.table() == []
    assert judged(of("cifar10-rpgan", [1.0])).results() == {}
    latents = of("cifar10-rpgan", [1.0]) + of("cifar10-rpgan", [2.0], overrides={"generator.latent": "fixed"})
    assert set(judged(latents).results()) == {"learned_z_ratio"}
    for draw in (draw_contest, draw_curves, draw_progress):
        assert len(draw(nothing).axes) == 1


def test_curves_of_trainings_have_their_mean_and_their_range():
    found = judged(of("cifar10-rpgan", [20.0, 40.0]) + of("cifar10-gan", [90.0]))
    mean, least, largest = found.curves()["cifar10-cnn"][RPGAN]
    assert [part.precision[1] for part in (mean, least, largest)] == pytest.approx([0.3, 0.2, 0.4])
    assert mean.recall.tolist() == [1, pytest.approx(0.3), 0]
    (ax,) = draw_curves(found).axes
    assert [line.get_label() for line in ax.lines] == [RPGAN, STANDARD] and len(ax.patches) == 2


def test_a_steadier_z_has_the_smaller_deviation():
    fixed = {"generator.latent": "fixed"}
    rows = of("cifar10-rpgan", [9.0, 10.0, 11.0]) + of("cifar10-rpgan", [8.0, 12.0, 16.0], overrides=fixed)
    found = judged(rows).results()
    assert found["learned_z_spread_ratio"].value == pytest.approx(1 / 4)
    assert found["learned_z_ratio"].value == pytest.approx(10 / 12)


@pytest.mark.parametrize(
    ("name", "n", "there"), [("fid", 50_000, True), ("fid", 10_000, False), ("frechet_pixels", 50_000, False)]
)
def test_only_inception_and_fifty_thousand_images_make_the_numbers_of_table_2(name, n, there):
    rows = [row for e in ("cifar10-rpgan", "cifar10-gan") for row in of(e, [20.0, 17.0], name=name, n=n)]
    found = judged(rows, "paper").results()
    assert ("fid_50k_rpgan_min" in found) is there
    if there:
        assert found["fid_50k_standard_min"].value == 17 and found["fid_50k_standard_mean"].value == 18.5


def test_table_2_implies_a_difference_with_an_interval():
    found = published_noise((16.9, 20.8), (16.75, 18.7), 10)
    ratio = found["paper_deviation_rpgan"].value / found["paper_deviation_standard"].value
    assert ratio == pytest.approx((20.8 - 16.9) / (18.7 - 16.75))
    low, high = found["paper_difference"].interval
    assert found["paper_difference"].value == pytest.approx(2.1)
    assert (low, high) == pytest.approx((-0.0114, 4.2114), abs=1e-3)


# --- numbers of instances


def instances(values, **kwargs):
    return [
        row
        for n, several in values.items()
        for row in of("cifar10-rpgan", several, overrides={"generator.bucket_sizes": [n] * 5}, **kwargs)
    ]


def test_points_are_in_order_and_count_their_paths():
    uneven = of("cifar10-rpgan", [1.0], overrides={"generator.bucket_sizes": [2, 3]})
    found = ablation(instances({40: [1.0], 5: [2.0, 3.0]}) + uneven + of("cifar10-rpgan", [1.0]))
    assert [(p.n_in, p.paths, len(p.trainings)) for p in found.points] == [(5, 3_125, 2), (40, 40**5, 1)]
    assert found.table(TABLE_3, 50_000)[1]["coverage"] == 2048


def test_a_single_training_has_the_interval_of_the_others_deviation():
    found = ablation(instances({5: [10.0, 14.0], 40: [20.0]}))
    low, high = found.interval(found.points[1], "frechet_cifar10-cnn")
    assert (low, high) == pytest.approx(t_interval(20, 8**0.5, 1))
    alone = ablation(instances({5: [10.0], 40: [20.0]}))
    assert alone.interval(alone.points[0], "frechet_cifar10-cnn") is None
    assert alone.within_noise("frechet_cifar10-cnn") == [5, 40]


def test_errors_have_the_points_own_seeds_and_students_tails(rng):
    score, found = "frechet_cifar10-cnn", ablation(instances({5: [10.0, 14.0], 40: [20.0]}))
    assert found.interval(found.points[0], score) == pytest.approx(t_interval(12, 2, 1))
    drawn = found._drawn_means([p.spread(score) for p in found.points], score, rng)
    off = (drawn - torch.tensor([12.0, 20.0])).abs().median(0).values  # the median of |t| is 1 here
    assert off.tolist() == pytest.approx([2, 8**0.5], rel=0.15)


def test_what_seeds_explain_is_not_told_from_the_best():
    close, apart = {5: [50.0, 51.0, 52.0], 20: [11.0, 10.0, 12.0], 40: [10.0, 11.0, 11.5]}, 40.0
    found = ablation(instances(close))
    assert found.within_noise("frechet_cifar10-cnn") == [20, 40]
    moved = {n: [v + apart * (n == 20) for v in values] for n, values in close.items()}
    assert ablation(instances(moved)).within_noise("frechet_cifar10-cnn") == [40]


def test_the_list_of_all_numbers_is_there_only_when_none_is_missing(rng):
    whole = {n: [value, value + 1] for n, value in TABLE_3.items()}
    found = ablation(instances(whole)).results(TABLE_3, 50_000, rng)
    assert found["distance"].value == [value + 0.5 for value in TABLE_3.values()]
    assert found["rank_correlation"].value == pytest.approx(1)
    assert found["rank_correlation"].interval[0] < 1 and "fid_50k" not in found
    orders = found["distance"].orders  # 5 instances are ten deviations off the others, which overlap
    assert len(orders) > 10 and all(order.split()[0] == "10" for order in orders)
    single = ablation(instances({n: [value] for n, value in TABLE_3.items()}))
    assert single.results(TABLE_3, 50_000, rng)["distance"].orders is None
    part = ablation(instances({n: whole[n] for n in N_IN[:-1]})).results(TABLE_3, 50_000, rng)
    assert "distance" not in part and part["n_in"].value == list(N_IN[:-1])
    assert "rank_correlation" not in ablation(instances({5: [1.0]})).results(TABLE_3, 50_000, rng)
    assert ablation([]).results(TABLE_3, 50_000, rng) == {}


def test_the_fid_of_table_3_needs_fifty_thousand_images(rng):
    values = {n: [value] for n, value in TABLE_3.items()}
    for n, there in ((50_000, True), (10_000, False)):
        found = ablation(instances(values, name="fid", n=n)).results(TABLE_3, 50_000, rng)
        assert ("fid_50k" in found) is there


def test_more_noise_tells_fewer_numbers_apart():
    assert published_within_noise(TABLE_3, 0.0, 9) == [40]
    assert published_within_noise(TABLE_3, 2.5, math.inf) == list(N_IN[2:])
    assert published_within_noise(TABLE_3, 2.5, 4.85) == list(N_IN[1:]), "a deviation that is hardly known"
    assert published_within_noise(TABLE_3, 100.0, 9) == list(N_IN)


def test_the_paper_has_a_panel_of_its_own():
    assert len(draw_instances(ablation([]), TABLE_3, 2.5).axes) == 1
    values = {n: [value, value + 1] for n, value in TABLE_3.items()}
    figure = draw_instances(ablation(instances(values)), TABLE_3, 2.5)
    assert [ax.get_ylabel() for ax in figure.axes] == ["Fréchet distance", "FID"]

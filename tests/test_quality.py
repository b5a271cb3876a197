"""Two generators measured by one protocol."""

from dataclasses import replace

import pytest
import torch

from rpgan import intervals, paths
from rpgan.analysis import twins
from rpgan.analysis.quality import REAL, Yardstick, compare, draw_sets, measure, yardsticks
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.models.generator import build_generator, render
from rpgan.plotting.quality import draw_comparisons
from rpgan.presets import resolve

FEATURES = Extractor("two channels", lambda images: images[:, :2].mean((2, 3)))
N = 200


def cloud(n, rng, classes=(0, 1), spread=0.02):
    """Images whose features lie around (.2, .2) for class 0 and (.8, .8) for class 1."""
    centres = torch.tensor([0.2, 0.8])[torch.tensor(classes)[torch.arange(n) % len(classes)]]
    values = (centres[:, None] + spread * torch.randn(n, 2, generator=rng)).clamp(0, 1)
    images = torch.zeros(n, 3, 4, 4)
    images[:, :2] = values[:, :, None, None]
    return (255 * images).round().to(torch.uint8)


@pytest.fixture
def yardstick(rng):
    many = FEATURES(cloud(2_000, rng))
    return Yardstick(FEATURES, Moments(many), many[:N], many[-N:], N, "two clouds")


def compared(sets, yardstick, rng):
    return compare(sets, yardstick, 2, rng)


def test_the_same_images_have_a_ratio_of_one_and_equal_neighbours(yardstick, rng):
    sets = [cloud(N, rng) for _ in range(2)]
    found = compared({"routed": sets, "twin": sets}, yardstick, rng)
    routed, twin = found.pair
    assert found.distance_ratio().value == 1 and found.distance_ratio().unit == ""
    assert [routed.scores[name] for name in ("precision", "recall", "density", "coverage")] == [
        twin.scores[name] for name in ("precision", "recall", "density", "coverage")
    ]
    assert found.results()["prd_gap"].value < 0.1  # k-means starts anew for each


def test_a_twin_that_drops_a_class_loses_recall_and_not_precision(yardstick, rng):
    whole, half = ([cloud(N, rng, classes) for _ in range(2)] for classes in ((0, 1), (0,)))
    found = compared({"routed": half, "twin": whole}, yardstick, rng)
    routed, twin = found.pair
    assert routed.scores["recall"].mean < 0.6 < 0.8 < twin.scores["recall"].mean
    assert routed.scores["precision"].mean > 0.8
    gaps = found.gaps()
    assert gaps["F8"].mean < gaps["F1/8"].mean < 0.1
    assert found.results()["prd_gap"].note == "F8, two channels" and found.distance_ratio().value > 10
    told = found.results()["prd_gap"]
    assert told.value == -gaps["F8"].mean > 0
    assert told.interval == intervals.folded(gaps["F8"].interval) and told.interval[0] >= 0


def test_other_real_images_are_the_floor(yardstick, rng):
    blurred = [cloud(N, rng, spread=0.15) for _ in range(2)]
    found = compared({"routed": blurred, "twin": blurred}, yardstick, rng)
    floor = found.measured[REAL].scores[yardstick.distance].mean
    assert floor < found.pair[0].scores[yardstick.distance].least / 5
    assert found.measured[REAL].scores["precision"].mean > found.pair[0].scores["precision"].mean


def test_a_floor_of_fewer_images_says_of_how_many_it_is(yardstick, rng):
    """Few real images keep their features; many generated ones must not lend the floor their number."""
    inception = replace(FEATURES, name="inception")
    sets = [cloud(2 * N, rng) for _ in range(2)]
    fewer = replace(yardstick, extractor=inception, n=2 * N)
    rows = {row["score"]: row for row in compared({"routed": sets, "twin": sets}, fewer, rng).rows()}
    assert rows["FID of 400"][REAL].endswith("(of 200)") and "of" not in rows["FID of 400"]["routed"]
    assert "of" not in rows["F8"][REAL]
    same = replace(yardstick, extractor=inception)
    found = next(compared({"routed": sets, "twin": sets}, same, rng).rows())
    assert found["score"] == "FID of 200" and "of" not in found[REAL]


def test_other_real_images_are_not_compared_with_themselves(rng):
    """Of a few real images, those that are measured would be much of what they are measured with."""
    few = torch.rand(80, 2, generator=rng)
    ruler = Yardstick(FEATURES, Moments(few), few[:40], few[40:], 40, "few")
    sets = [cloud(N, rng)]
    floor = compare({"routed": sets, "twin": sets}, ruler, 1, rng).measured[REAL].scores[ruler.distance].mean
    assert floor == pytest.approx(frechet_distance(Moments(few[:40]), Moments(few[40:])))


def test_the_band_holds_the_curve_and_lies_on_its_rays(yardstick, rng):
    found = measure([FEATURES(cloud(N, rng, spread=0.1)) for _ in range(3)], yardstick, 3, rng)
    low, high = found.band()
    curve = found.curve()
    assert found.precision.shape == (3, 3, 1001)
    assert (low.precision <= high.precision).all() and (low.recall <= high.recall).all()
    inside = (low.precision <= curve.precision + 1e-9) & (curve.precision <= high.precision + 1e-9)
    assert inside.mean() > 0.9
    assert low.precision[500] / low.recall[500] == pytest.approx(high.precision[500] / high.recall[500])


def test_a_further_pair_is_compared_by_its_distance_only(generator, tiny, rng):
    """Real are the images of the first: over itself the ratio is 1 but for chance, of another it is more."""
    every = Moments(FEATURES(to_uint8(render(generator, paths.enumerate_all(generator.bucket_sizes)))))
    other = build_generator(tiny.generator, seed=2).eval()

    def over(pair):
        [(key, ratio)] = twins.distance_over_twin("lsun-rpgan", pair, FEATURES, every, 1_200, rng).items()
        assert key == "lsun_distance_ratio" and (ratio.note, ratio.n) == ("Fréchet, two channels", 1_200)
        return ratio.interval

    low, high = over([generator, generator])
    assert low < 1 < high
    assert over([other, generator])[0] > 1 > over([generator, other])[1]
    pair, second = [other, generator], (replace(FEATURES, name="the-same"), every)
    found = twins.distances_over_twin("lsun-rpgan", pair, [(FEATURES, every), second], 1_200, rng)
    key = "lsun_distance_ratio"
    assert [*found] == [key, f"{key}_two channels", f"{key}_the_same"]
    assert found[key] is found[f"{key}_two channels"] and found[f"{key}_the_same"].value > 1


def test_sets_are_independent_and_follow_the_generator_of_random_numbers(generator):
    draw = [draw_sets(generator, 4, 2, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert all(torch.equal(a, b) for a, b in zip(draw[0], draw[1], strict=True))
    assert not torch.equal(draw[0][0], draw[0][1]) and not torch.equal(draw[0][0], draw[2][0])


def test_absent_features_are_named_and_others_used():
    config = resolve("mnist-rpgan", "smoke")
    found = yardsticks(config, ["pixels", "cifar10-cnn"], 30, 50, 0)
    assert [y.extractor.name for y in found.found] == ["pixels"] and set(found.absent) == {"cifar10-cnn"}
    [ruler] = found.found
    assert len(ruler.real) == len(ruler.others) == 25 and ruler.moments.n == 50  # half of what there is
    assert not (ruler.real[:, None] == ruler.others).all(-1).any()
    assert "cifar10-cnn" in found.about and ruler.distance == "Fréchet, pixels"
    assert replace(ruler, extractor=replace(FEATURES, name="inception")).distance == "FID of 30"
    with pytest.raises(UserError, match="expected at least one"):
        yardsticks(config, ["cifar10-cnn"], 30, 50, 0)


@pytest.mark.parametrize(
    ("interval", "folded"),
    [((-1.0, 2.0), (0.0, 2.0)), ((1.0, 2.0), (1.0, 2.0)), ((-3.0, -1.0), (1.0, 3.0)), (None, None)],
)
def test_the_interval_of_a_size_comes_from_that_of_a_difference(interval, folded):
    assert intervals.folded(interval) == folded


def test_there_is_a_row_a_score_and_a_panel_a_set_of_features(yardstick, rng):
    found = compared({"routed": [cloud(N, rng)], "twin": [cloud(N, rng)]}, yardstick, rng)
    assert [row["score"] for row in found.rows()][:2] == [yardstick.distance, "F8"]
    assert len(draw_comparisons([found, found]).axes) == 2

"""Layer diversity in several measures at once, on images whose buckets do known things."""

import pytest
import torch

from rpgan.analysis import diversity
from rpgan.errors import UserError
from rpgan.metrics.diversity import LayerDiversity, layer_diversity
from rpgan.metrics.features import CLASSIFIERS
from rpgan.presets import EXPERIMENTS

SIZES = (4, 1, 4, 4)


@pytest.fixture
def groups():
    """Six routes; bucket 1 shifts pixels in space, 3 adds a tone to each channel, 4 does nothing."""
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(40, 200, (6, 1, 3, 8, 8), generator=rng)
    moved = torch.cat([image.roll(step, -1) for step in range(4)], dim=1)
    toned = image + torch.arange(4)[:, None, None, None] * torch.tensor([12, 6, 0])[:, None, None]
    return {b: x.to(torch.uint8) for b, x in {0: moved, 2: toned, 3: image.repeat(1, 4, 1, 1, 1)}.items()}


@pytest.fixture
def tables(groups):
    measures = diversity.load_measures(["pixels", "color", "edges", "tone"], "mnist")
    return diversity.pair_sum_tables(groups, 4, measures)


def test_every_measure_sees_the_bucket_that_does_its_work(tables):
    assert all(table.shape == (6, 4) and table[:, 1].isnan().all() for table in tables.values())
    assert all((table[:, 3] == 0).all() for name, table in tables.items() if name not in ("change", "tone"))
    assert (tables["edges"][:, 0] > 0.1).all() and tables["edges"][:, 2].max() < 1e-6
    assert (tables["color"][:, 0] == 0).all() and (tables["color"][:, 2] > 0.1).all()
    assert (tables["blue"][:, 2] == 0).all()
    torch.testing.assert_close(tables["tone"][:, 2], tables["change"][:, 2])
    assert (tables["tone"][:, 0] < 1e-9).all()


def test_colour_is_the_mean_of_its_channels_and_features_come_squared_too(tables, groups):
    channels = torch.stack([tables[name] for name in diversity.CHANNELS]).mean(0)
    torch.testing.assert_close(tables["color"], channels, equal_nan=True)
    (pixels,) = diversity.load_measures(["pixels"], "mnist")
    found = pixels(groups[2])
    torch.testing.assert_close(found["pixels²"], found["pixels"] ** 2)


def test_columns_of_colour_come_apart_with_their_mean_last(tables, rng):
    chosen = {name: tables[name] for name in ("color", "pixels", "red", "blue", "pixels²")}
    features, colors = diversity.by_kind(diversity.diversities(chosen, SIZES, rng))
    assert (list(features), list(colors)) == (["pixels", "pixels²"], ["red", "blue", "color"])


def test_grey_images_have_one_colour(groups):
    (color,) = diversity.load_measures(["color"], "mnist")
    assert list(color(groups[0][:, :, :1])) == ["color"]


def test_a_zero_denominator_is_counted_and_reported_and_a_share_stays(tables, rng):
    found = diversity.diversities(tables, SIZES, rng)
    reported = diversity.results("x", found["color"], 6, "Hellinger")
    assert reported["x_zero_denominators"].value == 6
    assert "x" not in reported and "x_robust" not in reported
    assert reported["x_share"].value == [0.0, 1.0, 0.0]
    edges = diversity.results("x", found["edges"], 6, "")
    assert edges["x_zero_denominators"].value == 0 and edges["x"].value[0] == 1 and len(edges["x"].value) == 3


def test_buckets_differ_where_ranks_say_so_and_not_under_chance(tables):
    draw = torch.Generator().manual_seed(1)
    level = torch.rand(40, 1, generator=draw) * 10  # routes differ widely, buckets do not
    noise = torch.rand(40, 4, generator=draw)
    assert diversity.buckets_differ(level + noise) > 0.05
    assert diversity.buckets_differ(level + noise + torch.tensor([0, 0, 0, 0.6])) < 1e-3
    assert diversity.buckets_differ(torch.ones(9, 3)) == 1.0
    with pytest.raises(UserError, match="at least 3"):
        diversity.buckets_differ(torch.ones(9, 2))


def of_sums(*sums: float, spread: float = 0.0, m: int = 4) -> LayerDiversity:
    """A diversity whose sums are these, or differ by so much between routes."""
    rng = torch.Generator().manual_seed(2)
    table = torch.tensor(sums) + spread * torch.rand(30, len(sums), generator=rng)
    sizes = [1 if value != value else m for value in sums]
    return layer_diversity(table, sizes, rng)


def test_agreement_is_that_of_the_worst_pair_and_leaves_out_what_has_no_diversity():
    nan = float("nan")
    up, down, none = of_sums(1, nan, 2, 3, 4), of_sums(4, nan, 3, 2, 1), of_sums(nan, nan, nan, nan, 1)

    def least(*pairs):
        found = diversity.least_agreement([((a, "mean"), (b, "mean")) for a, b in pairs], 30)
        return None if found is None else found.value

    assert least((up, up)) == pytest.approx(1)
    assert least((up, up), (up, down)) == pytest.approx(-1)
    assert least((up, none), (up, up)) == pytest.approx(1)
    assert least((up, none)) is None
    still = of_sums(0, 1, 2)  # the paper's form divides by what the first bucket does
    assert diversity.least_agreement([((still, "mean"), (still, "ratio_mean"))], 30) is None


def test_agreement_is_uncertain_where_routes_differ():
    clear, blurred = of_sums(1, 2, 3, 4), of_sums(1, 1.1, 1.2, 1.3, spread=2)
    sure, unsure = (diversity.least_agreement([((clear, "mean"), (d, "mean"))], 30) for d in (clear, blurred))
    assert sure.interval == (1, 1) and sure.n == 30
    assert unsure.interval[0] < unsure.value <= unsure.interval[1] <= 1


def test_orders_are_of_the_form_they_stand_beside(rng):
    """Few routes with a small denominator rule the mean of ratios, and not the mean of sums."""
    rare = torch.tensor([[0.1, 0, 90]]).expand(10, 3)
    sums = torch.cat([torch.tensor([[10.0, 20, 1]]).expand(90, 3), rare])
    found = layer_diversity(sums, (4, 4, 4), rng)
    for form, top in (("ratio_mean", 2), ("mean", 1)):
        orders = diversity.form_result(found, form, 100, "").orders
        assert max(orders, key=orders.__getitem__).split()[top] == "3"


def test_measures_of_the_same_images_share_their_bootstrap(tables, rng):
    found = diversity.diversities({"a": tables["edges"], "b": 2 * tables["edges"]}, SIZES, rng)
    ours, twice = (found[name].resampled["mean"] for name in ("a", "b"))
    torch.testing.assert_close(twice, 2 * ours, equal_nan=True)


def test_families_are_those_of_the_ledger():
    names = ["cifar10-rpgan", "colored-mnist-rpgan", "celeba-dcgan", "lsun-rpgan", "cifar10-explorer"]
    families = ["cifar10", "colored_mnist", "celeba", "lsun", "cifar10_explorer"]
    assert [diversity.family(name) for name in names] == families
    both = diversity.families(["cifar10-rpgan", "mnist-rpgan", "cifar10-dcgan"])
    assert list(both.values()) == ["cifar10", "mnist", "cifar10_dcgan"]
    for classifier in set(CLASSIFIERS.values()):
        assert classifier in EXPERIMENTS


def test_own_stands_for_the_classifier_of_the_data_and_is_loaded_once():
    assert diversity.own_classifier("lsun") == "efficientnet-lite0"
    assert diversity.own_classifier("colored-mnist") == "mnist-cnn"
    assert len(diversity.load_measures(["own", "mnist-cnn"], "mnist")) == 1
    assert diversity.semantic_name("own", "mnist") == "mnist-cnn²"
    assert diversity.semantic_name("lpips-alex", "mnist") == "lpips-alex"
    with pytest.raises(UserError, match="unknown extractor"):
        diversity.load_measures(["beauty"], "mnist")


def test_a_generator_reports_the_keys_of_the_ledger(tables, rng):
    found = diversity.diversities(tables, SIZES, rng)
    reported = diversity.model_results("cifar10", found, "pixels²", 6)
    assert {"cifar10_semantic", "cifar10_semantic_robust", "cifar10_color_share"} <= set(reported)
    assert reported["cifar10_semantic"].note == "pixels²" and "cifar10_inception" not in reported
    assert reported["cifar10_semantic"].value == found["pixels²"].ratio_mean[[0, 2, 3]].tolist()
    orders = reported["cifar10_semantic"].orders
    assert orders and {len(order.split()) for order in orders} == {3}
    with_inception = diversity.model_results("anime", found | {"inception": found["pixels"]}, "pixels²", 6)
    assert with_inception["anime_inception"].value[0] == 1


def test_the_summary_names_the_ends_of_the_ranking(tables, rng):
    text = diversity.summary("mnist-rpgan", diversity.diversities(tables, SIZES, rng), "pixels²")
    assert "semantics (pixels²) most in bucket" in text
    assert "edges most in bucket 1 and least in bucket 4" in text and "colour most in bucket 3" in text


def test_lpips_is_one_column_under_its_own_name(monkeypatch, groups):
    asked = []

    def fake(trunk, device):
        asked.append((trunk, device))
        return lambda images: torch.ones(*images.shape[:2], images.shape[1])

    monkeypatch.setattr(diversity, "load_lpips", fake)
    (lpips,) = diversity.load_measures(["lpips-vgg"], "lsun", "cpu")
    assert list(lpips(groups[0])) == ["lpips-vgg"] and asked == [("vgg", "cpu")]

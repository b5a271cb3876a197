"""Responsibility: planted truths are found, chance is told apart, and readers say when they doubt."""

import pytest
import torch

from rpgan import paths
from rpgan.analysis import attribution as at
from rpgan.analysis import controls, readers
from rpgan.config import GeneratorConfig
from rpgan.datasets.sprites import CARDINALITIES, FACTORS, factors_of, render_sprites
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics import sobol
from rpgan.models.generator import build_generator, render

FACTOR_NAMES = list(FACTORS)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def reader() -> readers.Reader:
    return readers.sprite_reader()


@pytest.fixture(scope="module")
def held_out() -> tuple[torch.Tensor, torch.Tensor]:
    labels = factors_of(torch.arange(2**20, 2**20 + 100))
    return render_sprites(labels, 64), labels


@pytest.fixture(scope="module")
def small():
    """A generator of few paths, whose indices can be had by enumeration."""
    config = GeneratorConfig(
        architecture="dcgan",
        image_shape=(3, 32, 32),
        widths=(6, 5, 4),
        bucket_sizes=(3, 4, 1, 3),
        latent_dim=8,
    )
    return build_generator(config).eval()


# Controls


def test_planted_buckets_draw_the_factors_they_are_named_for() -> None:
    generator = controls.planted()
    chosen = generator.sample_paths(20, rng())
    columns = [FACTOR_NAMES.index(name) for name in controls.GEOMETRY_FIRST]
    factors = torch.zeros(20, 7, dtype=torch.int64)
    factors[:, columns] = chosen[:, :7]
    assert torch.equal(to_uint8(render(generator, chosen)), render_sprites(factors, 64))


def test_the_idle_bucket_changes_nothing() -> None:
    generator = controls.planted(("x", "idle"), size=16)
    images = render(generator, paths.vary(torch.tensor([3, 0]), 1, range(8)))
    assert generator.bucket_sizes == (16, 8) and (images == images[:1]).all()


def test_scrambled_paths_give_the_sprites_of_other_paths_one_to_one() -> None:
    scramble = controls.Scramble()
    chosen = paths.sample(CARDINALITIES, 5_000, rng()).unique(dim=0)
    got = scramble(chosen.float()).long()
    assert len(got.unique(dim=0)) == len(chosen)
    assert (got >= 0).all() and (got < torch.tensor(CARDINALITIES)).all()
    assert (got == chosen).float().mean() < 0.3


def test_scrambled_factors_are_nothing_but_interaction() -> None:
    """Without rendering: the factors themselves, of many paths."""
    plan = sobol.design(CARDINALITIES, 2_000, rng())
    drawn = controls.Scramble()(plan.flatten(0, 1).float()).unflatten(0, plan.shape[:2])
    for factor in range(7):
        indices = sobol.indices(drawn[..., factor : factor + 1])
        assert indices.first.abs().max() < 0.1, factor
        torch.testing.assert_close(indices.total, controls.random_totals(CARDINALITIES), rtol=0, atol=0.05)


def test_a_random_table_has_the_totals_of_a_random_table() -> None:
    table = torch.randn(4, 3, 2, 20_000, generator=rng())
    found = sobol.exact(lambda p: table[tuple(p.T)], (4, 3, 2)).total
    # Over all draws of the table, E[V] = 1 − 1/24 and a bucket's part is 1 − 1/m.
    expected = controls.random_totals((4, 3, 2)) / (1 - 1 / 24)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


def test_controls_name_mistakes() -> None:
    for order in (("x", "x"), ("colour",)):
        with pytest.raises(UserError, match="expected different names out of shape"):
            controls.planted(order)


# Attribution


def test_the_planted_matrix_is_found_through_the_reader(reader: readers.Reader) -> None:
    order = ("shape", "x", "rotation", "object_hue")
    found = at.attribute(controls.planted((*order, "idle")), reader, 25, rng()).of(order)
    total, first = found.matrix("total"), found.matrix("first")
    assert (total[-1] == 0).all(), "the idle bucket"
    assert (total[:-1] - torch.diag(total.diagonal())).max() < 0.01
    torch.testing.assert_close(first, total, rtol=0, atol=0.02)
    low, high = found.matrix("total", "low"), found.matrix("total", "high")
    assert ((low.diagonal() < 1.01) & (high.diagonal() > 0.99)).sum() >= 3
    assert controls.leakage(total) < 0.01
    later = at.lag(found, ["object_hue"], ["x", "rotation"])
    assert later.value == pytest.approx(4 - 2.5, abs=0.01)


def test_estimates_agree_with_the_enumeration(small) -> None:
    def chroma(images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"chroma": readers.image_statistics(images)["chroma"]}

    truth = sobol.exact(lambda p: chroma(to_uint8(render(small, p)))["chroma"], small.bucket_sizes)
    found = at.attribute(small, chroma, 3_000, rng(), n_resamples=50)
    estimate = found.estimates["chroma"].value
    torch.testing.assert_close(estimate.total, truth.total, rtol=0, atol=0.05)
    torch.testing.assert_close(estimate.first, truth.first, rtol=0, atol=0.05)
    assert found.matrix("total")[2].abs().max() == 0, "a bucket of one instance is behind nothing"


def test_intervals_cover_the_enumerated_truth(small) -> None:
    every = paths.enumerate_all(small.bucket_sizes)
    table = readers.image_statistics(to_uint8(render(small, every)))["luminance"]
    places = torch.tensor([12, 3, 3, 1])
    truth = sobol.exact(lambda p: table[(p * places).sum(1)], small.bucket_sizes).total
    hits = torch.zeros(4)
    for seed in range(40):
        plan = sobol.design(small.bucket_sizes, 100, rng(seed))
        counts = sobol.resampling_counts(100, 200, rng(seed))
        found = sobol.estimated(table[(plan * places).sum(-1)], counts, 0.9)
        hits += (found.low.total <= truth + 1e-12) & (truth <= found.high.total + 1e-12)
    assert hits.min() >= 29 and hits[:3].mean() / 40 < 0.98, hits


def test_rendering_once_a_path_changes_no_value(small) -> None:
    plan = sobol.design(small.bucket_sizes, 30, rng())
    values = at.measured(small, readers.image_statistics, plan, chunk=7)["pixels"]
    direct = [readers.image_statistics(to_uint8(render(small, sample)))["pixels"] for sample in plan]
    torch.testing.assert_close(values, torch.stack(direct), rtol=0, atol=0.02)


def test_properties_share_their_bootstrap_samples(small) -> None:
    def twice(images: torch.Tensor) -> dict[str, torch.Tensor]:
        sharpness = readers.image_statistics(images)["sharpness"]
        return {"one": sharpness, "other": 3 * sharpness + 1}

    found = at.attribute(small, twice, 20, rng(), n_resamples=30)
    one, other = (found.estimates[name].resampled.total for name in ("one", "other"))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert max(map(abs, at.lag(found, ["one"], ["other"]).interval)) < 1e-4


# Chance


def additive(plan: torch.Tensor) -> torch.Tensor:
    return (plan.double() * torch.tensor([1.0, 3.0, 0.0])).sum(-1, keepdim=True)


def attributed(values: torch.Tensor) -> at.Attribution:
    counts = sobol.resampling_counts(values.shape[1], 50, rng())
    return at.Attribution({"f": values}, {"f": sobol.estimated(values, counts)})


def test_dealing_out_by_lot_leaves_no_bucket_anything_of_its_own() -> None:
    found = attributed(additive(sobol.design((5, 5, 5), 400, rng())))
    nulls = at.shuffled(found, at.lots, 40, rng(1))
    first = torch.stack([null["f"].first for null in nulls])
    total = torch.stack([null["f"].total for null in nulls])
    assert first.mean(0).abs().max() < 0.03 and (total.mean(0) - 1).abs().max() < 0.03
    level = at.chance(found, 40, rng(1)).levels["f"]
    assert 0.05 < level < 0.2
    assert found.matrix("first")[1, 0] > level > found.matrix("first")[2, 0]


def test_chance_levels_shrink_with_the_number_of_rows() -> None:
    levels = []
    for rows in (50, 800):
        found = attributed(additive(sobol.design((5, 5, 5), rows, rng())))
        levels.append(at.chance(found, 40, rng(1)).levels["f"])
    assert levels[1] < levels[0] / 2


def test_exchanged_names_make_buckets_alike_and_leave_their_sum() -> None:
    found = attributed(additive(sobol.design((5, 5, 5), 400, rng())))
    nulls = at.shuffled(found, at.labels, 40, rng(1))
    sums = torch.stack([null["f"].total.sum() for null in nulls])
    torch.testing.assert_close(sums, found.estimates["f"].value.total.sum().expand(40))
    mean = torch.stack([null["f"].total for null in nulls]).mean(0)
    assert (mean / mean.mean() - 1).abs().max() < 0.05
    assert at.chance(found, 40, rng(1)).p["f"] == pytest.approx(1 / 41)


def test_p_values_of_alike_buckets_are_even() -> None:
    """A sum in which all buckets count the same: small p values as often as they say."""
    values = []
    for seed in range(40):
        plan = sobol.design((4, 4, 4), 60, rng(seed))
        found = attributed(plan.double().sum(-1, keepdim=True))
        values.append(at.chance(found, 19, rng(seed)).p["f"])
    small_ones = sum(value <= 0.25 for value in values)
    assert 3 <= small_ones <= 18, values


def test_centres_of_mass() -> None:
    totals = torch.tensor([[1.0, 0, 0], [0, 0, 2], [1, 1, 1], [0, 1, 3]])
    assert at.centre_of_mass(totals).tolist() == [1, 3, 2, 2.75]


def test_leakage_is_what_stands_beside_the_diagonal() -> None:
    total = torch.tensor([[1.0, 0.1], [0.0, 0.9], [0.2, 0.0]])
    assert controls.leakage(total) == pytest.approx(0.2)


def test_what_does_not_vary_has_no_result() -> None:
    values = additive(sobol.design((3, 3, 3), 20, rng()))
    counts = sobol.resampling_counts(20, 10, rng())
    both = {"varied": values, "constant": torch.zeros_like(values)}
    found = at.Attribution(both, {name: sobol.estimated(v, counts) for name, v in both.items()})
    groups = {"some": ["varied"], "all": ["varied", "constant"]}
    assert list(at.results(found, "x", groups)) == ["x_some"]
    orders = at.results(found, "x", groups)["x_some"].orders  # of s₁ + 3 s₂, of which bucket 3 does nothing
    assert orders and sum(orders.values()) == 10 and max(orders, key=orders.__getitem__) == "2 3 1"
    assert list(at.order_results(found, "x", ["varied"], [["constant"]])) == []
    assert torch.tensor(at.chance(found, 5, rng()).p["constant"]).isnan()
    order = at.order_results(found, "x", ["varied"], [["varied"]])
    assert order["x_color_lag"].value == 0 and order["x_color_lag"].n == 20


def test_what_is_left_to_the_last_buckets_has_an_interval() -> None:
    """Of s₁ + 3 s₂, nothing depends on the third bucket, and nine tenths of the variance on the second."""
    plan = sobol.design((5, 5, 5), 400, rng())
    found = attributed(additive(plan))
    second = at.left_to_last(found, [["f"]])
    low, high = second.interval
    assert low < 0.9 < high and high - low < 0.3 and second.value == pytest.approx(0.9, abs=0.1)
    first_only = attributed(plan[..., :1].double())
    none = at.left_to_last(first_only, [["f"]])
    assert (none.value, none.interval) == (0, (0, 0))
    assert at.order_results(found, "x", ["f"], [["f"]])["x_last_geometry"] == second


def test_a_group_does_not_hide_in_the_mean_of_others() -> None:
    plan = sobol.design((5, 5, 5), 400, rng())
    values = {"last": plan[..., 2:].double(), "first": plan[..., :1].double()}
    counts = sobol.resampling_counts(400, 50, rng())
    found = at.Attribution(values, {name: sobol.estimated(v, counts) for name, v in values.items()})
    apart, together = (at.left_to_last(found, g).value for g in ([["last"], ["first"]], [["last", "first"]]))
    assert apart == pytest.approx(2 * together) and apart == pytest.approx(1, abs=0.1)


def test_groups_are_judged_by_totals_and_colour_by_how_far_it_lies_behind() -> None:
    """The hue is the first bucket's; the place is the parity of two, which neither decides alone."""
    plan = sobol.design((2, 2, 2, 2), 400, rng())
    values = {"hue": plan[..., :1].double(), "place": (plan[..., 1:3].sum(-1) % 2)[..., None].double()}
    counts = sobol.resampling_counts(400, 50, rng())
    found = at.Attribution(values, {name: sobol.estimated(v, counts) for name, v in values.items()})
    told = at.results(found, "x", {"p": ["place"]}) | at.order_results(found, "x", ["hue"], [["place"]])
    assert told["x_p"].value.tolist() == pytest.approx([0, 1, 1, 0], abs=0.15)
    assert all(order.split()[0] == order.split()[3] == "1" for order in told["x_p"].orders)
    assert told["x_color_lag"].value == pytest.approx(1 - 2.5, abs=0.1)
    assert told["x_last_geometry"].value == pytest.approx(1, abs=0.15)


def test_unknown_properties_are_named() -> None:
    with pytest.raises(UserError, match="no property hue; expected some of f"):
        at.centre(attributed(additive(sobol.design((2, 2, 2), 5, rng()))), ["hue"])


# Readers


def test_factors_have_the_variance_of_their_kind() -> None:
    assert readers.categorical(4).variance == pytest.approx(1 - 1 / 4)
    assert readers.circular([i / 16 for i in range(16)]).variance == pytest.approx(1)
    assert readers.ordered([0.0, 1.0, 2.0]).variance == pytest.approx(2 / 3)


def test_circular_values_meet_at_the_ends_and_ordered_ones_do_not() -> None:
    circle, line = readers.circular([0.0, 0.25, 0.5, 0.75]), readers.ordered([0.0, 0.25, 0.5, 0.75])
    assert circle.near[0].tolist() == [True, True, False, True]
    assert line.near[0].tolist() == [True, True, False, False]
    assert readers.categorical(3).near[0].tolist() == [True, False, False]
    steps = (circle.points - circle.points.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(steps, steps[:1].expand(4))


def test_the_reader_reads_held_out_sprites(reader, held_out) -> None:
    images, labels = held_out
    for name, doubt in readers.doubts(reader, images, labels).items():
        assert doubt.wrong is not None and doubt.wrong < 0.02 and doubt.sure > 0.98, name
        assert doubt.misled == 0 and doubt.entropy < 0.1, name
    for i, (name, points) in enumerate(reader(images).items()):
        truth = reader.factors[name].points[labels[:, i]]
        error = (points - truth).square().sum(1).mean()
        assert error < 0.01 * reader.factors[name].variance, name
    assert readers.explained(images, readers.redrawn(reader, images)) > 0.99


def test_noise_makes_the_reader_doubt_and_err(reader, held_out) -> None:
    images, labels = held_out
    clean = readers.doubts(reader, images, labels)
    worse = readers.doubts(reader, readers.noisy(images, 40.0, rng()), labels)
    assert all(worse[name].entropy > clean[name].entropy for name in worse)
    assert max(doubt.wrong or 0 for doubt in worse.values()) > 0.1


def test_a_trial_counts_errors_where_the_truth_is_known(reader, held_out) -> None:
    images, labels = (part[:20] for part in held_out)
    result = readers.trial(reader, images, images, (labels + 1) % torch.tensor(CARDINALITIES), rng())
    assert result.explained > 0.99 and result.results()["reader_wrong"].value == [1.0] * 7
    columns = result.rows()
    assert ("noisy", "wrong, %") in columns and ("generated", "wrong, %") not in columns
    assert columns["held out", "misled, %"]["shape"] == 100, "no shape lies next to another"
    assert columns["held out", "misled, %"]["x"] < 100, "the next place does"


def test_means_explain_nothing(held_out) -> None:
    images, _ = held_out
    mean = images.float().mean(0, keepdim=True).round().to(torch.uint8).expand_as(images)
    assert readers.explained(images, mean) == pytest.approx(0, abs=1e-3)


def test_a_margin_does_not_change_what_digit_is_read() -> None:
    images = torch.randint(256, (5, 1, 28, 28), generator=rng(), dtype=torch.uint8)
    reader = readers.digit_reader()
    read, padded = reader(images)["digit"], torch.nn.functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(read.sum(1), torch.ones(5))
    torch.testing.assert_close(reader(padded)["digit"], read)
    with pytest.raises(UserError, match="expected these, or up to 4 pixels more"):
        reader(torch.nn.functional.pad(images, (9, 9, 9, 9)))


def test_image_statistics_say_what_they_are_named_for() -> None:
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    images[1] = 255
    images[2, 0] = 255
    found = readers.image_statistics(images)
    torch.testing.assert_close(found["luminance"][:, 0], torch.tensor([-1, 1, 2 * 0.299 - 1]))
    torch.testing.assert_close(found["chroma"][:2], torch.zeros(2, 2), rtol=0, atol=1e-6)
    assert found["chroma"][2, 1] > 0 > found["chroma"][2, 0]
    assert found["sharpness"].abs().max() < 1e-6
    assert "chroma" not in readers.image_statistics(images[:, :1])

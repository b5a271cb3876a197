"""Noise in one layer's weights, and profiles over layers."""

import math
from dataclasses import replace

import pytest
import torch

from rpgan.analysis import noise, roles
from rpgan.analysis.variation import varied_groups
from rpgan.config import GeneratorConfig, standard_twin
from rpgan.datasets import load_dataset
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.intervals import count_orders
from rpgan.metrics.agreement import Profile, best_agreement, chance, profile, rank_agreement
from rpgan.metrics.color import color_change, color_distances
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, distance_ratio, frechet_distance
from rpgan.metrics.tone import pixel_change
from rpgan.models.draws import exchanged
from rpgan.models.generator import build_generator, render
from rpgan.models.perturbed import (
    TOLERANCE,
    _alpha_of,
    equal_damage_alphas,
    layer_weights,
    perturbed,
    perturbed_grid,
    perturbed_images,
    sample_trials,
)
from rpgan.models.stacked import stacked
from rpgan.presets import resolve

CONFIG = GeneratorConfig(
    architecture="dcgan", image_shape=(3, 32, 32), widths=(6, 5, 4), bucket_sizes=(3, 3, 2, 3), latent_dim=8
)
FEATURES = Extractor("mean of each channel", lambda images: images.mean((2, 3)))


@pytest.fixture
def twin():
    return build_generator(standard_twin(CONFIG)).eval()


@pytest.fixture
def linear():
    """Fully connected and linear: noise in its only wide layer has a closed form."""
    config = GeneratorConfig(
        "fc", (1, 8, 8), widths=(40,), bucket_sizes=(1, 1), latent="gaussian", latent_dim=16, leak=1.0
    )
    return build_generator(config).double().eval()


def yardstick(features):
    return noise.Ruler(FEATURES, Moments(features), "no images")


def state(generator):
    return {name: value.clone() for name, value in generator.state_dict().items()}


def same(generator, before):
    return all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


# --- perturbed


@pytest.mark.parametrize("layer", range(4))
def test_noise_moves_the_weights_of_one_layer_and_restores_them(twin, rng, layer):
    before = state(twin)
    with perturbed(twin, layer, 0.5, rng):
        moved = {name for name, value in twin.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith(f"buckets.{layer}.") and name.endswith("weight") for name in moved)
    assert same(twin, before)


def test_weights_return_after_an_exception(twin, rng):
    before = state(twin)
    with pytest.raises(ZeroDivisionError), perturbed(twin, 1, 3.0, rng):
        _ = 1 / 0
    assert same(twin, before)


def test_noise_has_the_size_of_the_layer(rng):
    generator = build_generator(GeneratorConfig(widths=(32,) * 4, bucket_sizes=(1, 2, 1, 1, 1)))
    weights = layer_weights(generator, 1)
    before = [weight.detach().clone() for weight in weights]
    assert len(weights) == 4  # two convolutions in each of two instances
    with perturbed(generator, 1, 0.3, rng):
        for weight, value in zip(weights, before, strict=True):
            added = weight.detach() - value
            assert abs(float(added.std() / value.std()) - 0.3) < 0.01
            assert abs(float(added.mean() / added.std())) < 5 / math.sqrt(added.numel())


def test_biases_are_no_weights_however_a_bucket_stores_them(linear):
    """Stacked layers keep their biases in a matrix (m, out), which has as many dimensions as a weight."""
    for layer in range(2):
        for generator in (linear, stacked(linear)):
            named = dict(generator.buckets[layer].named_parameters())
            biases = [bias for name, bias in named.items() if name.endswith("bias")]
            weights = layer_weights(generator, layer)
            assert len(weights) == len(biases) == len(named) / 2
            assert not any(weight is bias for weight in weights for bias in biases)


def test_instances_have_noise_of_their_own(rng):
    generator = build_generator(CONFIG)
    first, second, _ = layer_weights(generator, 0)
    before = [first.detach().clone(), second.detach().clone()]
    with perturbed(generator, 0, 1.0, rng):
        added = [(first - before[0]).detach().flatten(), (second - before[1]).detach().flatten()]
    assert abs(float(torch.corrcoef(torch.stack(added))[0, 1])) < 0.2


@pytest.mark.parametrize(("layer", "alpha"), [(4, 0.1), (-1, 0.1), (0, -0.1), (0, math.nan)])
def test_wrong_layers_and_levels_are_named(twin, rng, layer, alpha):
    with pytest.raises(UserError, match="expected"), perturbed(twin, layer, alpha, rng):
        pass


# --- trials


def test_no_noise_does_no_damage(twin, rng):
    trials = sample_trials(twin, 2, 3, rng)
    for layer in range(4):
        assert torch.equal(perturbed_images(twin, layer, 0.0, trials), trials.clean)


def test_every_draw_has_noise_of_its_own_and_repeats_itself(twin, rng):
    trials = sample_trials(twin, 3, 2, rng, shared=True)
    assert all(torch.equal(trials.clean[0], images) for images in trials.clean)
    once, again = (perturbed_images(twin, 1, 1.0, trials) for _ in range(2))
    assert torch.equal(once, again) and not torch.equal(once[0], once[1])
    with perturbed(twin, 1, 1.0, torch.Generator().manual_seed(int(trials.seeds[2]))):
        alone = to_uint8(render(twin, trials.paths[2], trials.latents[2]))
    assert torch.equal(once[2], alone)


def test_inputs_differ_from_draw_to_draw_unless_shared(twin, rng):
    trials = sample_trials(twin, 2, 2, rng)
    assert len(trials.latents.flatten(0, 1).unique(dim=0)) == 4


def test_a_routed_generator_needs_no_latents(rng):
    generator = build_generator(CONFIG)
    trials = sample_trials(generator, 2, 3, rng)
    assert trials.latents is None and trials.clean.shape == (2, 3, 3, 32, 32)
    grid = perturbed_grid(generator, torch.tensor([[0.0, 1.0]] * 4), trials)
    assert grid.shape == (4, 2, 2, 3, 3, 32, 32)
    assert all(torch.equal(layer[0], trials.clean) for layer in grid)


def test_noise_in_a_linear_layer_has_its_closed_form(linear, rng):
    """E‖W′h − Wh‖² = σ²·‖h‖² for every output of a linear layer with input h, so for their mean too."""
    layer, latents = linear.buckets[1].instances[0], torch.randn(4, 16, generator=rng, dtype=torch.float64)
    hidden = linear.buckets[0].instances[0](latents)
    sigma = 0.2 * float(layer.weight.detach().std(correction=0))
    moved = []
    for seed in range(300):
        with perturbed(linear, 1, 0.2, torch.Generator().manual_seed(seed)):
            noisy = layer(hidden)
        moved.append((noisy - layer(hidden)).square().mean(1).detach())
    expected = sigma**2 * hidden.square().sum(1).detach()
    assert torch.allclose(torch.stack(moved).mean(0), expected, rtol=0.05)


# --- changes


def test_changes_are_zero_between_equals_and_one_between_extremes():
    black, white = (torch.full((2, 3, 4, 4), level, dtype=torch.uint8) for level in (0, 255))
    for change in (pixel_change, color_change):
        assert torch.equal(change(black, black), torch.zeros(2, dtype=torch.float64))
        assert torch.allclose(change(black, white), torch.ones(2, dtype=torch.float64))


def test_colour_is_that_of_the_layer_diversity(rng):
    images = torch.randint(256, (3, 2, 3, 8, 8), generator=rng, dtype=torch.uint8)
    expected = color_distances(images).mean(-1)[:, 0, 1]
    assert torch.allclose(color_change(images[:, 0], images[:, 1]), expected)


def test_damage_grows_with_the_noise(twin, rng):
    trials = sample_trials(twin, 2, 4, rng)
    alphas = torch.tensor([[0.0, 0.1, 0.2, 0.4]] * 4)
    found = noise.damage(twin, trials, alphas, yardstick(FEATURES(trials.clean.flatten(0, 1))))
    assert found.changes["total"].shape == (4, 4, 2)
    assert (found.changes["total"].mean(-1).diff(dim=1) > 0).all()
    assert all((found.changes[kind][:, 0] == 0).all() for kind in noise.KINDS)
    assert found.clean < 1e-9 and (found.frechet[:, 0] < 1e-9).all() and (found.frechet[:, 1:] > 0).all()


def test_damage_is_what_its_parts_say(twin, rng):
    trials = sample_trials(twin, 2, 3, rng)
    real = Moments(torch.rand(9, 3, generator=rng))
    found = noise.damage(twin, trials, torch.full((4, 1), 0.5), noise.Ruler(FEATURES, real, ""))
    images = perturbed_images(twin, 2, 0.5, trials)
    moved = (FEATURES(images[1]) - FEATURES(trials.clean[1])).norm(dim=1).mean()
    assert float(found.changes["semantic"][2, 0, 1]) == pytest.approx(float(moved), rel=1e-5)
    colors = color_change(images[0], trials.clean[0]).mean()
    assert float(found.changes["color"][2, 0, 0]) == pytest.approx(float(colors))
    far = frechet_distance(real, Moments(FEATURES(images.flatten(0, 1))))
    assert float(found.frechet[2, 0]) == pytest.approx(far)


def test_ratios_leave_out_whole_draws_of_noise(twin, rng):
    trials, real = sample_trials(twin, 3, 4, rng), Moments(torch.rand(9, 3, generator=rng))
    found = noise.damage(
        twin, trials, torch.full((4, 1), 0.5), noise.Ruler(FEATURES, real, ""), with_ratios=True
    )
    sets = (perturbed_images(twin, 2, 0.5, trials), trials.clean)
    noisy, clean = (tuple(Moments(FEATURES(part)) for part in drawn) for drawn in sets)
    ratio, ends = distance_ratio(noisy, clean, real)
    assert found.ratios[:, 2, 0].tolist() == pytest.approx([ratio, *ends])


# --- equal damage


@pytest.mark.parametrize("target", [0.02, 0.1])
def test_layers_do_equal_damage(twin, rng, target):
    trials = sample_trials(twin, 2, 2, rng)
    alphas = equal_damage_alphas(twin, trials, target, pixel_change, tolerance=0.01)
    for layer, alpha in enumerate(alphas.tolist()):
        images = perturbed_images(twin, layer, alpha, trials)
        done = pixel_change(trials.clean.flatten(0, 1), images.flatten(0, 1)).mean()
        assert float(done) == pytest.approx(target, rel=0.011)


def test_the_distance_may_be_another(twin, rng):
    trials = sample_trials(twin, 1, 2, rng)
    alphas = equal_damage_alphas(twin, trials, 0.3, color_change)
    images = perturbed_images(twin, 3, float(alphas[3]), trials)
    done = color_change(trials.clean.flatten(0, 1), images.flatten(0, 1)).mean()
    assert float(done) == pytest.approx(0.3, rel=0.021)


@pytest.mark.parametrize("target", [0.0, -1.0, math.inf, math.nan, 1.5])
def test_damage_that_cannot_be_done_is_refused(twin, rng, target):
    with pytest.raises(UserError, match="expected"):
        equal_damage_alphas(twin, sample_trials(twin, 1, 2, rng), target, pixel_change)


@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
def test_a_power_is_inverted(power):
    assert _alpha_of(lambda alpha: alpha**power, 7.0, 1e-6) == pytest.approx(7 ** (1 / power), rel=1e-4)


def test_a_step_is_found_where_no_value_fits():
    assert _alpha_of(lambda alpha: float(alpha > 0.7), 0.5, 1e-3) == pytest.approx(0.7, rel=1e-5)


# --- exchanged instances


def test_exchanges_are_means_over_pairs_corrected_for_the_bucket_size(rng):
    groups = {b: torch.randint(256, (5, 3, 3, 8, 8), generator=rng, dtype=torch.uint8) for b in range(2)}
    found = noise.exchange_changes(groups, (3, 10), FEATURES)
    matrix = color_distances(groups[1]).mean(-1)
    expected = matrix.sum((1, 2)) / 6 * 0.9  # six ordered pairs of three images
    assert torch.allclose(found["color"][1], expected)
    assert found["total"].shape == found["semantic"].shape == (2, 5)


def test_real_images_come_with_their_features():
    config = resolve("colored-mnist-gan", "smoke")
    found = noise.Ruler.load(config, "pixels", 30, 0)
    images = load_dataset(config.data, (3, 32, 32), "train").__getitems__(range(30))[0]
    assert found.real.n == 30 and "MNIST" in found.about
    real, inverted = (found.distance(found.extractor(x)) for x in (images, 255 - images))
    assert 0 <= real < inverted / 10


def test_a_bucket_without_alternatives_cannot_be_compared(rng):
    images = torch.zeros(2, 2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(UserError, match="several instances"):
        noise.exchange_changes({0: images}, (2, 1), FEATURES)


@pytest.fixture
def compared(twin, rng):
    routed = build_generator(CONFIG, seed=2).eval()
    groups = varied_groups(routed, 5, 2, rng)
    trials, measure = sample_trials(twin, 3, 2, rng), yardstick(torch.rand(9, 3, generator=rng))
    return noise.compare(twin, trials, routed, groups, measure, rng, (0.5, 1.0))


@pytest.fixture
def compared_roles(compared, rng):
    return roles.Roles.of(compared.factors, compared.noise.changes, compared.exchange, rng)


def test_noise_is_as_large_as_an_exchange(compared):
    found = compared
    target = found.exchange["total"].mean()
    done = found.noise.changes["total"].mean(-1)
    assert torch.allclose(done, target * torch.tensor([0.5, 1]).double().expand(4, 2), rtol=0.021)
    assert 0 < found.deviation_from_equal <= TOLERANCE


def test_one_layer_that_does_more_damage_is_seen(compared):
    changes = {"total": compared.noise.changes["total"].clone()}
    changes["total"][2, 0] *= 1.5
    uneven = replace(compared, noise=replace(compared.noise, changes=changes))
    assert uneven.deviation_from_equal == pytest.approx(0.5, abs=0.05)


def test_a_comparison_reports_ratios(compared):
    results = compared.results("colored_")
    ratio = compared.noise.frechet / compared.noise.clean
    assert torch.allclose(results["colored_distance_over_clean"].value, ratio[:, 1])
    value, low, high = compared.over_clean
    assert torch.allclose(value, ratio) and (low < value).all() and (value < high).all()
    for key, ratios in (("least_over_clean", ratio[:, 1]), ("least_over_clean_any_level", ratio)):
        least = results[f"colored_{key}"]
        assert least.value == pytest.approx(float(ratios.min())) and least.interval[0] < least.value


def test_roles_report_shares_and_agreement_at_every_level(compared, compared_roles):
    results = compared_roles.results("colored_")
    for kind in ("color", "semantic"):
        for level, at in enumerate(("_at_50_percent", "")):
            shares = compared.noise.changes[kind][:, level].mean(-1)
            found = results[f"colored_{kind}_by_layer{at}"].value
            assert torch.allclose(found, shares / shares.sum())
            for ending in ("", "_per_change"):
                low, high = results[f"colored_{kind}_rank_agreement{ending}{at}"].interval
                assert -1 <= low <= high <= 1
        routed = compared.exchange[kind].mean(1)
        assert torch.allclose(results[f"colored_{kind}_by_bucket"].value, routed / routed.sum())


def test_a_table_has_a_row_for_every_profile(compared_roles):
    table = compared_roles.table()
    names = ["noise × 0.5", "noise × 1", roles.EXCHANGE, roles.PER_CHANGE]
    assert list(table) == [(word, name) for word in ("colour", "semantic") for name in names]
    assert all(len(row) == 4 + len(roles.AGREEMENTS) for row in table.values())
    assert all(table[row].items() >= cells.items() for row, cells in compared_roles.agreements().items())
    assert len(compared_roles.agreements()) == 4
    assert {row[roles.AGREEMENTS[1]] for (_, name), row in table.items() if "RPGAN" in name} == {"–"}


def layered(*levels):
    """Changes without chance: a row of layers for each level of noise, in each of five draws."""
    return torch.tensor(levels, dtype=torch.float64).T[..., None].expand(-1, -1, 5)


@pytest.mark.parametrize(
    ("color", "semantic", "expected", "chance"),
    [
        (((1, 2, 3, 4), (1, 2, 3, 4)), ((4, 3, 2, 1), (4, 3, 2, 1)), 1, 1 - (1 - 1 / 24**2) ** 2),
        # one aspect right at each level
        (((1, 2, 3, 4), (4, 3, 2, 1)), ((1, 2, 3, 4), (4, 3, 2, 1)), -1, 1),
        # both nearly, at the second
        (((4, 3, 2, 1), (1, 2, 4, 3)), ((1, 2, 3, 4), (4, 3, 2, 1)), 0.8, 1 - (1 - 1 / 6**2) ** 2),
    ],
)
def test_noise_alone_must_tell_both_aspects_at_one_level(rng, color, semantic, expected, chance):
    noise_changes = {"total": layered((1,) * 4, (1,) * 4)}
    noise_changes |= {"color": layered(*color), "semantic": layered(*semantic)}
    exchange = {kind: layered(row)[:, 0] for kind, row in (("color", (1, 2, 3, 9)), ("total", (1,) * 4))}
    exchange["semantic"] = exchange["color"].flip(0)
    found = roles.Roles.of((0.25, 1.0), noise_changes, exchange, rng)
    assert found.alone.value == pytest.approx(expected)
    assert (found.alone.low, found.alone.high) == pytest.approx((expected, expected))
    for level, ending in enumerate(("_at_25_percent", "")):
        by_layer = found.results()[f"color_by_layer{ending}"]
        assert list(by_layer.orders) == list(count_orders(torch.tensor([color[level]]).double()))
    told = found.results()["noise_alone_agreement"]
    assert told.value == found.alone.value and f" {100 * chance:.2g} % " in told.note
    told = [f"{found.agreement(kind, level).value:.2f}" for level in (0, 1) for kind in roles.WORDS]
    assert "noise × 0.25 with {} and {}, noise × 1 with {} and {}".format(*told) in found.conclusion()


def test_images_and_passes_are_told_beforehand(twin, rng):
    """Counted as an extractor sees them; 2 variations of each of 5 paths, and 6 trials."""
    routed, passes = build_generator(CONFIG, seed=2).eval(), []

    def mean(images):
        passes.append(len(images))
        return images.mean((2, 3))

    counting = Extractor("counting", mean)
    measure = noise.Ruler(counting, Moments(torch.rand(9, 3, generator=rng)), "no images")
    trials, groups = sample_trials(twin, 3, 2, rng), varied_groups(routed, 5, 2, rng)
    noise.damage(twin, trials, torch.full((4, 3), 0.5), measure)
    swept = sum(passes)
    noise.compare(twin, trials, routed, groups, measure, rng, (0.5, 1.0), sets=3)
    told = noise.images_needed(4, 6, 10, 3, factors=2, levels=3)
    assert told["passes through the extractor"] == sum(passes)
    without = noise.images_needed(4, 6, 10, 3, factors=2)
    assert without["passes through the extractor"] == sum(passes) - swept
    assert told["images of the standard GAN"] == 6 * (1 + 4 * 3 + 4 * 2)
    assert told["images of RPGAN"] == 4 * 10 + 3 * 5 * 6


@pytest.fixture
def real(rng):
    return Moments(torch.rand(60, 3, generator=rng))


def test_an_exchange_changes_one_entry_of_every_path(rng):
    generator = build_generator(CONFIG)
    routes = generator.sample_paths(50, torch.Generator().manual_seed(3))
    for bucket in range(4):
        changed = exchanged(generator, bucket, 50, torch.Generator().manual_seed(3)) != routes
        assert changed[:, bucket].all() and changed.sum() == 50


def test_variations_are_as_far_as_own_samples_and_not_as_the_twins(twin, real, rng):
    """A path with another instance is a path: whatever the generator, the ratio is 1 but for chance."""
    routed = build_generator(CONFIG, seed=2).eval()
    trials, measure = sample_trials(twin, 8, 25, rng), noise.Ruler(FEATURES, real, "")
    groups = varied_groups(routed, 5, 2, rng)
    found = noise.compare(twin, trials, routed, groups, measure, rng)
    assert found.varied.shape == (4, 4) and found.own.shape == (4,)
    low, high = found.over_own.interval
    assert low < 1 < high and found.over_own.value == pytest.approx(1, abs=0.1)
    assert found.over_own.value == float(found.varied.mean() / found.own.mean())
    assert found.results()["variation_over_own"] == found.over_own


def test_a_bad_standard_gan_does_not_flatter_the_variations(compared):
    """Twice as far, or half: what the twin is without noise is in its own ratios only."""
    for factor in (0.5, 2.0):
        worse = replace(compared, noise=replace(compared.noise, clean=factor * compared.noise.clean))
        assert worse.over_own == compared.over_own
    farther = replace(compared, varied=3 * compared.own.mean().expand(4, 4))
    assert farther.over_own.value == pytest.approx(3)


def test_buckets_that_differ_do_not_widen_the_interval_of_their_mean(compared):
    """Sets of images are the repetitions; what distinguishes buckets is the same in each of them."""
    mean, rising = compared.own.mean(), torch.tensor([0.5, 0.5, 1.5, 1.5], dtype=torch.float64)
    own = mean * torch.tensor([0.99, 1.01, 1.0, 1.0], dtype=torch.float64)
    alike, apart = (
        replace(compared, own=own, varied=own[:, None] * factors).over_own
        for factors in (torch.ones(4, dtype=torch.float64), rising)
    )
    assert apart.interval == pytest.approx(alike.interval) and alike.interval[1] < 1.03


# --- profiles


def test_shares_sum_to_one(rng):
    found = profile(torch.rand(5, 20, generator=rng), rng, n_resamples=50)
    assert float(found.shares.sum()) == pytest.approx(1)
    assert torch.allclose(found.resampled.sum(1), torch.ones(50, dtype=torch.float64))
    low, high = found.interval()
    assert (low <= found.shares).all() and (found.shares <= high).all()


def test_a_profile_is_a_mean_over_units(rng):
    values = torch.tensor([[1.0, 3.0], [6.0, 6.0]])
    assert profile(values, rng).shares.tolist() == pytest.approx([0.25, 0.75])
    assert profile(values, rng, per=values).shares.tolist() == pytest.approx([0.5, 0.5])


def test_units_alike_leave_no_uncertainty(rng):
    found = profile(torch.tensor([1.0, 2.0, 5.0])[:, None].expand(3, 8), rng)
    assert torch.allclose(found.resampled, found.shares.expand(2_000, 3))


@pytest.mark.parametrize("values", [[[0.0], [0.0]], [[-1.0], [2.0]], [[math.nan], [1.0]], [[1.0], [2.0]]])
def test_profiles_of_nothing_are_refused(rng, values):
    with pytest.raises(UserError, match="profile"):
        profile(torch.tensor(values), rng)


def certain(*shares):
    row = torch.tensor(shares, dtype=torch.float64)
    return Profile(row, row.expand(10, -1))


def test_rank_agreement_counts_order_only():
    rising = certain(1, 2, 3, 4, 5)
    assert rank_agreement(rising, certain(1, 10, 11, 12, 99)).value == pytest.approx(1)
    assert rank_agreement(rising, certain(9, 8, 7, 2, 1)).value == pytest.approx(-1)
    assert rank_agreement(rising, certain(1, 2, 3, 5, 4)).value == pytest.approx(0.9)
    assert rank_agreement(rising, certain(2, 2, 2, 2, 2)).value == 0
    with pytest.raises(UserError, match="same layers"):
        rank_agreement(rising, certain(1, 2))


def test_the_interval_of_agreement_covers_what_the_units_leave_open(rng):
    ramp = torch.arange(1.0, 6)[:, None].expand(5, 30)
    clear = profile(ramp + 0.01 * torch.rand(5, 30, generator=rng), rng)
    vague = profile(ramp + 60 * torch.rand(5, 30, generator=rng), rng)
    sure, unsure = rank_agreement(clear, clear), rank_agreement(clear, vague)
    assert (sure.low, sure.value, sure.high) == pytest.approx((1, 1, 1))
    assert unsure.low <= unsure.value <= unsure.high and unsure.high - unsure.low > 0.1


def test_the_best_choice_is_as_good_as_its_worst_pair():
    up, nearly, down = certain(1, 2, 3, 4), certain(1, 2, 4, 3), certain(4, 3, 2, 1)
    choices = [[(up, up), (up, down)], [(up, nearly), (down, down)]]
    assert best_agreement(choices).value == pytest.approx(0.8)
    assert best_agreement(choices[:1]).value == pytest.approx(-1)


def test_chance_is_counted_over_all_orders():
    assert chance(3, 1.0) == pytest.approx(1 / 6)
    assert chance(3, -1.0) == 1
    assert chance(5, 0.9) == pytest.approx(5 / 120)  # the order itself and its four neighbouring swaps

"""Inversion: a planted path is recovered exactly, a hidden one at chance, and search finds what is there."""

import math

import pytest
import torch
from torch import nn

from rpgan import paths
from rpgan.analysis import editing, inversion, reconstruction, search
from rpgan.config import InversionConfig
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.images import to_uint8
from rpgan.metrics.color import color_change
from rpgan.metrics.tone import pixel_change
from rpgan.models.bucket import Bucket
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.inverter import build_inverter, most_probable, read
from rpgan.overrides import override

SIZES = (4, 3, 1, 5)


class Stamp(nn.Module):
    """Adds a bright square at a place of its own."""

    def __init__(self, bucket: int, instance: int) -> None:
        super().__init__()
        mark = torch.full((1, 32, 32), 0.0)
        mark[0, 8 * bucket : 8 * bucket + 6, 6 * instance : 6 * instance + 6] = 1.6
        self.mark = nn.Parameter(mark)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mark


def planted(sizes: tuple[int, ...], hidden: tuple[int, ...] = ()) -> RandomPathGenerator:
    """Each bucket stamps its row of the image at its instance's place; hidden ones always at the first."""
    buckets = [Bucket(Stamp(b, 0 if b in hidden else i) for i in range(size)) for b, size in enumerate(sizes)]
    generator = RandomPathGenerator(buckets, [nn.Identity() for _ in sizes], (1, 32, 32), "fixed")
    assert generator.latent is not None
    generator.latent.fill_(-0.8)
    return generator.eval()


def fitted(generator: RandomPathGenerator, steps: int) -> nn.Module:
    """A quick training without a run directory: Adam on random paths."""
    config = override(
        InversionConfig("planted", bucket_sizes=generator.bucket_sizes),
        {"widths": (8,) * 8, "stride": 2, "pool": 4, "shared": True},
    )
    inverter, rng = build_inverter(config), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(inverter.parameters(), lr=1e-2)
    for _ in range(steps):
        routes = generator.sample_paths(24, rng)
        logits = inverter.train()(render(generator, routes))
        losses = [nn.functional.cross_entropy(logits[b], routes[:, b]) for b in inverter.plural]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
    return inverter.eval()


@pytest.fixture(scope="module")
def examined():
    """A planted generator whose second bucket shows nothing, its classifiers, and all paths."""
    generator = planted(SIZES, hidden=(1,))
    inverter = fitted(generator, 40)
    routes = paths.enumerate_all(SIZES)
    return generator, inverter, routes, read(inverter, to_uint8(render(generator, routes)))


def test_what_an_image_shows_is_recovered_always_and_what_it_hides_at_chance(examined):
    _, _, routes, readings = examined
    found = inversion.recoveries(readings, routes)
    assert list(found) == [0, 1, 3]  # a bucket of one instance has nothing to recover
    for bucket in (0, 3):
        assert found[bucket].accuracy == 1 and torch.equal(
            found[bucket].confusion, torch.eye(SIZES[bucket]).double()
        )
    hidden = found[1]
    # The three hidden instances make one image, which is read as one of them: exactly chance.
    assert hidden.accuracy == pytest.approx(1 / 3) and hidden.chance == 1 / 3
    assert hidden.interval[0] < hidden.chance < hidden.interval[1]
    assert hidden.in_first == 1 and hidden.n == 60
    torch.testing.assert_close(hidden.confusion.sum(1), torch.ones(3).double())


def test_the_later_buckets_are_as_easy_as_the_hardest_of_them():
    """One bucket that is missed at times is not hidden by another that never is."""
    readings = [torch.eye(2)[torch.randint(2, (20,))] for _ in range(2)]
    always, at_times = torch.eye(2)[torch.zeros(20).long()], torch.eye(2)[torch.arange(20) % 4 // 3]
    routes = torch.zeros(20, 5, dtype=torch.int64)
    found = inversion.recoveries([*readings, always, at_times, always], routes)
    hardest = inversion.hardest_later(found)
    assert hardest is found[3] and hardest.accuracy == 0.75 and hardest.interval[1] < 0.95
    with pytest.raises(UserError, match=r"buckets \[0, 1\] .* expected one behind"):
        inversion.hardest_later({bucket: found[bucket] for bucket in (0, 1)})


def test_the_table_says_what_was_found(examined):
    _, _, routes, readings = examined
    apart = {f"bucket {b + 1}": float(b) for b in range(4)}
    table = inversion.rows(inversion.recoveries(readings, routes), apart)
    assert list(table) == ["bucket 1", "bucket 2", "bucket 4"]
    assert table["bucket 1"]["instances"] == 4 and table["bucket 1"]["accuracy"] == 1
    assert table["bucket 4"]["levels apart"] == 3
    assert list(table["bucket 2"])[-2:] == ["to", "in first 5"]


def test_wilsons_interval():
    """Of 4 right in 20: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)."""
    reading = torch.zeros(20, 2)
    reading[:, 0] = 1.0
    truth = torch.ones(20, 1, dtype=torch.int64)
    truth[:4] = 0
    recovery = inversion.recoveries([reading], truth)[0]
    z, n, p = 1.959964, 20, 0.2
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [(middle + s * half) / (1 + z * z / n) for s in (-1, 1)]
    assert recovery.accuracy == 0.2 and recovery.interval == pytest.approx(expected, abs=1e-6)


def test_instances_taken_for_each_other_stand_side_by_side():
    confusion = torch.eye(6).double() * 0.5
    for i in range(6):
        confusion[i, (i + 3) % 6] = 0.5
    places = inversion.alike_first(confusion).argsort()
    assert all(abs(int(places[i] - places[i + 3])) == 1 for i in range(3))


@pytest.mark.parametrize("shared", [False, True])
def test_an_inverter_has_logits_for_every_bucket_and_a_network_for_each_or_all(shared):
    config = InversionConfig("x", bucket_sizes=SIZES, widths=(4,) * 8, shared=shared)
    inverter = build_inverter(config).eval()
    logits = inverter(torch.zeros(2, 1, 32, 32))
    assert [part.shape for part in logits] == [(2, size) for size in SIZES] and not logits[2].any()
    assert len(inverter.networks) == (1 if shared else 3)
    readings = read(inverter, torch.zeros(5, 1, 32, 32, dtype=torch.uint8), batch_size=2)
    torch.testing.assert_close(sum(r.exp().sum(1) for r in readings), torch.full((5,), 4.0))
    assert most_probable(readings).shape == (5, 4)


def test_separate_networks_share_no_weight():
    config = InversionConfig("x", bucket_sizes=(2, 2), widths=(4,) * 8)
    inverter = build_inverter(config)
    inverter(torch.randn(4, 1, 32, 32))[0][:, 0].sum().backward()
    first, second = (list(network.parameters()) for network in inverter.networks)
    assert all(p.grad.any() for p in first if p.ndim > 1) and not any(p.grad.any() for p in second)


def test_the_paper_s_network_is_that_of_lin_and_others():
    """Nine convolutions, 192-160-96 | 192-192-192 | 192-192-classes, under a million weights."""
    network = build_inverter(InversionConfig("x", image_shape=(3, 32, 32), bucket_sizes=(10,))).networks[0]
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [192, 160, 96, 192, 192, 192, 192, 192, 10]
    assert [c.kernel_size[0] for c in convolutions] == [5, 1, 1, 5, 1, 1, 3, 1, 1]
    assert network.features(torch.zeros(1, 3, 32, 32)).shape == (1, 192, 8, 8)


def test_widths_and_buckets_that_make_no_classifier_are_refused():
    with pytest.raises(UserError, match="expected 8 numbers"):
        build_inverter(InversionConfig("x", widths=(4, 4)))
    with pytest.raises(UserError, match="at least 2"):
        build_inverter(InversionConfig("x", widths=(4,) * 8, bucket_sizes=(1, 1)))


def brute_force(readings: list[torch.Tensor], k: int) -> torch.Tensor:
    """Probabilities of the k best paths of the first image."""
    routes = paths.enumerate_all([r.shape[1] for r in readings])
    scores = sum(reading[0, routes[:, b]] for b, reading in enumerate(readings))
    return scores.topk(min(k, len(scores))).values


@pytest.mark.parametrize("k", [1, 7, 1_000])
def test_the_most_probable_paths_are_those_of_enumeration(k, rng):
    readings = [torch.randn(3, size, generator=rng).log_softmax(1) for size in SIZES]
    routes = search.most_probable_paths(readings, k)
    scores = sum(reading[0, routes[0, :, b]] for b, reading in enumerate(readings))
    torch.testing.assert_close(scores, brute_force(readings, k))
    assert len(routes[0].unique(dim=0)) == min(k, math.prod(SIZES))
    assert torch.equal(routes[:, 0], most_probable(tuple(readings)))


@pytest.fixture
def wanted(generator, rng):
    """Images of a random generator, changed so that no path makes them."""
    images = to_uint8(render(generator, generator.sample_paths(6, rng)))
    return (images.float() + 20 * torch.randn(images.shape, generator=rng)).clamp(0, 255).to(torch.uint8)


def flat(generator: RandomPathGenerator, n: int) -> list[torch.Tensor]:
    """Rankings that know nothing."""
    return [torch.zeros(n, size) for size in generator.bucket_sizes]


def test_a_search_without_limits_finds_the_best_of_all_paths(generator, wanted, rng):
    best, error = search.exhaust(generator, wanted, pixel_change)
    routes = paths.enumerate_all(generator.bucket_sizes)
    errors = search.candidate_errors(generator, wanted, routes.expand(6, *routes.shape), pixel_change)
    torch.testing.assert_close(errors.min(1).values, error)
    starts = generator.sample_paths(6 * 40, rng).view(6, 40, -1)
    found = search.improve(generator, wanted, starts, flat(generator, 6), pixel_change, budget=10_000)
    torch.testing.assert_close(found.error, error)
    assert torch.equal(found.routes, best)


def test_a_search_finds_the_path_of_a_generated_image(rng):
    """The stamps of a planted generator can be found one after another."""
    generator = planted(SIZES)
    routes = generator.sample_paths(5, rng)
    starts = torch.zeros(5, 1, 4, dtype=torch.int64)
    found = search.improve(
        generator, to_uint8(render(generator, routes)), starts, flat(generator, 5), pixel_change, 30
    )
    assert torch.equal(found.routes, routes) and not found.error.any()


def test_errors_fall_with_the_budget_and_belong_to_the_paths(generator, wanted, rng):
    starts = generator.sample_paths(12, rng).view(6, 2, -1)
    found = search.improve(generator, wanted, starts, flat(generator, 6), pixel_change, 17, breadth=2)
    assert found.errors.shape == (6, 17) and (found.errors.diff(dim=1) <= 0).all()
    again = search.candidate_errors(generator, wanted, found.routes[:, None], pixel_change)
    torch.testing.assert_close(again[:, 0], found.error)


def test_the_budget_counts_rendered_candidates(generator, wanted, rng):
    counted = 0

    def cost(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        nonlocal counted
        counted += len(a)
        return pixel_change(a, b)

    starts = generator.sample_paths(12, rng).view(6, 2, -1)
    search.improve(generator, wanted, starts, flat(generator, 6), cost, budget=13)
    assert counted == 6 * 13
    with pytest.raises(UserError, match="2 starts for a budget of 1"):
        search.improve(generator, wanted, starts, flat(generator, 6), cost, budget=1)


def test_starts_that_spend_the_budget_are_compared(generator, wanted, rng):
    starts = generator.sample_paths(12, rng).view(6, 2, -1)
    for order in (starts, starts.flip(1)):
        found = search.improve(generator, wanted, order, flat(generator, 6), pixel_change, budget=2)
        again = search.candidate_errors(generator, wanted, found.routes[:, None], pixel_change)
        torch.testing.assert_close(again[:, 0], found.error)


def test_search_from_the_classifiers_is_never_worse_than_the_classifiers_alone(examined, rng):
    generator, _, routes, readings = examined
    images = to_uint8(render(generator, routes[:8]))
    noisy = (images.float() + 30 * torch.randn(images.shape, generator=rng)).clamp(0, 255).to(torch.uint8)
    proposals = search.most_probable_paths([r[:8] for r in readings], 3)
    alone = search.try_paths(generator, noisy, proposals[:, :1], pixel_change)
    found = search.improve(generator, noisy, proposals, [r[:8] for r in readings], pixel_change, budget=20)
    assert (found.error <= alone.error).all()
    listed = search.try_paths(
        generator, noisy, search.most_probable_paths([r[:8] for r in readings], 20), pixel_change
    )
    assert (listed.error <= alone.error).all() and listed.errors.shape == (8, 20)


def test_ways_to_search_are_compared_at_equal_budget(examined, rng):
    generator, _, routes, readings = examined
    images = to_uint8(render(generator, routes[::13]))
    found = search.compare(generator, images, [r[::13] for r in readings], pixel_change, budget=80, rng=rng)
    assert len(found) == 5 and all(s.errors.shape == (5, 80) for s in found.values())
    started = [s.errors[:, 0] for name, s in found.items() if name.endswith("classifiers")]
    assert len(started) == 3 and all(torch.equal(s, started[0]) for s in started)
    assert not found["descent, random start"].error.any()  # each stamp is found on its own


def test_all_paths_of_a_large_generator_are_refused(generator, wanted, monkeypatch):
    monkeypatch.setattr(search, "MOST_PATHS", 100)
    with pytest.raises(UserError, match="144 paths; expected at most 100"):
        search.exhaust(generator, wanted, pixel_change)


def test_the_best_of_all_paths_is_looked_for_where_they_are_few(generator, wanted):
    most = math.prod(generator.bucket_sizes)
    level = search.level_of_all(generator, wanted, pixel_change, most)
    assert level == {"all paths": float(search.exhaust(generator, wanted, pixel_change)[1].mean())}
    assert search.level_of_all(generator, wanted, pixel_change, most - 1) == {}


def test_errors_of_equal_and_of_opposite_images():
    black, white = (
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        torch.full((2, 3, 8, 8), 255, dtype=torch.uint8),
    )
    assert pixel_change(black, white).tolist() == [1, 1] and not pixel_change(black, black).any()
    assert color_change(black, white).tolist() == [1, 1]
    assert reconstruction.feature_error(lambda x: x.flatten(1).float())(black, white)[0] == pytest.approx(
        255 * math.sqrt(192)
    )


def test_edges_ignore_contrast_and_colours_ignore_places(rng):
    image = torch.randint(100, (1, 1, 8, 8), generator=rng).to(torch.uint8)
    assert float(editing.edge_change(image, image * 2)) == pytest.approx(0, abs=1e-6)
    assert float(editing.edge_change(image, image.flip(3))) > 0.1
    assert float(color_change(image, image.flip(3))) == pytest.approx(0, abs=1e-12)
    assert float(color_change(image, image * 2)) > 0.1


def test_a_ratio_of_means_and_its_interval(rng):
    over, under = torch.full((50,), 3.0).double(), torch.full((50,), 4.0).double()
    ratio = reconstruction.ratio(over, under, rng)
    assert (ratio.value, ratio.interval, ratio.n) == (0.75, (0.75, 0.75), 50)
    noisy = reconstruction.ratio(over + torch.randn(50, generator=rng).double(), under, rng)
    assert noisy.interval[0] < noisy.value < noisy.interval[1]
    means = reconstruction.ratio(torch.tensor([1.0, 30.0]).double(), torch.tensor([1.0, 10.0]).double(), rng)
    assert means.value == pytest.approx(31 / 11), "a ratio of means, not a mean of ratios"
    one = torch.rand(50, generator=rng).double() + 0.1
    paired = reconstruction.ratio(3 * one, one, rng)
    assert paired.interval == pytest.approx((3, 3)), "both are resampled together"


def test_true_paths_have_no_error_and_random_ones_no_advantage(generator, rng):
    routes = generator.sample_paths(200, rng)
    images, measures = to_uint8(render(generator, routes)), {"pixels": pixel_change}
    exact = reconstruction.over_random(generator, images, routes, measures, 2, rng)["pixels"]
    assert (exact.value, exact.interval, exact.n) == (0, (0, 0), 200)
    shuffled = routes[torch.randperm(200, generator=rng)]
    chance = reconstruction.over_random(generator, images, shuffled, measures, 2, rng)["pixels"]
    assert chance.interval[0] < 1.05 and chance.interval[1] > 0.95


def test_images_are_drawn_again_from_the_paths_that_were_read_off_them(examined, rng):
    generator, inverter, routes, _ = examined
    made = to_uint8(render(generator, routes[::7]))
    images = {"made": made, "negative": 255 - made}
    remade = reconstruction.reconstruct(
        generator, inverter, images, reconstruction.error_measures("pixels"), rng
    )
    assert torch.equal(to_uint8(render(generator, remade.routes["made"])), made)
    table = remade.rows()
    assert list(table) == [("made", reconstruction.PIXELS), ("negative", reconstruction.PIXELS)]
    assert table["made", reconstruction.PIXELS]["over random"] == 0
    assert table["negative", reconstruction.PIXELS]["over random"] > 0.5


def test_a_model_s_results_are_of_its_own_images(examined, rng):
    generator, inverter, *_ = examined
    tested = inversion.examine(generator, inverter, 30, rng)
    assert tested.images.shape == (30, 1, 32, 32) and tested.found[0].accuracy == 1
    assert 0 < tested.whole_path == tested.found[1].accuracy < 1, "the hidden bucket alone is missed"
    images = {"real": tested.images[:9]}
    remade = reconstruction.reconstruct(
        generator, inverter, images, reconstruction.error_measures("pixels"), rng
    )
    listed = torch.tensor([[4.0, 3.0, 2.0]] * 9).double()
    gains = reconstruction.gains(torch.ones(9).double(), listed, rng)
    found = inversion.results("planted", tested) | reconstruction.results("planted", remade, gains, True)
    assert (found["search_over_classifiers"].value, found["search_over_list"].value) == (0.25, 0.5)
    assert found["accuracy"].value == [r.accuracy for r in tested.found.values()]
    assert tested.orders == found["accuracy"].orders == {"2 1 2": 2_000}
    assert found["reconstruction_over_random"].value == 0 and found["edit_is_selective"].n == 9


def test_real_images_are_distinct_and_need_no_download_where_packaged(rng):
    config = EXPERIMENTS["mnist-rpgan"]
    images = reconstruction.real_images(config, True, 20, rng)
    assert images.shape == (20, 1, 32, 32) and len(images.unique(dim=0)) == 20


@pytest.mark.parametrize(("name", "there"), [("sprites", True), ("mnist", True), ("cifar10", False)])
def test_images_that_need_a_download_are_not_at_hand_where_packaged(name, there):
    config = EXPERIMENTS[f"{name}-rpgan"]
    assert reconstruction.has_real_images(config, packaged=True) is there
    assert reconstruction.has_real_images(config, packaged=False)


class Shade(nn.Module):
    """Makes the whole image brighter."""

    def __init__(self, instance: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.4 + 0.2 * instance))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + 1) * self.factor - 1


def test_an_edit_is_selective_where_one_bucket_moves_and_another_colours(rng):
    moving = Bucket(Stamp(1, i) for i in range(4))
    shading = Bucket(Shade(i) for i in range(4))
    generator = RandomPathGenerator([moving, shading], [nn.Identity(), nn.Identity()], (1, 32, 32), "fixed")
    generator.latent.fill_(-0.8)
    measures = {"colour": color_change, "edges": editing.edge_change}
    edits = editing.edit(generator.eval(), generator.sample_paths(12, rng), 2, measures, rng)
    assert edits.buckets == (0, 1) and edits.changes["edges"].shape == (12, 2)
    shares = edits.shares()
    assert shares["edges"][0] > 0.95 and shares["colour"][1] > 0.9
    leaning = edits.leaning("colour", "edges", rng)
    assert leaning.selective() and leaning.difference[1] > 0 > leaning.difference[0]
    assert not edits.leaning("edges", "edges", rng).selective()


def test_one_sure_lean_is_not_selective():
    ends = torch.tensor([[0.1, 0.2], [-0.2, 0.1]])
    for interval in (ends, -ends.flip(1)):
        assert not editing.Leaning(("a", "b"), interval.mean(1), interval).selective()

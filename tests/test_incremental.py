"""Old paths stay, new instances are told from old ones, and forgetting is counted."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from rpgan.analysis import incremental
from rpgan.analysis.class_map import ClassMap, class_map
from rpgan.analysis.incremental import DigitReader
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments
from rpgan.metrics.shares import class_shares, share, transitions
from rpgan.models import extend
from rpgan.models.extend import begin_as
from rpgan.models.generator import build_generator, render
from rpgan.presets import resolve
from rpgan.results import Result

BEFORE, AFTER = (3, 2, 2, 1), (5, 3, 2, 1)


def built(sizes, seed=0):
    config = GeneratorConfig(
        architecture="dcgan", image_shape=(1, 32, 32), widths=(6, 5, 4), bucket_sizes=sizes, latent_dim=8
    )
    return build_generator(config, seed).eval()


@pytest.fixture
def before():
    return built(BEFORE)


@pytest.fixture
def after(before):
    extended = built(AFTER, seed=1)
    begin_as(extended, before)
    return extended


@pytest.fixture
def reader():
    """Takes an image for class 2 where it is bright, for class 0 where it is dark."""
    head = nn.Linear(1, 3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-1.0], [0.0], [1.0]]))
        head.bias.copy_(torch.tensor([0.25, 0.0, -0.75]))
    return DigitReader(Extractor("brightness", lambda images: images.flatten(1).mean(1, keepdim=True)), head)


def test_kinds_part_all_paths_by_their_new_instances(after, rng):
    kinds = extend.path_kinds(BEFORE, AFTER)
    assert list(kinds) == ["old paths", "new in 1", "new in 2", "new in 1 and 2"]
    seen = {name: after.sample_paths(200, rng, allowed) for name, allowed in kinds.items()}
    for name, routes in seen.items():
        new = routes >= torch.tensor(BEFORE)
        expected = [str(b + 1) in name for b in range(4)]
        assert torch.equal(new, torch.tensor(expected).expand_as(new))
    total = torch.cat(list(seen.values())).unique(dim=0)
    assert len(total) == 5 * 3 * 2


def test_new_paths_of_the_paper_are_36_percent(rng):
    before, after = (20, 20, 20, 8, 1), (25, 25, 20, 8, 1)
    assert extend.new_path_share(before, after) == pytest.approx(0.36)
    assert extend.grown(before, after) == [0, 1]


@pytest.mark.parametrize("sizes", [(3, 2, 2, 1), (2, 3, 2, 1), (4, 2, 2)])
def test_what_did_not_grow_is_an_error(sizes):
    with pytest.raises(UserError, match="some of them larger and none smaller"):
        extend.path_kinds(BEFORE, sizes)


def test_only_new_instances_differ_from_what_it_began_as(before, after):
    new = ((0, 3), (0, 4), (1, 2))
    assert extend.difference(before, after) == extend.Difference(new, ())
    with torch.no_grad():
        after.buckets[2].instances[1].conv.weight[0] += 1e-6
    next(m for m in after.links.modules() if isinstance(m, nn.BatchNorm2d)).running_mean += 1e-6
    changed = extend.difference(before, after)
    assert set(changed.instances) == {*new, (2, 1)}
    assert len(changed.shared) == 1 and changed.shared[0].endswith("running_mean")


def test_old_paths_give_the_same_bits_until_statistics_move(before, after, rng):
    routes = before.sample_paths(100, rng)
    assert torch.equal(render(before, routes), render(after, routes))
    deviations = []
    for n_batches in (0, 1, 20):
        moved = incremental.with_moving_statistics(after, n_batches, 16, rng)
        assert not moved.training and extend.difference(after, moved).instances == ()
        deviations.append(float((render(moved, routes) - render(before, routes)).abs().mean()))
    assert deviations[0] == 0 and all(a < b for a, b in pairwise(deviations))


def test_a_reader_reads_classes_and_keeps_features(reader):
    images = torch.stack([torch.full((1, 8, 8), value, dtype=torch.uint8) for value in (0, 128, 255, 254)])
    seen = reader.read(images)
    assert seen.labels.tolist() == [0, 1, 2, 2] and reader.n_classes == 3
    assert seen.share([2]).value == 0.5 and seen.share([0, 1, 2]).value == 1
    assert seen.distance(Moments(seen.features)) < 1e-9 < seen.distance(Moments(seen.features + 1))


def test_a_drift_counts_levels_and_classes(reader):
    images = torch.stack([torch.full((1, 8, 8), value, dtype=torch.uint8) for value in (0, 128, 255, 250)])
    shifted = images.clone()
    shifted[0], shifted[3] = 255, 254
    drift = incremental.drift(reader.read(images), reader.read(shifted))
    assert drift.levels == (255 + 4) / 4 and drift.kept.value == 0.75 and drift.kept.n == 4


def test_a_comparison_looks_at_the_same_old_paths(before, after, reader, rng):
    generators = {"first stage": before, "extended": after, "fine-tuned": built(AFTER, 2)}
    found = incremental.compare(generators | {"from scratch": built(AFTER, 3)}, reader, 40, rng)
    assert torch.equal(found.old["extended"].images, found.old["first stage"].images)
    assert not torch.equal(found.old["fine-tuned"].images, found.old["first stage"].images)
    assert list(found.uniform) == [*generators, "from scratch"] and len(found.kinds) == 4
    rows = found.shares()
    assert len(rows) == 8 and all(sum(row) == pytest.approx(1) for row in rows.values())
    real = {"itself": Moments(found.uniform["extended"].features)}
    distances = found.distances(real)["itself"]
    assert distances["extended"] < 1e-9 and "fine-tuned: old paths" in distances


def test_results_are_said_as_they_are(before, after, reader, rng):
    generators = {"first stage": before, "extended": after, "fine-tuned": built(AFTER, 2)}
    seen = incremental.compare(generators | {"from scratch": built(AFTER, 3)}, reader, 40, rng)
    changed, moved = extend.difference(before, after), incremental.Drift(3.5, share(torch.ones(4) > 0))
    real = Moments(seen.uniform["first stage"].features + 0.1)
    extended, tuned, scratch = (
        seen.uniform[name].distance(real) for name in ("extended", "fine-tuned", "from scratch")
    )
    found = incremental.results((BEFORE, AFTER), changed, seen, real, moved)
    assert found["old_images_identical"].value is True and found["trained_instances"].value == 3
    assert found["bucket_sizes"].value == [size for size in (*BEFORE, *AFTER) if size > 1]
    assert found["distance_over_fine_tuned"].value == pytest.approx(extended / tuned)
    over = found["distance_over_scratch"]
    assert (
        over.value == pytest.approx(extended / scratch) and over.interval[0] < over.value < over.interval[1]
    )
    assert found["new_path_share"].value == pytest.approx(0.6) and found["distance_over_scratch"].n == 40
    assert sum(found["new_digit_shares"].value) == pytest.approx(found["new_digit_share"].value)
    said = incremental.conclusion(found)
    assert "probability 60%" in said and f"{extended / tuned:.2f} times the fine-tuned" in said


def test_old_digits_are_kept_down_to_half_of_their_share(reader):
    def shown(labels):
        none = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
        return incremental.Seen(none, torch.zeros(len(labels), 1), torch.tensor(labels))

    def kept(labels):
        uniform = {"first stage": shown([0, 0, 1, 2]), "extended": shown(labels)}
        return incremental.Comparison(torch.zeros(0, 4), uniform, {}, {}).old_digits_kept()

    assert kept([0, 1, 2, 7]) and kept([0, 0, 7, 1, 2, 8, 9, 7])
    assert not kept([0, 0, 1, 7]) and not kept([0, 7, 7, 7, 7, 1, 1, 2])


def test_a_plan_counts_images():
    plan = incremental.plan({"a": resolve("mnist-incremental", "paper")})["a"]
    assert plan["images made"] == 12_000 * 6 * 64 and plan["begins as"] == "mnist-stage-one"
    assert plan["statistics"] == "frozen" and plan["buckets"] == "25·25·20·8·1"


def test_real_digits_come_in_two_sets():
    extractor = Extractor("mean", lambda images: images.flatten(1).mean(1, keepdim=True))
    real = incremental.real_digits("mnist-5k", (1, 32, 32), 5_000, 0, extractor)
    assert real["digits 0–9"].n > real["digits 0–6"].n > 0.6 * real["digits 0–9"].n


def test_a_share_lies_in_its_interval_which_never_leaves_0_to_1():
    for hits, n in ((0, 10), (10, 10), (3, 10), (300, 1000)):
        found = share(torch.arange(n) < hits)
        low, high = found.interval
        assert found.value == hits / n and found.n == n and 0 <= low <= found.value <= high <= 1
    low, high = share(torch.arange(10) < 5).interval  # Wilson: (5 + z²/2 ± …)/(10 + z²)
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    with pytest.raises(UserError, match="no images"):
        share(torch.zeros(0, dtype=torch.bool))


def test_shares_and_transitions_add_up():
    before, after = torch.tensor([0, 0, 0, 2]), torch.tensor([0, 1, 1, 2])
    assert class_shares(before, 4) == [0.75, 0, 0.25, 0]
    moved = transitions(before, after, 3)
    torch.testing.assert_close(moved[0], torch.tensor([1 / 3, 2 / 3, 0], dtype=torch.float64))
    assert moved[1].isnan().all() and moved[2].tolist() == [0, 0, 1]


def test_a_class_map_asks_every_pair(after, reader, rng):
    with torch.no_grad():
        for bucket in (2, 3):  # no remainder changes what the first two buckets decide
            for instance in after.buckets[bucket].instances[1:]:
                instance.load_state_dict(after.buckets[bucket].instances[0].state_dict())
    found = class_map(after, lambda images: reader.read(images).labels, 3, rng)
    assert found.labels.shape == found.shares.shape == (5, 3)
    assert found.shares.eq(1).all() and found.settled() == Result(1.0, 3, interval=(1.0, 1.0))
    x, y = 4, 1
    route = torch.tensor([[x, y, 0, 0]])
    assert reader.along(after, route).labels[0] == found.labels[x, y]


@pytest.mark.parametrize("n", [2, 5, 40])
def test_how_far_the_digit_is_settled_does_not_depend_on_the_remainders(n, rng):
    """Of two equally likely classes, two remainders show the same in half of all cases."""
    labels = torch.randint(2, (60, 60, n), generator=rng)
    found = ClassMap(torch.nn.functional.one_hot(labels, 10)).settled()
    assert found.value == pytest.approx(0.5, abs=0.03) and found.n == n
    assert (found.interval is None) == (n == 2)


def test_the_interval_of_what_is_settled_is_over_the_remainders(rng):
    """A remainder leaves the digit alone, or decides it everywhere: two agree where both leave it alone."""
    held = 0
    for _ in range(200):
        alone = torch.rand(12, generator=rng) < 0.7
        labels = torch.where(alone, 0, torch.arange(1, 13)).expand(2, 2, 12)
        low, high = ClassMap(torch.nn.functional.one_hot(labels, 13)).settled().interval
        held += low <= 0.7**2 <= high
    assert 175 <= held <= 199


def test_a_single_remainder_agrees_with_itself(after, reader, rng):
    with pytest.raises(UserError, match="n_routes is 1; expected at least 2"):
        class_map(after, lambda images: reader.read(images).labels, 1, rng)


def test_shares_are_of_the_digits_and_generators_that_they_name(rng):
    def shown(*labels: int) -> incremental.Seen:
        n = len(labels)
        features = torch.rand(n, 1, generator=rng)
        return incremental.Seen(torch.zeros(n, 1, 2, 2).byte(), features, torch.tensor(labels))

    uniform = {
        "first stage": shown(0, 0, 0, 7),
        "extended": shown(7, 7, 8, 0),
        "fine-tuned": shown(9, 9, 9, 9),
        "from scratch": shown(7, 8, 0, 0),
    }
    old = {"first stage": shown(0, 1, 2, 3), "extended": shown(0, 1, 2, 3), "fine-tuned": shown(0, 7, 7, 7)}
    seen = incremental.Comparison(torch.zeros(4, 4), uniform, {"old paths": shown(0, 0)}, old)
    moved, real = (
        incremental.Drift(0.0, share(torch.ones(4) > 0)),
        Moments(2 + torch.rand(9, 1, generator=rng)),
    )
    found = incremental.results((BEFORE, AFTER), extend.Difference((), ()), seen, real, moved)
    assert found["new_digit_least_share"].value == 0
    assert found["new_digit_shares"].value == [0.5, 0.25, 0]
    of = ("", "_first_stage", "_fine_tuned", "_from_scratch")
    assert [found[f"new_digit_share{ending}"].value for ending in of] == [0.75, 0.25, 1, 0.5]
    assert found["fine_tuned_kept"].value == 0.25

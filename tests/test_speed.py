"""Timing: everyone runs on the same terms, in turn."""

import torch

from rpgan.analysis import compression, speed
from rpgan.analysis.speed import PAIRS, Race, Tabulated, compare, per_image, race, race_kept
from rpgan.models.generator import build_generator
from rpgan.presets import resolve


def test_entrants_take_turns_on_new_paths():
    order, drawn = [], []

    def draw(n):
        drawn.append(n)
        return {"a": torch.full((n, 1), len(drawn)), "b": torch.full((n, 1), -len(drawn))}

    entrants = {"a": lambda p: order.append(int(p[0])), "b": lambda p: order.append(int(p[0]))}
    (result,) = race(entrants, draw, [2], 0.0, torch.device("cpu"), rounds=(9, 9))
    rounds = list(zip(order[::2], order[1::2], strict=True))
    assert rounds[0] == (1, -1) and len(rounds) == 10  # the first round only warms up
    assert [{abs(path) for path in turn} for turn in rounds] == [{k} for k in range(1, 11)]
    assert {first > 0 for first, _ in rounds[1:]} == {True, False}  # neither is always the first
    assert list(result.seconds) == ["a", "b"] and all(len(s) == 9 for s in result.seconds.values())


def test_a_slower_entrant_loses(rng, monkeypatch):
    entrants = {"slow": lambda p: 4.0, "fast": lambda p: 1.0}
    monkeypatch.setattr(speed, "_seconds", lambda call, device: call())
    paths = {name: torch.zeros(1, 1) for name in entrants}
    (result,) = race(entrants, lambda n: paths, [1], 0.05, torch.device("cpu"))
    ratio, (low, high) = result.ratio("slow", "fast", rng)
    assert ratio > 1 and low <= ratio <= high and ratio == result.median("slow") / result.median("fast")


def test_the_interval_of_equal_rounds_is_a_point(rng):
    seconds = {name: torch.full((5,), s, dtype=torch.float64) for name, s in (("a", 3.0), ("b", 2.0))}
    assert Race(1, seconds).ratio("a", "b", rng) == (1.5, (1.5, 1.5))


def test_every_way_of_sampling_gives_the_same_images(rng):
    for name in ("mnist-linear", "mnist-rpgan"):
        generator = build_generator(resolve(name, "smoke").generator, seed=1).eval()
        routes = generator.sample_paths(20, rng)
        with torch.no_grad():
            expected = generator(routes)
            for sampler in (per_image(generator), Tabulated(generator, 2), Tabulated(generator, 1)):
                torch.testing.assert_close(sampler(routes), expected)


def test_a_comparison_reports_every_pair(rng):
    generator = build_generator(resolve("mnist-linear", "smoke").generator).eval()
    joined = compression.join(
        generator, (2, 3, 4), compression.sample_tuples(generator.bucket_sizes[2:], 4, rng)
    )
    found = compare(generator, joined.generator, joined.original_paths, [1, 4, 100], 0.0, rng)
    assert all(len(found.ratios[pair]) == 3 for pair in PAIRS) and list(found.rows()) == [1, 4, 100]
    results = found.results(64)
    assert results["speed_ratio"].value == found.ratios["same storage"][1][0]
    race = found.races[1]
    assert results["speed_ratio"].value == race.median("original") / race.median("compressed")
    assert results["speed_least"].value == min(ratio for ratio, _ in found.ratios["same storage"])


def test_kept_products_race_their_original(rng):
    generator = build_generator(resolve("mnist-linear", "smoke").generator).eval()
    joined = compression.compress(generator, (2, 3, 4), 4, rng)
    fewer = joined.fewer((4, 1, 9))
    assert {k: g.bucket_sizes[-1] for k, g in fewer.items()} == {4: 4, 1: 1}
    found = race_kept(generator, fewer, (1, 3), 0.0, rng)
    assert found.counts == (1, 4) and list(found.microseconds()) == [1, 3]
    for row in found.microseconds().values():
        assert list(row) == ["original", "1", "4"] and all(
            low <= mid <= high for mid, low, high in row.values()
        )
    last = found.races[-1]
    expected = [last.median("original") / last.median(k) for k in ("1", "4")]
    assert found.results()["speed_ratio_by_products"].value == expected

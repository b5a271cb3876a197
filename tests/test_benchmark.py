"""The benchmark: complete rows, the same images from every contender, and the page that reads them."""

import json

import pytest
import torch

from rpgan.benchmark import benchmark, measure, write_benchmark
from rpgan.benchmark.measures import ROUTING, one_thread
from rpgan.benchmark.networks import SIZES, STRATEGIES, Networks, one_by_one
from rpgan.benchmark.operators import BETWEEN, KINDS, OTHER
from rpgan.book import costs
from rpgan.errors import UserError
from rpgan.training.machine import build_fabric

BESIDE = {
    "diversity_shared",
    "diversity_unshared",
    "optimiser_zero",
    "optimiser_skip",
    "g_step_one_thread",
}
COMPRESSION = {"linear_sample", "compressed_sample"}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark") / "benchmark.json"
    write_benchmark("tiny", out, "cpu", echo=lambda line: None)
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def networks():
    return Networks(4, build_fabric("float32", "cpu"), SIZES["tiny"])


def test_every_strategy_has_a_row_for_everything(document):
    found = [(r["what"], r["width"], r["precision"], r["strategy"]) for r in document["rows"]]
    assert len(found) == len(set(found)) and all(r["ms"] > 0 for r in document["rows"])
    for precision in ("float32", "bfloat16"):
        assert {f for f in found if f[2] == precision and f[0] in ROUTING} == {
            (what, 4, precision, strategy) for what in ROUTING for strategy in STRATEGIES
        }
        beside = BESIDE | (COMPRESSION if precision == "float32" else set())
        assert {f[0] for f in found if f[2] == precision} == {*ROUTING, *beside}
    assert set(ROUTING) == {"forward", "g_step", "iteration", "sample_10k"}
    assert document["machine"]["processor"] and document["settings"]["n_in"] == 3


def test_the_kinds_of_operator_add_up_to_the_step(document):
    shares = document["operators"]
    assert {(s["precision"], s["strategy"]) for s in shares} == {
        (p, s) for p in ("float32", "bfloat16") for s in ("auto", "twin")
    }
    routed = {s["kind"]: s for s in shares if (s["precision"], s["strategy"]) == ("bfloat16", "auto")}
    assert set(routed) == {*KINDS.values(), OTHER, BETWEEN} and all(s["ms"] >= 0 for s in routed.values())
    twin = {s["kind"]: s for s in shares if (s["precision"], s["strategy"]) == ("bfloat16", "twin")}
    assert twin["convolutions, backward"]["calls"] == 7  # two in each of three blocks, and the last
    assert routed["convolutions, backward"]["calls"] > 7


def test_the_sizes_are_those_that_are_asked_for():
    assert SIZES["full"].widths == (32, 64, 128, 256) and SIZES["quick"].widths == (32, 64)
    assert all((s.batch_size, s.n_in) == (64, 40) for s in (SIZES["full"], SIZES["quick"]))
    with pytest.raises(UserError, match=r"'huge'.*full, quick, tiny"):
        benchmark("huge")


def test_the_naive_loop_makes_the_same_images(networks, rng):
    generator = networks.routed.raw.eval()
    routes = generator.sample_paths(7, rng)
    with torch.no_grad():
        torch.testing.assert_close(one_by_one(generator, routes), generator(routes))


def test_the_naive_loop_calls_an_instance_for_every_image(networks):
    calls = []
    for bucket in networks.routed.raw.buckets:
        for instance in bucket.instances:
            instance.register_forward_hook(lambda _, args, out: calls.append(len(args[0])))
    networks.naive._generate(6, torch.Generator().manual_seed(0))
    assert calls == [1] * 6 * len(networks.routed.raw.buckets)


def test_the_naive_loop_generates_anew_for_every_discriminator_step(networks):
    fakes = list(networks.naive._fakes(torch.Generator().manual_seed(0)))
    assert len(fakes) == networks.routed.config.train.d_steps
    assert all(f.requires_grad and len(f) == networks.batch_size for f in fakes)
    assert not any(f.requires_grad for f in networks.routed._fakes(torch.Generator().manual_seed(0)))


def test_one_thread_is_one_thread_and_gives_them_back(networks, monkeypatch):
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(networks.fabric, "backward", lambda loss: seen.append(torch.get_num_threads()))
    for call in one_thread(networks, SIZES["tiny"]).values():
        call()
    assert seen == [1, 1] and torch.get_num_threads() == before


def test_times_are_median_milliseconds_and_samples_are_scaled(networks, monkeypatch):
    monkeypatch.setattr("rpgan.benchmark.timed", lambda *_: {"auto": torch.tensor([0.1, 0.2, 0.9])})
    monkeypatch.setattr("rpgan.benchmark.BESIDE", {})
    found = {row.what: row.ms for row in measure(networks, 4, "float32", SIZES["tiny"])}
    assert found["g_step"] == pytest.approx(200) and found["sample_10k"] == pytest.approx(200 * 10_000 / 256)


def test_aims_are_met_by_ratios_within_their_limit():
    found = {"a": 1.0, "b": 1.3}
    assert costs._met(found, "at most", 1.3) == costs._met(found, "at least", 1.0) == "yes"
    assert costs._met(found, "at most", 1.2) == "at 1 of 2"
    assert costs._extreme(found, "at most") == "1.30 (b); best 1.00"
    assert costs._extreme(found, "at least") == "1.00 (a); best 1.30"
    ms = {"naive": 40.0, "by_instance": 10.0, "batched": 20.0, "auto": 10.0, "twin": 8.0}
    times = {(what, 64, "float32", way): t for what in costs.ROUTED for way, t in ms.items()}
    ratios = [next(iter(of.values()), None) for *_, of in costs._ratios(times)]
    assert ratios == [None, 4.0, 1.25, 1.25, 1.0]


def test_the_page_shows_the_rows(document):
    parts = costs.cost_parts(document)
    assert document["machine"]["processor"] in parts["cost_machine"]
    naive = next(r["ms"] for r in document["rows"] if r["what"] == "iteration" and r["strategy"] == "naive")
    assert f"{costs._milliseconds(naive)}" in parts["cost_times"]
    assert "least 4" in parts["cost_aims"] and "unmeasured" in parts["cost_aims"]  # width 64 is not in it
    assert all(part.count("::::") % 2 == 0 for part in parts.values())


def test_without_a_benchmark_the_page_says_so(tmp_path):
    assert costs.read_benchmark(tmp_path / "none.json") is None
    assert set(costs.cost_parts(None).values()) == {costs.UNMEASURED}


def test_the_paper_fits_in_8_gib():
    assert float(costs.memory_table().split("cifar10-rpgan`\n  - ")[1].split()[0]) < 8

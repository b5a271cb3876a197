"""Compression: joined buckets give the original's images, and counts follow from shapes alone."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from rpgan import paths
from rpgan.analysis import arithmetic, compression, linearity
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.metrics.features import load_extractor
from rpgan.models.bucket import STRATEGIES, Bucket
from rpgan.models.generator import RandomPathGenerator, build_generator, render
from rpgan.models.stacked import SHARE, stack_linear, stacked
from rpgan.presets import resolve
from rpgan.results import Result

SMALL = GeneratorConfig("fc", (1, 4, 5), (6, 7, 8, 9), bucket_sizes=(3, 2, 4, 3, 2), latent_dim=5, leak=1.0)
LAST = (2, 3, 4)


def biased(config: GeneratorConfig = SMALL) -> RandomPathGenerator:
    """A generator in float64 whose biases are not zero."""
    generator = build_generator(config, seed=3).double().eval()
    rng = torch.Generator().manual_seed(1)
    for bucket in generator.buckets:
        for instance in bucket.instances:
            instance.bias.data = torch.randn(instance.bias.shape, generator=rng, dtype=torch.float64)
    return generator


def deviation(generator: RandomPathGenerator, compressed: compression.Compressed) -> float:
    """Largest difference before the Tanh over all paths of the compressed generator."""
    routes = paths.enumerate_all(compressed.generator.bucket_sizes)
    z = generator.latent.expand(len(routes), -1)
    with torch.no_grad():
        short = linearity.before_tanh(compressed.generator, routes, z)
        long = linearity.before_tanh(generator, compressed.original_paths(routes), z)
    return float((short - long).abs().max())


@pytest.mark.parametrize("buckets", [LAST, (0, 1), (1, 2, 3), (0, 1, 2, 3, 4)])
def test_every_kept_tuple_gives_the_original_image(buckets, rng):
    generator = biased()
    sizes = [SMALL.bucket_sizes[b] for b in buckets]
    compressed = compression.join(generator, buckets, compression.sample_tuples(sizes, 5, rng))
    assert deviation(generator, compressed) < 1e-12


def test_biases_are_part_of_the_product(rng):
    generator = biased()
    compressed = compression.join(generator, LAST, compression.sample_tuples((4, 3, 2), 5, rng))
    compressed.generator.buckets[2].bias.data.zero_()
    assert deviation(generator, compressed) > 0.1


def test_products_are_stored_in_the_original_precision_and_z_is_kept(rng):
    generator = build_generator(SMALL, seed=3).eval()
    compressed = compression.join(generator, LAST, compression.sample_tuples((4, 3, 2), 24, rng))
    assert {p.dtype for p in compressed.generator.parameters()} == {torch.float32}
    assert torch.equal(compressed.generator.latent, generator.latent)
    assert deviation(generator, compressed) < 1e-5


def test_a_joined_bucket_can_be_joined_again(rng):
    generator = biased()
    once = compression.join(generator, (3, 4), compression.sample_tuples((3, 2), 6, rng))
    twice = compression.join(once.generator, (2, 3), compression.sample_tuples((4, 6), 7, rng))
    routes = paths.enumerate_all(twice.generator.bucket_sizes)
    with torch.no_grad():
        images = generator(once.original_paths(twice.original_paths(routes)))
        torch.testing.assert_close(twice.generator(routes), images, rtol=0, atol=1e-12)


def test_a_random_compression_keeps_distinct_products(rng):
    compressed = compression.compress(biased(), LAST, 24, rng)
    assert len(compressed.kept.unique(dim=0)) == 24 and compressed.generator.bucket_sizes == (3, 2, 24)


def test_original_paths_by_hand():
    routes, kept = torch.tensor([[7, 0, 5], [8, 1, 6]]), torch.tensor([[10, 11], [20, 21]])
    assert compression.expand(routes, (1, 2), kept).tolist() == [[7, 10, 11, 5], [8, 20, 21, 6]]


def test_kept_tuples_are_distinct_and_within_their_buckets(rng):
    everything = compression.sample_tuples((4, 3, 2), 24, rng)
    assert len(everything.unique(dim=0)) == 24
    paths.check(everything, (4, 3, 2))
    for k in (0, 25):
        with pytest.raises(UserError, match=r"expected from 1 to 24"):
            compression.sample_tuples((4, 3, 2), k, rng)


def test_fewer_products_are_the_first_ones(rng):
    compressed = compression.join(biased(), LAST, compression.sample_tuples((4, 3, 2), 6, rng))
    fewer = compressed.first(2)
    routes = paths.enumerate_all(fewer.generator.bucket_sizes)
    assert fewer.generator.bucket_sizes == (3, 2, 2)
    assert torch.equal(fewer.original_paths(routes), compressed.original_paths(routes))
    with torch.no_grad():
        torch.testing.assert_close(fewer.generator(routes), compressed.generator(routes))


def test_table_4_in_numbers():
    config = resolve("mnist-linear", "paper").generator
    before = arithmetic.cost(config)
    after = arithmetic.cost(arithmetic.joined_config(config, LAST, 128))
    assert (before.multiplications, after.multiplications) == (1_507_328, 249_856)
    assert (before.paths, after.paths) == (8_388_608, 131_072)
    assert [round(c.parameters / 1e6, 2) for c in (before, after)] == [27.06, 27.38]
    ratio = arithmetic.cost_table(before, after)["compressed / original"]
    assert arithmetic.cost_results(before, after)["macs_ratio"] == pytest.approx(1 / ratio["multiplications"])
    assert arithmetic.cost_results(before, after)["macs_ratio_joined"] == pytest.approx(1_458_176 / 200_704)
    assert arithmetic.cost_results(before, after)["macs_ratio_tables"] == pytest.approx(1_507_328 / 200_704)
    assert 1 / ratio["multiplications"] == pytest.approx(6.03, abs=0.005) and ratio["paths"] == 1 / 64


def test_table_4_is_compared_layer_by_layer():
    config = resolve("mnist-linear", "paper").generator
    assert arithmetic.equals_table_4(config, LAST, 128)
    assert not arithmetic.equals_table_4(config, LAST, 64)
    for wrong in ({"widths": (128, 256, 512, 512)}, {"bucket_sizes": (32,) * 5}, {"latent_dim": 64}):
        assert not arithmetic.equals_table_4(replace(config, **wrong), LAST, 128)


def test_costs_are_those_of_the_networks(rng):
    generator = build_generator(SMALL)
    compressed = compression.join(generator, LAST, compression.sample_tuples((4, 3, 2), 5, rng)).generator
    for network, config in ((generator, SMALL), (compressed, arithmetic.joined_config(SMALL, LAST, 5))):
        cost = arithmetic.cost(config)
        layers = [bucket.instances[0].weight for bucket in network.buckets]
        assert cost.parameters == sum(p.numel() for p in network.parameters())
        assert cost.multiplications == sum(weight.numel() for weight in layers)
        assert cost.bucket_sizes == network.bucket_sizes


def test_weights_read_rise_from_one_path_to_all_weights():
    cost = arithmetic.cost(SMALL)
    assert cost.weights_read(1) == pytest.approx(sum(cost.weight_sizes))
    assert cost.weights_read(10_000) == pytest.approx(cost.parameters - SMALL.latent_dim)


@pytest.mark.parametrize(
    "leak, last_relu, linear", [(1.0, False, True), (1.0, True, False), (0.0, False, False)]
)
def test_additivity_tells_linear_resnets_from_others(leak, last_relu, linear, tiny, rng):
    generator = build_generator(replace(tiny.generator, leak=leak, last_relu=last_relu))
    error = linearity.additivity_error(generator, 8, rng)
    assert error < 1e-12 if linear else error > 1e-2


@pytest.mark.parametrize("leak, linear", [(1.0, True), (0.9, False), (0.0, False)])
def test_additivity_tells_linear_layers_from_others(leak, linear, rng):
    error = linearity.additivity_error(biased(replace(SMALL, leak=leak)), 8, rng)
    assert error < 1e-12 if linear else error > 1e-2


def test_what_cannot_be_joined_is_named(tiny, rng):
    kept = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(UserError, match=r"ReLU follows bucket 2.*leak=1"):
        compression.join(build_generator(replace(SMALL, leak=0.0)), LAST, kept)
    for buckets in ((1, 3), (3, 2), (2,), (4, 5)):
        with pytest.raises(UserError, match=r"expected two or more consecutive ones from 0 to 4"):
            compression.join(build_generator(SMALL), buckets, kept)
    with pytest.raises(UserError, match=r"bucket 1 has a UpBlock; expected nn.Linear"):
        compression.join(build_generator(tiny.generator), (1, 2), kept[:, :2])
    with pytest.raises(UserError, match=r"paths are|paths reach"):
        compression.join(build_generator(SMALL), LAST, kept + 4)
    with pytest.raises(UserError, match=r"expected 'fc'"):
        arithmetic.cost(tiny.generator)
    with pytest.raises(UserError, match=r"expected a Tanh"):
        bare = RandomPathGenerator([Bucket([nn.Linear(2, 2)])], [nn.Identity()], (2,))
        linearity.before_tanh(bare, torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 2))


@pytest.mark.parametrize("n", [1, 4, 3 * SHARE, 5 * SHARE + 1])
def test_a_stacked_bucket_is_its_instances_in_one_tensor(n, rng):
    torch.manual_seed(0)
    plain = Bucket(nn.Linear(5, 7) for _ in range(4)).double()
    fast = stack_linear(list(plain.instances))
    x, index = torch.randn(n, 5, generator=rng, dtype=torch.float64), torch.randint(4, (n,), generator=rng)
    for strategy in ("auto", *STRATEGIES):
        torch.testing.assert_close(fast(x, index, strategy), plain(x, index), rtol=1e-12, atol=1e-12)


def test_stacking_changes_no_image(generator, rng):
    linear = build_generator(SMALL, seed=2).eval()
    for before in (linear, generator):  # a ResNet has a bucket of linear layers, too
        routes = before.sample_paths(40, rng)
        with torch.no_grad():
            torch.testing.assert_close(stacked(before)(routes), before(routes))


def test_a_distance_to_images_is_zero_for_them(rng):
    images = torch.randint(256, (30, 1, 8, 8), generator=rng).to(torch.uint8)
    distance = compression.distance_to(images, load_extractor("pixels"))
    assert distance(images) < 1e-6 < 0.1 < distance(images // 2)


def test_all_products_move_nothing_and_one_moves_much(rng):
    """With every product kept, the images are the original's; with a single one, they are few of them."""
    generator, extractor = biased().float(), load_extractor("pixels")
    real = torch.randint(256, (60, 1, 4, 5), generator=rng, dtype=torch.uint8)
    measured = (extractor, compression.distance_to(real, extractor), 400, 6, rng)
    every, one = (compression.shift(generator, LAST, k, *measured) for k in (4 * 3 * 2, 1))
    low, high = every.interval
    assert low < 0 < high < one.value and abs(every.value) < 0.02
    assert (every.n, every.note) == (400, "24 of 24 products, 6 choices")
    assert compression.shift(generator, LAST, 4, *measured[:2], 50, 1, rng).interval is None


def test_images_of_what_is_kept_go_through_it(rng):
    generator, kept = biased().float(), torch.tensor([[3, 1, 0]])
    images = compression.images_of_kept(generator, LAST, kept, 40, rng)
    through = torch.tensor([[a, b, 3, 1, 0] for a in range(3) for b in range(2)])
    possible = to_uint8(render(generator, through)).flatten(1)
    assert (images.flatten(1)[:, None] == possible).all(-1).any(1).all()


def test_kept_curve_draws_along_paths_of_the_original(rng):
    linear = build_generator(SMALL).eval()
    seen: list[torch.Tensor] = []

    def brightness(images: torch.Tensor) -> float:
        seen.append(images)
        return float(images.float().mean())

    curve = compression.kept_curve(linear, LAST, (5, 1, 99), brightness, 200, 3, rng)
    assert list(curve.distances) == [1, 5, 24] and all(len(d) == 3 for d in curve.distances.values())
    assert curve.ratio(24).value == 1 and curve.ratio(24).interval == (1, 1)
    few, many = len(seen[0].flatten(1).unique(dim=0)), len(seen[-1].flatten(1).unique(dim=0))
    assert few <= 3 * 2 < many


def test_the_interval_of_a_ratio_is_students_over_choices():
    curve = compression.KeptCurve(9, {2: [2.0, 3.0, 4.0], 8: [1.0, 1.0, 1.0]})
    found = curve.ratio(2)
    assert found.value == 3 and found.note == "2 of 8 products, 3 choices"
    assert found.interval == pytest.approx((3 - 4.3027 / 3**0.5, 3 + 4.3027 / 3**0.5), abs=1e-4)
    assert compression.KeptCurve(9, {2: [2.0], 8: [1.0]}).ratio(2).interval is None


def test_gaussian_images_have_the_moments_of_the_images(rng):
    images = torch.randint(100, 156, (500, 1, 3, 3), generator=rng).to(torch.uint8)
    drawn = linearity.gaussian_images(images, 4_000, 9, rng).double()
    assert drawn.shape == (4_000, 1, 3, 3)
    assert float((drawn.mean(0) - images.double().mean(0)).abs().max()) < 1.5
    assert float((drawn.std(0) / images.double().std(0) - 1).abs().max()) < 0.1
    flat = linearity.gaussian_images(images, 50, 1, rng).double().flatten(1)
    assert torch.linalg.matrix_rank(flat - flat.mean(0), rtol=0.1) == 1


def test_results_are_said_as_they_are(rng):
    linear = build_generator(SMALL).eval()
    both = compression.images_of_both(linear, compression.compress(linear, LAST, 4, rng), 30, rng)
    curve = compression.KeptCurve(30, {4: [3.0, 3.0], 24: [2.0, 2.0]})
    found = compression.results(both, curve, 4)
    assert found["compressed_images_equal"] is True and found["distance_ratio"].value == 1.5
    assert compression.Both(both.original, both.original + 0.5).deviation == pytest.approx(0.5)
    speeds = dict.fromkeys(("speed_least", "speed_ratio", "speed_ratio_as_trained"), Result(1.25, note="64"))
    said = compression.conclusion(both, found | speeds | {"compressed_shift": Result(0.125)}, 4, 2.5)
    assert "With 4 products" in said and "1.5 [1.5, 1.5] times the original's" in said and "(64)" in said
    assert "moved by 0.125 times it" in said and "The paper has ×2.5" in said


def test_pairs_of_costs_and_their_storage():
    before, after = arithmetic.costs(SMALL, LAST, 5)
    assert after == arithmetic.cost(arithmetic.joined_config(SMALL, LAST, 5))
    read = arithmetic.weights_ratio(before, after, [1, 10_000])
    assert read[1] == pytest.approx(sum(before.weight_sizes) / sum(after.weight_sizes))
    config = resolve("mnist-linear", "paper").generator
    said = arithmetic.storage(arithmetic.costs(config, LAST, 128)[1], 784)
    assert "131,072 images" in said and "103 MB" in said and "110 MB" in said

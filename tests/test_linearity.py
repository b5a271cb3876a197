"""Linear twins: what is Gaussian, what is not, and what a page says where there is nothing."""

from dataclasses import replace

import pytest
import torch

from rpgan.analysis import linearity
from rpgan.checkpoint import save_checkpoint
from rpgan.errors import UserError
from rpgan.metrics.features import load_extractor
from rpgan.metrics.frechet import Moments
from rpgan.metrics.normality import Shape, shape_of
from rpgan.models.generator import build_generator, render
from rpgan.presets import resolve


def config(name: str):
    return resolve(name, "smoke")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> linearity.Twins:
    rng = torch.Generator().manual_seed(0)
    checkpoints = {name: tmp_path_factory.mktemp("models") / name for name in linearity.TWINS}
    for name, path in checkpoints.items():
        generator = build_generator(config(name).generator, 1)
        save_checkpoint(path, generator, config(name), {"steps": 1})
    return linearity.compare(checkpoints, "pixels", 600, rng)


def test_a_gaussian_is_told_from_one_as_often_as_by_chance(rng):
    gaussian = torch.randn(4_000, 40, generator=rng) @ torch.randn(40, 60, generator=rng) + 3
    shape = shape_of(gaussian)
    assert len(shape.kurtosis) == 32 and shape.bent_share < 0.2
    assert shape_of(gaussian.sign() * gaussian**2).bent_share > 0.5


def test_moments_of_a_coin_by_hand(rng):
    coin = torch.tensor([[0.0, 0.0], [1.0, 2.0]]).repeat(50, 1)
    shape = shape_of(coin)
    assert shape.kurtosis.tolist() == pytest.approx([-2]) and shape.skewness.tolist() == pytest.approx([0])
    assert shape.bent_share == 1
    assert Shape(12, torch.tensor([0.0, 2.0]), torch.tensor([0.1, 0.0])).bent_share == 0.5
    with pytest.raises(UserError, match="do not differ"):
        shape_of(torch.ones(5, 3))


def test_the_standard_twin_is_gaussian_and_the_routed_one_is_not(twins):
    routed, standard = (twins.looks[name].shape for name in linearity.TWINS)
    assert standard.bent_share < 0.25 < routed.bent_share


def test_both_twins_are_additive_and_measured_alike(twins):
    found = twins.results()
    assert found["resnet_is_additive"].value is True
    ratio = found["resnet_distance_standard"].value / found["resnet_distance"].value
    over = found["resnet_standard_over_routed"]
    assert over.value == pytest.approx(ratio) and over.interval[0] < over.value < over.interval[1]
    assert twins.n == twins.real.n == 600 and "fid_50k_linear" not in found
    assert len(list(twins.rows())) == 2 and f"{ratio:.2f} times" in twins.about("smoke")


def test_samples_of_the_routed_twin_differ_or_are_told(twins):
    different = torch.arange(64, dtype=torch.uint8)[:, None, None, None].expand(64, 3, 2, 2)
    for images, distinct in ((different, True), (torch.cat([different[:63], different[:1]]), False)):
        looks = {**twins.looks, "cifar10-linear": replace(twins.looks["cifar10-linear"], images=images)}
        assert replace(twins, looks=looks).results()["resnet_samples_distinct"].value is distinct


def test_only_inception_and_50_000_images_make_an_fid(twins):
    counted = Moments.merged((twins.real,))
    counted.n = 50_000
    full = replace(twins, features="inception", n=50_000, real=counted)
    assert full.results()["fid_50k_linear"].value == twins.looks["cifar10-linear"].frechet.whole
    for lacking in (replace(full, n=5_000), replace(full, real=twins.real), replace(full, features="pixels")):
        assert "fid_50k_linear" not in lacking.results()


def test_a_page_without_the_checkpoints_says_so(rng, monkeypatch):
    nothing = linearity.compare({}, "inception", 50_000, rng)
    assert nothing.results() == {} and list(nothing.rows()) == []
    monkeypatch.setattr(linearity, "satisfies", lambda name, _: name == "cifar10-linear")
    assert nothing.about("book").startswith("The repository has no checkpoint of cifar10-linear-gan,")
    monkeypatch.setattr(linearity, "satisfies", lambda *_: True)
    assert "resnets = ['cifar10-linear', 'cifar10-linear-gan', 'cifar10-rpgan']" in nothing.about("book")


def test_a_twin_that_was_best_before_its_end_is_said_to_have_gone_astray(twins):
    name = "cifar10-linear-gan"
    for kept, steps, said in ((1, 5, True), (5, 5, False)):
        look = replace(twins.looks[name], kept=kept, steps=steps)
        told = replace(twins, looks={**twins.looks, name: look})
        assert (f"best at step {kept} of {steps} and worse" in told.about("smoke")) is said
        assert [row["kept at step, of those set"] for row in told.rows()][1] == f"{kept} of {steps}"


def test_the_price_of_linearity_needs_a_generator_with_activations(twins):
    assert "resnet_over_activations" not in twins.results()
    plain = twins.looks["cifar10-linear-gan"]  # stands in for it
    three = replace(twins, looks={linearity.WITH_ACTIVATIONS: plain, **twins.looks})
    found = three.results()
    over, under = found["resnet_over_activations"], found["resnet_standard_over_routed"]
    assert over.value * under.value == pytest.approx(1)
    assert f"{over.value:.2f} times that of the same RPGAN with" in three.about("smoke")
    assert replace(twins, looks={linearity.WITH_ACTIVATIONS: plain}).results() == {}


def test_images_are_the_tanh_of_what_is_measured(rng):
    generator = build_generator(config("cifar10-linear").generator, 2).eval()
    routes = generator.sample_paths(7, rng)
    before = linearity.before_tanh(generator, routes, None).detach()
    torch.testing.assert_close(before.tanh(), render(generator, routes))


@pytest.mark.parametrize("leak", [1.0, 0.2])
def test_a_first_bucket_stored_as_a_table_does_not_hide_what_follows(leak, rng):
    generator = build_generator(replace(config("cifar10-linear").generator, leak=leak), 2).eval()
    with torch.no_grad():
        for instance in generator.buckets[0].instances:
            instance.weight.zero_()
            instance.bias.normal_(generator=rng)
    error = linearity.additivity_error(generator, 8, rng)
    assert error < linearity.AFFINE if leak == 1 else error > 1e-3
    assert not generator.buckets[0].instances[0].weight.any(), "tried on a copy"


def test_the_table_tells_linear_layers_from_those_with_activations(rng):
    linear = config("mnist-linear").generator
    errors = linearity.additivity_table(build_generator(linear).eval(), linear, "smoke", rng)
    assert max(errors["trained"], errors["linear ResNet"]) < linearity.AFFINE
    assert min(errors["the same layers with ReLU"], errors["linear ResNet as released"]) > 1e-3
    extractor = load_extractor("pixels")
    near, far, real = (
        torch.randint(level, level + 40, (40, 1, 4, 4), generator=rng).byte() for level in (60, 99, 50)
    )
    found = linearity.results(errors, [near, far], real, extractor)
    over = found["standard_over_routed"]
    assert found["linear_is_additive"].value is True and 1 < over.interval[0] < over.value < over.interval[1]
    bent = linearity.results(errors | {"linear ResNet": 1e-3}, [near, far], real, extractor)
    assert bent["linear_is_additive"].value is False

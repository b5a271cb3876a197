"""The countable properties of the model, and the published table."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import rpgan
from rpgan.analysis import model
from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.models.generator import build_generator
from rpgan.overrides import override

SMALL = GeneratorConfig(
    architecture="fc", image_shape=(1, 4, 4), widths=(6, 5), bucket_sizes=(3, 2, 2), latent_dim=4
)


def rows():
    return {name: model.setup(EXPERIMENTS[name], n) for name, n in model.IMAGES.items()}


def test_experiments_are_table_1():
    assert model.equals_table_1(rows())
    assert rows()["cifar10-rpgan"].coverage == 2048


def test_another_protocol_is_not_table_1():
    changed = rows() | {"cifar10-rpgan": replace(rows()["cifar10-rpgan"], d_steps=1)}
    assert not model.equals_table_1(changed)


def test_experiments_are_trained_as_section_4_says():
    schedules = {name: model.schedule(EXPERIMENTS[name]) for name in model.SECTION_4}
    assert schedules == model.SECTION_4 and model.equals_section_4(schedules)
    config = EXPERIMENTS["anime-rpgan"]
    for change in ({"d_lr": 1e-4}, {"g_lr": 1e-4}, {"betas": (0.0, 0.9)}):
        other = model.schedule(replace(config, train=replace(config.train, **change)))
        assert not model.equals_section_4(schedules | {"anime-rpgan": other})
    longer = model.schedule(replace(config, train=replace(config.train, steps=10, d_steps=3)))
    assert longer.updates == 30 and model.equals_section_4({"anime-rpgan": longer})


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"discriminator.spectral_norm": False}, False),
        ({"loss.name": "wgan-gp"}, False),
        (
            {
                "generator.architecture": "dcgan",
                "generator.widths": (8, 8, 8),
                "generator.bucket_sizes": [2] * 4,
            },
            False,
        ),
    ],
)
def test_an_sn_resnet_is_told_by_layers_normalisation_and_loss(changes, holds):
    assert model.is_sn_resnet(override(EXPERIMENTS["cifar10-rpgan"], changes)) is holds


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"train.g_lr": 2e-4}, False),
        ({"discriminator.spectral_norm": True}, False),
        ({"loss.name": "hinge"}, False),
        ({"loss.diversity": "off"}, False),
    ],
)
def test_the_networks_of_appendix_a_are_told_by_rates_normalisation_and_loss(changes, holds):
    assert model.is_of_appendix_a(override(EXPERIMENTS["celeba-dcgan"], changes)) is holds


def test_a_twin_differs_in_instances_and_latent_alone():
    routed, standard = (EXPERIMENTS[name] for name in ("cifar10-rpgan", "cifar10-gan"))
    assert model.differ_in_routing_alone(routed, standard)
    assert not model.differ_in_routing_alone(routed, override(standard, {"train.d_steps": 1}))
    assert not model.differ_in_routing_alone(routed, routed)


def test_a_path_costs_what_the_standard_gan_costs():
    config = GeneratorConfig(widths=(4,) * 4, bucket_sizes=(3,) * 5, latent_dim=8)
    assert model.multiplications_over_twin(config) == 1


def test_equal_instances_give_equal_images():
    generator = build_generator(SMALL).eval()
    assert model.distinct_images(generator) == 12
    assert [model.distinct_variations(generator, b) for b in range(3)] == list(SMALL.bucket_sizes)
    generator.buckets[1].instances[1].load_state_dict(generator.buckets[1].instances[0].state_dict())
    assert model.distinct_images(generator) == 6
    assert model.distinct_variations(generator, 1) == SMALL.bucket_sizes[1] - 1


def test_more_paths_than_can_be_enumerated_are_refused_before_any_image_is_made():
    many = build_generator(replace(SMALL, bucket_sizes=(40, 40, 40)))
    with pytest.raises(UserError, match=r"64,000 paths .* at most 20,000 .* fewer instances"):
        model.distinct_images(many)


def test_strategies_deviate_by_rounding_only(rng):
    generator = build_generator(SMALL)
    deviation = model.routing_deviation(generator, generator.sample_paths(20, rng))
    assert deviation.pop("per_sample") == 0 and len(deviation) == 2
    assert max(deviation.values()) < 1e-5 and generator.strategy == "auto"


def test_a_network_equals_its_routed_form_and_no_other(rng):
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 16), nn.Unflatten(1, (1, 4, 4)))
    latents = torch.randn(5, 4, generator=rng)
    assert model.twin_images_equal(network, rpgan.randomize(network, (0, 2), 1), latents)
    other = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 16), nn.Unflatten(1, (1, 4, 4)))
    assert not model.twin_images_equal(other, rpgan.randomize(network, (0, 2), 1), latents)


def test_diversity_at_initialisation_leaves_one_mth():
    config = GeneratorConfig(widths=(16,) * 4, bucket_sizes=(10,) * 5, latent_dim=32)
    shares = model.diversity_over_maximum(build_generator(config))
    assert all(abs(share - 0.9) < 0.01 for share in shares)

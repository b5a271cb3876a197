"""Discriminators: one logit an image, and weights of norm one where they are to be so."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rpgan.config import ClassifierConfig, DiscriminatorConfig
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.models.blocks import DownBlock, pooled
from rpgan.models.classifier import build_classifier
from rpgan.models.discriminator import ARCHITECTURES, build_discriminator

CONFIGS = {
    "sn-resnet": DiscriminatorConfig(widths=(4, 5, 5)),
    "sn-resnet-deep": DiscriminatorConfig(widths=(4, 4, 6), downsamplings=3),
    "dcgan": DiscriminatorConfig("dcgan", widths=(4, 6, 8), spectral_norm=False),
    "dcgan-sn": DiscriminatorConfig("dcgan", widths=(4, 6, 8)),
    "fc": DiscriminatorConfig("fc", widths=(16, 8)),
}


def test_images_are_not_halved_away():
    with pytest.raises(UserError, match=r"downsamplings halve 28 pixels 5 times; expected at most 4"):
        build_discriminator(DiscriminatorConfig(widths=(4,) * 5, downsamplings=7), (1, 28, 32))
    with pytest.raises(UserError, match=r"widths halve 32 pixels 6 times; expected at most 5"):
        build_classifier(ClassifierConfig("c", image_shape=(1, 32, 32), widths=(4,) * 6))


def test_every_architecture_is_tested():
    assert {config.architecture for config in CONFIGS.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_images_become_one_logit_each(config, shape):
    discriminator = build_discriminator(config, shape, seed=1).eval()
    images = torch.rand(5, *shape, requires_grad=True)
    logits = discriminator(images)
    assert logits.shape == (5,) and logits.std() > 0
    torch.testing.assert_close(discriminator(images[2:3]), logits[2:3])  # no image sees another
    logits.sum().backward()
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    assert all(p.grad is not None for p in discriminator.parameters())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_same_seed_gives_the_same_weights(config):
    images, before = torch.rand(3, 3, 32, 32), torch.get_rng_state()
    first, second, other = (build_discriminator(config, (3, 32, 32), s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.eval()(images), second.eval()(images))
    assert not torch.equal(first(images), other.eval()(images))


def norms(discriminator: nn.Module) -> torch.Tensor:
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    with torch.no_grad():
        return torch.stack([torch.linalg.matrix_norm(m.weight.flatten(1), ord=2) for m in layers])


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_spectral_norm_brings_the_largest_singular_values_to_one(config):
    discriminator = build_discriminator(config, (3, 32, 32), seed=1).train()
    for _ in range(30):
        discriminator(torch.rand(2, 3, 32, 32))
    found = norms(discriminator.eval())
    if config.spectral_norm:
        torch.testing.assert_close(found, torch.ones_like(found), rtol=0.02, atol=0)
    else:
        assert (found - 1).abs().max() > 0.1


def test_downsamplings_count_the_blocks_that_halve_the_resolution():
    images = torch.rand(2, 3, 32, 32)
    for downsamplings in (0, 2, 3):
        config = replace(CONFIGS["sn-resnet"], downsamplings=downsamplings)
        blocks = build_discriminator(config, (3, 32, 32)).layers[:3]
        assert blocks(images).shape == (2, 5, 32 // 2**downsamplings, 32 // 2**downsamplings)


def test_the_papers_discriminator_for_cifar10():
    """SNGAN's: 128 channels, blocks down, down, –, – (specification, section 1)."""
    config = EXPERIMENTS["cifar10-rpgan"].discriminator
    with torch.device("meta"):
        blocks = build_discriminator(replace(config, spectral_norm=False), (3, 32, 32)).layers[:4]
    assert [b.down for b in blocks] == [True, True, False, False] and [b.first for b in blocks] == [
        1,
        0,
        0,
        0,
    ]
    assert {b.conv2.out_channels for b in blocks} == {128}
    assert [isinstance(b.skip, nn.Conv2d) for b in blocks] == [True, True, False, False]


@pytest.mark.parametrize(("down", "first"), [(True, True), (True, False), (False, False)])
def test_a_block_is_that_of_miyato_and_others(down, first, rng):
    """Pre-activation but for the first block, which sees an image; both branches pooled at the end."""
    block, x = DownBlock(3, 4, down, first), torch.randn(2, 3, 8, 8, generator=rng)
    y = block.conv2(F.relu(block.conv1(x if first else F.relu(x)))) + block.skip(x)
    torch.testing.assert_close(block(x), F.avg_pool2d(y, 2) if down else y)


@pytest.mark.parametrize("size", [(4, 4), (6, 2), (8, 10)])
def test_a_pooled_convolution_is_the_convolution_and_its_mean_over_2x2(size):
    conv, x = (
        nn.Conv2d(3, 5, 3, padding=1, dtype=torch.float64),
        torch.randn(2, 3, *size, dtype=torch.float64),
    )
    torch.testing.assert_close(pooled(conv, x), F.avg_pool2d(conv(x), 2))


def test_a_sum_is_the_mean_times_the_number_of_positions():
    config = DiscriminatorConfig(widths=(4, 5), downsamplings=2)
    images = torch.rand(3, 1, 32, 32)
    mean, total = (
        build_discriminator(replace(config, pooling=name), (1, 32, 32)).eval() for name in ("mean", "sum")
    )
    bias = total.layers[-1].bias
    torch.testing.assert_close(total(images) - bias, 64 * (mean(images) - bias))
    with pytest.raises(UserError, match="'max'; expected one of mean, sum"):
        build_discriminator(replace(config, pooling="max"), (1, 32, 32))


def test_an_unknown_architecture_is_refused():
    with pytest.raises(UserError, match="'vit'; expected one of sn-resnet, dcgan, fc"):
        build_discriminator(DiscriminatorConfig("vit"), (3, 32, 32))

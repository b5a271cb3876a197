"""Statistics of shared norms: those of the images that the generator makes."""

import pytest
import torch

from rpgan.config import GeneratorConfig
from rpgan.models.generator import build_generator, render
from rpgan.models.norms import settle_norms

SMALL = {"image_shape": (1, 16, 16), "widths": (6, 6, 6)}
KINDS = {
    "routed": GeneratorConfig(**SMALL, bucket_sizes=(2, 3, 2, 2)),
    "standard": GeneratorConfig(**SMALL, bucket_sizes=(1,) * 4, latent="gaussian"),
    "dcgan": GeneratorConfig("dcgan", (1, 32, 32), (6, 6, 6), (2, 3, 2, 2)),
}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_of_a_single_path_the_images_are_those_of_training():
    generator = build_generator(GeneratorConfig(**SMALL, bucket_sizes=(1,) * 4))
    generator.links[-1] = torch.nn.Identity()
    paths = torch.zeros(64, 4, dtype=torch.int64)
    in_training = generator.train()(paths)
    settle_norms(generator, 3, 64, rng())
    torch.testing.assert_close(render(generator, paths), in_training, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_before_and_the_mode_leave_no_trace(kind):
    generator = build_generator(KINDS[kind]).eval()
    norms = [m for m in generator.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    settle_norms(generator, 4, 8, rng())
    once = [b.clone() for b in generator.buffers()]
    for norm in norms:
        norm.running_mean.fill_(7.0)
    settle_norms(generator, 4, 8, rng())
    assert norms and all(torch.equal(a, b) for a, b in zip(once, generator.buffers(), strict=True))
    assert not any(m.training for m in generator.modules())
    assert [norm.momentum for norm in norms] == momenta


def test_more_batches_come_closer_to_the_mean_over_all_paths():
    generator = build_generator(KINDS["routed"])
    seen = []
    generator.links[2][1].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    with torch.no_grad():
        generator.train()(torch.cartesian_prod(*map(torch.arange, generator.bucket_sizes)))
    mean = seen[0].mean((0, 2, 3))

    def off(batches):
        settle_norms(generator, batches, 8, rng(1))
        return float((generator.links[2][1].running_mean - mean).norm())

    assert off(200) < 0.3 * off(1)

"""A generator that begins as a smaller one makes the smaller one's images on its paths."""

from dataclasses import replace

import pytest
import torch

from rpgan.config import GeneratorConfig
from rpgan.errors import UserError
from rpgan.models.extend import begin_as
from rpgan.models.generator import build_generator

SMALL = GeneratorConfig(widths=(4,) * 4, bucket_sizes=(3, 2, 2, 2, 1))
LARGE = replace(SMALL, bucket_sizes=(4, 2, 5, 2, 1))


def test_old_paths_give_the_old_images_and_the_rest_is_named():
    initial, generator = build_generator(SMALL, 0).eval(), build_generator(LARGE, 1).eval()
    new = begin_as(generator, initial)
    paths = initial.sample_paths(16, torch.Generator().manual_seed(0))
    assert torch.equal(generator(paths), initial(paths))
    assert {".".join(name.split(".")[:4]) for name in new} == {
        "buckets.0.instances.3",
        *(f"buckets.2.instances.{i}" for i in (2, 3, 4)),
    }


def test_a_first_bucket_that_is_a_mere_table_is_refused():
    initial = build_generator(SMALL, 0)
    for instance in initial.buckets[0].instances:
        torch.nn.init.zeros_(instance.weight)
    with pytest.raises(UserError, match="as a table of outcomes"):
        begin_as(build_generator(LARGE, 1), initial)


@pytest.mark.parametrize(
    "config",
    [
        replace(SMALL, bucket_sizes=(2, 2, 2, 2, 1)),  # fewer instances
        replace(LARGE, widths=(8, 4, 4, 4)),  # other shapes
        replace(LARGE, latent="gaussian"),  # no Z to copy to
        replace(LARGE, image_shape=(3, 64, 64), widths=(4,) * 5, bucket_sizes=(4, 2, 5, 2, 2, 1)),
    ],
)
def test_a_generator_that_cannot_begin_so_is_refused(config):
    with pytest.raises(UserError, match="expected the same layers, and at least as many instances"):
        begin_as(build_generator(config), build_generator(SMALL))

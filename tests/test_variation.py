"""Variation grids: one bucket varies, everything else stays."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rpgan import paths
from rpgan.analysis.likeness import functional_distances
from rpgan.analysis.variation import (
    bucket_diversity,
    rows_differ,
    variation_grid,
    variation_grids,
    varied_groups,
)
from rpgan.config import GeneratorConfig, standard_twin
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.models.generator import build_generator, render
from rpgan.samples import write_grid

ROOT = Path(__file__).parent.parent
SIZES = (4, 6, 1, 3)


CONFIG = GeneratorConfig(
    architecture="dcgan", image_shape=(1, 32, 32), widths=(6, 5, 4), bucket_sizes=SIZES, latent_dim=8
)


@pytest.fixture
def generator():
    return build_generator(CONFIG).eval()


def test_a_grid_shows_what_its_instances_say(generator, rng):
    route = generator.sample_paths(1, rng)[0]
    grid = variation_grid(generator, route, 3, rng)
    assert torch.equal(grid.original, to_uint8(render(generator, route[None]))[0])
    assert list(grid.rows) == paths.plural(SIZES) == [0, 1, 3]
    for bucket, row in grid.rows.items():
        chosen = grid.instances[bucket]
        assert len(chosen.unique()) == len(chosen) == len(row) and route[bucket] not in chosen
        assert torch.equal(row, to_uint8(render(generator, paths.vary(route, bucket, chosen))))


def test_where_nothing_can_be_exchanged_that_is_said(rng):
    twin = build_generator(standard_twin(CONFIG))
    with pytest.raises(UserError, match=r"\(1, 1, 1, 1\) instances has one path.*several instances"):
        variation_grid(twin, twin.sample_paths(1, rng)[0], 3, rng)
    with pytest.raises(UserError, match="one path, and nothing to vary"):
        varied_groups(twin, 2, 4, rng)
    with pytest.raises(UserError, match="one path, and nothing to vary"):
        functional_distances(twin, {}, 2, rng)


def test_a_small_bucket_gives_all_its_alternatives(generator, rng):
    grid = variation_grid(generator, generator.sample_paths(1, rng)[0], 8, rng)
    assert {bucket: len(row) for bucket, row in grid.rows.items()} == {0: 3, 1: 5, 3: 2}


def squared(images):
    flat = images.flatten(2).double()
    return torch.cdist(flat, flat).square()


def test_groups_leave_out_what_cannot_vary(generator, rng):
    groups = varied_groups(generator, 5, 3, rng)
    assert {bucket: tuple(g.shape[:2]) for bucket, g in groups.items()} == {0: (5, 3), 1: (5, 3), 3: (5, 3)}


def test_a_bucket_that_does_nothing_has_no_share(generator, rng):
    with torch.no_grad():
        for instance in generator.buckets[1].instances[1:]:
            instance.load_state_dict(generator.buckets[1].instances[0].state_dict())
    share = bucket_diversity(generator, {"pixels": squared}, 5, rng)["pixels"].share
    assert share[1] == 0 and share[[0, 3]].gt(0).all() and share[2].isnan()
    assert abs(float(share[[0, 1, 3]].sum()) - 1) < 1e-9


def test_the_same_seed_gives_the_same_groups(generator):
    one, other = (varied_groups(generator, 2, 2, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(one[bucket], other[bucket]) for bucket in one)


def test_rows_differ_unless_a_bucket_repeats_itself(generator, rng):
    route = generator.sample_paths(1, rng)[0]
    assert rows_differ(variation_grid(generator, route, 3, rng))
    with torch.no_grad():
        generator.buckets[1].instances[2].load_state_dict(generator.buckets[1].instances[3].state_dict())
    assert not rows_differ(variation_grid(generator, route, 5, rng))


def test_grids_are_of_random_paths_one_after_the_other(generator):
    grids = variation_grids(generator, 3, 2, torch.Generator().manual_seed(4))
    rng = torch.Generator().manual_seed(4)
    for grid, route in zip(grids, generator.sample_paths(3, rng), strict=True):
        alone = variation_grid(generator, route, 2, rng)
        assert torch.equal(grid.path, route) and torch.equal(grid.original, alone.original)
        assert all(torch.equal(grid.rows[bucket], row) for bucket, row in alone.rows.items())


def test_the_first_picture_of_readme_and_book_is_what_its_command_draws(tmp_path):
    readme, page = (ROOT / "README.md").read_text(), (ROOT / "book" / "ledger.md").read_text()
    [model] = re.findall(r"`rpgan grid ([\w-]+)`", readme)
    assert f"`rpgan grid {model}`" in page and "_static/variation.png" in page
    write_grid(model, 8, 0, tmp_path / "drawn.png")
    drawn, kept = (
        np.asarray(Image.open(path).convert("RGB"), dtype=float)
        for path in (tmp_path / "drawn.png", ROOT / "book" / "_static" / "variation.png")
    )
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 1  # of 255: letters may be drawn by another version

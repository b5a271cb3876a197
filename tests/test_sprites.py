"""Sprites: every combination once, and each factor changes what it names and nothing else."""

import pytest
import torch
from torch import Tensor

from rpgan.config import DataConfig
from rpgan.datasets import load_dataset
from rpgan.datasets.sprites import CARDINALITIES, COMBINATIONS, FACTORS, coverage, factors_of, render_sprites
from rpgan.errors import UserError

NAMES = list(FACTORS)
MIDDLE = {"shape": 0, "object_hue": 3, "background_hue": 9, "x": 8, "y": 8, "scale": 7, "rotation": 4}


def factors(**columns: Tensor | int) -> Tensor:
    rows = torch.broadcast_tensors(*(torch.as_tensor({**MIDDLE, **columns}[name]) for name in NAMES))
    return torch.stack([row.reshape(-1) for row in rows], dim=1)


def centroid(masks: Tensor) -> Tensor:
    """x and y of the mass, in widths."""
    centres = (torch.arange(masks.shape[-1]) + 0.5) / masks.shape[-1]
    mass = masks.sum((1, 2))
    return torch.stack(
        [(masks.sum(1) * centres).sum(1) / mass, (masks.sum(2) * centres).sum(1) / mass], dim=1
    )


def test_cardinalities_are_powers_of_two_and_make_over_a_million() -> None:
    assert all(c & (c - 1) == 0 for c in CARDINALITIES)
    assert COMBINATIONS > 1_000_000


@pytest.mark.parametrize("stride", [64, pytest.param(1, marks=pytest.mark.slow)])
def test_indices_map_to_factors_one_to_one(stride: int) -> None:
    places = torch.tensor([1, *CARDINALITIES[:-1]]).cumprod(0)
    seen = torch.zeros(COMBINATIONS, dtype=torch.bool)
    for start in range(0, COMBINATIONS, 2**22):
        seen[factors_of(torch.arange(start, start + 2**22, stride)) @ places] = True
    assert seen.sum() == COMBINATIONS // stride


def test_factors_look_independent_and_uniform_along_the_indices() -> None:
    drawn = factors_of(torch.arange(2**16))
    for column, cardinality in zip(drawn.T, CARDINALITIES, strict=True):
        counts = column.bincount(minlength=cardinality)
        assert (counts - len(drawn) / cardinality).abs().max() < 6 * (len(drawn) / cardinality) ** 0.5
    pairs = torch.cat([drawn[:-1], drawn[1:]], dim=1).double()
    assert torch.corrcoef(pairs.T).fill_diagonal_(0).abs().max() < 6 / len(drawn) ** 0.5


def test_images_depend_on_their_index_alone() -> None:
    sprites = load_dataset(DataConfig(name="sprites"), (3, 32, 32), "train")
    images, labels = sprites.__getitems__(list(range(700)))  # more than are drawn at once
    alone, label = sprites.__getitems__([600])
    assert torch.equal(images[600:601], alone) and torch.equal(labels[600:601], label)
    assert len(images.flatten(1).unique(dim=0)) == 700


def test_splits_share_no_sprite() -> None:
    train, test = (load_dataset(DataConfig(name="sprites"), (3, 8, 8), s).indices for s in ("train", "test"))
    assert len(train) > 1_000_000 and not set(test) & {train[0], train[-1]} and train[-1] < test[0]
    assert test[-1] < COMBINATIONS


@pytest.mark.parametrize("shape", range(4))
def test_edges_are_anti_aliased(shape: int) -> None:
    masks = coverage(factors(shape=shape, x=torch.arange(16)), 32)
    areas = masks.sum((1, 2))
    assert areas.std() / areas.mean() < 0.01  # although the steps are fractions of a pixel
    assert ((masks > 0.05) & (masks < 0.95)).any((1, 2)).all()


@pytest.mark.parametrize("shape", range(4))
def test_position_is_the_centroid(shape: int) -> None:
    for axis, name in enumerate(["x", "y"]):
        found = centroid(coverage(factors(shape=shape, **{name: torch.arange(16)}), 64))
        torch.testing.assert_close(
            found[:, axis], torch.tensor(FACTORS[name]), atol=1e-3, rtol=0
        )  # 0.06 pixels
        assert found[:, 1 - axis].std() < 1e-3


@pytest.mark.parametrize("shape", range(4))
def test_area_grows_with_the_square_of_the_scale(shape: int) -> None:
    areas = coverage(factors(shape=shape, scale=torch.arange(8)), 64).sum((1, 2))
    ratio = areas / torch.tensor(FACTORS["scale"]) ** 2
    assert ratio.std() / ratio.mean() < 0.01


def test_rotation_turns_the_long_axis_anticlockwise() -> None:
    masks = coverage(factors(rotation=torch.arange(16)), 64)
    centres = (torch.arange(64) + 0.5) / 64 - FACTORS["x"][8]
    x, y = centres[None, None, :], -centres[None, :, None]
    angles = 0.5 * torch.atan2(2 * (masks * x * y).sum((1, 2)), (masks * (x**2 - y**2)).sum((1, 2)))
    torch.testing.assert_close(angles.rad2deg(), torch.tensor(FACTORS["rotation"]), atol=0.3, rtol=0)


def test_rotations_of_every_shape_differ() -> None:
    for shape in range(4):
        masks = coverage(factors(shape=shape, rotation=torch.arange(16)), 32).flatten(1)
        distances = torch.cdist(masks, masks) + 100 * torch.eye(16)
        assert distances.min() > 1


def test_apexes_point_up_and_hearts_down() -> None:
    upright = coverage(factors(shape=torch.arange(4), rotation=torch.tensor([[7], [8]])), 64)
    masks = upright.view(2, 4, 64, 64).mean(0)
    rows = masks[2:].amax(2) > 0.05
    widths = masks[2:].sum(2)
    triangle, heart = (width[row] for width, row in zip(widths, rows, strict=True))
    assert triangle[2] < triangle[-4] / 2 and heart[-3] < heart[3] / 2


def test_hues_leave_the_mask() -> None:
    mask = coverage(factors(), 32)[0]
    inside, outside = mask == 1, mask == 0
    recolored = render_sprites(factors(object_hue=torch.arange(16)), 32)
    assert (recolored[:, :, outside] == recolored[:1, :, outside]).all()
    assert len(recolored[:, :, inside][:, :, 0].unique(dim=0)) == 16
    grounds = render_sprites(factors(background_hue=torch.arange(16)), 32)
    assert (grounds[:, :, inside] == grounds[:1, :, inside]).all()
    assert len(grounds[:, :, outside][:, :, 0].unique(dim=0)) == 16


def test_objects_are_brighter_than_any_background() -> None:
    mask = coverage(factors(), 32)[0]
    hues = factors(object_hue=torch.arange(16)[:, None], background_hue=torch.arange(16))
    images = render_sprites(hues, 32)
    assert images[:, :, mask == 1].amax(1).min() > 2 * images[:, :, mask == 0].amax(1).max()


def test_the_largest_object_stays_inside_at_every_extreme() -> None:
    corners = factors(
        shape=torch.arange(4).view(-1, 1, 1, 1),
        x=torch.tensor([0, 15]).view(-1, 1, 1),
        y=torch.tensor([0, 15]).view(-1, 1),
        rotation=torch.arange(16),
    )
    masks = coverage(corners, 64)
    assert masks[:, [0, -1]].max() == 0 and masks[:, :, [0, -1]].max() == 0


def test_mistakes_are_user_errors() -> None:
    with pytest.raises(UserError, match="below"):
        render_sprites(factors(x=16), 32)
    with pytest.raises(UserError, match="expected 0 to"):
        factors_of(torch.tensor([COMBINATIONS]))
    with pytest.raises(UserError, match="square"):
        load_dataset(DataConfig(name="sprites"), (3, 32, 64), "train")
    with pytest.raises(UserError, match="7 labels an image"):
        load_dataset(DataConfig(name="sprites", classes=(1,)), (3, 8, 8), "test")

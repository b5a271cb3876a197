"""The uint8 ↔ float conversion, hues, sheets and PNG files."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from rpgan.images import all_distinct, hue_to_rgb, save_png, tile, to_float, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


def test_every_level_survives_the_round_trip() -> None:
    floats = to_float(LEVELS)
    assert floats.dtype == torch.float32
    assert (floats.min(), floats.max()) == (-1, 1)
    assert torch.equal(to_uint8(floats), LEVELS)


def test_conversion_rounds_to_the_nearest_level_and_clamps() -> None:
    floats = to_float(LEVELS)
    assert torch.equal(to_uint8(floats + 0.49 / 127.5), LEVELS)
    assert torch.equal(to_uint8(floats - 0.49 / 127.5), LEVELS)
    assert to_uint8(torch.tensor([-7.0, 7.0]).view(1, 1, 1, 2)).flatten().tolist() == [0, 255]


def test_hues_agree_with_the_standard_library() -> None:
    hues = torch.linspace(0, 1, 97)
    expected = torch.tensor([colorsys.hsv_to_rgb(float(h), 1, 1) for h in hues])
    torch.testing.assert_close(hue_to_rgb(hues), expected, atol=1e-5, rtol=0)


def test_images_are_distinct_until_one_is_repeated() -> None:
    images = torch.arange(2 * 12, dtype=torch.uint8).view(2, 3, 2, 2)
    assert all_distinct(images) and all_distinct(images[:0])
    assert not all_distinct(images[[0, 1, 0]])


@pytest.mark.parametrize("dtype, white", [(torch.uint8, 255), (torch.float32, 1)])
def test_tile_puts_every_image_in_its_cell(dtype: torch.dtype, white: int) -> None:
    images = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * white
    images = images.to(dtype)
    sheet = tile(images, columns=3, padding=2)
    assert sheet.dtype == dtype and sheet.shape == (3, 2 + 2 * (4 + 2), 2 + 3 * (6 + 2))
    for i, image in enumerate(images):
        top, left = 2 + i // 3 * 6, 2 + i % 3 * 8
        assert torch.equal(sheet[:, top : top + 4, left : left + 6], image)
        sheet[:, top : top + 4, left : left + 6] = white
    assert (sheet == white).all()  # the empty cell and all between the images


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(channels: int, tmp_path) -> None:
    image = torch.arange(channels * 12, dtype=torch.uint8).view(channels, 3, 4)
    save_png(image, tmp_path / "new" / "image.png")
    stored = np.asarray(Image.open(tmp_path / "new" / "image.png")).reshape(3, 4, channels)
    assert torch.equal(torch.from_numpy(stored.copy()).permute(2, 0, 1), image)

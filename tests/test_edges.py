"""Edges of luminance: where they are, not how bright or strong."""

import torch

from rpgan.metrics.edges import edge_map, luminance


def pictures(n, channels, seed=0):
    """Smooth random pictures with room above and below: levels from 60 to 160."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 4, 4, generator=rng)
    fine = torch.nn.functional.interpolate(coarse, size=16, mode="bilinear")
    return (60 + 100 * fine).round().to(torch.uint8)


def change(a, b):
    return (edge_map(a) - edge_map(b)).square().sum(1) / 2


def test_luminance_weighs_channels_and_keeps_grey():
    colors = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    levels = luminance(colors[:, :, None, None]).flatten()
    torch.testing.assert_close(levels, torch.tensor([76.245, 149.685, 29.07, 255.0]))
    grey = pictures(2, 1)
    assert torch.equal(luminance(grey), grey[:, 0].float())


def test_maps_have_unit_length_and_those_of_flat_images_none():
    assert torch.allclose(edge_map(pictures(3, 3)).norm(dim=1), torch.ones(3))
    flat = torch.tensor([[10, 200, 37], [255, 0, 0]], dtype=torch.uint8)[:, :, None, None].expand(2, 3, 8, 8)
    assert edge_map(flat).count_nonzero() == 0


def test_brightness_and_contrast_do_not_move_edges():
    images = pictures(4, 3)
    assert change(images, images + 40).max() < 1e-6
    assert change(images, images - 40).max() < 1e-6
    assert change((images // 2) * 2, images // 2).max() < 1e-6
    assert change(images, 255 - images).max() < 1e-6


def test_a_change_of_hue_at_equal_luminance_does_not_move_edges():
    images = pictures(4, 3).float()
    redder = images + torch.tensor([0.587, -0.299, 0.0])[:, None, None] * 30
    assert (edge_map(images.to(torch.uint8)) - edge_map(redder.round().to(torch.uint8))).norm(
        dim=1
    ).max() < 0.1


def test_a_shift_in_space_moves_them():
    images = pictures(4, 3)
    assert change(images, images.roll(5, dims=-1)).min() > 0.1
    assert change(images, pictures(4, 3, seed=1)).min() > 0.1


def test_a_vertical_edge_is_found_where_it_is():
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    image[..., 4:] = 90
    strength = edge_map(image).view(6, 6)
    assert (strength > 0).any(0).tolist() == [False, False, True, True, False, False]
    assert torch.equal(edge_map(image.mT).view(6, 6), strength.mT)

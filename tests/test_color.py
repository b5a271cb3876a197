"""Hellinger distance of colour histograms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpgan.metrics.color import color_distances, hellinger, histograms


def plain(*levels: int) -> torch.Tensor:
    return torch.tensor(levels, dtype=torch.uint8).view(1, -1, 1, 1).expand(1, -1, 4, 4)


def test_bins_are_those_of_numpy():
    levels = torch.arange(256).to(torch.uint8)
    shares = torch.stack([histograms(level.view(1, 1, 1, 1))[0, 0] for level in levels])
    expected = np.stack([np.histogram(int(level), bins=25, range=(0, 255))[0] for level in levels])
    np.testing.assert_array_equal(shares.numpy(), expected)


def test_histograms_belong_to_their_image_and_channel():
    images = torch.cat([plain(0, 255, 100), plain(255, 0, 0)])
    assert histograms(images).argmax(-1).tolist() == [[0, 24, 9], [24, 0, 0]]
    assert torch.equal(histograms(images).sum(-1), torch.ones(2, 3, dtype=torch.float64))


def test_two_point_distributions_have_a_closed_form():
    p, q = torch.tensor([0.5, 0.5, 0]), torch.tensor([0.1, 0.3, 0.6])
    fidelity = math.sqrt(0.5 * 0.1) + math.sqrt(0.5 * 0.3)
    assert hellinger(p, q).item() == pytest.approx(math.sqrt(1 - fidelity))


def test_identical_is_zero_and_disjoint_is_one_in_the_channel_that_differs():
    distances = color_distances(torch.stack([plain(0, 50, 90), plain(255, 50, 90)], dim=1))
    assert distances.shape == (1, 2, 2, 3)
    torch.testing.assert_close(distances[0, 0, 1], torch.tensor([1.0, 0, 0], dtype=torch.float64))
    assert distances[0, 0, 1].mean().item() == pytest.approx(1 / 3)


def test_place_does_not_matter_but_tone_does():
    image = torch.randint(256, (1, 3, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    turned, inverted = image.flip(-1, -2), 255 - image // 2
    distances = color_distances(torch.stack([image, turned, inverted], dim=1)).mean(-1)[0]
    assert distances[0, 1] == 0 and distances[0, 2] > 0.3


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 1))
def test_a_metric_in_the_unit_interval(seed):
    rng = torch.Generator().manual_seed(seed)
    groups = torch.randint(256, (2, 3, 1, 3, 3), generator=rng).to(torch.uint8)
    d = color_distances(groups)[..., 0]
    assert torch.equal(d, d.mT) and d.min() >= 0 and d.max() <= 1 + 1e-12
    assert (d[:, 0, 2] <= d[:, 0, 1] + d[:, 1, 2] + 1e-12).all()

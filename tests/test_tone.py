"""The part of a change that is tone: Theil's decomposition of a squared difference."""

import pytest
import torch

from rpgan.metrics.tone import inversions, share_of_sums, tonal_changes


def noise(*shape, low=60, high=160, seed=0):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def between(a, b):
    """Change and tone between two images (c, h, w)."""
    change, tone = tonal_changes(torch.stack([a, b])[None])
    assert torch.equal(change, change.mT) and change.diagonal(dim1=1, dim2=2).abs().max() < 1e-12
    return float(change[0, 0, 1]), float(tone[0, 0, 1])


def test_the_change_is_the_mean_squared_difference():
    a, b = noise(3, 9, 7), noise(3, 9, 7, low=0, seed=1)
    expected = ((a.double() - b.double()) / 255).square().mean()
    assert between(a, b)[0] == pytest.approx(float(expected))


def test_a_gain_and_a_shift_by_channel_are_all_tone():
    a = noise(3, 12, 12)
    gain, shift = torch.tensor([1, 1, 2])[:, None, None], torch.tensor([30, 0, 5])[:, None, None]
    change, tone = between((a // 2), (a // 2 * gain + shift).to(torch.uint8))
    assert tone == pytest.approx(change) and change > 0


@pytest.mark.parametrize("turn", [lambda x: x.flip(-1), lambda x: x.mT, lambda x: x.roll(3, -2)])
def test_pixels_that_change_places_are_no_tone(turn):
    a = noise(3, 12, 12)
    change, tone = between(a, turn(a))
    assert change > 0.005 and tone < 1e-12


def test_an_inverted_image_is_no_tone_since_its_gain_is_negative():
    a = noise(1, 12, 12, low=0, high=256)
    change, tone = between(a, 255 - a)
    assert tone / change < 0.01


def test_an_inversion_is_found_whatever_its_contrast_and_nothing_else_is_one():
    a = noise(1, 12, 12, low=0, high=256)
    others = [a, 255 - a, 200 - a // 2, a // 2 + 20, a.flip(-1), torch.full_like(a, 7)]
    found = inversions(torch.stack(others)[None])[0]
    assert torch.equal(found, found.mT)
    assert found[0].tolist() == [0, 1, 1, 0, 0, 0]  # itself, inverted, with less contrast; dark, moved, flat
    assert found[1].tolist() == [1, 0, 0, 1, 0, 0]


def test_inversions_are_counted_by_channel():
    a = noise(3, 12, 12)
    b = torch.cat([255 - a[:1], a[1:]])
    assert float(inversions(torch.stack([a, b])[None])[0, 0, 1]) == pytest.approx(1 / 3)


def test_unrelated_images_of_one_kind_share_no_tone_where_least_squares_would_say_half():
    a, b = noise(3, 64, 64), noise(3, 64, 64, seed=1)
    change, tone = between(a, b)
    assert tone / change < 0.01
    x, y = a.double().flatten(1), b.double().flatten(1)
    slope = ((x - x.mean(1, True)) * (y - y.mean(1, True))).sum(1, True) / (x - x.mean(1, True)).square().sum(
        1, True
    )
    residual = y - y.mean(1, True) - slope * (x - x.mean(1, True))
    assert 1 - float(residual.square().sum() / (x - y).square().sum()) == pytest.approx(0.5, abs=0.03)


def test_tone_is_a_part_of_the_change():
    change, tone = tonal_changes(noise(5, 4, 3, 6, 6, low=0, high=256))
    assert tone.min() >= 0 and (tone <= change + 1e-12).all() and change.shape == (5, 4, 4)


def test_shares_weigh_routes_by_their_change():
    part, whole = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[1.0, 3.0], [9.0, 3.0]])
    share = share_of_sums(part, whole, torch.Generator().manual_seed(0))
    torch.testing.assert_close(share.value, torch.tensor([0.1, 0.5], dtype=torch.float64))
    assert (share.low <= share.value).all() and (share.value <= share.high).all()


def test_a_bucket_without_instances_or_without_change_has_no_share():
    part = torch.tensor([[1.0, torch.nan, 0.0]]).repeat(3, 1)
    share = share_of_sums(part, part.clone(), torch.Generator().manual_seed(0))
    assert share.value.isnan().tolist() == [False, True, True]
    assert share.value[0] == share.low[0] == share.high[0] == 1


def test_plain_channels_are_no_inversion_whatever_their_levels():
    plain = torch.tensor([77, 100, 255, 3], dtype=torch.uint8)[:, None, None, None].expand(4, 3, 32, 32)
    assert not inversions(plain[None]).any()

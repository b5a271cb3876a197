"""Distances in features and LPIPS: symmetric, zero on equal images, independent of the batch size."""

import pytest
import torch

from rpgan.errors import UserError
from rpgan.images import to_float
from rpgan.metrics.features import load_extractor
from rpgan.metrics.perceptual import FeatureDistance, Lpips, load_lpips


def flat(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1).float()


@pytest.fixture
def groups() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(256, (3, 4, 3, 8, 8), generator=rng, dtype=torch.uint8)


def test_feature_distance_is_the_norm_of_the_difference(groups):
    distances = FeatureDistance(flat)(groups)
    expected = (groups[1, 2].double() - groups[1, 3].double()).norm()
    assert distances.shape == (3, 4, 4)
    torch.testing.assert_close(distances[1, 2, 3], expected)
    assert torch.equal(distances, distances.mT) and not distances.diagonal(dim1=1, dim2=2).any()
    torch.testing.assert_close(FeatureDistance(flat, squared=True)(groups), distances**2)


def test_small_distances_of_long_vectors_keep_their_digits():
    distance = FeatureDistance(lambda images: torch.ones(len(images), 1000) * 1e4 + images.flatten(1))
    group = torch.tensor([0, 1], dtype=torch.uint8).view(1, 2, 1, 1, 1)
    assert distance(group)[0, 0, 1].item() == pytest.approx(1000**0.5, rel=1e-12)


class MeanSquare(torch.nn.Module):
    """Stands for the network, and keeps what it was given."""

    def forward(self, a, b):
        self.seen = a
        return ((a - b) ** 2).mean((1, 2, 3), keepdim=True)


def test_lpips_groups_are_pairs(groups):
    lpips = Lpips(MeanSquare())
    images = groups.repeat(1, 1, 1, 4, 4)
    distances = lpips(images)
    expected = (to_float(images[2, :1]) - to_float(images[2, 3:])).square().mean()
    torch.testing.assert_close(distances[2, 0, 3], expected)
    assert torch.equal(distances, distances.mT) and not distances.diagonal(dim1=1, dim2=2).any()
    torch.testing.assert_close(Lpips(MeanSquare(), batch_size=5)(images), distances)


def test_digits_are_padded_with_black_and_repeated():
    network = MeanSquare()
    digits = torch.full((2, 1, 28, 28), 255, dtype=torch.uint8)
    Lpips(network).between(digits, digits)
    assert network.seen.shape == (2, 3, 32, 32)
    assert (network.seen == 1).sum() == 2 * 3 * 28 * 28 and (network.seen == -1).sum() == 2 * 3 * (
        32**2 - 28**2
    )
    assert network.seen[0, 0, 2, 2] == 1 and network.seen[0, 0, 1, 1] == -1


def test_missing_trunk_says_what_to_fetch(monkeypatch, tmp_path):
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(UserError, match=r"download https://.*alexnet.*\.pth and put it at .*raw/alexnet"):
        load_lpips()
    with pytest.raises(UserError, match="expected one of alex"):
        load_lpips("resnet")


@pytest.fixture
def random_trunk(monkeypatch, tmp_path):
    """A file in the place and layout of torchvision's, with random weights."""
    from torchvision.models import AlexNet_Weights

    shapes = {
        0: (64, 3, 11, 11),
        3: (192, 64, 5, 5),
        6: (384, 192, 3, 3),
        8: (256, 384, 3, 3),
        10: (256, 256, 3, 3),
    }
    rng = torch.Generator().manual_seed(0)
    weights = {}
    for layer, shape in shapes.items():
        scale = (2 / torch.tensor(shape[1:]).prod()) ** 0.5
        weights[f"features.{layer}.weight"] = torch.randn(shape, generator=rng) * scale
        weights[f"features.{layer}.bias"] = torch.zeros(shape[0])
    (tmp_path / "raw").mkdir()
    torch.save(weights, tmp_path / "raw" / AlexNet_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1])
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path))
    monkeypatch.setattr("rpgan.weights._is_whole", lambda path: True)
    return weights


def test_lpips_takes_the_trunk_from_the_file(random_trunk):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    lpips = load_lpips()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.testing.assert_close(lpips.network.net.slice3[1].weight, random_trunk["features.6.weight"])
    rng = torch.Generator().manual_seed(1)
    group = torch.randint(256, (1, 3, 1, 28, 28), generator=rng, dtype=torch.uint8)
    group[0, 2] = group[0, 1]
    distances = lpips(group)[0]
    assert distances[1, 2] == 0 and distances[0, 1] > 0.01
    torch.testing.assert_close(distances[0, 1], distances[0, 2])
    assert not lpips.network.training and not any(p.requires_grad for p in lpips.network.parameters())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 40, 40)])
def test_lpips_is_a_squared_distance_of_features(random_trunk, shape):
    rng = torch.Generator().manual_seed(2)
    group = torch.randint(256, (1, 4, *shape), generator=rng, dtype=torch.uint8)
    distances = FeatureDistance(load_extractor("lpips-alex"), squared=True)(group)
    torch.testing.assert_close(distances.float(), load_lpips()(group), rtol=1e-4, atol=1e-6)

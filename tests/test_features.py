"""Extractors: deterministic, independent of the batch size, and silent about no missing file."""

from types import SimpleNamespace

import pytest
import torch

from rpgan import weights
from rpgan.errors import UserError
from rpgan.metrics.features import EXTRACTORS, Extractor, load_extractor


@pytest.fixture
def images(rng: torch.Generator) -> torch.Tensor:
    return torch.randint(256, (7, 3, 32, 32), generator=rng, dtype=torch.uint8)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_pixels_are_block_means(images):
    features = load_extractor("pixels")(images)
    blocks = images.float().unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2)) / 255
    assert features.shape == (7, 3 * 64) and features.dtype == torch.float32
    torch.testing.assert_close(features, blocks.flatten(1))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 5), (1, 100, 60)])
def test_pixels_take_any_size(shape):
    features = load_extractor("pixels")(torch.full((2, *shape), 255, dtype=torch.uint8))
    torch.testing.assert_close(features, torch.ones(2, shape[0] * 64))


@pytest.mark.parametrize("name", ["pixels", "efficientnet-lite0@64"])
def test_features_do_not_depend_on_the_batch_size(name, images):
    extractor = load_extractor(name)
    whole = extractor(images, batch_size=7)
    torch.testing.assert_close(extractor(images, batch_size=3), whole, rtol=1e-4, atol=1e-4)
    assert torch.equal(extractor(images, batch_size=7), whole)


def test_efficientnet_has_pretrained_features_of_grey_and_colour(images):
    extractor = load_extractor("efficientnet-lite0@64")
    grey = images[:, :1]
    features = extractor(grey)
    assert features.shape == (7, extractor.dim) == (7, 1280) and not features.requires_grad
    torch.testing.assert_close(features, extractor(grey.repeat(1, 3, 1, 1)))
    assert extractor.name == "efficientnet-lite0@64"


def test_efficientnet_sees_objects_before_pixels(rng):
    """A shifted picture stays nearer to itself than to another, which raw pixels get wrong."""
    waves = torch.linspace(0, 60, 64).sin()
    stripes = (127 + 127 * waves).expand(3, 64, 64)
    checks = (127 + 127 * waves[:, None] * waves).expand(3, 64, 64)
    shifted = stripes.roll(3, dims=2)
    images = torch.stack([stripes, shifted, checks]).to(torch.uint8)
    features = load_extractor("efficientnet-lite0@64")(images)
    assert (features[0] - features[1]).norm() < (features[0] - features[2]).norm()


def test_a_classifier_receives_minus_one_to_one(monkeypatch):
    class Spy(torch.nn.Module):
        image_shape = (1, 2, 2)
        hidden = SimpleNamespace(out_features=4)

        def features(self, images):
            return images.flatten(1)

    fake = SimpleNamespace(load_classifier=lambda name: Spy(), load_card=lambda name: {"sha256": "ab"})
    monkeypatch.setitem(__import__("sys").modules, "rpgan.checkpoint", fake)
    extractor = load_extractor("mnist-cnn")
    levels = torch.tensor([[[[0, 255], [0, 255]]]], dtype=torch.uint8)
    assert extractor(levels).tolist() == [[-1, 1, -1, 1]]
    assert (extractor.dim, extractor.weights) == (4, "ab")
    colored = torch.cat([levels, levels.flip(3), torch.zeros_like(levels)], dim=1)
    assert extractor(colored).tolist() == [[1, 1, 1, 1]], "the brightest channel at every position"
    with pytest.raises(UserError, match=r"\(1, 1, 2\); expected \(1, 2, 2\)"):
        extractor(levels[:, :, :1])


def test_inception_reads_its_file_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(UserError, match=r"download https://github.com/.*6726825d.pth and put it at .*raw"):
        load_extractor("inception")


def test_inception_is_given_the_file_that_is_there(monkeypatch, tmp_path, images):
    from pytorch_fid import inception as port

    class Fake(torch.nn.Module):
        """Asks for its weights as the port does, and averages the pixels of what it gets."""

        BLOCK_INDEX_BY_DIM = port.InceptionV3.BLOCK_INDEX_BY_DIM

        def __init__(self, blocks):
            super().__init__()
            self.blocks, self.weights = (
                blocks,
                port.load_state_dict_from_url(port.FID_WEIGHTS_URL, progress=True),
            )

        def forward(self, x):
            return [x.mean((2, 3), keepdim=True) * self.weights["scale"]]

    (tmp_path / "raw").mkdir()
    torch.save({"scale": torch.tensor(3.0)}, tmp_path / "raw" / port.FID_WEIGHTS_URL.rsplit("/", 1)[-1])
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path))
    monkeypatch.setattr(port, "InceptionV3", Fake)
    with pytest.raises(UserError, match=r"6726825d\.pth is damaged, or another file; download http"):
        load_extractor("inception")
    monkeypatch.setattr(weights, "_is_whole", lambda path: True)
    features = load_extractor("inception")(images)
    torch.testing.assert_close(features, 3 * images.float().mean((2, 3)) / 255)


def test_loading_leaves_the_global_randomness_alone():
    before = torch.random.get_rng_state()
    load_extractor("efficientnet-lite0@64")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_gradients_and_training_mode_never_leak():
    layer = torch.nn.Linear(3, 2)
    extractor = Extractor("fake", lambda images: layer(images.mean((2, 3))), dim=2)
    assert not extractor(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)).requires_grad


@pytest.mark.parametrize("name", ["inceptoin", "pixels@64", "efficientnet-lite0@50", "efficientnet-lite0@0"])
def test_unknown_names_list_what_is_expected(name):
    with pytest.raises(UserError, match="expected"):
        load_extractor(name)


def test_no_images_are_refused():
    with pytest.raises(UserError, match=r"n > 0"):
        load_extractor("pixels")(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))


def test_every_name_of_the_interface_is_there():
    names = {"pixels", "mnist-cnn", "cifar10-cnn", "sprites-cnn", "efficientnet-lite0", "inception"}
    assert names <= set(EXTRACTORS)

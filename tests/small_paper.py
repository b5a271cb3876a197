"""Makes the profile `paper` small in a notebook's kernel: the chapter's branches, tiny networks and data.

Amounts are those of `smoke`: steps and widths, and every number among the chapter's settings. Names stay as
`paper` has them (experiments, extractors, data), but images, features and runs are stand-ins. Buckets route
as they do on a GPU, which is where the profile is meant to run.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rpgan import chapter, datasets, places, presets

places.runs_root = lambda: places.build_root() / "runs"  # before others import it
from rpgan.datasets import catalogue  # noqa: E402
from rpgan.metrics import features, perceptual  # noqa: E402
from rpgan.models.bucket import Bucket  # noqa: E402
from rpgan.sweep import points  # noqa: E402


class PixelDistance(nn.Module):
    """Stands in for the network of LPIPS, whose weights are a download."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Returns mean squared differences, (n, 1, 1, 1)."""
        return (a - b).square().mean((1, 2, 3), keepdim=True)


presets.AMOUNTS["paper"] = presets.AMOUNTS["smoke"]
for name, stand_in in presets.OFFLINE.items():
    datasets.DATASETS[name] = datasets.DATASETS[stand_in]
    catalogue.CATALOGUE[name] = catalogue.CATALOGUE[stand_in]
for name in ("inception", "cifar10-cnn", "lpips-alex", "lpips-vgg"):
    features.EXTRACTORS[name] = features.pixels
perceptual.load_lpips_network = lambda trunk: PixelDistance()
fastest_on = Bucket.fastest_on
Bucket.fastest_on = lambda self, device, n: fastest_on(self, torch.device("cuda"), n)
points.CIFAR_PROTOCOLS["paper"] = replace(points.CIFAR_PROTOCOLS["paper"], n=0, whole=False)


def is_amount(value: Any) -> bool:
    """Whether a setting says how much, so that smoke's may take its place."""
    parts = value if isinstance(value, list) else [value]
    return bool(parts) and all(isinstance(part, int | float) for part in parts)


def settings(namespace: dict[str, Any], name: str, **own: dict[str, Any]) -> chapter.Settings:
    """As `rpgan.chapter.settings`, with small amounts under `paper`."""
    small = {
        key: {**table, "paper": table["smoke"]} if is_amount(table["smoke"]) else table
        for key, table in own.items()
    }
    return full_size(namespace, name, **small)


full_size = chapter.settings
chapter.settings = settings

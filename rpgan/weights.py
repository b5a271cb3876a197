"""Pretrained weights that others publish: looked for on the disk, never downloaded behind the user's back."""

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rpgan.errors import UserError, choose
from rpgan.places import data_root

if TYPE_CHECKING:
    from lpips import LPIPS


def places() -> list[Path]:
    """Folders in which weights are looked for: `<root>/raw`, and torch hub's cache."""
    return [data_root() / "raw", Path(torch.hub.get_dir()) / "checkpoints"]


def find_weights(url: str) -> Path:
    """Returns the file of that URL from the first of the places that has it.

    Raises UserError, with what to fetch and where to put it, when it is in neither.
    """
    name = url.rsplit("/", 1)[-1]
    files = [place / name for place in places()]
    found = [file for file in files if file.is_file()]
    if not found:
        looked = " and ".join(str(file.parent) for file in files)
        raise UserError(f"no file {name} in {looked}; download {url} and put it at {files[0]}")
    return found[0]


def load_weights(url: str) -> dict[str, Tensor]:
    """Reads the file of that URL; raises UserError where it is not there, or not what its name says.

    Such names end in the first digits of the content's SHA-256, as torch hub has them.
    """
    path = find_weights(url)
    if not _is_whole(path):
        raise UserError(f"{path} is damaged, or another file; download {url} again and put it there")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def load_lpips_network(trunk: str) -> "LPIPS":
    """Builds the network of LPIPS v0.1 on a trunk, "alex" (the authors' default) or "vgg", frozen.

    The linear heads come with the package lpips, the trunk's ImageNet weights must be on the disk.
    """
    from lpips import LPIPS
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    published = {"alex": AlexNet_Weights.IMAGENET1K_V1, "vgg": VGG16_Weights.IMAGENET1K_V1}
    weights = load_weights(choose(published, trunk, "LPIPS trunk").url)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # the package names an argument as torchvision did until 0.13
        network = LPIPS(net=trunk, pnet_rand=True, verbose=False)
    # A slice keeps the layer numbers of torchvision: "slice2.3.weight" is "features.3.weight".
    names = network.net.state_dict()
    network.net.load_state_dict({name: weights[f"features.{name.partition('.')[2]}"] for name in names})
    return network.eval().requires_grad_(False)


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(path.stem.rpartition("-")[2])

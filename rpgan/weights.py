"""Pretrained weights that others publish: looked for on the disk, never downloaded behind the user's back."""

import os
from pathlib import Path

from rpgan.download import data_root
from rpgan.errors import UserError


def find_weights(url: str) -> Path:
    """Returns the file of that URL from `<root>/raw`, or from torch hub's cache.

    Raises UserError, with what to fetch and where to put it, when it is in neither.
    """
    places = [data_root() / "raw", _hub_cache()]
    name = url.rsplit("/", 1)[-1]
    found = [place / name for place in places if (place / name).is_file()]
    if not found:
        looked = " and ".join(str(place) for place in places)
        raise UserError(f"no file {name} in {looked}; download {url} and put it at {places[0] / name}")
    return found[0]


def _hub_cache() -> Path:
    # torch.hub.get_dir() says the same, but would load torch to say it.
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"

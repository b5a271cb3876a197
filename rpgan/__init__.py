"""Random Path GAN (arXiv 1912.10920): routed generators, training, metrics and analyses."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpgan.checkpoint import load_classifier, load_generator
    from rpgan.models.generator import RandomPathGenerator, render
    from rpgan.models.randomize import randomize

__version__ = "0.1.0"
__all__ = ["RandomPathGenerator", "load_classifier", "load_generator", "randomize", "render"]

# Loaded on first use, so that the command line answers before torch is there.
_HOMES = {
    "RandomPathGenerator": "rpgan.models.generator",
    "load_classifier": "rpgan.checkpoint",
    "load_generator": "rpgan.checkpoint",
    "randomize": "rpgan.models.randomize",
    "render": "rpgan.models.generator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rpgan' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

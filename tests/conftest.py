"""Fixtures that several test modules share.

In every test beartype checks the package's signatures: see --jaxtyping-packages in pyproject.toml.
"""

from pathlib import Path

import pytest
import torch

from rpgan.checkpoint import save_checkpoint
from rpgan.config import GanConfig, GeneratorConfig
from rpgan.models.generator import RandomPathGenerator, build_generator

TINY = GanConfig(
    "tiny",
    generator=GeneratorConfig(
        image_shape=(3, 32, 32), widths=(6, 4, 4, 4), bucket_sizes=(3, 2, 3, 2, 4), latent_dim=8
    ),
)


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of random numbers with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def tiny() -> GanConfig:
    """An experiment whose generator has a few thousand parameters."""
    return TINY


@pytest.fixture
def generator(tiny: GanConfig) -> RandomPathGenerator:
    """The generator of the tiny experiment, in eval mode."""
    return build_generator(tiny.generator, seed=1).eval()


@pytest.fixture
def saved(tmp_path: Path, generator: RandomPathGenerator, tiny: GanConfig) -> Path:
    """A checkpoint of it on disk."""
    directory = tmp_path / "saved"
    save_checkpoint(directory, generator, tiny, {"steps": 7, "data": "none"})
    return directory

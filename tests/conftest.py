"""Fixtures that several test modules share.

In every test beartype checks the package's signatures: see --jaxtyping-packages in pyproject.toml.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from rpgan.checkpoint import save_checkpoint
from rpgan.config import GanConfig, GeneratorConfig
from rpgan.models.generator import RandomPathGenerator, build_generator

TINY = GanConfig(
    "tiny",
    generator=GeneratorConfig(
        image_shape=(3, 32, 32), widths=(6, 4, 4, 4), bucket_sizes=(3, 2, 3, 2, 4), latent_dim=8
    ),
)


MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
# The same examples every time, and no deadline: the first one pays for imports.
settings.register_profile("rpgan", deadline=None, derandomize=True)
settings.load_profile("rpgan")


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the repository's checkpoints and data, and git without anybody's own configuration."""
    monkeypatch.delenv("RPGAN_DATA", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium; without one a skip that says so, on CI a failure."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", MAC_CHROME)
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("no Chromium or Chrome on this system; install one, on Debian the package chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])

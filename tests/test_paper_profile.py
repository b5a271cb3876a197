"""Every chapter runs under the profile `paper`, made small: a run on a GPU must not die of a typo."""

import os
from pathlib import Path

import pytest
import torch

from rpgan import notebooks, results
from rpgan.config import GanConfig, InversionConfig
from rpgan.experiments import EXPERIMENTS
from rpgan.metrics.features import EXTRACTORS
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter


@pytest.fixture
def kernels_of_small_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has IPython load `small_paper` in every kernel before the first cell."""
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-small.py").write_text("__import__('small_paper')\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(results.CHECKOUT)]))
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "_build"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there: a download fails at once


@pytest.mark.usefixtures("kernels_of_small_paper")
@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_a_chapter_runs_to_its_end(path: Path) -> None:
    receipt = notebooks.run_notebook(path, "paper", {"device": "cpu"})
    assert receipt.device == "cpu"
    found = results.read_results("paper")
    assert found and all(key.startswith(path.stem) for key in found)


@pytest.mark.parametrize("name", [n for n, c in EXPERIMENTS.items() if isinstance(c, GanConfig)])
def test_networks_of_every_experiment_fit_its_images_at_full_size(name: str) -> None:
    config = EXPERIMENTS[name]
    with torch.device("meta"):
        build_generator(config.generator)
        build_discriminator(config.discriminator, config.generator.image_shape)
    assert config.train.features.partition("@")[0] in EXTRACTORS


@pytest.mark.parametrize("name", [n for n, c in EXPERIMENTS.items() if isinstance(c, InversionConfig)])
def test_path_classifiers_read_what_their_generators_make(name: str) -> None:
    config = EXPERIMENTS[name]
    with torch.device("meta"):
        build_inverter(config)
    generator = EXPERIMENTS[config.generator].generator
    assert (config.image_shape, config.bucket_sizes) == (generator.image_shape, generator.bucket_sizes)

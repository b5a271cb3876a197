"""A committed checkpoint serves only where its card fits; otherwise something is trained."""

import pytest

from rpgan import obtain
from rpgan.checkpoint import save_checkpoint
from rpgan.models.generator import build_generator
from rpgan.presets import resolve

TINY = {"generator.widths": [4] * 4, "generator.bucket_sizes": [2] * 5, "generator.latent_dim": 4}


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A checkpoint root with one `mnist-rpgan`, of the smoke profile with TINY."""
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))
    config = resolve("mnist-rpgan", "smoke", TINY)
    about = {"steps": 3}
    save_checkpoint(
        tmp_path / "data" / "checkpoints" / "mnist-rpgan", build_generator(config.generator), config, about
    )
    return config


def test_a_fitting_checkpoint_serves(committed, monkeypatch):
    monkeypatch.setattr(obtain, "train", lambda *a, **k: pytest.fail("trained although a checkpoint fits"))
    generator = obtain.obtain_generator("mnist-rpgan", "smoke", TINY)
    assert generator.bucket_sizes == (2,) * 5 and not generator.training


def test_another_setting_is_trained(committed, monkeypatch):
    trained = []

    def train(config, directory, *, device):
        trained.append((config.seed, directory))
        save_checkpoint(directory / "best", build_generator(config.generator), config, {"steps": 3})
        return directory / "best"

    monkeypatch.setattr(obtain, "train", train)
    obtain.obtain_generator("mnist-rpgan", "smoke", TINY | {"seed": 1})
    assert trained[0][0] == 1


def test_runs_with_changed_settings_do_not_share_a_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(obtain, "runs_root", lambda: tmp_path)
    plain = obtain.run_directory(resolve("mnist-rpgan", "paper"), "paper")
    changed = [
        obtain.run_directory(resolve("mnist-rpgan", "paper", {"seed": s}), "paper", {"seed": s})
        for s in (1, 2)
    ]
    assert plain == tmp_path / "paper" / "mnist-rpgan"
    assert len({plain, *changed}) == 3

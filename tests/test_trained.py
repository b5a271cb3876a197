"""The page of trained models says what the cards say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rpgan.book import trained
from rpgan.book.launch import code_link
from rpgan.checkpoint import load_card, save_checkpoint
from rpgan.config import standard_twin
from rpgan.curves import Curve
from rpgan.models.generator import build_generator
from rpgan.places import CHECKOUT
from rpgan.presets import resolve


def test_departures_are_all_that_differs_from_the_paper() -> None:
    config = resolve("mnist-rpgan", "paper", {"train.ema": 0.5, "generator.bucket_sizes": [2] * 5})
    assert trained.departures(config) == [
        "`generator.bucket_sizes` 5 × 2 (20, 20, 20, 8, 1)",
        "`train.ema` 0.5 (0.0)",
    ]


def test_sweeps_say_what_all_their_trainings_have_in_common() -> None:
    rows = trained.sweeps_table().split("* -")[2:]
    assert len(rows) == 3 and all(
        "rpgan sweep" in row and "`train.steps` 4,000 (90,000)" in row for row in rows
    )
    assert not any("bucket_sizes" in row or "`generator.latent`" in row for row in rows), "which differ"


def test_scores_say_their_features_and_their_number_of_images() -> None:
    distance = {"name": "frechet_pixels", "value": 12.345, "n": 5000}
    assert trained.quality(distance) == "12.3, pixels (n = 5,000)"
    assert trained.quality({**distance, "value": 2276.9}) == "2,277, pixels (n = 5,000)"
    assert trained.quality({"name": "error", "value": 0.115, "n": 10}) == "error 11.5% (n = 10)"


def test_a_training_is_told_in_hours_and_seconds_a_step() -> None:
    curve = Curve("rpgan train x", {}, 7200.0, [100], {}, [], {})
    assert trained._times("x", curve, 200)[1:4] == ["100 of 200", "2.0", "72.00"]


def test_the_page_has_every_checkpoint_of_the_repository(tmp_path: Path) -> None:
    parts = trained.trained_parts(tmp_path)
    assert tuple(parts) == trained.PARTS and (tmp_path / trained.SHEET).stat().st_size > 10_000
    assert code_link("rpgan.book.trained", CHECKOUT) in parts["trained_sheet"]
    for path in trained.committed():
        assert f"`{path.name}`" in parts["trained_departures"]
        kind = "generators" if load_card(path)["config"]["kind"] == "gan" else "readers"
        assert f"`{path.name}`" in parts[f"trained_{kind}"]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_shows_rgb_of_one_size_whatever_the_generator(channels: int, tmp_path: Path) -> None:
    config = resolve("mnist-rpgan", "smoke", {"generator.image_shape": [channels, 32, 32]})
    twin = standard_twin(config.generator)
    save_checkpoint(tmp_path / "m", build_generator(twin), replace(config, generator=twin), {"steps": 0})
    images = trained.first_images(tmp_path / "m")
    assert images.shape == (trained.COLUMNS, 3, trained.SIZE, trained.SIZE) and images.dtype == torch.uint8
    assert len(images.flatten(1).unique(dim=0)) > 1, "latents are drawn for a standard GAN"

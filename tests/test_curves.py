"""Training curves: what is kept of a log, and that it is the log of the checkpoint beside it."""

import json
from pathlib import Path

import pytest

from rpgan import curves
from rpgan.book.trained import committed
from rpgan.checkpoint import load_card
from rpgan.curves import WINDOWS, curve_path, keep_curve, read_curve, thin
from rpgan.errors import UserError
from rpgan.overrides import to_dict
from rpgan.presets import resolve

CARD = {
    "config": to_dict(resolve("mnist-rpgan", "book", {"train.steps": 600, "train.ema": 0.5})),
    "steps": 400,
    "scores": [{"name": "frechet_pixels", "value": 2.5}],
    "machine": {"device": "cpu"},
}


def log(until: int = 800) -> list[dict]:
    """Losses after every second step, the loss of step s being s; scores after every 200."""
    entries: list[dict] = []
    for step in range(2, until + 1, 2):
        entries.append({"step": step, "d_loss": float(step), "idle": 0.0, "step_seconds": 0.5})
        if step % 200 == 0:
            entries.append({"step": step, "scores": [{"name": "frechet_pixels", "value": 1_000 / step}]})
    return entries


def test_a_curve_has_the_means_of_windows_up_to_the_steps_of_the_card():
    curve = thin(log(), CARD)
    assert len(curve.steps) == WINDOWS and curve.steps[0] == 6 and curve.steps[-1] == 600
    assert curve.losses["d_loss"][:2] == (4, 10), "means of 2, 4, 6 and of 8, 10, 12"
    assert "idle" not in curve.losses, "a loss that is nothing but 0 is none"
    assert curve.scored == (200, 400, 600) and curve.scores["frechet_pixels"] == (5, 2.5, 1.6667)
    assert curve.seconds == 300


def test_windows_of_unequal_length_weigh_by_their_steps():
    entries = [entry for entry in log() if entry["step"] not in (2, 4)]
    assert thin(entries, CARD).seconds == 300, "the first entry stands for six steps"


def test_a_short_log_is_kept_whole():
    curve = thin([e for e in log() if e["step"] % 100 == 0], CARD)
    assert curve.losses["d_loss"] == (100, 200, 300, 400, 500, 600)


def test_the_command_says_what_was_changed():
    assert thin(log(), CARD).command == ("rpgan train mnist-rpgan --set train.steps=600 --set train.ema=0.5")


def test_the_command_of_a_training_of_the_paper_alone_names_its_profile():
    config = to_dict(resolve("lsun-rpgan", "paper", {"train.steps": 600}))
    command = thin(log(), CARD | {"config": config}).command
    assert command == "rpgan train lsun-rpgan --profile paper --set train.steps=600"


@pytest.mark.parametrize("entries", [log(until=300), [{**e, "scores": []} for e in log() if "scores" in e]])
def test_the_log_of_another_training_is_refused(entries):
    with pytest.raises(UserError, match=r"step 400; expected 2.5.*another training"):
        thin(entries, CARD)


def test_what_is_kept_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "home", lambda: tmp_path)
    monkeypatch.setattr(curves, "load_card", lambda checkpoint: CARD)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log()))
    path = keep_curve(tmp_path, tmp_path / "any")
    assert path == curve_path("mnist-rpgan") and path.is_relative_to(tmp_path)
    kept, made = read_curve("mnist-rpgan"), thin(log(), CARD)
    assert kept is not None and tuple(kept.steps) == made.steps and kept.command == made.command
    assert tuple(kept.losses["d_loss"]) == made.losses["d_loss"]
    assert kept.fits(CARD) and not kept.fits(CARD | {"steps": CARD["steps"] + 1})
    assert not kept.fits(CARD | {"scores": [CARD["scores"][0] | {"value": 9.87}]})
    assert read_curve("lsun-rpgan") is None
    path.write_text("{}")
    with pytest.raises(UserError, match="is no training curve"):
        read_curve("mnist-rpgan")


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"step": 0}\n', '{"loss": 1}\n'])
def test_a_damaged_log_is_named(text, tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "load_card", lambda checkpoint: CARD)
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"log.jsonl is no log of a run"):
        keep_curve(tmp_path, tmp_path)


@pytest.mark.parametrize("checkpoint", committed(), ids=lambda path: path.name)
def test_every_committed_training_has_its_curve(checkpoint: Path):
    card, curve = load_card(checkpoint), read_curve(checkpoint.name)
    assert curve is not None and curve.fits(card), "rpgan curve RUN"
    stated = card["scores"][0]
    assert stated["value"] == pytest.approx(min(curve.scores[stated["name"]]), rel=1e-4), "the best was kept"
    assert card["steps"] <= curve.steps[-1] <= card["config"]["train"]["steps"]

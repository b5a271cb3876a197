"""A committed checkpoint serves only where its card fits; otherwise something is trained."""

from pathlib import Path

import pytest
import torch

from rpgan import obtain
from rpgan.checkpoint import load_card, load_config, load_generator, restate, save_checkpoint
from rpgan.config import GanConfig, InversionConfig
from rpgan.errors import MissingCheckpoint, UserError
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter
from rpgan.obtain import train_experiment
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

    def train(config, directory, **_):
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


def test_the_experiment_it_starts_from_is_trained_first(tmp_path, monkeypatch):
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path))
    changes = {"generator.widths": [4] * 4, "train.steps": 2, "train.evaluate_n": 4}
    second = train_experiment("mnist-incremental", "smoke", changes)
    extended = load_generator(second)
    (first,) = (tmp_path / "runs").glob("mnist-stage-one-*/best")
    initial = load_generator(first)
    assert load_card(second)["initial_sha256"] == load_card(first)["sha256"]
    assert initial.bucket_sizes == (3, 3, 3, 2, 1) and extended.bucket_sizes == (4, 4, 3, 2, 1)
    old = initial.sample_paths(8, torch.Generator().manual_seed(0))
    assert torch.equal(extended(old), initial(old)), "frozen instances and statistics must not move a bit"
    untrained = build_generator(resolve("mnist-incremental", "smoke", changes).generator)
    weights = [model.buckets[0].instances[3].weight for model in (untrained, extended)]
    assert not torch.equal(*weights), "new instances must move"


def test_what_started_from_another_generator_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path))
    changes = {"generator.widths": [4] * 4, "train.steps": 2, "train.evaluate_n": 4}
    second = train_experiment("mnist-incremental", "smoke", changes)
    assert obtain.trained("mnist-incremental", "smoke", changes) == second
    (first,) = (tmp_path / "runs").glob("mnist-stage-one-*/best")
    config = load_config(first)
    save_checkpoint(first, build_generator(config.generator, seed=9), config, {"steps": 3})
    assert obtain.trained("mnist-incremental", "smoke", changes) is None
    with pytest.raises(UserError, match=r"begun from a generator .* take another --out"):
        train_experiment("mnist-incremental", "smoke", changes)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder for runs, a data root without checkpoints, and trainings that only write theirs."""
    monkeypatch.setenv("RPGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("rpgan.checkpoint.roots", lambda: [tmp_path / "data" / "checkpoints"])
    monkeypatch.setattr(obtain, "runs_root", lambda: tmp_path / "runs")
    trained = []

    def train(config, directory, *, finish=True, **_):
        trained.append(config.name)
        model = BUILD[type(config)](config)
        for name in ("best", "last")[: 1 + finish]:
            save_checkpoint(directory / name, model, config, {"steps": 3})
        return directory / "best"

    monkeypatch.setattr(obtain, "train", train)
    return trained


BUILD = {
    GanConfig: lambda config: build_generator(config.generator, config.seed),
    InversionConfig: build_inverter,
}


def test_the_book_does_not_begin_a_training_that_nobody_asked_for(runs):
    with pytest.raises(UserError, match=r"6,000 steps, maybe hours\): rpgan train mnist-rpgan; .* smoke"):
        obtain.obtain_generator("mnist-rpgan", "book")
    assert not runs
    obtain.obtain_generator("mnist-rpgan", "book", TINY)
    assert runs == ["mnist-rpgan"], "a changed setting is a request"


def test_a_finished_run_serves_the_book_and_an_unfinished_one_does_not(runs):
    config = resolve("mnist-rpgan", "book")
    directory = obtain.run_directory(config, "book")
    obtain.train(config, directory, finish=False)
    with pytest.raises(MissingCheckpoint, match="neither committed nor trained in runs/book"):
        obtain.obtain_checkpoint("mnist-rpgan", "book")
    assert train_experiment("mnist-rpgan", "book") == obtain.obtain_checkpoint("mnist-rpgan", "book")
    longer = resolve("mnist-rpgan", "book", {"train.steps": 7_000})
    assert obtain._finished(directory, longer) is None
    restate(directory / "best", longer)
    assert obtain._finished(directory, config) is None, "it goes on to more steps"


def test_path_classifiers_are_those_of_the_generator_that_is_shown(runs):
    with pytest.raises(UserError, match="expected no other generator"):
        obtain.obtain_inverter("mnist-inversion", "book", own={"generator": "mnist-stage-one"})
    assert not runs


def test_what_is_shown_in_place_of_a_chapters_own_is_a_generator_as_it_is(runs):
    best = train_experiment("mnist-rpgan", "book", TINY)
    assert obtain.named_generator(str(best), {}) == load_config(best)
    with pytest.raises(UserError, match="overrides of seed beside checkpoint"):
        obtain.named_generator(str(best), {"seed": 1})
    with pytest.raises(UserError, match="is path classifiers; expected a generator"):
        obtain.named_generator(str(train_experiment("mnist-inversion", "book")), {})


def test_what_changes_in_the_second_stage_leaves_the_first_as_it_is(runs, monkeypatch):
    asked = []
    monkeypatch.setattr(obtain, "_trained_now", lambda name, profile, changes, device: asked.append(changes))
    changes = {
        "train.steps": 5,
        "generator.bucket_sizes": [30] * 5,
        "generator.leak": 0.1,
        "loss.diversity": "off",
    }
    train_experiment("mnist-incremental", "book", changes)
    assert asked == [{"generator.leak": 0.1}]


def test_who_asks_for_a_training_gets_those_that_it_builds_on(runs):
    train_experiment("mnist-incremental", "book")
    train_experiment("mnist-inversion", "book")
    assert runs == ["mnist-stage-one", "mnist-incremental", "mnist-rpgan", "mnist-inversion"]
    obtain.obtain_inverter("mnist-inversion", "book")
    assert len(runs) == 4


def test_a_chapter_takes_the_generators_that_are_there(monkeypatch):
    monkeypatch.setattr(obtain, "trained", lambda name, *_: Path(name) if name != "b" else None)
    assert obtain.present(["a", "b", "c"]) == ["a", "c"]
    assert obtain.present(["b"]) == ["b"], "so that its absence is told"


def test_path_classifiers_of_other_settings_are_others(runs):
    train_experiment("mnist-inversion", "book")
    shared = obtain.obtain_inverter("mnist-inversion", "book", own={"shared": True})
    assert runs[2:] == ["mnist-inversion"] and len(shared.networks) == 1


def test_path_classifiers_of_another_generator_do_not_serve(runs):
    train_experiment("mnist-inversion", "book")
    obtain.obtain_inverter("mnist-inversion", "book", {"seed": 1})
    assert runs[2:] == ["mnist-rpgan", "mnist-inversion"]


def test_path_classifiers_are_found_by_the_generator_whose_images_they_read():
    assert obtain.inversion_of("mnist-rpgan") == "mnist-inversion"
    with pytest.raises(UserError, match=r"images of cifar10-explorer; expected one of mnist-rpgan,"):
        obtain.inversion_of("cifar10-explorer")


def test_a_chapter_takes_the_inversions_that_are_there(runs):
    both = ["sprites-rpgan", "mnist-rpgan"]
    assert obtain.present_inverted(both) == both[:1], "so that its absence is told"
    train_experiment("sprites-rpgan", "book")
    train_experiment("mnist-inversion", "book")
    assert obtain.present_inverted(both) == both[1:]

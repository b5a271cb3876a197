"""Sweeps: which trials they have, that finished ones are not run again, and what their tables hold."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rpgan.errors import UserError
from rpgan.presets import resolve
from rpgan.sweep import (
    SWEEPS,
    Point,
    Sweep,
    obtain_sweep,
    plan,
    read_sweep,
    run,
    run_sweep,
    table,
)
from rpgan.sweep.cluster import _refuse_what_never_fits
from rpgan.sweep.trial import read_row, run_trial

SCRIPT = Path(__file__).with_name("ray_script.py")
TINY = {"generator.bucket_sizes": [2, 2, 2, 2, 1], "train.precision": "float32"}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Runs and results of a test go to its own folder."""
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(table, "home", lambda: tmp_path)


def of_seeds(n: int) -> Sweep:
    points = tuple(Point("mnist-rpgan", {**TINY, "seed": seed}) for seed in range(n))
    return Sweep("seeds", "", points, {})


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("profile", ["smoke", "book", "paper"])
def test_every_sweep_can_be_planned(name, profile):
    trials = plan(SWEEPS[name], profile)
    assert len({trial.directory for trial in trials}) == len(trials)
    assert len(trials) == (2 if profile == "smoke" else len(SWEEPS[name].points))


def test_the_instances_are_those_of_table_3():
    sizes = [trial.config.generator.bucket_sizes for trial in plan(SWEEPS["instances"], "paper")]
    assert sizes[:10] == [(n,) * 5 for n in range(5, 55, 5)]


def test_table_2_is_the_paper_with_ten_seeds_each():
    trials = plan(SWEEPS["table-2"], "paper")
    for name in ("cifar10-rpgan", "cifar10-gan"):
        configs = {t.config for t in trials if t.experiment == name}
        assert configs == {resolve(name, "paper", {"seed": seed}) for seed in range(10)}
    assert {(t.features, t.n) for t in trials} == {(("inception",), 50_000)}


def test_all_sweeps_of_cifar_share_one_protocol_under_book():
    """Their scores are compared with each other; the discriminator and its schedule must not differ."""
    trials = [trial for sweep in SWEEPS.values() for trial in plan(sweep, "book")]
    assert (
        len({(t.config.discriminator, t.config.train, t.config.loss, t.features, t.n) for t in trials}) == 1
    )


def test_sweeps_share_the_trials_they_have_in_common():
    both = [{t.directory for t in plan(SWEEPS[name], "book")} for name in ("instances", "table-2")]
    assert len(both[0] & both[1]) == 3  # forty instances, three seeds


def test_a_shared_trial_tells_the_overrides_of_who_asks():
    point = of_seeds(1).points[0]
    usual = plan(of_seeds(1), "smoke")[0].config.generator.latent
    other = Sweep("other", "", (Point("mnist-rpgan", {**point.changes, "generator.latent": usual}),), {})
    [first], [second] = (run_sweep(s, "smoke", report=lambda line: None).rows for s in (of_seeds(1), other))
    assert first.digest == second.digest and first.final == second.final
    assert second.overrides == {**first.overrides, "generator.latent": usual}


def test_a_finished_trial_is_read_and_not_trained_again(monkeypatch):
    first = run_sweep(of_seeds(2), "smoke", report=lambda line: None)
    monkeypatch.setattr("rpgan.sweep.trial.train_experiment", lambda *a, **k: pytest.fail("trained again"))
    assert run_sweep(of_seeds(2), "smoke", report=lambda line: None) == first
    assert [row.seed for row in first.rows] == [0, 1]
    assert len({row.score("frechet_pixels") for row in first.rows}) == 2
    with pytest.raises(UserError, match="expected one of frechet_pixels"):
        first.rows[0].score("fid")


def test_a_row_tells_the_training_and_scores_apart_from_the_selection():
    [row] = run_sweep(of_seeds(1), "smoke", report=lambda line: None).rows
    assert row.overrides == {**TINY, "seed": 0} and row.steps == 3 and row.parameters > 0
    assert row.curve["steps"] == [3] and row.curve["values"] == [row.selected["value"]]
    assert row.selected["seed"] != row.final[0]["seed"] and row.selected["step"] == 3
    assert row.prd == {}, "too few images for a curve"
    assert "train" in row.final[0]["against"] and "held-out" in row.selected["against"]


def test_a_row_has_the_layer_diversity_of_the_buckets_that_vary():
    [trial] = plan(of_seeds(1), "smoke")
    row = run_trial(trial, "cpu")
    plural = [size > 1 for size in trial.config.generator.bucket_sizes]
    assert row.diversity.keys() == {"color", "pixels²"} and not all(plural)
    for forms in row.diversity.values():
        assert [value is not None for value in forms["share"]] == plural
        assert sum(value or 0 for value in forms["share"]) == pytest.approx(1, abs=1e-4)
        assert forms["ratio_mean"][0] == 1


def test_a_row_of_a_standard_gan_has_what_noise_does_in_its_layers():
    point = Point("cifar10-gan", {"train.precision": "float32"})
    [row] = run_sweep(Sweep("twin", "", (point,), {}), "smoke", report=lambda line: None).rows
    assert row.diversity == {} and row.damage.keys() == {"color", "pixels²"} and row.semantic == "pixels²"
    for shares in row.damage.values():
        assert len(shares) == 5 and min(shares) > 0 and sum(shares) == pytest.approx(1, abs=1e-4)


def test_features_that_chose_the_checkpoint_are_not_what_is_concluded_from():
    [row] = run_sweep(of_seeds(1), "smoke", report=lambda line: None).rows
    assert row.damage == {} and row.semantic == "pixels²", "better than none"
    both = {name: row.diversity["color"] for name in ("color", "pixels²", "other²")}
    assert replace(row, diversity=both).semantic == "other²"


def test_other_scores_are_measured_without_another_training():
    [trial] = plan(of_seeds(1), "smoke")
    row = run_trial(trial, "cpu")
    more = replace(trial, n=16, digest="another")
    assert read_row(more) is None
    again = run_trial(more, "cpu")
    assert again.final[0]["n"] == 16 and again.seconds == row.seconds and again.selected == row.selected
    (trial.directory / "result.json").write_text('{"digest": "of an earlier version", "fields": "others"}')
    assert read_row(trial) is None, "scored anew, not called damaged"


def test_shards_divide_a_sweep(monkeypatch):
    trials, asked = plan(of_seeds(5), "book"), []

    def runner(share):
        asked.append([trial.config.seed for trial in share])
        return []

    monkeypatch.setattr(run, "plan", lambda sweep, profile: trials)
    for shard in ((0, 2), (1, 2)):
        run_sweep(of_seeds(5), "book", shard=shard, runner=runner)
    assert asked == [[0, 2, 4], [1, 3]]
    with pytest.raises(UserError, match="expected I/K"):
        run_sweep(of_seeds(5), "book", shard=(2, 2), runner=runner)


def test_a_trial_that_fails_keeps_no_other_from_running():
    bad = Point("mnist-rpgan", {**TINY, "loss.name": "least-squares"})
    sweep = Sweep("mixed", "", (bad, of_seeds(1).points[0]), {})
    said: list[str] = []
    with pytest.raises(UserError, match=r"1 of 2 trials failed: .*hinge"):
        run_sweep(sweep, "smoke", report=said.append)
    [path] = {Path(line.split("; ")[1]) for line in said if "; " in line and line.endswith(".json")}
    assert [row["seed"] for row in json.loads(path.read_text())["rows"]] == [0]


def test_a_trial_that_takes_too_much_keeps_no_other_from_running(monkeypatch):
    trials = plan(of_seeds(2), "smoke")

    def run_or_fail(trial, device):
        if trial is trials[0]:
            raise torch.OutOfMemoryError("CUDA out of memory:\n  64 GiB")

    monkeypatch.setattr(run, "run_trial", run_or_fail)
    outcomes = list(run.in_this_process(trials))
    assert [o.error for o in outcomes] == ["OutOfMemoryError: CUDA out of memory: 64 GiB", ""]


def test_a_distance_that_selected_the_checkpoint_comes_last():
    row = run_trial(plan(of_seeds(1), "smoke")[0])
    values = ("frechet_pixels", "prd_f8_pixels", "frechet_other", "color_hellinger")
    chosen = replace(row, final=[{"name": name} for name in values], selected={"name": "frechet_pixels"})
    assert chosen.scores == ["frechet_other", "frechet_pixels", "prd_f8_pixels", "color_hellinger"]
    assert replace(chosen, selected={"name": "frechet_other"}).scores[0] == "frechet_pixels"


def test_published_rows_come_back_if_they_are_of_today(tmp_path, monkeypatch):
    monkeypatch.setitem(SWEEPS, "seeds", of_seeds(2))
    assert not table.read_table("seeds", "smoke").rows
    found = obtain_sweep("seeds", "smoke")
    path = table.published_path("seeds", "smoke")
    table.save_table(found, path)
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "elsewhere"))
    assert table.read_table("seeds", "smoke") == found == obtain_sweep("seeds", "smoke")
    assert not (tmp_path / "elsewhere").exists(), "trained again"
    document = json.loads(path.read_text())
    document["rows"][0]["digest"] = "of yesterday"
    path.write_text(json.dumps(document))
    assert table.read_table("seeds", "smoke").rows == found.rows[1:]
    path.write_text("{}")
    for read in (table.read_table, obtain_sweep):
        with pytest.raises(UserError, match="not a table of a sweep"):
            read("seeds", "smoke")


def test_two_disks_publish_one_table_and_train_what_it_lacks(tmp_path, monkeypatch):
    sweep = of_seeds(2)
    first = run_sweep(sweep, "smoke", shard=(0, 2))
    path = table.publish(sweep, first)
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "another disk"))
    second = run_sweep(sweep, "smoke", known=table.published_rows("seeds", "smoke"))
    assert [row.seed for row in second.rows] == [1]
    assert table.publish(sweep, second) == path
    assert list(table.published_rows("seeds", "smoke").values()) == [*first.rows, *second.rows]


def test_a_chapter_never_begins_a_sweep_under_book(monkeypatch):
    monkeypatch.setattr(run, "run_sweep", lambda *a, **k: pytest.fail("began to train"))
    monkeypatch.setitem(SWEEPS, "seeds", of_seeds(1))
    assert obtain_sweep("seeds", "book").rows == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "expected a list such as"),
        ("experiment: mnist-rpgan", "holds a dict"),
        ("- {seed: 1}", "has the point"),
        ("- {experiment: mnist-rpgan, seeds: 1}", "did you mean seed"),
        ("- {experiment: mnist-cnn}", "trains no generator"),
        ("- {experiment: nobody}", "no experiment"),
        ("- {experiment: [", "cannot read points"),
    ],
)
def test_points_that_are_wrong_say_so(tmp_path, text, expected):
    path = tmp_path / "points.yml"
    path.write_text(text)
    with pytest.raises(UserError, match=expected):
        plan(read_sweep(path), "smoke")


def test_points_do_not_take_the_name_of_a_sweep(tmp_path):
    (tmp_path / "instances.yml").write_text("- {experiment: mnist-rpgan}")
    with pytest.raises(UserError, match="named like the sweep"):
        read_sweep(tmp_path / "instances.yml")


def test_a_trial_must_fit_one_machine_as_a_whole():
    apart = [{"CPU": 64.0}, {"CPU": 2.0, "GPU": 1.0}]
    ray = SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": has} for has in apart])
    _refuse_what_never_fits(ray, {"CPU": 2.0, "GPU": 1.0})
    with pytest.raises(UserError, match=r"wants 8 CPU, 1 GPU; .* 64 CPU, 0 GPU; 2 CPU, 1 GPU"):
        _refuse_what_never_fits(ray, {"CPU": 8.0, "GPU": 1.0})


def on_ray(tmp_path: Path, points: list[dict], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the sweep in a process of its own: Ray's workers talk over this machine's own addresses."""
    path = tmp_path / "points.yml"
    path.write_text(json.dumps(points))  # JSON is YAML
    variables = {"RPGAN_BUILD": str(tmp_path / "ray"), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, str(SCRIPT), str(path), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=500, check=False
    )


@pytest.mark.timeout(600)  # Ray starts a dozen processes, which takes long on a busy machine
def test_ray_finds_what_a_local_run_finds(tmp_path):
    points = [{"experiment": "mnist-rpgan", **TINY, "seed": seed} for seed in (0, 1)]
    bad = {"experiment": "mnist-rpgan", "loss.name": "least-squares"}
    done = on_ray(tmp_path, [bad, *points])
    assert "1 of 3 trials failed" in done.stderr and "expected one of hinge" in done.stderr
    with pytest.raises(UserError, match="1 of 3 trials failed"):
        run_sweep(read_sweep(tmp_path / "points.yml"), "smoke", report=lambda line: None)
    found = []
    for build in ("ray", "build"):
        document = json.loads((tmp_path / build / "runs" / "sweeps" / "points.json").read_text())
        found.append([(row["digest"], row["final"], row["selected"]) for row in document["rows"]])
    assert found[0] == found[1] and len(found[0]) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_trial_whose_worker_is_killed_goes_on_elsewhere(tmp_path):
    point = {"experiment": "mnist-rpgan", **TINY, "train.steps": 60, "train.save_every": 20}
    done = on_ray(tmp_path, [{**point, "train.evaluate_every": 60}], "kill")
    assert done.returncode == 0, done.stderr
    [directory] = (tmp_path / "ray" / "runs" / "trials").glob("mnist-*")
    assert len(list(directory.glob("events.out.tfevents.*"))) == 2, "trained in two sittings"
    [there] = json.loads((tmp_path / "ray" / "runs" / "sweeps" / "points.json").read_text())["rows"]
    [here] = run_sweep(read_sweep(tmp_path / "points.yml"), "smoke", report=lambda line: None).rows
    assert there["final"] == here.final and there["steps"] == 60

"""What chapters ask of sweeps."""

import pytest
from rows import row

from rpgan.effort import gan_disk
from rpgan.presets import resolve
from rpgan.sweep import SWEEPS, Table, plan, table
from rpgan.sweep.gather import forecast_sweeps, gather
from rpgan.sweep.table import published_path, save_table


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Runs and results of a test go to its own folder."""
    monkeypatch.setenv("RPGAN_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(table, "home", lambda: tmp_path)
    monkeypatch.setattr("rpgan.obtain.runs_root", lambda: tmp_path / "runs")


def publish(name, n):
    trials = plan(SWEEPS[name], "book")
    rows = tuple(
        row(experiment=t.experiment, overrides=dict(t.overrides), digest=t.digest, seed=t.config.seed)
        for t in trials[:n]
    )
    save_table(Table(name, "book", len(trials), rows), published_path(name, "book"))


def test_a_chapter_of_the_book_goes_without_what_is_not_published():
    assert gather(["instances"], "book").rows == ()
    publish("instances", 4)
    found = gather(["instances", "twins"], "book")
    assert len(found.rows) == 4 and not found.complete
    assert found.about.startswith("instances: 4 of 16 trainings; twins: 0 of 3")


def test_a_training_that_sweeps_share_is_there_once():
    publish("instances", 16)
    publish("learned-z", 6)
    found = gather(["instances", "learned-z"], "book")
    rows = found.rows
    assert found.complete
    assert len(rows) == len({row.digest for row in rows}) == 16 + 3


def test_the_forecast_of_table_2_is_twenty_trainings_of_the_paper():
    cost = forecast_sweeps(["table-2"], "paper")["table-2"]
    assert cost["trainings"] == 20 and cost["updates, in all"] == 20 * 90_000
    assert cost["real images, in all"] == 20 * 90_000 * 5 * 64 and cost["images scored"] == 20 * 50_000
    twins = sum(gan_disk(resolve(name, "paper")) for name in ("cifar10-rpgan", "cifar10-gan"))
    assert cost["disk, in all, GiB"] == round(10 * twins / 2**30, 2)
    assert cost["memory of the largest, GiB"] > 1 and cost["GPU hours at 10 TFLOP/s"] > 10

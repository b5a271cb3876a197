"""Two processes that share every batch make the steps that one makes with all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ranks_script
import torch
from test_training import CLASSIFIER, GAN, WGAN

from rpgan.checkpoint import load_card, load_generator
from rpgan.config import Config, GanConfig
from rpgan.errors import UserError
from rpgan.overrides import override, to_dict
from rpgan.training import gan, train
from rpgan.training.batches import StepSampler
from rpgan.training.machine import PRECISIONS
from rpgan.training.ranks import Ranks

pytestmark = pytest.mark.timeout(600)  # two more processes import torch, on what may be a busy machine

CASES: dict[str, GanConfig] = {
    "hinge": override(GAN, {"train.batch_size": 6, "train.steps": 3}),
    "penalty": override(WGAN, {"train.batch_size": 6, "train.steps": 3}),
    "gaussian": override(GAN, {"generator.latent": "gaussian", "train.steps": 3}),
    # One path a process: whatever it does not draw is idle there, and drawn or idle in the other.
    "skip": override(GAN, {"train.idle_instances": "skip", "train.steps": 4}),
    "zero": override(GAN, {"train.idle_instances": "zero", "train.steps": 4}),
}
RUN: GanConfig = override(CASES["skip"], {"train.precision": "float64", "train.steps": 6})
HALF: GanConfig = override(RUN, {"train.steps": 3})


def job(do: str, config: Config, out: Path) -> dict[str, object]:
    return {"do": do, "config": to_dict(config), "devices": 1, "out": str(out)}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with what two processes did, and one process (this one) for comparison.

    `resumed-1` was begun by one process and goes on in two, `resumed-2` the other way round.
    """
    folder = tmp_path_factory.mktemp("ranks")
    before = torch.get_default_dtype(), torch.get_num_threads(), gan.to_float, dict(PRECISIONS)
    try:
        ranks_script.run(job("run", HALF, folder / "resumed-1"))
        jobs = [job("steps", config, folder / f"two-{name}") for name, config in CASES.items()]
        jobs += [job("run", RUN, folder / "resumed-1"), job("run", HALF, folder / "resumed-2")]
        launch(folder, [{**each, "devices": 2} for each in jobs])
        for name, config in CASES.items():
            ranks_script.steps(job("steps", config, folder / f"one-{name}"))
        for name in ("resumed-2", "whole"):
            ranks_script.run(job("run", RUN, folder / name))
    finally:
        torch.set_default_dtype(before[0])
        torch.set_num_threads(before[1])
        gan.to_float = before[2]
        PRECISIONS.clear()
        PRECISIONS.update(before[3])
    return folder


def launch(folder: Path, jobs: list[dict]) -> None:
    """Runs jobs in two processes, of which Fabric starts the second."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    ran = subprocess.run(
        [sys.executable, ranks_script.__file__, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def one(folder: Path, name: str) -> dict:
    return torch.load(folder / f"one-{name}.0.pt")


def two(folder: Path, name: str) -> list[dict]:
    return [torch.load(folder / f"two-{name}.{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_weights_and_statistics_are_those_of_one_process(done, name, network):
    whole, shared = one(done, name)[network], two(done, name)[0][network]
    assert whole.keys() == shared.keys()
    assert all(torch.allclose(whole[key], shared[key], rtol=0, atol=1e-8) for key in whole)


@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_one_process(done, name):
    for whole, shared in zip(one(done, name)["losses"], two(done, name)[0]["losses"], strict=True):
        assert whole == pytest.approx(shared, abs=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_processes_hold_the_same_weights_and_half_of_the_images(done, name):
    first, second = two(done, name)
    for network in ("generator", "discriminator"):
        assert all(torch.equal(first[network][key], second[network][key]) for key in first[network])
    assert first["images"] == second["images"] == one(done, name)["images"] / 2


@pytest.mark.parametrize("name", ["skip", "zero"])
def test_an_instance_is_idle_only_where_no_process_drew_it(done, name):
    idle = one(done, name)["idle"]
    assert [each["idle"] for each in two(done, name)] == [idle, idle]
    assert all(idle) if name == "skip" else idle[0]  # else nothing was tested


@pytest.mark.parametrize("name", ["resumed-1", "resumed-2"])
def test_a_resume_works_for_another_number_of_processes(done, name):
    states = [load_generator(done / directory / "last").state_dict() for directory in (name, "whole")]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*(s.values() for s in states), strict=True))


def test_only_the_first_process_writes(done):
    log = (done / "resumed-1" / "log.jsonl").read_text().splitlines()
    assert [(e["step"], "scores" in e) for e in map(json.loads, log)] == [
        (3, False),
        (3, True),
        (6, False),
        (6, True),
    ]
    assert len(list((done / "resumed-1").glob("events.out.tfevents.*"))) == 2, "one for each sitting"
    assert load_card(done / "resumed-1" / "last")["machine"]["devices"] == 2
    assert "devices" not in load_card(done / "whole" / "last")["machine"]


@pytest.mark.parametrize(("n", "parts", "world"), [(12, 1, 3), (12, 2, 3), (8, 4, 2), (5, 5, 1)])
def test_shares_of_a_batch_are_all_of_it_once(n, parts, world):
    rows = [Ranks(rank, world).rows(n, parts) for rank in range(world)]
    assert sorted(row for share in rows for row in share) == list(range(n))
    per_part = [[row // (n // parts) for row in share] for share in rows]
    assert all(share == sorted(share) and share == per_part[0] for share in per_part), (
        "equal shares of a part"
    )


def test_processes_load_the_images_of_their_rows():
    everything = list(StepSampler(10, 4, 0, 3, 5))
    shares = [list(StepSampler(10, 4, 0, 3, 5, rows)) for rows in ([0, 2], [1, 3])]
    assert [[a[0], b[0], a[1], b[1]] for a, b in zip(*shares, strict=True)] == everything


@pytest.mark.parametrize(
    ("config", "expected"), [(GAN, "expected a multiple of 3"), (CLASSIFIER, "only GANs are shared out")]
)
def test_what_cannot_be_shared_says_so(tmp_path, config, expected):
    with pytest.raises(UserError, match=expected):
        train(config, tmp_path / "run", device="cpu", devices=3)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_command_line_starts_the_other_process(tmp_path):
    settings = ["--profile", "smoke", "--device", "cpu", "--set", "train.precision=float32"]
    arguments = ["train", "mnist-rpgan", *settings, "--out", str(tmp_path / "run"), "--devices", "2"]
    ran = subprocess.run(
        [sys.executable, "-m", "rpgan", *arguments], capture_output=True, text=True, timeout=500, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("best checkpoint") == 1
    assert load_card(tmp_path / "run" / "best")["machine"]["devices"] == 2


@pytest.mark.slow
def test_no_process_waits_for_one_that_has_no_data(tmp_path):
    settings = ["--profile", "smoke", "--device", "cpu", "--set", "train.precision=float32"]
    missing = ["--set", "data.name=folder", "--set", "data.path=nowhere"]
    arguments = [
        "train",
        "mnist-rpgan",
        *settings,
        *missing,
        "--out",
        str(tmp_path / "run"),
        "--devices",
        "2",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "rpgan", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode != 0 and "nowhere does not exist" in ran.stderr

"""The same command gives the same numbers twice on one machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rpgan.config import DataConfig
from rpgan.datasets import load_dataset
from rpgan.places import CHECKOUT
from rpgan.training.batches import batches

TINY = ["train.precision=float32", "generator.bucket_sizes=[3,2,2,2,1]"]
SETS = [part for setting in TINY for part in ("--set", setting)]
COMMANDS = {
    "`rpgan train`": (["train", "mnist-rpgan", "--profile", "smoke", "--out", "OUT/run", *SETS], 6),
    "`rpgan train` of a classifier": (["train", "mnist-cnn", "--profile", "smoke", "--out", "OUT/run"], 6),
    "`rpgan sample`": (["sample", "SAVED", "--n", "9", "--out", "OUT/x.npz"], 1),
    "`rpgan grid`": (["grid", "SAVED", "--n", "2", "--out", "OUT/x.png"], 1),
    "`rpgan export`": (["export", "SAVED", "OUT/x"], 2),
    "`rpgan evaluate`": (["evaluate", "SAVED", "--n", "20", "--data", "sprites", "--json", "OUT/x.json"], 1),
}
# Every process has other ones: nothing may depend on the order of a set or on the time.
HASHES = ("1", "2")
TIMES = ("seconds", "step_seconds")


def plain(value: object) -> object:
    """A document without times."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if key not in TIMES}
    return [plain(part) for part in value] if isinstance(value, list) else value


def numbers(folder: Path) -> dict[str, object]:
    """Everything that a command wrote, by file, without times."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".pt":
            state = torch.load(path, weights_only=True)
            found[name] = repr(contents({k: v for k, v in state.items() if k not in TIMES}))
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays.files}
        elif path.suffix in (".json", ".jsonl"):
            found[name] = [plain(json.loads(line)) for line in lines(path)]
        elif path.is_file() and "tfevents" not in name:
            found[name] = path.read_bytes()
    return found


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]


def contents(part: object) -> object:
    if isinstance(part, torch.Tensor):
        return part.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(part, dict):
        return [(key, contents(value)) for key, value in part.items()]
    return [contents(value) for value in part] if isinstance(part, list | tuple) else part


@pytest.mark.tried(
    "determinism", "a command in two processes, one after the other", "the same files, bit for bit"
)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.slow
def test_a_command_gives_the_same_twice(command, tmp_path, saved):
    arguments, least = COMMANDS[command]
    found = []
    for seed in HASHES:
        out = tmp_path / seed
        out.mkdir()
        given = [a.replace("OUT", str(out)).replace("SAVED", str(saved)) for a in arguments]
        own = {"PYTHONHASHSEED": seed, "RPGAN_BUILD": str(out), "RPGAN_DATA": str(tmp_path / "data")}
        subprocess.run(
            [sys.executable, "-m", "rpgan", *given],
            check=True,
            capture_output=True,
            env={**os.environ, **own},
        )
        found.append(numbers(out))
    assert len(found[0]) >= least and found[0] == found[1]


@pytest.mark.tried("determinism", "a chapter under the profile `smoke`, twice", "the same results")
@pytest.mark.parametrize("chapter", ["02", "08"])
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_chapter_gives_the_same_twice(chapter, tmp_path):
    found = []
    for seed in HASHES:
        own = {"RPGAN_BUILD": str(tmp_path / seed), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "rpgan", "run", chapter, "--profile", "smoke"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **own}, cwd=CHECKOUT)
        (path,) = (tmp_path / seed / "results" / "smoke").glob("*.json")
        results = json.loads(path.read_text())["results"]
        found.append({key: value for key, value in results.items() if value.get("unit") not in ("s", "ms")})
    timed = {key for key in found[0] if "speed" in key or "time" in key or "second" in key}
    same = [{key: value for key, value in results.items() if key not in timed} for results in found]
    assert same[0] and same[0] == same[1]


@pytest.mark.tried("determinism", "batches that other processes load", "the same images in the same order")
@pytest.mark.parametrize("name", ["mnist-5k", "sprites"])
def test_batches_do_not_depend_on_workers(name):
    shape = (1, 28, 28) if name == "mnist-5k" else (3, 64, 64)
    dataset = load_dataset(DataConfig(name), shape, "train")
    alone, helped = (list(batches(dataset, 4, 0, 5, 9, workers)) for workers in (0, 2))
    for (a, b), (c, d) in zip(alone, helped, strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)

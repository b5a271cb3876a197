"""What test_faults.py kills: `python fault_script.py JOB.json` prints a report as JSON.

Every attempt is a child of its own, killed at a random moment. Between two attempts all files are read.
"""

import json
import os
import random
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from rpgan.book import build
from rpgan.book.receipts import is_executed, read_receipt
from rpgan.checkpoint import load_card, load_generator
from rpgan.datasets import load_dataset
from rpgan.overrides import from_dict
from rpgan.results import read_results
from rpgan.sweep import Point, Sweep, plan, run_sweep, table
from rpgan.sweep.trial import read_row, row_of
from rpgan.training import train


class Training:
    """One training of a generator."""

    def __init__(self, job: dict, home: Path) -> None:
        self.config, self.directory, self.saved = from_dict(job["config"]), home / "run", 0
        load_dataset(self.config.data, self.config.generator.image_shape, "train")  # read once for all

    def run(self) -> None:
        train(self.config, self.directory, device="cpu")

    def check(self) -> None:
        self.saved = check_run(self.directory, self.config.train.save_every, self.saved)

    def result(self) -> dict:
        left = [path for path in self.directory.rglob(".*") if path.name != ".lock"]
        assert not left, "something was left behind"
        return result_of_run(self.directory)


class Trials:
    """A sweep of two seeds."""

    def __init__(self, job: dict, home: Path) -> None:
        table.home = lambda: home
        points = tuple(Point("mnist-rpgan", {**job["changes"], "seed": seed}) for seed in range(2))
        self.sweep = Sweep("killed", "", points, {})
        self.trials = plan(self.sweep, "smoke")
        self.saved = [0] * len(self.trials)
        load_dataset(self.trials[0].config.data, (1, 32, 32), "train")

    def run(self) -> None:
        run_sweep(self.sweep, "smoke", report=lambda _: None)

    def check(self) -> None:
        for i, trial in enumerate(self.trials):
            every = trial.config.train.save_every
            self.saved[i] = check_run(trial.directory, every, self.saved[i])
            read_row(trial)
        path = table.table_path(self.sweep.name, self.trials)
        assert not path.exists() or [row_of(row) for row in json.loads(path.read_text())["rows"]]

    def result(self) -> dict:
        rows = [vars(row) for row in table.collect(self.sweep, "smoke", self.trials).rows]
        return {
            "rows": [{k: v for k, v in row.items() if "seconds" not in k} for row in rows],
            "runs": [result_of_run(trial.directory) for trial in self.trials],
        }


class Book:
    """A book of one page and one notebook."""

    def __init__(self, job: dict, home: Path) -> None:
        self.root = Path(job["root"])
        self.built = home / "html-smoke"
        self.executed = home / "executed" / "smoke" / "01_x.ipynb"

    def run(self) -> None:
        build.book("smoke", root=self.root, echo=lambda _: None)

    def check(self) -> None:
        if read_receipt(self.executed) is not None:
            assert is_executed(self.executed), "a signed copy that did not run to its end"
        read_results("smoke")
        if self.built.exists():
            self.result()

    def result(self) -> dict:
        pages = {
            name: (self.built / "notebooks" / "01_x.html", self.built / name) for name in ("index.html",)
        }
        assert all(path.stat().st_size for found in pages.values() for path in found)
        chapter = (self.built / "notebooks" / "01_x.html").read_text()
        assert "</html>" in chapter and "forty-two" in chapter
        return {key: found.value for key, found in read_results("smoke").items()}


def check_run(directory: Path, every: int, saved: int) -> int:
    """Reads all files of a run; returns the step that a resume begins with, never an earlier one."""
    for path in directory.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts):
            READERS.get(path.suffix, lambda _: None)(path)
    for name in ("best", "last"):
        if (directory / name).exists():
            load_generator(directory / name)
    state = directory / "state.pt"
    step = torch.load(state, weights_only=True)["step"] if state.exists() else 0
    logged = max(steps_of(directory / "log.jsonl"), default=0)
    assert step % every == 0 and saved <= step and logged <= step + every, (saved, step, logged)
    return step


def steps_of(log: Path) -> Iterator[int]:
    for line in log.read_text().splitlines(keepends=True) if log.exists() else []:
        if line.endswith("\n"):
            yield json.loads(line)["step"]


def read_state(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def read_image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".safetensors": load_file,
    ".png": read_image,
    ".pt": read_state,
}


def result_of_run(directory: Path) -> dict:
    """All that a run computed: weights, optimisers and scores, but no times."""
    state = torch.load(directory / "state.pt", weights_only=True)
    log = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    return {
        "state": repr(plain({key: value for key, value in state.items() if key != "seconds"})),
        "log": [{key: value for key, value in entry.items() if key != "step_seconds"} for entry in log],
        "checkpoints": [load_card(directory / name)["sha256"] for name in ("best", "last")],
        "samples": {path.name: path.read_bytes().hex() for path in (directory / "samples").iterdir()},
    }


def plain(part: object) -> object:
    if isinstance(part, torch.Tensor):
        return (
            str(part.dtype),
            tuple(part.shape),
            part.contiguous().view(-1).view(torch.uint8).numpy().tobytes(),
        )
    if isinstance(part, dict):
        return [(key, plain(value)) for key, value in part.items()]
    return [plain(value) for value in part] if isinstance(part, list | tuple) else part


KINDS = {"training": Training, "sweep": Trials, "book": Book}


def begin(task: Training | Trials | Book) -> int:
    """Runs a task in a child of its own."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        task.run()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def finish(pid: int) -> None:
    assert os.waitpid(pid, 0)[1] == 0, "an attempt that was not killed failed"


def kill_after(pid: int, seconds: float) -> bool:
    """Kills a child, unless it has come to its end before; returns whether it was killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def attempt(job: dict, number: int) -> tuple[Path, Training | Trials | Book]:
    home = Path(job["home"]) / str(number)
    home.mkdir(parents=True)
    os.environ["RPGAN_BUILD"] = str(home)
    return home, KINDS[job["kind"]](job, home)


def main(job: dict) -> dict:
    """Kills until there were enough; each training that came to its end is compared, and another begun."""
    torch.set_num_threads(1)
    rng, kills, finished = random.Random(job["seed"]), 0, 0
    _, task = attempt(job, 0)
    start = time.monotonic()
    finish(begin(task))
    whole, expected = time.monotonic() - start, task.result()
    _, task = attempt(job, 1)
    pids = []
    while kills < job["kills"]:
        pids.append(begin(task))
        killed = kill_after(pids[-1], rng.uniform(0, whole * job["share"]))
        task.check()
        kills += killed
        if not killed:
            assert task.result() == expected, "another result after kills"
            finished += 1
            _, task = attempt(job, finished + 1)
    finish(begin(task))
    assert task.result() == expected, "another result after kills"
    return {"kills": kills, "finished": finished + 1, "seconds": whole}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))

"""A run: a directory that holds everything about one training, and the loop that fills it.

Resume is running the same command again: networks, optimisers and the step are stored, every random draw is a
function of (seed, step), and files are written aside and renamed.
"""

import json
import math
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from rpgan.checkpoint import save_checkpoint
from rpgan.config import ClassifierConfig, Config, GanConfig, flatten, from_dict, to_dict
from rpgan.datasets import load_dataset
from rpgan.errors import UserError
from rpgan.images import save_png
from rpgan.training.batches import batches
from rpgan.training.classifier import ClassifierTask
from rpgan.training.gan import GanTask
from rpgan.training.machine import build_fabric, describe_machine, describe_versions
from rpgan.training.score import Score

LOG_EVERY = 50  # steps
Task = GanTask | ClassifierTask


def train(config: Config, directory: Path, *, device: str = "auto", workers: int = 0) -> Path:
    """Trains an experiment in a run directory, or continues it there; returns its best checkpoint.

    The directory holds `config.json`, `state.pt` (what a resume needs), `log.jsonl`, TensorBoard events,
    `samples/STEP.png`, `best/` and `last/` (checkpoints). Raises UserError where the directory holds another
    experiment, and where a loss is no longer a number.
    """
    _refuse_another(directory, config)
    fabric = build_fabric(config.train.precision, device, directory)
    image_shape = config.generator.image_shape if isinstance(config, GanConfig) else config.image_shape
    dataset = load_dataset(config.data, image_shape, "train")
    held_out = load_dataset(config.data, image_shape, "test")
    task = _task(config, fabric, held_out)
    _claim(directory, config)  # not before all settings have proved good
    run = Run(directory, config, fabric, task, dataset.provenance)
    if run.step < config.train.steps:
        loader = batches(dataset, task.batch_size, config.seed, run.step, config.train.steps, workers)
        run.follow(loader)
    return directory / "best"


def _task(config: Config, fabric: Fabric, held_out: Any) -> Task:
    if isinstance(config, GanConfig):
        return GanTask(config, fabric, held_out)
    return ClassifierTask(config, fabric, held_out)


class Run:
    """A task on its way: where it is, what was best, and its files."""

    def __init__(self, directory: Path, config: Config, fabric: Fabric, task: Task, data: str) -> None:
        self.directory, self.config, self.fabric, self.task, self.data = directory, config, fabric, task, data
        self.step, self.best, self.seconds = 0, math.inf, 0.0
        if (directory / "state.pt").exists():
            self._restore()
        self._trim_log()

    def follow(self, loader: Any) -> None:
        """Makes the steps that are left; saves, scores and logs on the way."""
        train, window, started = self.config.train, [], time.perf_counter()
        bar = tqdm(loader, initial=self.step, total=train.steps, disable=not sys.stderr.isatty(), unit="step")
        for images, labels in bar:
            window.append(self.task.update(self.step, images, labels))
            self.step += 1
            due = {
                e: self.step % every == 0 or self.step == train.steps for e, every in self._rhythm().items()
            }
            if any(due.values()):
                self.seconds += time.perf_counter() - started
                self._log_losses(window, time.perf_counter() - started)
                window = []
                if due["evaluate"]:
                    self._evaluate()
                if due["save"]:
                    self._save()
                started = time.perf_counter()

    def _rhythm(self) -> dict[str, int]:
        return {
            "log": LOG_EVERY,
            "evaluate": self.config.train.evaluate_every,
            "save": self.config.train.save_every,
        }

    def _log_losses(self, window: list[dict[str, Tensor]], seconds: float) -> None:
        losses = {key: float(torch.stack([w[key] for w in window]).mean()) for key in window[0]}
        bad = [key for key, value in losses.items() if not math.isfinite(value)]
        # The last update comes after its losses: what it left is what would be saved.
        bad += [key for key, part in self.task.state.items() if not _is_finite(part)]
        if bad:
            raise UserError(
                f"{', '.join(bad)} not finite in steps {self.step - len(window) + 1} to {self.step}; "
                f"expected finite numbers: lower the rates, {self.directory} keeps the last good state"
            )
        self._log({"step": self.step, **losses, "step_seconds": seconds / len(window)})
        self.fabric.log_dict(losses, step=self.step)

    def _evaluate(self) -> None:
        scores = self.task.evaluate()
        self._log({"step": self.step, "scores": [asdict(score) for score in scores]})
        self.fabric.log_dict({score.name: score.value for score in scores}, step=self.step)
        if (sheet := self.task.sheet()) is not None:
            save_png(sheet, self.directory / "samples" / f"{self.step:06d}.png")
        if scores[0].value < self.best:
            self.best = scores[0].value
            self._export("best", scores)
        if self.step == self.config.train.steps:
            self._export("last", scores)
        if not sys.stderr.isatty():
            print(
                f"step {self.step:,}: {scores[0].name} {scores[0].value:.4g} (best {self.best:.4g})",
                flush=True,
            )

    def _export(self, name: str, scores: list[Score]) -> None:
        about = {
            "data": self.data,
            "steps": self.step,
            "seed": self.config.seed,
            "seconds": round(self.seconds),
            "scores": [asdict(score) for score in scores],
            "versions": describe_versions(),
            "machine": describe_machine(self.fabric),
            **self.task.about(),
        }
        save_checkpoint(self.directory / name, self.task.model, self.config, about)

    def _save(self) -> None:
        aside = self.directory / "state.pt.part"
        self.fabric.save(aside, {**self.task.state, **self._progress()})
        os.replace(aside, self.directory / "state.pt")

    def _restore(self) -> None:
        state: dict[str, Any] = {**self.task.state, **self._progress()}
        try:
            self.fabric.load(self.directory / "state.pt", state, weights_only=True)
        except (RuntimeError, KeyError, ValueError, EOFError, OSError, UnpicklingError) as error:
            raise UserError(
                f"{self.directory / 'state.pt'} cannot be resumed ({error}); delete it to start over"
            ) from None
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]

    def _progress(self) -> dict[str, Any]:
        return {"step": self.step, "best": self.best, "seconds": self.seconds}

    def _log(self, entry: dict[str, Any]) -> None:
        with (self.directory / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _trim_log(self) -> None:
        """Drops what was logged after the state that this process resumes from."""
        path = self.directory / "log.jsonl"
        text = path.read_text() if path.exists() else ""
        kept = "".join(line for line in text.splitlines(keepends=True) if _step_of(line) <= self.step)
        if kept != text:
            _write_aside(path, kept)


def _step_of(line: str) -> int | float:
    """The step of a line of the log; infinite for one that was cut off."""
    try:
        return json.loads(line)["step"] if line.endswith("\n") else math.inf
    except ValueError:
        return math.inf


def _is_finite(part: object) -> bool:
    parameters = part.parameters() if isinstance(part, torch.nn.Module) else ()
    return all(bool(p.isfinite().all()) for p in parameters)


def _write_aside(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(text)
    os.replace(aside, path)


def _refuse_another(directory: Path, config: Config) -> None:
    """Raises UserError where the directory is another experiment's; a GAN may come back with more steps."""
    path = directory / "config.json"
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file; expected a directory: take another --out")
    if not path.exists():
        return
    try:
        there = from_dict(json.loads(path.read_text()))
    except ValueError as error:  # UserError is one
        raise UserError(f"{path} is not a config of this version ({error}): take another --out") from None
    if _identity(there) != _identity(config):
        raise UserError(
            f"{directory} holds a run of another config of {there.name!r}; expected that of {config.name!r} "
            f"({_describe_difference(there, config)}): take another --out"
        )


def _describe_difference(there: Config, config: Config) -> str:
    old, new = flatten(there), flatten(config)
    changed = [key for key in old if key in new and old[key] != new[key]]
    return ", ".join(f"{key} {old[key]!r} there, {new[key]!r} here" for key in changed[:3])


def _claim(directory: Path, config: Config) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    _write_aside(directory / "config.json", json.dumps(to_dict(config), indent=1) + "\n")


def _identity(config: Config) -> Config:
    """The config without what may change between two sittings of a run."""
    if isinstance(config, ClassifierConfig):  # its learning rate depends on the number of steps
        return replace(config, train=replace(config.train, evaluate_every=0, save_every=0))
    steps = (
        config.train.steps if config.train.decay_steps else 0
    )  # a decay begins a number of steps before the end
    return replace(config, train=replace(config.train, steps=steps, evaluate_every=0, save_every=0))

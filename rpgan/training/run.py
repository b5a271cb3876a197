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
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from rpgan.checkpoint import save_checkpoint
from rpgan.config import ClassifierConfig, Config, GanConfig, from_dict, to_dict
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
    _claim(directory, config)
    fabric = build_fabric(config.train.precision, device, directory)
    image_shape = config.generator.image_shape if isinstance(config, GanConfig) else config.image_shape
    dataset = load_dataset(config.data, image_shape, "train")
    held_out = load_dataset(config.data, image_shape, "test")
    task = _task(config, fabric, held_out)
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
        if bad := [key for key, value in losses.items() if not math.isfinite(value)]:
            raise UserError(
                f"{', '.join(bad)} is not a finite number between steps {self.step - len(window)} and {self.step}; "
                f"the last good state is kept in {self.directory}: lower the learning rates or change the seed"
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
        except (RuntimeError, KeyError, ValueError, EOFError, OSError) as error:
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
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= self.step]
        if len(kept) < len(lines):
            path.write_text("".join(f"{line}\n" for line in kept))


def _claim(directory: Path, config: Config) -> None:
    """Makes the directory this experiment's, or checks that it is; a GAN may come back with more steps."""
    path = directory / "config.json"
    if path.exists():
        there = from_dict(json.loads(path.read_text()))
        if _identity(there) != _identity(config):
            raise UserError(
                f"{directory} holds a run of another config; expected that of {config.name!r}: take another --out"
            )
    directory.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(to_dict(config), indent=1) + "\n")
    os.replace(aside, path)


def _identity(config: Config) -> Config:
    """The config without what may change between two sittings of a run."""
    if isinstance(config, ClassifierConfig):  # its learning rate depends on the number of steps
        return replace(config, train=replace(config.train, evaluate_every=0, save_every=0))
    return replace(config, train=replace(config.train, steps=0, evaluate_every=0, save_every=0))

"""A run: a directory that holds everything about one training, and the loop that fills it.

Resume is running the same command again: networks, optimisers and the step are stored, every random draw is a
function of (seed, step), and files are written aside and renamed.
"""

import json
import math
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from rpgan.checkpoint import satisfies, save_checkpoint
from rpgan.config import Config, GanConfig
from rpgan.errors import UserError
from rpgan.files import replacing
from rpgan.images import save_png
from rpgan.memory import training_memory
from rpgan.overrides import override
from rpgan.training.claim import claim, refuse_another, refuse_another_source
from rpgan.training.machine import PRECISIONS, build_fabric, describe_machine, describe_versions
from rpgan.training.ranks import check_batch
from rpgan.training.recovery import DAMAGE, alone, check_sums, tidy, trim_log
from rpgan.training.score import Score
from rpgan.training.tasks import Task, prepare

LOG_EVERY = 50  # steps


def train(
    config: Config,
    directory: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    initial: Path | None = None,
    devices: int = 1,
) -> Path:
    """Trains an experiment in a run directory, or continues it there; returns its best checkpoint.

    The directory holds `config.json`, `state.pt` (what a resume needs), `log.jsonl`, TensorBoard events,
    `samples/STEP.png`, `best/` and `last/` (checkpoints). `initial` is the checkpoint of the experiment that
    the config starts from, or whose images it reads. Several devices share every batch of a GAN, one process
    each, and make the steps that one would; between two sittings their number may change. `workers` are the
    processes that load images beside the training, by default `loading_processes`. Raises UserError
    where the directory holds another experiment or more steps, and where a loss is no longer a number.
    """
    refuse_another(directory, config)
    _check_shares(config, devices)
    fabric = build_fabric(config.train.precision, device, directory, devices)
    task, data, load = prepare(config, fabric, initial, workers)
    refuse_another_source(directory, task.source)
    _announce_memory(config, fabric)
    with alone(directory) if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            refuse_another(directory, config)  # which may have come while this process waited
        fabric.barrier()
        run = Run(directory, config, fabric, task, data)
        if run.step > config.train.steps:
            got, most = f"{run.step:,} steps", f"{config.train.steps:,}"
            raise UserError(f"{directory} has made {got}; expected at most {most}: take another --out")
        if fabric.is_global_zero:
            claim(directory, config, task.source)
        if run.step < config.train.steps:
            run.follow(load(run.step, config.train.steps))
        elif fabric.is_global_zero and not satisfies(directory / "last", config):
            run.end()  # of a training that is to end where it was saved
    return directory / "best"


class Run:
    """A task on its way: where it is, what was best, and its files."""

    def __init__(self, directory: Path, config: Config, fabric: Fabric, task: Task, data: str) -> None:
        self.directory, self.config, self.fabric, self.task, self.data = directory, config, fabric, task, data
        self.step, self.best, self.seconds = 0, math.inf, 0.0
        if (directory / "state.pt").exists():
            self._restore()
        if fabric.is_global_zero:
            tidy(directory)
            trim_log(directory / "log.jsonl", self.step)

    def follow(self, loader: Any) -> None:
        """Makes the steps that are left; saves, scores and logs on the way."""
        train, window, started = self.config.train, [], time.perf_counter()
        quiet = not (sys.stderr.isatty() and self.fabric.is_global_zero)
        bar = tqdm(loader, initial=self.step, total=train.steps, disable=quiet, unit="step")
        for images, labels in bar:
            window.append(self.task.update(self.step, images, labels))
            self.step += 1
            due = {
                e: self.step % every == 0 or self.step == train.steps for e, every in self._rhythm().items()
            }
            if any(due.values()):
                losses = self._means(window)  # which waits for the device, so that its work is timed
                seconds = time.perf_counter() - started
                self.seconds += seconds
                self._check_finite(losses, len(window))
                self._log({"step": self.step, **losses, "step_seconds": seconds / len(window)})
                self.fabric.log_dict(losses, step=self.step)
                window = []
                if due["evaluate"] and self.fabric.is_global_zero:
                    self._evaluate()
                if due["save"]:
                    self._save()
                started = time.perf_counter()

    def end(self) -> None:
        """Scores and keeps the state where the training stands as its last one."""
        self._evaluate()
        self._save()

    def _rhythm(self) -> dict[str, int]:
        return {
            "log": LOG_EVERY,
            "evaluate": self.config.train.evaluate_every,
            "save": self.config.train.save_every,
        }

    def _means(self, window: list[dict[str, Tensor]]) -> dict[str, float]:
        means = {key: torch.stack([w[key] for w in window]).mean() for key in window[0]}
        return {key: float(cast(Tensor, self.fabric.all_reduce(mean))) for key, mean in means.items()}

    def _check_finite(self, losses: dict[str, float], n_steps: int) -> None:
        bad = [key for key, value in losses.items() if not math.isfinite(value)]
        # The last update comes after its losses: what it left is what would be saved.
        bad += [key for key, part in self.task.state.items() if not _is_finite(part)]
        if bad:
            raise UserError(
                f"{', '.join(bad)} not finite in steps {self.step - n_steps + 1} to {self.step}; "
                f"expected finite numbers: lower the rates, {self.directory} keeps the last good state"
            )

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
            best = f"(best {self.best:.4g})"
            print(f"step {self.step:,}: {scores[0].name} {scores[0].value:.4g} {best}", flush=True)

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
        if not self.fabric.is_global_zero:
            return
        # Fabric.save would write to the system's temporary folder, where a kill leaves it for ever.
        parts = cast(dict[str, Any], self.task.state)
        state = {key: part.state_dict() for key, part in parts.items()} | self._progress()
        with replacing(self.directory / "state.pt") as aside, aside.open("wb") as file:
            torch.save(state, file)  # to a name it would end the process on a full disk

    def _restore(self) -> None:
        state: dict[str, Any] = {**self.task.state, **self._progress()}
        path = self.directory / "state.pt"
        try:
            check_sums(path)
            self.fabric.load(path, state, weights_only=True)
        except torch.OutOfMemoryError:  # a RuntimeError, of which the state is innocent
            raise
        except DAMAGE as error:
            reason = " ".join(str(error).split())[:500]
            raise UserError(f"{path} cannot be resumed ({reason}); delete it to start over") from None
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]

    def _progress(self) -> dict[str, Any]:
        return {"step": self.step, "best": self.best, "seconds": self.seconds}

    def _log(self, entry: dict[str, Any]) -> None:
        if not self.fabric.is_global_zero:
            return
        with (self.directory / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def _is_finite(part: object) -> bool:
    parameters = part.parameters() if isinstance(part, torch.nn.Module) else ()
    return all(bool(p.isfinite().all()) for p in parameters)


def _announce_memory(config: Config, fabric: Fabric) -> None:
    if isinstance(config, GanConfig) and fabric.is_global_zero:
        halved = fabric.strategy.precision.precision == PRECISIONS["bfloat16"]
        share = override(config, {"train.batch_size": config.train.batch_size // fabric.world_size})
        memory = training_memory(share, "bfloat16" if halved else "float32", fabric.device.type)
        print(memory.line(), flush=True)


def _check_shares(config: Config, devices: int) -> None:
    if devices > 1 and not isinstance(config, GanConfig):
        raise UserError(f"{config.name} on {devices} devices; expected 1: only GANs are shared out")
    check_batch(config.train.batch_size, devices)

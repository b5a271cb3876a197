"""One step of training the classifiers of an inversion: fresh images of random paths, cross entropy."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from rpgan.checkpoint import load_card, load_generator
from rpgan.config import InversionConfig
from rpgan.errors import UserError
from rpgan.images import to_float, to_uint8
from rpgan.models.generator import render
from rpgan.models.inverter import Inverter, build_inverter, most_probable, read
from rpgan.training.batches import step_rng
from rpgan.training.classifier import one_cycle
from rpgan.training.score import Score

PATHS, EVALUATION = 1, 2  # streams of random numbers


class InversionTask:
    """Classifiers, their optimiser, and the generator that makes their images and does not change."""

    def __init__(self, config: InversionConfig, fabric: Fabric, source: Path) -> None:
        self.config, self.fabric = config, fabric
        self.source = load_card(source)["sha256"]
        self.generator = load_generator(source).requires_grad_(False).to(fabric.device)
        self.generator.to(memory_format=torch.channels_last)
        self.routes = self.generator.sample_paths(config.train.evaluate_n, step_rng(0, 0, EVALUATION))
        self.images = to_uint8(render(self.generator, self.routes))
        check_fit(config, self.generator.bucket_sizes, tuple(self.images.shape[1:]))
        self.model: Inverter = build_inverter(config, config.seed).to(fabric.device)
        self.model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.train.lr, weight_decay=config.train.weight_decay
        )
        self.inverter, self.optimizer = fabric.setup(self.model, optimizer)

    @property
    def provenance(self) -> str:
        """What the card quotes as data."""
        return f"images of random paths of {self.config.generator}, generated anew in every step"

    @property
    def state(self) -> dict[str, object]:
        """What a resume restores."""
        return {"inverter": self.inverter, "optimizer": self.optimizer}

    def batches(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields uint8 images and their paths for the steps from start to stop."""
        for step in range(start, stop):
            rng = step_rng(self.config.seed, step, PATHS)
            routes = self.generator.sample_paths(self.config.train.batch_size, rng)
            with torch.no_grad(), self.fabric.autocast():
                images = to_uint8(self.generator(routes))
            yield images, routes

    def update(self, step: int, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Makes one update on images and their paths; returns the loss, a mean over buckets."""
        train = self.config.train
        self.inverter.train()
        for group in self.optimizer.param_groups:
            group["lr"] = train.lr * one_cycle(step, train.steps)
        logits = self.inverter(to_float(images).to(memory_format=torch.channels_last))
        targets = labels.to(self.fabric.device)
        loss = torch.stack([F.cross_entropy(logits[b], targets[:, b]) for b in self.model.plural]).mean()
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def evaluate(self) -> list[Score]:
        """Error rates on the held-out paths: their mean over buckets first, then each bucket's."""
        wrong = most_probable(read(self.model, self.images)) != self.routes
        errors = wrong.float().mean(0).tolist()
        n, against = len(self.routes), f"held-out paths of {self.config.generator}"
        each = [Score(f"error_bucket_{b + 1}", errors[b], n, 0, against) for b in self.model.plural]
        mean = sum(score.value for score in each) / len(each)
        return [Score("error", mean, n, 0, against), *each]

    def sheet(self) -> None:
        """A classifier has no pictures to show."""

    def about(self) -> dict[str, object]:
        """What the card says of the training beside its config."""
        chance = [1 - 1 / self.model.bucket_sizes[bucket] for bucket in self.model.plural]
        about = {"generator": self.config.generator, "generator_sha256": self.source}
        return about | {"error_of_chance": chance}


def check_fit(config: InversionConfig, bucket_sizes: tuple[int, ...], image_shape: tuple[int, ...]) -> None:
    """Raises UserError for classifiers of other buckets or images than those of their generator."""
    got, expected = (config.bucket_sizes, config.image_shape), (bucket_sizes, image_shape)
    if got != expected:
        raise UserError(
            f"bucket_sizes, image_shape = {got}; expected {expected}, those of {config.generator}"
        )

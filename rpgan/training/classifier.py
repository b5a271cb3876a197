"""One step of training a classifier: cross entropy, AdamW on one cosine cycle, random shifts and flips."""

import math

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from rpgan.config import ClassifierConfig
from rpgan.datasets import ImageDataset
from rpgan.errors import UserError
from rpgan.images import to_float
from rpgan.models.classifier import build_classifier
from rpgan.models.modes import eval_mode, full_float32
from rpgan.training.batches import step_rng
from rpgan.training.score import Score

WARM_UP = 200  # steps of linear rise before the cosine
MOST_HELD_OUT = 10_000  # images of a score; the sprites have many more, of which the first are as good as any


class ClassifierTask:
    """A classifier, its optimiser and one update."""

    source = ""  # it builds on no other checkpoint

    def __init__(self, config: ClassifierConfig, fabric: Fabric, held_out: ImageDataset) -> None:
        check_outputs(config.outputs, held_out.all_labels())
        self.config, self.fabric, self.held_out = config, fabric, held_out
        self.batch_size, self.rows = config.train.batch_size, None
        self.model = build_classifier(config, config.seed).to(fabric.device)
        self.model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.train.lr, weight_decay=config.train.weight_decay
        )
        self.classifier, self.optimizer = fabric.setup(self.model, optimizer)

    @property
    def state(self) -> dict[str, object]:
        """What a resume restores."""
        return {"classifier": self.classifier, "optimizer": self.optimizer}

    def update(self, step: int, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Makes one update; returns the loss."""
        train = self.config.train
        self.classifier.train()
        for group in self.optimizer.param_groups:
            group["lr"] = train.lr * one_cycle(step, train.steps)
        rng = step_rng(self.config.seed, step)
        augmented = _cut_out(_augmented(images, train.shift, train.flip, rng), train.cutout, rng)
        x = to_float(augmented.to(self.fabric.device)).to(memory_format=torch.channels_last)
        loss = _cross_entropy(self.classifier(x), labels.to(self.fabric.device), self.model.outputs)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    @torch.no_grad()
    def evaluate(self) -> list[Score]:
        """Error rates on the held-out split: their mean first, then each label's where there are several."""
        n, k = min(len(self.held_out), MOST_HELD_OUT), len(self.model.outputs)
        wrong = torch.zeros(k)
        with eval_mode(self.model), full_float32():
            for start in range(0, n, 500):
                images, labels = self.held_out.__getitems__(list(range(start, min(start + 500, n))))
                heads = self.model(to_float(images.to(self.fabric.device))).split(self.model.outputs, dim=1)
                guesses = torch.stack([head.argmax(1) for head in heads], dim=1).cpu()
                wrong += (guesses != labels.reshape(-1, k)).sum(0)
        mean = Score("error", float(wrong.mean()) / n, n, 0, "held-out labels")
        if k == 1:
            return [mean]
        each = zip(self.held_out.class_names, wrong.tolist(), strict=True)
        return [mean, *(Score(f"error_{name}", w / n, n, 0, "held-out labels") for name, w in each)]

    def sheet(self) -> None:
        """A classifier has no pictures to show."""

    def about(self) -> dict[str, object]:
        """What the card says of the training beside its config."""
        return {"labels": len(self.config.outputs)}


def check_outputs(outputs: tuple[int, ...], labels: Tensor) -> None:
    """Raises UserError unless there is one output a label, with room for its classes."""
    needed = [int(most) + 1 for most in labels.reshape(len(labels), -1).amax(0)]
    if len(needed) != len(outputs) or any(n > k for n, k in zip(needed, outputs, strict=True)):
        raise UserError(
            f"outputs = {outputs}; expected at least {needed}, the classes of each label of the data"
        )


def one_cycle(step: int, steps: int) -> float:
    """Factor of a learning rate: a short linear rise, then half a cosine down to 0."""
    return min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / steps)))


def _cross_entropy(logits: Tensor, labels: Tensor, outputs: tuple[int, ...]) -> Tensor:
    columns = labels.reshape(len(labels), -1).unbind(1)
    heads = logits.split(outputs, dim=1)
    return torch.stack([F.cross_entropy(h, c) for h, c in zip(heads, columns, strict=True)]).sum()


def _augmented(images: Tensor, shift: int, flip: bool, rng: torch.Generator) -> Tensor:
    """Moves every image by up to `shift` pixels, repeating its border, and mirrors half of them."""
    n, _, h, w = images.shape
    if shift:
        padded = F.pad(images.float(), (shift,) * 4, mode="replicate").to(images.dtype)
        top, left = torch.randint(2 * shift + 1, (2, n), generator=rng)
        rows = (top[:, None] + torch.arange(h))[:, None, :, None]
        columns = (left[:, None] + torch.arange(w))[:, None, None, :]
        channels = torch.arange(images.shape[1])[None, :, None, None]
        images = padded[torch.arange(n)[:, None, None, None], channels, rows, columns]
    if flip:
        mirrored = torch.rand(n, generator=rng) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    return images


def _cut_out(images: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Greys a square around a random pixel of every image (DeVries & Taylor 2017); part may fall outside."""
    if not side:
        return images
    n, _, h, w = images.shape
    top, left = (torch.randint(size, (n, 1), generator=rng) - side // 2 for size in (h, w))
    rows, columns = torch.arange(h)[None], torch.arange(w)[None]
    inside_rows, inside_columns = (
        (rows >= top) & (rows < top + side),
        (columns >= left) & (columns < left + side),
    )
    square = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return images.masked_fill(square.to(images.device), 128)

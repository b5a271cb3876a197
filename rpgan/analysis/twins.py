"""The quality of a routed generator beside its twin's, one training of each (section 4, appendix A)."""

from collections.abc import Sequence

import torch

from rpgan.metrics.features import Extractor
from rpgan.metrics.frechet import GROUPS, Groups, Moments, distance_ratio
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
    rng: torch.Generator,
) -> dict[str, Result]:
    """Fréchet distance of a routed generator over its twin's, of n images each, at least as many as GROUPS.

    It is filed under the data set of the routed generator's experiment, e.g. `lsun_distance_ratio` of
    `lsun-rpgan`. The interval tells of the choice of images only, not of trainings.
    """
    routed, twin = (_groups(generator, extractor, n, rng) for generator in pair)
    ratio, interval = distance_ratio(routed, twin, real)
    data = experiment.rpartition("-")[0].replace("-", "_")
    return {f"{data}_distance_ratio": Result(ratio, n, "", interval, f"Fréchet, {extractor.name}")}


def distances_over_twin(
    experiment: str,
    pair: Sequence[RandomPathGenerator],
    measures: Sequence[tuple[Extractor, Moments]],
    n: int,
    rng: torch.Generator,
) -> dict[str, Result]:
    """The same in several sets of features, whose names stand behind the key; alone it is the first one's."""
    found: dict[str, Result] = {}
    for extractor, real in measures:
        [(key, ratio)] = distance_over_twin(experiment, pair, extractor, real, n, rng).items()
        found = {key: ratio} | found | {f"{key}_{extractor.name.replace('-', '_')}": ratio}
    return found


def _groups(generator: RandomPathGenerator, extractor: Extractor, n: int, rng: torch.Generator) -> Groups:
    groups = tuple(Moments() for _ in range(GROUPS))
    for number, group in enumerate(groups):
        size = n // GROUPS + (number < n % GROUPS)
        for start in range(0, size, BATCH):
            group.update(extractor(draw(generator, min(BATCH, size - start), rng)))
    return groups

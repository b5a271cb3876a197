"""A path for an image by trying paths: budgets count rendered images (beyond appendix B).

Classifiers propose, the generator disposes: every candidate is rendered and compared with the image.
Candidates of all images are rendered together, so that beginnings that they share are computed once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan import paths as path
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render

Cost = Callable[[Tensor, Tensor], Tensor]  # uint8 (n, c, h, w) rendered, the same wanted -> errors (n,)
AT_ONCE = 512  # rendered images in memory
COMPARED = 256  # of these in a call of the cost, which may take 64 bits for each level
MOST_PATHS = 200_000  # of a generator whose paths are all tried


@dataclass(frozen=True)
class Search:
    """What was found for each of n images."""

    routes: Tensor  # int64 (n, n_buckets), the best path
    errors: Tensor  # float64 (n, budget), least error among the first 1, 2, … rendered images

    @property
    def error(self) -> Tensor:
        """Error of the best path, (n,)."""
        return self.errors[:, -1]


def most_probable_paths(readings: Sequence[Tensor], k: int) -> Int64[Tensor, "n k n_buckets"]:
    """Returns the k most probable paths by log-probabilities (n, m_l) of independent buckets, best first.

    A beam of width k over the buckets is exact: a path among the k best has no beginning that is worse than
    k others. Fewer than k are returned where there are no more.
    """
    n = len(readings[0])
    scores, routes = torch.zeros(n, 1), torch.zeros(n, 1, 0, dtype=torch.int64)
    for reading in readings:
        total = (scores[:, :, None] + reading[:, None, :]).flatten(1)
        scores, place = total.topk(min(k, total.shape[1]), dim=1)
        parent, instance = place // reading.shape[1], place % reading.shape[1]
        beginnings = routes.gather(1, parent[:, :, None].expand(-1, -1, routes.shape[2]))
        routes = torch.cat([beginnings, instance[:, :, None]], dim=2)
    return routes


def try_paths(
    generator: RandomPathGenerator,
    images: UInt8[Tensor, "n c h w"],
    candidates: Int64[Tensor, "n k n_buckets"],
    cost: Cost,
) -> Search:
    """Renders k candidates of every image and keeps the best."""
    errors = candidate_errors(generator, images, candidates, cost)
    best = errors.argmin(1)
    return Search(candidates[torch.arange(len(images)), best], errors.cummin(1).values)


def improve(
    generator: RandomPathGenerator,
    images: UInt8[Tensor, "n c h w"],
    starts: Int64[Tensor, "n k n_buckets"],
    rankings: Sequence[Tensor],
    cost: Cost,
    budget: int,
    breadth: int = 1_000,
) -> Search:
    """Keeps the best paths, as many as there are starts, and exchanges one bucket after another.

    In each turn every kept path takes the first `breadth` other instances of the bucket by its ranking
    (n, m_l), e.g. log-probabilities. One start is coordinate descent, several are a beam. It stops when the
    budget is spent, or where a whole round changes nothing. Raises UserError for more starts than the budget.
    """
    width = starts.shape[1]
    if width > budget:
        raise UserError(f"{width} starts for a budget of {budget} images; expected no more than the budget")
    kept, errors = starts, candidate_errors(generator, images, starts, cost)
    tried, idle, bucket = errors, 0, 0
    plural = path.plural(generator.bucket_sizes)
    while tried.shape[1] < budget and idle < len(plural):
        at = plural[bucket % len(plural)]
        candidates = _neighbours(kept, at, rankings[at], breadth)[:, : budget - tried.shape[1]]
        found = candidate_errors(generator, images, candidates, cost)
        tried = torch.cat([tried, found], dim=1)
        before = errors
        kept, errors = _best(torch.cat([kept, candidates], 1), torch.cat([errors, found], 1), width)
        idle, bucket = (idle + 1 if torch.equal(before, errors) else 0), bucket + 1
    routes, _ = _best(kept, errors, 1)  # starts that spend the budget were not ordered yet
    return _padded(Search(routes[:, 0], tried.cummin(1).values), budget)


def compare(
    generator: RandomPathGenerator,
    images: UInt8[Tensor, "n c h w"],
    readings: Sequence[Tensor],
    cost: Cost,
    budget: int,
    rng: torch.Generator,
) -> dict[str, Search]:
    """Lets several ways to find a path render the same number of images for each image.

    `readings` are the classifiers' log-probabilities (n, m_l). Their first proposal is what appendix B takes:
    it is the first image of "classifiers" and of both searches that start from them.
    """
    n, width = len(images), min(4, budget)
    random = generator.sample_paths(n * budget, rng).view(n, budget, -1)
    likely = most_probable_paths(readings, budget)
    blind = [torch.rand(reading.shape, generator=rng) for reading in readings]
    return {
        "random paths": try_paths(generator, images, random, cost),
        "classifiers": _padded(try_paths(generator, images, likely, cost), budget),
        "descent, random start": improve(generator, images, random[:, :1], blind, cost, budget),
        "descent from classifiers": improve(generator, images, likely[:, :1], readings, cost, budget),
        "beam from classifiers": improve(generator, images, likely[:, :width], readings, cost, budget, 5),
    }


def _padded(search: Search, budget: int) -> Search:
    """Goes on with the least error where there were fewer candidates than the budget."""
    rest = search.errors[:, -1:].expand(-1, budget - search.errors.shape[1])
    return Search(search.routes, torch.cat([search.errors, rest], dim=1))


def exhaust(
    generator: RandomPathGenerator, images: UInt8[Tensor, "n c h w"], cost: Cost
) -> tuple[Int64[Tensor, "n n_buckets"], Float[Tensor, " n"]]:
    """Returns the best of all paths for each image, and its error.

    Raises UserError for a generator with more paths than can be rendered.
    """
    if path.count(generator.bucket_sizes) > MOST_PATHS:
        count = path.count(generator.bucket_sizes)
        raise UserError(f"{count:,} paths; expected at most {MOST_PATHS:,} to try them all: search instead")
    routes = path.enumerate_all(generator.bucket_sizes)
    least, best = (
        torch.full((len(images),), torch.inf, dtype=torch.float64),
        routes[:1].repeat(len(images), 1),
    )
    for part in routes.split(AT_ONCE):
        made = to_uint8(render(generator, part))
        errors = torch.stack([cost(made, image.expand_as(made)).double() for image in images])
        here, place = errors.min(1)
        better = here < least
        least, best = torch.where(better, here, least), torch.where(better[:, None], part[place], best)
    return best, least


def level_of_all(
    generator: RandomPathGenerator, images: UInt8[Tensor, "n c h w"], cost: Cost, most: int
) -> dict[str, float]:
    """Mean error of the best of all paths, by its name in a figure; empty for more paths than `most`."""
    if path.count(generator.bucket_sizes) > most:
        return {}
    return {"all paths": float(exhaust(generator, images, cost)[1].mean())}


def candidate_errors(
    generator: RandomPathGenerator, images: Tensor, candidates: Tensor, cost: Cost
) -> Float[Tensor, "n k"]:
    """Errors of k candidates (n, k, n_buckets) of every image; float64."""
    k = candidates.shape[1]
    parts = []
    for image, routes in zip(images.split(-(-AT_ONCE // k)), candidates.split(-(-AT_ONCE // k)), strict=True):
        made = to_uint8(render(generator, routes.flatten(0, 1)))
        pairs = zip(made.split(COMPARED), image.repeat_interleave(k, dim=0).split(COMPARED), strict=True)
        parts.append(torch.cat([cost(*pair).double() for pair in pairs]).view(-1, k))
    return torch.cat(parts)


def _neighbours(kept: Tensor, bucket: int, ranking: Tensor, breadth: int) -> Tensor:
    """The kept paths (n, w, n_buckets) with other instances of a bucket, the best ranked first."""
    (n, width, _), size = kept.shape, ranking.shape[1]
    order = ranking.argsort(dim=1, descending=True, stable=True)[:, None, :].expand(n, width, size)
    others = order[order != kept[:, :, bucket, None]].view(n, width, size - 1)[:, :, :breadth]
    varied = kept[:, :, None, :].repeat(1, 1, others.shape[2], 1)
    varied[..., bucket] = others
    return varied.transpose(1, 2).flatten(1, 2)  # every kept path's first choice before anyone's second


def _best(routes: Tensor, errors: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The width best of k distinct paths for every image; repeated ones count once."""
    same = (routes[:, :, None] == routes[:, None, :]).all(-1)
    repeated = same.tril(-1).any(2)
    order = errors.masked_fill(repeated, torch.inf).argsort(dim=1, stable=True)[:, :width]
    return routes.gather(1, order[:, :, None].expand(-1, -1, routes.shape[2])), errors.gather(1, order)

"""Generators built by hand, whose responsibilities are known: what an attribution must find, and must not.

They are random path generators like any other: Z is an empty description of a sprite, an instance writes
one value into it, and behind the last bucket the description is drawn.
"""

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rpgan.datasets.sprites import CARDINALITIES, FACTORS, factors_of, render_sprites
from rpgan.errors import UserError
from rpgan.images import to_float
from rpgan.models.bucket import Bucket
from rpgan.models.generator import RandomPathGenerator

# The order that the paper found on photographs: geometry before colour.
GEOMETRY_FIRST = ("shape", "x", "y", "scale", "rotation", "background_hue", "object_hue")
IDLE = "idle"  # the name of a bucket that decides nothing


class Write(nn.Module):
    """An instance: sets one entry of a description and keeps the others."""

    def __init__(self, column: int, value: int) -> None:
        super().__init__()
        self.column, self.value = column, value

    def forward(self, description: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        written = description.clone()
        written[:, self.column] = self.value
        return written


class Draw(nn.Module):
    """Draws the sprites whose factor indices stand in the first seven entries."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, description: Float[Tensor, "n k"]) -> Float[Tensor, "n 3 {self.size} {self.size}"]:
        factors = description[:, : len(FACTORS)].round().long().cpu()
        return to_float(render_sprites(factors, self.size)).to(description.device)


class Scramble(nn.Module):
    """Replaces a description by that of another sprite, in which every entry depends on all entries."""

    def forward(self, description: Float[Tensor, "n k"]) -> Float[Tensor, "n 7"]:
        entries = description[:, : len(FACTORS)].round().long().cpu()
        places = torch.tensor([prod(CARDINALITIES[:i]) for i in range(len(CARDINALITIES))])
        return factors_of((entries * places).sum(1)).float().to(description.device)


def planted(
    order: Sequence[str] = (*GEOMETRY_FIRST, IDLE), size: int = 64, scrambled: bool = False
) -> RandomPathGenerator:
    """Builds a generator of sprites in which each bucket decides one factor, named in `order`.

    The positive control: bucket l is behind all of the factor order[l] and nothing else; "idle" names a
    bucket of eight instances that are all the same. Factors that no bucket decides keep their first value.
    With `scrambled`, the negative one: a path gives the sprite that another path of the positive control
    gives, one to one and by no rule a bucket could follow, so that no bucket decides anything on its own.
    Raises UserError for an unknown factor and for one that is named twice.
    """
    known = [*FACTORS, IDLE]
    if len(set(order)) < len(order) or not set(order) <= set(known):
        raise UserError(f"order {tuple(order)}; expected different names out of {', '.join(known)}")
    sizes = [*CARDINALITIES, 8]
    columns = [known.index(name) for name in order]
    buckets = [Bucket(Write(column, value) for value in range(sizes[column])) for column in columns]
    links: list[nn.Module] = [nn.Identity() for _ in order]
    links[-1] = nn.Sequential(Scramble(), Draw(size)) if scrambled else Draw(size)
    generator = RandomPathGenerator(buckets, links, (len(known),))
    assert generator.latent is not None
    generator.latent.data.zero_()
    return generator.eval()


def leakage(total: Float[Tensor, "buckets factors"]) -> float:
    """The largest entry of a planted matrix that should be zero: those beside the diagonal, and idle buckets.

    Rows and columns are in the order of the buckets.
    """
    return float(total.masked_fill(torch.eye(*total.shape, dtype=torch.bool), 0).max())


def random_totals(bucket_sizes: Sequence[int]) -> Float[Tensor, " buckets"]:
    """Total indices 1 − 1/m where every path has a value by lot: a new draw meets the same instance at times.

    First-order ones are zero then, to one over the number of the other buckets' paths.
    """
    return 1 - 1 / torch.tensor(bucket_sizes, dtype=torch.float64)

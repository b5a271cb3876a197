"""Which class every pair of instances of the first two buckets shows, along random others (section 4.4)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import one_hot

from rpgan import paths as path
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.intervals import jackknife_error, t_interval
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.results import Result


@dataclass(frozen=True)
class ClassMap:
    """Votes of several random remainders of the path for the class of every pair of instances."""

    votes: Int64[Tensor, "m1 m2 remainders classes"]  # one-hot

    @property
    def labels(self) -> Int64[Tensor, "m1 m2"]:
        """The most frequent class."""
        return self.votes.sum(2).argmax(-1)

    @property
    def shares(self) -> Float[Tensor, "m1 m2"]:
        """Share of the remainders that show it."""
        return self.votes.double().mean(2).amax(-1)

    def settled(self) -> Result:
        """Probability that two remainders show the same class, mean over the pairs of instances.

        Unlike the share of the most frequent class, it does not depend on the number of remainders. The 95 %
        interval, by the jackknife over them, is left out for fewer than three.
        """
        n, counts = self.votes.shape[2], self.votes.sum(2)
        value = _agreement(counts)
        if n < 3:
            return Result(value, n)
        without = [_agreement(counts - vote) for vote in self.votes.unbind(2)]
        low, high = t_interval(value, jackknife_error(without), n - 1)
        return Result(value, n, interval=(max(0.0, low), min(1.0, high)))


def _agreement(counts: Int64[Tensor, "m1 m2 classes"]) -> float:
    n = int(counts[0, 0].sum())
    return float((counts * (counts - 1)).sum(-1).double().mean()) / (n * (n - 1))


def class_map(
    generator: RandomPathGenerator,
    read: Callable[[UInt8[Tensor, "n c h w"]], Int64[Tensor, " n"]],
    n_routes: int,
    rng: torch.Generator,
) -> ClassMap:
    """Classifies images of every pair of instances of the first two buckets along the same random remainders.

    Raises UserError for a single remainder, which agrees with itself.
    """
    if n_routes < 2:
        raise UserError(
            f"n_routes is {n_routes}; expected at least 2, since remainders are compared in pairs"
        )
    first, second, *_ = generator.bucket_sizes
    pairs = path.enumerate_all((first, second))
    routes = generator.sample_paths(n_routes, rng)
    every = torch.cat([torch.cat([pairs, rest[2:].expand(len(pairs), -1)], dim=1) for rest in routes])
    labels = read(to_uint8(render(generator, every))).view(n_routes, first, second)
    return ClassMap(one_hot(labels).permute(1, 2, 0, 3))

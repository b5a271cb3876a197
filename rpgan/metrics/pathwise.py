"""Features of the images along paths, each of which is made once where there are few."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render

MOST_KEPT = 100_000  # paths of a generator, up to which the features of every one are kept
AT_ONCE = 5_000  # images in memory


class PathFeatures:
    """Features of the images of paths; those of a generator of few paths are remembered between calls."""

    def __init__(
        self,
        generator: RandomPathGenerator,
        features: Callable[[UInt8[Tensor, "n c h w"]], Float[Tensor, "n d"]],
    ) -> None:
        self.generator, self.features = generator, features
        self.sizes = generator.bucket_sizes
        few = math.prod(self.sizes) <= MOST_KEPT
        self.known = torch.zeros(math.prod(self.sizes), dtype=torch.bool) if few else None
        self.table = torch.empty(0)

    def __call__(self, paths: Int64[Tensor, "n n_buckets"]) -> Float[Tensor, "n d"]:
        """Returns a row of features for each path, in their order; repeated paths are made once."""
        if self.known is None:
            distinct, row = paths.unique(dim=0, return_inverse=True)
            return self._made(distinct)[row]
        place = self._place(paths)
        new = place[~self.known[place]].unique()
        if len(new):
            made = self._made(torch.stack(torch.unravel_index(new, self.sizes), dim=1))
            if len(self.table) == 0:
                self.table = made.new_empty(len(self.known), made.shape[1])
            self.table[new], self.known[new] = made, True
        return self.table[place]

    def _place(self, paths: Tensor) -> Int64[Tensor, " n"]:
        """Returns where each path stands in the lexicographic order of all."""
        strides = [math.prod(self.sizes[bucket + 1 :]) for bucket in range(len(self.sizes))]
        return (paths * torch.tensor(strides)).sum(1)

    def _made(self, paths: Tensor) -> Float[Tensor, "n d"]:
        parts = [self.features(to_uint8(render(self.generator, some))) for some in paths.split(AT_ONCE)]
        return torch.cat(parts)

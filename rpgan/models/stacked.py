"""A bucket of linear layers whose weights lie in one tensor, for sampling."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from rpgan.models.bucket import Bucket
from rpgan.models.generator import RandomPathGenerator

SHARE = 8  # rows an instance, in the mean, from which a matrix product is faster; measured on CPUs


class StackedLinear(Bucket):
    """Interchangeable linear layers in one weight (m, in, out) and one bias (m, out).

    Faster to sample than separate instances; for training these are the better choice, since every row of a
    batch would touch the gradient of all m instances.
    """

    def __init__(self, weight: Float[Tensor, "m i o"], bias: Float[Tensor, "m o"]) -> None:
        nn.Module.__init__(self)  # a Bucket without its list of instances: they are views, see below
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def instances(self) -> nn.ModuleList:  # type: ignore[override] # an attribute of other buckets
        """The layers one by one, made on demand; they share the bucket's memory."""
        return nn.ModuleList(_layer(w.t(), b) for w, b in zip(self.weight.data, self.bias.data, strict=True))

    def forward(
        self, x: Float[Tensor, "n i"], index: Int64[Tensor, " n"], strategy: str = "auto"
    ) -> Float[Tensor, "n o"]:
        """Sends row k of x through layer index[k]; a strategy other than auto goes through `instances`."""
        if strategy != "auto":
            return super().forward(x, index, strategy)
        if len(index) <= len(self):  # few layers are drawn twice: sorting would cost more than it saves
            return self._by_row(x, index.to(x.device))
        order = index.argsort(stable=True)
        x, index, order = x[order.to(x.device)], index[order], order.to(x.device)
        if len(index) > SHARE * len(self):
            return self._by_share(x, index, order)
        out = self._by_row(x, index.to(x.device))
        return torch.empty_like(out).index_copy_(0, order, out)

    def _by_row(self, x: Tensor, index: Tensor) -> Tensor:
        """Every output as a weighted sum of rows of the weight: one operation that streams through memory."""
        n_inputs = x.shape[1]
        rows = index[:, None] * n_inputs + torch.arange(n_inputs, device=x.device)
        sums = F.embedding_bag(rows, self.weight.flatten(0, 1), mode="sum", per_sample_weights=x)
        return sums + self.bias[index]

    def _by_share(self, x: Tensor, index: Tensor, order: Tensor) -> Tensor:
        """One product for each drawn layer on its share of the sorted rows, written where they belong."""
        drawn, shares = index.unique_consecutive(return_counts=True)
        out = x.new_empty(len(x), self.bias.shape[1])
        pieces = zip(drawn.tolist(), x.split(shares.tolist()), order.split(shares.tolist()), strict=True)
        for i, piece, rows in pieces:
            out.index_copy_(0, rows, torch.addmm(self.bias[i], piece, self.weight[i]))
        return out


def stack_linear(layers: Iterable[nn.Module]) -> StackedLinear:
    """Copies linear layers of one shape into one bucket."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    weight = torch.stack([layer.weight.detach().t() for layer in linear])
    return StackedLinear(weight, torch.stack([layer.bias.detach() for layer in linear]))


def stacked(generator: RandomPathGenerator) -> RandomPathGenerator:
    """The same generator for sampling: buckets of linear layers are copied into one tensor each."""
    buckets = [_stacked_bucket(bucket) for bucket in generator.buckets]
    return rebuilt(generator, buckets, list(generator.links))


def rebuilt(
    generator: RandomPathGenerator, buckets: Sequence[Bucket], links: Sequence[nn.Module]
) -> RandomPathGenerator:
    """A generator of these buckets and links with the same Z, all of it in eval mode from then on."""
    z = generator.latent
    kind = "gaussian" if z is None else "learned" if isinstance(z, nn.Parameter) else "fixed"
    with torch.random.fork_rng(devices=[]):  # a constant Z is drawn before it is given
        new = RandomPathGenerator(buckets, links, generator.latent_shape, kind)
    if new.latent is not None and z is not None:
        new.latent.data = z.detach().clone()
    return new.eval()


def _stacked_bucket(bucket: Bucket) -> Bucket:
    if isinstance(bucket, StackedLinear) or not all(isinstance(i, nn.Linear) for i in bucket.instances):
        return bucket
    return stack_linear(bucket.instances)


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(1, 1, device="meta")
    layer.out_features, layer.in_features = weight.shape
    layer.weight, layer.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
    return layer

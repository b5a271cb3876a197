"""Any sequential generator as a random path generator."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import nn

from rpgan.errors import UserError, choose
from rpgan.models.bucket import Bucket
from rpgan.models.generator import RandomPathGenerator
from rpgan.models.modes import seeded


def randomize(
    module: nn.Sequential,
    split: Sequence[int],
    n_in: int | Sequence[int],
    *,
    latent_shape: Sequence[int] | None = None,
    latent: str = "learned",
    others: str = "reinitialised",
    seed: int = 0,
) -> RandomPathGenerator:
    """Groups the layers of a generator into buckets and replicates them (section 3.2).

    `split` lists where buckets begin, from 0: `randomize(net, (0, 3, 6), 20)` makes three buckets, of layers
    0–2, 3–5 and 6 on. The first instance of a bucket is a copy of the original, the others are
    `reinitialised` or `perturbed` (weights plus a tenth of their standard deviation in noise). `latent_shape`
    is that of the network's input without the batch, inferred where the first layer is linear, or a
    transposed convolution of a 1 × 1 input.
    With n_in = 1, `randomize(net, …)(paths, z)` equals `net(z)` bit for bit.

    A norm inside a bucket is replicated with its layers: in training, each copy normalises its own share of a
    batch, which may be a single image. The paper's norms are shared; a network without any is safe.
    """
    if not isinstance(module, nn.Sequential):
        raise UserError(
            f"module is a {type(module).__name__}; expected nn.Sequential: put its layers into one"
        )
    ends = (*split[1:], len(module))
    if not split or split[0] != 0 or any(a >= b for a, b in zip(split, ends, strict=True)):
        raise UserError(f"split {tuple(split)}; expected rising layer numbers from 0 to {len(module) - 1}")
    sizes = (n_in,) * len(split) if isinstance(n_in, int) else tuple(n_in)
    if len(sizes) != len(split) or min(sizes) < 1:
        raise UserError(f"n_in {n_in} for {len(split)} buckets; expected one number of at least 1 for each")
    if idle := [
        k
        for k, (a, b, size) in enumerate(zip(split, ends, sizes, strict=True))
        if size > 1 and not list(module[a:b].parameters())
    ]:
        raise UserError(f"bucket {idle[0] + 1} has no weights; expected n_in = 1 there, or another split")
    vary = choose(VARIANTS, others, "others")
    # A stream of its own: a network that was itself built after manual_seed(seed) must not be drawn again.
    stream = np.random.SeedSequence((seed, 1)).generate_state(1, np.uint64)
    weight, source = next(module.parameters(), torch.empty(0)), deepcopy(module).cpu()
    with seeded(int(stream[0] >> 1)):
        buckets = [
            Bucket([deepcopy(source[a:b]), *(vary(source[a:b]) for _ in range(size - 1))])
            for a, b, size in zip(split, ends, sizes, strict=True)
        ]
        shape = tuple(latent_shape) if latent_shape is not None else _input_shape(module)
        generator = RandomPathGenerator(buckets, [nn.Identity() for _ in buckets], shape, latent)
    if generator.latent is not None:
        generator.latent.data = generator.latent.data.to(weight.dtype)
    generator.training = module.training  # its layers keep their own modes
    return generator.to(weight.device)


def _input_shape(module: nn.Sequential) -> tuple[int, ...]:
    first = next(layer for layer in module.modules() if not list(layer.children()))
    if isinstance(first, nn.Linear):
        return (first.in_features,)
    if isinstance(first, nn.ConvTranspose2d):  # customary for 1 × 1; another convolution takes any size
        return (first.in_channels, 1, 1)
    raise UserError(f"the first layer is a {type(first).__name__}; say latent_shape, the shape of one input")


def _reinitialised(layers: nn.Sequential) -> nn.Sequential:
    copy = deepcopy(layers)
    for layer in copy.modules():
        own = dict(layer.named_parameters(recurse=False))
        if own:
            before = {name: parameter.detach().clone() for name, parameter in own.items()}
            reset = getattr(layer, "reset_parameters", None)
            if reset is not None:
                reset()
            # What a parametrisation computes is drawn in vain: its source would stay. Constants are reset to
            # themselves, e.g. biases to 0 and BatchNorm's scales to 1.
            stayed = [p for name, p in own.items() if p.numel() > 1 and torch.equal(p, before[name])]
            if reset is None or any(parameter.std() > 0 for parameter in stayed):
                raise UserError(f"{type(layer).__name__} cannot be re-initialised; take others='perturbed'")
    return copy


@torch.no_grad()
def _perturbed(layers: nn.Sequential) -> nn.Sequential:
    copy = deepcopy(layers)
    for parameter in copy.parameters():
        parameter.add_(0.1 * parameter.std(correction=0) * torch.randn_like(parameter))
    return copy


VARIANTS: dict[str, Callable[[nn.Sequential], nn.Sequential]] = {
    "reinitialised": _reinitialised,
    "perturbed": _perturbed,
}

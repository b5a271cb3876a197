"""A bucket of interchangeable instances, and the strategies that route a batch through it.

A strategy maps (instances, inputs (n, …), index (n,)) to outputs (n, …), row k being instance index[k] of
input k. All of them agree to rounding, in outputs and in gradients; they differ in speed and memory.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from rpgan.errors import UserError
from rpgan.models.blocks import Layered

STACKED = 2**30  # most bytes that `auto` lets `batched` copy for a bucket


class Bucket(nn.Module):
    """Interchangeable instances of one layer, B_l = {B_l1, …, B_lm} of section 3.2.

    Instances are separate parameters, so that an instance that was not drawn has no gradient at all.
    """

    def __init__(self, instances: Iterable[nn.Module]) -> None:
        super().__init__()
        self.instances = nn.ModuleList(instances)

    def __len__(self) -> int:
        return len(self.instances)

    def forward(
        self, x: Float[Tensor, "n ..."], index: Int64[Tensor, " n"], strategy: str = "auto"
    ) -> Float[Tensor, "n ..."]:
        """Sends row k of x through instance index[k]; index stays on the CPU, so no device waits for it."""
        if len(self) == 1:
            return self.instances[0](x)
        if strategy == "auto":
            strategy = self.fastest_on(x.device, len(x))
        if strategy not in STRATEGIES:
            raise UserError(f"strategy {strategy!r}; expected auto or one of {', '.join(STRATEGIES)}")
        return STRATEGIES[strategy](self.instances, x, index)

    def fastest_on(self, device: torch.device, n: int) -> str:
        """Names the strategy that `auto` takes for n rows: few launches on a GPU, few bytes moved on a CPU.

        Instances take turns on a GPU too where `batched` refuses them, or its copies would be too large.
        """
        if device.type != "cuda" or _unstackable(self.instances[0]):
            return "by_instance"
        return "batched" if n * copied_bytes(self.instances[0]) <= STACKED else "by_instance"


def per_sample(instances: nn.ModuleList, x: Tensor, index: Tensor) -> Tensor:
    """One call a row, as the paper describes it (section 4, training details): the reference."""
    return torch.cat([instances[i](x[k : k + 1]) for k, i in enumerate(index.tolist())])


def by_instance(instances: nn.ModuleList, x: Tensor, index: Tensor) -> Tensor:
    """Sorts the rows by instance, runs each drawn instance once on its share, and sorts back.

    Where gradients are recorded, each operation costs more than its numbers: of instances made of layers
    (blocks.Layered) only the layers run share by share then, and what has no weights runs once on all rows.
    Elsewhere shares run through the whole instance, since they fit into a processor's cache.
    """
    order = index.argsort(stable=True)
    drawn, shares = index[order].unique_consecutive(return_counts=True)
    back, order = order.argsort().to(x.device), order.to(x.device)
    used, sizes = [instances[i] for i in drawn.tolist()], shares.tolist()

    def layer(name: str, x: Tensor) -> Tensor:
        layers = [instance.get_submodule(name) for instance in used]
        if isinstance(layers[0], nn.Identity):
            return x
        return torch.cat([run(piece) for run, piece in zip(layers, x.split(sizes), strict=True)])

    x = reordered(x, order, back)
    one = used[0]
    in_layers = torch.is_grad_enabled() and isinstance(one, Layered) and all(map(_is_plain, used))
    out = one.through(x, layer) if in_layers else layer("", x)
    return reordered(out, back, order)


def _is_plain(instance: Layered) -> bool:
    """Whether an instance is its layers: no `forward` of its own, no hooks, no weights beside them."""
    beside = {name.partition(".")[0] for name, _ in instance.named_parameters()} - set(instance.layers)
    hooked = instance._forward_hooks or instance._forward_pre_hooks
    return type(instance).forward is Layered.forward and not hooked and not beside


class Reordered(torch.autograd.Function):
    """x[order], whose gradient is g[back]: the gradient of indexing would add up row by row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(order, back)
        return _rows(x, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        order, back = ctx.saved_tensors
        return reordered(gradient, back, order), None, None


def reordered(x: Tensor, order: Tensor, back: Tensor) -> Tensor:
    """x[order], of a permutation and its inverse."""
    return Reordered.apply(x, order, back)


def _rows(x: Tensor, order: Tensor) -> Tensor:
    """x[order] in x's own memory format; rows are copied whole, six times faster on CPUs than by indexing."""
    if not (x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))):
        return x[order]
    size = x[0].numel()
    rows = x.as_strided((len(x), size), (size, 1)).index_select(0, order)
    return rows.as_strided((len(order), *x.shape[1:]), (size, *x.stride()[1:]))


def batched(instances: nn.ModuleList, x: Tensor, index: Tensor) -> Tensor:
    """Stacks the drawn weights and runs all rows in one grouped operation, a constant number of launches.

    Every row gets its own copy of its instance's weights (`copied_bytes`), and nothing but these may differ
    between instances.
    """
    prototype = instances[0]
    if why := _unstackable(prototype):
        raise UserError(f"instances have {why}; strategy 'batched' stacks parameters: take 'by_instance'")
    drawn = [dict(instances[i].named_parameters()) for i in index.tolist()]
    weights = {name: torch.stack([parameters[name] for parameters in drawn]) for name in drawn[0]}

    def one(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(prototype, parameters, (row[None],))[0]

    return torch.vmap(one)(weights, x)


def copied_bytes(instance: nn.Module) -> int:
    """Bytes that `batched` copies for a row."""
    return sum(p.numel() * p.element_size() for p in instance.parameters())


def has_norms(instance: nn.Module) -> bool:
    """Whether what a layer makes of a row depends on the rows beside it."""
    return any(isinstance(part, _BatchNorm) for part in instance.modules())


def by_chance(instance: nn.Module) -> bool:
    """Whether an instance has layers that draw numbers when they train."""
    return any(isinstance(part, _DropoutNd | nn.RReLU) and part.training for part in instance.modules())


def _unstackable(instance: nn.Module) -> str:
    """Says what keeps instances from being run as one; empty where nothing does."""
    if next(instance.buffers(), None) is not None:
        return "buffers"
    if has_norms(instance):
        return "norms over a batch"
    if by_chance(instance):
        return "random layers"
    return "" if next(instance.parameters(), None) is not None else "no parameters"


STRATEGIES: dict[str, Callable[[nn.ModuleList, Tensor, Tensor], Tensor]] = {
    "per_sample": per_sample,
    "by_instance": by_instance,
    "batched": batched,
}

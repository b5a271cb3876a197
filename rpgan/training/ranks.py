"""Several processes that train one GAN: shares of a batch, BatchNorm over all of it, averaged gradients.

Every process draws the whole batch of a step from (seed, step) and computes its share, so that N processes
make the step that one makes with the same batch, to rounding.

Torch's DistributedDataParallel is left out: it hands zeros to instances that no process drew, which lets Adam
move them, and its hooks expect one forward a backward, where a GAN has several. Averaging after the backward
needs neither, and nothing of it can wait for a gradient that never comes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rpgan.errors import UserError

BUCKET = 4_000_000  # numbers that are averaged at once: few messages, little memory
M = TypeVar("M", bound=nn.Module)


class Averaging(DDPStrategy):
    """Processes and their connections as Fabric starts them, and the networks as they are."""

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]
        """Gives every process the weights of the first."""
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)
        return module


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is."""

    rank: int = 0
    world: int = 1

    @classmethod
    def of(cls, fabric: Fabric) -> "Ranks":
        """The processes of a Fabric that was launched."""
        return cls(fabric.global_rank, fabric.world_size)

    def rows(self, n: int, parts: int = 1) -> list[int]:
        """Rows of a batch of n that are this process's: its share of each of the equal parts."""
        part, share = n // parts, n // parts // self.world
        return [p * part + self.rank * share + k for p in range(parts) for k in range(share)]

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replaces gradients by their means over all processes.

        A parameter without one counts as zeros where another process has one; where none has, it stays so.
        """
        if self.world == 1 or not parameters:
            return
        counts = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32)
        counts = counts.to(parameters[0].device)
        dist.all_reduce(counts)
        used = [p for p, count in zip(parameters, counts.tolist(), strict=True) if count]
        for bucket in _bucketed([_gradient(p) for p in used]):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat)
            flat /= self.world
            for gradient, mean in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
                gradient.copy_(mean.view_as(gradient))

    def joined(self, module: M) -> M:
        """Returns the module with every BatchNorm taken over the batches of all processes; names stay."""
        if self.world > 1:
            for name, child in module.named_children():
                module.add_module(
                    name, JointBatchNorm(child) if isinstance(child, _BatchNorm) else self.joined(child)
                )
        return module


def check_batch(batch_size: int, devices: int) -> None:
    """Raises UserError unless a batch falls into equal shares, one for each device."""
    if batch_size % devices:
        raise UserError(
            f"train.batch_size = {batch_size} on {devices} devices; expected a multiple of {devices}"
        )


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _bucketed(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for gradient in gradients:
        if bucket and sum(g.numel() for g in bucket) + gradient.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


class JointBatchNorm(_BatchNorm):
    """BatchNorm over the equal shares of all processes, on any device (SyncBatchNorm refuses CPUs)."""

    def __init__(self, norm: _BatchNorm) -> None:
        assert norm.affine and norm.track_running_stats and norm.momentum is not None, (
            "every norm here is usual"
        )
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        self.to(norm.weight.device)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of positions will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))  # bfloat16 cannot add up a batch
        positions = [d for d in range(x.ndim) if d != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        n = x.numel() // x.shape[1] * dist.get_world_size()
        mean = Sum.apply(x.sum(positions)) / n
        centred = x - mean.view(shape)
        # From the centred values: the difference of two large sums would lose digits.
        variance = Sum.apply(centred.square().sum(positions)) / n
        self._follow(mean.detach(), variance.detach() * n / max(n - 1, 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


class Sum(torch.autograd.Function):
    """Sum over all processes. Everybody's loss depends on it, hence the gradient is a sum too."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Adds up."""
        return _summed(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        """Adds up the gradients."""
        return _summed(gradient)


def _summed(x: Tensor) -> Tensor:
    total = x.detach().clone()
    dist.all_reduce(total)
    return total

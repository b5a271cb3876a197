"""Buckets: every routing strategy is the naive loop, only faster."""

import pytest
import torch
from torch import nn

from rpgan.errors import UserError
from rpgan.models.blocks import UpBlock, UpConv
from rpgan.models.bucket import STRATEGIES, Bucket, by_instance, reordered

LAYERS = {
    "linear": (lambda: nn.Linear(5, 7), (5,)),
    "conv": (lambda: nn.Conv2d(3, 2, 3, padding=1), (3, 6, 6)),
    "up-block": (lambda: UpBlock(3, 4), (3, 4, 4)),
    "up-block-without-skip-weights": (lambda: UpBlock(3, 3, leak=0.2), (3, 4, 4)),
    "up-conv": (lambda: UpConv(3, 2), (3, 4, 4)),
    "sequence": (lambda: nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)), (5,)),
}
INDICES = {"mixed": [3, 0, 3, 1, 0, 3], "one": [2] * 6, "sorted": [0, 1, 1, 2, 3, 3], "single-row": [1]}


def routed(bucket: Bucket, x: torch.Tensor, index: torch.Tensor, strategy: str) -> list[torch.Tensor | None]:
    """Output, gradient of the input and gradients of all parameters."""
    bucket.zero_grad()
    x = x.clone().requires_grad_(True)
    out = bucket(x, index, strategy)
    (out * torch.linspace(-1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)).sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in bucket.parameters())]


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "per_sample"])
def test_strategies_agree_with_the_loop(strategy, layer, index, rng):
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    bucket = Bucket(make() for _ in range(4)).double()
    index = torch.tensor(index)
    x = torch.randn(len(index), *shape, generator=rng, dtype=torch.float64)
    expected, got = (routed(bucket, x, index, s) for s in ("per_sample", strategy))
    for e, g in zip(expected, got, strict=True):
        assert (e is None) == (g is None)
        if e is not None:
            torch.testing.assert_close(g, e, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(bucket(x, index, strategy), expected[0], rtol=1e-12, atol=1e-12)


FORMATS = {
    "contiguous": lambda x: x.contiguous(),
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "every second pixel": lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
    "one row for all": lambda x: x[:1].expand_as(x),
}


@pytest.mark.parametrize("formatted", FORMATS.values(), ids=FORMATS)
def test_rows_are_reordered_in_any_memory_format(formatted, rng):
    x = formatted(torch.arange(5.0 * 3 * 4 * 2).reshape(5, 3, 4, 2))
    order = torch.randperm(5, generator=rng)
    taken = reordered(x, order, order.argsort())
    assert torch.equal(taken, x[order])
    assert taken.stride() == x[order].stride()


class Doubled(UpConv):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Parametric(UpBlock):
    def __init__(self) -> None:
        super().__init__(3, 3)
        self.activation = nn.PReLU(init=float(torch.rand(())))


@pytest.mark.parametrize("make", [lambda: Doubled(3, 2), Parametric], ids=["forward", "weights"])
def test_what_an_instance_adds_to_its_layers_counts_in_training_too(make, rng):
    torch.manual_seed(0)
    bucket, index = Bucket(make() for _ in range(4)).double(), torch.tensor(INDICES["mixed"])
    x = torch.randn(len(index), 3, 4, 4, generator=rng, dtype=torch.float64)
    for e, g in zip(*(routed(bucket, x, index, s) for s in ("per_sample", "by_instance")), strict=True):
        if e is not None:
            torch.testing.assert_close(g, e, rtol=1e-12, atol=1e-12)


def test_hooks_on_an_instance_fire_in_training(rng):
    bucket, rows = Bucket(UpConv(3, 2) for _ in range(2)), []
    bucket.instances[1].register_forward_hook(lambda _, args, out: rows.append(len(out)))
    bucket(torch.randn(3, 3, 4, 4, generator=rng), torch.tensor([1, 0, 1]), "by_instance")
    assert rows == [2]


def test_an_instance_that_was_not_drawn_has_no_gradient(rng):
    bucket = Bucket(nn.Linear(2, 2) for _ in range(3))
    for strategy in STRATEGIES:
        routed(bucket, torch.randn(4, 2, generator=rng), torch.tensor([0, 2, 2, 0]), strategy)
        assert [i.weight.grad is None for i in bucket.instances] == [False, True, False]


def test_each_drawn_instance_is_called_once_on_its_share(rng):
    calls: list[tuple[int, int]] = []
    bucket = Bucket(nn.Linear(2, 2) for _ in range(3))
    for i, instance in enumerate(bucket.instances):
        instance.register_forward_pre_hook(lambda _, args, i=i: calls.append((i, len(args[0]))))
    by_instance(bucket.instances, torch.randn(5, 2, generator=rng), torch.tensor([2, 0, 2, 2, 0]))
    assert calls == [(0, 2), (2, 3)]


def test_a_bucket_of_one_is_its_instance(rng):
    bucket, x = Bucket([nn.Linear(2, 3)]), torch.randn(4, 2, generator=rng)
    assert torch.equal(bucket(x, torch.zeros(4, dtype=torch.int64)), bucket.instances[0](x))


def test_auto_takes_few_launches_on_a_gpu_where_instances_can_be_stacked():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    plain = Bucket(nn.Linear(2, 2) for _ in range(2))
    assert (plain.fastest_on(cpu, 8), plain.fastest_on(cuda, 8)) == ("by_instance", "batched")
    for make in (lambda: nn.BatchNorm1d(2), nn.ReLU):
        assert Bucket(make() for _ in range(2)).fastest_on(cuda, 8) == "by_instance"


def test_auto_copies_no_more_weights_than_fit():
    with torch.device("meta"):
        large = Bucket(nn.Linear(2**13, 2**13, bias=False) for _ in range(2))  # 2²⁸ bytes a row
    assert [large.fastest_on(torch.device("cuda"), n) for n in (4, 5)] == ["batched", "by_instance"]


def test_mistakes_are_named():
    bucket, x, index = Bucket(nn.BatchNorm1d(2) for _ in range(2)), torch.zeros(2, 2), torch.tensor([0, 1])
    with pytest.raises(UserError, match=r"'fast'; expected auto or one of per_sample"):
        bucket(x, index, "fast")
    with pytest.raises(UserError, match=r"have buffers.*take 'by_instance'"):
        bucket(x, index, "batched")
    with pytest.raises(UserError, match=r"have no parameters.*take 'by_instance'"):
        Bucket(nn.ReLU() for _ in range(2))(x, index, "batched")

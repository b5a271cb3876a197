"""Losses, checked where their values are known."""

import pytest
import torch
from torch import nn

from rpgan.losses import (
    ADVERSARIAL,
    all_pairs_diversity,
    critic,
    fool,
    gradient_penalty,
    hinge_discriminator,
    pair_diversity,
    weights_of,
)
from rpgan.models.blocks import UpBlock
from rpgan.models.bucket import Bucket


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [(1, -1, 0), (5, -5, 0), (0, 0, 2), (-1, 1, 4), (1, 1, 2), (-1, -1, 2), (0.5, -1, 0.5)],
)
def test_hinge_at_its_corners(real, fake, expected):
    logits = torch.tensor([real, real], dtype=torch.float32), torch.tensor([fake, fake], dtype=torch.float32)
    assert hinge_discriminator(*logits) == expected


def test_hinge_has_no_gradient_beyond_the_margin():
    real, fake = torch.tensor([2.0, 0.0], requires_grad=True), torch.tensor([-2.0, 0.0], requires_grad=True)
    hinge_discriminator(real, fake).backward()
    assert real.grad.tolist() == [0, -0.5] and fake.grad.tolist() == [0, 0.5]


def test_the_critic_and_the_generator_pull_against_each_other():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])
    assert critic(real, fake) == 1.5 - 4 and fool(fake) == -1.5
    assert {name: loss.penalised for name, loss in ADVERSARIAL.items()} == {"hinge": False, "wgan-gp": True}


class LinearCritic(nn.Module):
    """D(x) = norm · ⟨u, x⟩ with a unit vector u: its gradient has that norm everywhere."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        u = torch.randn(2 * 3 * 3, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(norm * u / u.norm())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight


@pytest.mark.parametrize(("norm", "expected"), [(1, 0), (3, 4), (0.5, 0.25)])
def test_gradient_penalty_measures_the_distance_from_norm_one(norm, expected, rng):
    linear, (real, fake) = LinearCritic(norm), torch.randn(2, 4, 2, 3, 3, generator=rng)
    penalty = gradient_penalty(linear, real, fake, torch.rand(len(real), generator=rng))
    assert float(penalty.detach()) == pytest.approx(expected, abs=1e-5)
    if expected:
        penalty.backward()  # reaches the weights: d (|w| − 1)² / dw = 2 (|w| − 1) u
        assert float(linear.weight.grad.norm()) == pytest.approx(2 * abs(norm - 1), abs=1e-5)


class Square(nn.Module):
    """D(x) = ‖x‖²/2, whose gradient is x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).square().sum(1) / 2


def test_each_image_is_penalised_for_its_own_gradient(rng):
    images = torch.randn(6, 2, 3, 3, generator=rng) * torch.arange(6)[:, None, None, None]
    penalty = gradient_penalty(Square(), images, images, torch.rand(6, generator=rng))
    torch.testing.assert_close(penalty, (images.flatten(1).norm(dim=1) - 1).square().mean())


def test_gradient_penalty_looks_between_real_and_fake(rng):
    seen: list[torch.Tensor] = []
    probe = LinearCritic(1)
    probe.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    real, fake = torch.zeros(50, 2, 3, 3), torch.ones(50, 2, 3, 3)
    gradient_penalty(probe, real, fake, torch.rand(len(real), generator=rng))
    shares = seen[0].flatten(1)
    assert (shares == shares[:, :1]).all() and 0 <= shares.min() < 0.1 and 0.9 < shares.max() <= 1


def bucket_of(weights: torch.Tensor) -> Bucket:
    """Linear instances with these weights (m, out, in)."""
    bucket = Bucket(nn.Linear(weights.shape[2], weights.shape[1]) for _ in weights)
    with torch.no_grad():
        for instance, weight in zip(bucket.instances, weights, strict=True):
            instance.weight.copy_(weight)
    return bucket


def test_pair_diversity_is_zero_for_equal_and_two_for_independent_instances(rng):
    weight = torch.randn(80, 80, generator=rng)
    assert pair_diversity(bucket_of(weight.expand(3, -1, -1)), rng) == 0
    independent = bucket_of(torch.randn(2, 80, 80, generator=rng))
    assert float(pair_diversity(independent, rng)) == pytest.approx(2, abs=0.1)
    opposite = bucket_of(torch.stack([weight, -weight]))
    assert float(pair_diversity(opposite, rng)) == pytest.approx(4, abs=0.1)


def test_a_pair_may_be_any_and_each_of_its_weights_has_its_own_spread(rng):
    torch.manual_seed(0)
    bucket, seen = Bucket(UpBlock(3, 4) for _ in range(4)).double(), set()
    for instance in bucket.instances:
        instance.conv2.weight.data *= 10
    weights = [instance.conv1.weight for instance in bucket.instances]
    for _ in range(60):
        value = pair_diversity(bucket, rng, margin=10.0)
        gradients = torch.autograd.grad(value, weights, allow_unused=True)
        i, j = (k for k, gradient in enumerate(gradients) if gradient is not None)
        pairs = zip(*(weights_of(bucket.instances[k]) for k in (i, j)), strict=True)
        spreads = [
            ((a - b) / torch.cat([a.flatten(), b.flatten()]).std(correction=0)).square().mean()
            for a, b in pairs
        ]
        torch.testing.assert_close(value, torch.stack(spreads).mean())
        seen.add((i, j))
    assert len(seen) == 6


def test_pair_diversity_does_not_depend_on_the_scale_of_the_weights_or_on_biases(rng):
    weights = torch.randn(2, 20, 20, generator=rng)
    small, large = bucket_of(weights), bucket_of(1000 * weights)
    nn.init.ones_(large.instances[0].bias)
    torch.testing.assert_close(pair_diversity(small, rng), pair_diversity(large, rng))


def test_the_margin_kills_the_gradient_and_only_it(rng):
    weights = torch.randn(2, 20, 20, generator=rng)
    alike = bucket_of(torch.stack([weights[0], weights[0] + 0.1 * weights[1]]))
    value = pair_diversity(alike, rng)
    assert value < 1.5 and value.requires_grad
    value.backward()
    a, b = (instance.weight.detach() for instance in alike.instances)
    spread = torch.cat([a.flatten(), b.flatten()]).std(correction=0)  # a constant to the gradient
    torch.testing.assert_close(alike.instances[0].weight.grad, 2 * (a - b) / (spread**2 * a.numel()))
    independent = bucket_of(weights)
    assert not pair_diversity(independent, rng, margin=1.5).requires_grad
    assert pair_diversity(independent, rng, margin=2.5).requires_grad


def explicit(bucket: Bucket) -> torch.Tensor:
    """The sum of section 3.2 as it is written, mean over the weights."""
    sums = []
    for name, _ in bucket.instances[0].named_parameters():
        if name.endswith("weight"):
            w = torch.stack([instance.get_parameter(name) for instance in bucket.instances])
            s = w.std(correction=0)
            m = len(bucket)
            terms = [((w[i] - w[j]) / s).square().mean() for i in range(m) for j in range(m) if i != j]
            sums.append(torch.stack(terms).sum())
    return torch.stack(sums).mean()


def test_the_closed_form_of_all_pairs_is_the_double_sum_with_its_gradients():
    torch.manual_seed(0)
    bucket = Bucket(UpBlock(3, 4) for _ in range(5)).double()
    weights = [p for name, p in bucket.named_parameters() if name.endswith("weight")]
    values = [all_pairs_diversity(bucket), explicit(bucket)]
    torch.testing.assert_close(*values, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(value, weights) for value in values]
    for closed, double in zip(*gradients, strict=True):
        torch.testing.assert_close(closed, double, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("m", [2, 10, 40])
def test_all_pairs_start_near_their_maximum(m, rng):
    """Independent instances are at (m − 1)/m of 2m² (specification, point 3)."""
    value = all_pairs_diversity(bucket_of(torch.randn(m, 50, 50, generator=rng)))
    share = float(value.detach()) / (2 * m * m)
    assert share == pytest.approx((m - 1) / m, rel=0.05)


def test_all_pairs_of_equal_instances_are_zero(rng):
    assert all_pairs_diversity(bucket_of(torch.randn(5, 5, generator=rng).expand(4, -1, -1))) == 0

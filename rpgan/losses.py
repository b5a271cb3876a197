"""Adversarial losses and the instance diversity term."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from rpgan.models.bucket import Bucket

Logits = Float[Tensor, " n"]


class Adversarial(NamedTuple):
    """A pair of losses, and whether the gradient penalty belongs to the discriminator's."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalised: bool


def hinge_discriminator(real_logits: Logits, fake_logits: Logits) -> Tensor:
    """E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(s)))], Miyato et al. (2018), equation 16."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def critic(real_logits: Logits, fake_logits: Logits) -> Tensor:
    """E[D(G(s))] − E[D(x)], the negative Wasserstein estimate, Gulrajani et al. (2017), equation 3."""
    return fake_logits.mean() - real_logits.mean()


def fool(fake_logits: Logits) -> Tensor:
    """−E[D(G(s))], the generator's side of both losses."""
    return -fake_logits.mean()


ADVERSARIAL: dict[str, Adversarial] = {
    "hinge": Adversarial(hinge_discriminator, fool, penalised=False),
    "wgan-gp": Adversarial(critic, fool, penalised=True),
}


def gradient_penalty(
    discriminator: nn.Module,
    real: Float[Tensor, "n c h w"],
    fake: Float[Tensor, "n c h w"],
    share: Float[Tensor, " n"],
) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] at x̂ = (1 − share)·real + share·fake, Gulrajani et al. (2017), equation 3.

    The shares are uniform in [0, 1], one for each image.
    """
    between = torch.lerp(real, fake, share.to(real.device)[:, None, None, None]).requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def pair_diversity(bucket: Bucket, rng: torch.Generator, margin: float = 1.5) -> Tensor:
    """Mean squared distance of one random pair of instances, in units of the pair's own spread.

    Mean over the weights (biases do not count), each normalised by the pair's detached mean and standard
    deviation: 0 for equal instances, 2 for independent ones. At or above the margin it is a constant, so that
    its gradient is zero (what the released code takes of one bucket; erratum 3).
    """
    i, j = torch.randperm(len(bucket), generator=rng)[:2].tolist()
    pairs = zip(weights_of(bucket.instances[i]), weights_of(bucket.instances[j]), strict=True)
    value = torch.stack([_normalised_distance(a, b) for a, b in pairs]).mean()
    return value if value < margin else value.detach()


def all_pairs_diversity(bucket: Bucket) -> Tensor:
    """Σ_{i≠j} MSE(w_i/s_w, w_j/s_w), mean over the weights w (section 3.2, the text's reading; erratum 3).

    The text sums over all parameters; biases begin at 0, where s_w is 0 too, and are left out.
    s_w is the standard deviation over all instances of w and stays in the graph. With
    Σ_{i≠j} ‖w_i − w_j‖² = 2m Σ_i ‖w_i − w̄‖² no pair is formed; the value lies in [0, 2m²].
    """
    m = len(bucket)
    stacks = [torch.stack(w).flatten(1) for w in zip(*map(weights_of, bucket.instances), strict=True)]
    spreads = [(w - w.mean(0)).square().mean() / w.var(correction=0) for w in stacks]
    return 2 * m * m * torch.stack(spreads).mean()


def weights_of(instance: nn.Module) -> list[Tensor]:
    """The weights of an instance, without its biases, which do not count for diversity."""
    return [p for name, p in instance.named_parameters() if name.rpartition(".")[2] == "weight"]


def _normalised_distance(a: Tensor, b: Tensor) -> Tensor:
    spread = torch.cat([a.detach().flatten(), b.detach().flatten()]).std(correction=0)
    return ((a - b) / spread).square().mean()


def _awake(buckets: Sequence[Bucket], rng: torch.Generator, margin: float) -> list[Tensor]:
    pairs = [pair_diversity(bucket, rng, margin) for bucket in buckets]
    return [value for value in pairs if value.requires_grad]


# Of buckets with several instances, and the margin for pairs: the values whose mean is the diversity term.
Diversity = Callable[[Sequence[Bucket], torch.Generator, float], list[Tensor]]
DIVERSITY: dict[str, Diversity] = {
    "pair": lambda buckets, rng, margin: [pair_diversity(bucket, rng, margin) for bucket in buckets],
    "awake-pairs": _awake,
    "all-pairs": lambda buckets, _, __: [all_pairs_diversity(bucket) for bucket in buckets],
    "off": lambda *_: [],
}

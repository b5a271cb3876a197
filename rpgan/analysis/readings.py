"""Small experiments that show what a reading changes (the errata page, points 3, 13, 14 and 15)."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from rpgan import paths
from rpgan.errors import choose
from rpgan.losses import pair_diversity, weights_of
from rpgan.models.blocks import UpBlock
from rpgan.models.bucket import Bucket
from rpgan.models.generator import RandomPathGenerator, render
from rpgan.models.modes import routed_by
from rpgan.results import Result

N_WEIGHTS = 20_000  # of an instance that shows what the diversity term does
# Whose instances are compared; the two explorers differ in their activation and schedule.
NETWORKS = ("cifar10-rpgan", "cifar10-explorer", "cifar10-explorer-relu", "sprites-rpgan", "mnist-rpgan")


def correlated_bucket(correlation: float, n_weights: int, rng: torch.Generator) -> Bucket:
    """Two linear instances whose weights are normal with this correlation, in [0, 1]."""
    first, other = torch.randn(2, n_weights, generator=rng)
    second = correlation * first + (1 - correlation**2) ** 0.5 * other
    instances = [nn.Linear(n_weights, 1) for _ in range(2)]
    with torch.no_grad():
        for instance, weight in zip(instances, (first, second), strict=True):
            instance.weight.copy_(weight[None])
    return Bucket(instances)


def pair_term(
    correlations: Sequence[float], margin: float, rng: torch.Generator
) -> tuple[list[float], list[float]]:
    """The one-pair diversity term and the norm of its gradient, at each correlation of two instances.

    The term is 2(1 − ρ) up to sampling; at or above the margin its gradient is zero.
    """
    values, norms = [], []
    for correlation in correlations:
        bucket = correlated_bucket(correlation, N_WEIGHTS, rng)
        value = pair_diversity(bucket, rng, margin)
        values.append(float(value.detach()))
        norms.append(_gradient_norm(value, bucket))
    return values, norms


def _gradient_norm(value: Tensor, bucket: Bucket) -> float:
    if not value.requires_grad:
        return 0.0
    weights = [w for instance in bucket.instances for w in weights_of(instance)]
    gradients = torch.autograd.grad(value, weights)
    return float(torch.cat([g.flatten() for g in gradients]).norm())


def pair_terms_at_start(generator: RandomPathGenerator, n_pairs: int, rng: torch.Generator) -> Tensor:
    """The one-pair term of every plural bucket as initialised: float (n_pairs, buckets), near 2 each."""
    plural = [bucket for bucket in generator.buckets if len(bucket) > 1]
    with torch.no_grad():
        values = [[float(pair_diversity(bucket, rng)) for bucket in plural] for _ in range(n_pairs)]
    return torch.tensor(values)


@torch.no_grad()
def weight_distances(bucket: Bucket) -> Float[Tensor, "m m"] | None:
    """Half the term that section 3.2 sums, MSE(w_i/s_w, w_j/s_w), as a mean over weights: float64.

    0 for equal instances, 1 for independent ones. A weight that is one number everywhere says nothing and is
    left out: of a bucket that is stored as the table of its outcomes, nothing is left, and None is returned.
    The matrix is on the CPU.
    """
    stacks = [
        torch.stack(w).flatten(1).double() for w in zip(*map(weights_of, bucket.instances), strict=True)
    ]
    scaled = [w / w.std(correction=0) for w in stacks if w.std(correction=0) > 0]
    if not scaled:
        return None
    apart = [torch.cdist(w, w, compute_mode="donot_use_mm_for_euclid_dist") ** 2 for w in scaled]
    return torch.stack([d / w.shape[1] for d, w in zip(apart, scaled, strict=True)]).mean(0).cpu() / 2


def least_apart(generator: RandomPathGenerator) -> dict[str, float]:
    """The distance of the two most alike instances of every bucket of several, see `weight_distances`."""
    return {
        name: float((d + torch.diag(torch.full((len(d),), torch.inf))).min())
        for name, d in _distances(generator).items()
    }


def diversity_shares(generator: RandomPathGenerator) -> dict[str, float]:
    """What every bucket of several contributes to the sum of section 3.2, over the most it could.

    1 − 1/m for m independent instances, 0 for equal ones; see `weight_distances`.
    """
    return {name: float(d.mean()) for name, d in _distances(generator).items()}


def _distances(generator: RandomPathGenerator) -> dict[str, Tensor]:
    """`weight_distances` of the buckets that can be varied and have weights, by name."""
    found = {b: weight_distances(generator.buckets[b]) for b in paths.plural(generator.bucket_sizes)}
    return {f"bucket {b + 1}": d for b, d in found.items() if d is not None}


def apart_results(
    apart: Mapping[str, Mapping[str, float]], terms: Mapping[str, str], key: str = "instances_apart"
) -> dict[str, Result]:
    """What the ledger needs of distances by network and bucket: the least, with the term and without.

    `terms` has the setting `loss.diversity` of each network; networks without the term stand under
    KEY_without.
    """
    kinds = {key: [n for n in apart if terms[n] != "off"]}
    kinds[f"{key}_without"] = [n for n in apart if terms[n] == "off"]
    return {
        kind: Result([min(apart[name].values()) for name in names], len(names), "", None, ", ".join(names))
        for kind, names in kinds.items()
        if names
    }


def network_results(
    generators: Mapping[str, RandomPathGenerator],
    terms: Mapping[str, str],
    apart: Mapping[str, Mapping[str, float]],
    between: Mapping[str, Mapping[str, float]],
) -> dict[str, Result]:
    """All that is told of trained networks: `least_apart`, `images_apart` and `diversity_shares`."""
    shares = {name: diversity_shares(generator) for name, generator in generators.items()}
    told = {"instances_apart": apart, "images_apart": between, "diversity_share": shares}
    return {k: r for key, found in told.items() for k, r in apart_results(found, terms, key).items()}


def images_apart(groups: Mapping[int, UInt8[Tensor, "routes k c h w"]]) -> dict[str, float]:
    """How far the images of two instances of a bucket lie apart on the same route, by bucket.

    The root of the mean square over pixels, pairs and routes, in levels of 255.
    """
    return {
        f"bucket {bucket + 1}": math.sqrt(2 * float(images.float().var(dim=1, correction=1).mean()))
        for bucket, images in groups.items()
    }


@torch.no_grad()
def hidden_on(generator: RandomPathGenerator, routes: Int64[Tensor, "n n_buckets"]) -> dict[str, float]:
    """Share of the hidden units of every bucket of residual blocks that are positive, in [0, 1].

    The mean over channels, positions and distinct beginnings of the routes. Near 0 next to nothing passes the
    block's ReLU, and its instances give what their skip connection gives.
    """
    positive: dict[str, list[Tensor]] = {}
    hooks = []
    for bucket, layer in enumerate(generator.buckets):
        for block in (instance for instance in layer.instances if isinstance(instance, UpBlock)):
            signs = positive.setdefault(f"bucket {bucket + 1}", [])
            hooks.append(block.conv1.register_forward_hook(partial(_note_signs, signs)))
    try:
        with routed_by("by_instance", generator):  # whose instances are called, so that hooks see them
            render(generator, routes)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: float(torch.cat(signs).float().mean()) for name, signs in positive.items()}


def _note_signs(signs: list[Tensor], _: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
    signs.append((out > 0).flatten().cpu())


def idle_drift(
    used: int, idle: int, betas: tuple[float, float] = (0.5, 0.999)
) -> dict[str, Float[Tensor, " steps"]]:
    """Distance from the start, in learning rates, of a weight that is drawn `used` times and then idles.

    Its gradient is 1 while drawn. Under `zero` an idle step has a gradient of zero and Adam's momentum
    moves the weight on, by about β₁/(1 − β₁) rates in all; under `skip` it has none and nothing moves.
    """
    drift = {}
    for name in ("zero", "skip"):
        weight = nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer = torch.optim.Adam([weight], lr=1.0, betas=betas)
        positions = []
        for step in range(used + idle):
            drawn = step < used
            weight.grad = torch.ones_like(weight) if drawn else _idle_gradient(name, weight)
            optimizer.step()
            positions.append(-weight.item())
        drift[name] = torch.tensor(positions, dtype=torch.float64)
    return drift


def _idle_gradient(name: str, weight: Tensor) -> Tensor | None:
    return torch.zeros_like(weight) if name == "zero" else None


def idle_share(size: int, batch: int, routing: str, steps: int, rng: torch.Generator) -> tuple[float, float]:
    """Share of steps in which an instance is not drawn, and what independent draws expect, (1 − 1/m)^b.

    Raises UserError for a routing that training does not know.
    """
    draw = choose(paths.DRAWS, routing, "routing =")
    draws = (draw((size,), batch, rng)[:, 0] for _ in range(steps))
    drawn = sum(len(batch_drawn.unique()) for batch_drawn in draws)
    return 1 - drawn / (size * steps), (1 - 1 / size) ** batch


def idle_table(
    settings: Mapping[str, tuple[int, int]], steps: int, rng: torch.Generator
) -> dict[str, dict[str, float]]:
    """A row for every named (instances, batch): idle shares as drawn and as expected, for each routing."""
    table: dict[str, dict[str, float]] = {}
    for name, (size, batch) in settings.items():
        uniform, expected = idle_share(size, batch, "uniform", steps, rng)
        balanced, _ = idle_share(size, batch, "balanced", steps, rng)
        table[name] = {"expected": expected, "uniform": uniform, "balanced": balanced}
    return table


def distinct_over_repeated(values: Float[Tensor, "m d"]) -> float:
    """Mean squared distance of two distinct instances over that of two independent draws: m/(m − 1).

    `values` holds one image or feature vector for each instance of a bucket, on one route.
    """
    distances = torch.cdist(values.double(), values.double()).square()
    m = len(values)
    return float(distances.sum() / (m * (m - 1)) / distances.mean())

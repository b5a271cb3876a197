"""The contract of every generator that can be built, and what only some of them must do."""

from copy import deepcopy
from dataclasses import replace
from math import prod

import pytest
import torch
from torch import nn

from rpgan import paths
from rpgan.checkpoint import load_generator, save_checkpoint
from rpgan.config import GanConfig, GeneratorConfig, standard_twin
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS, RESNET_64, RESNET_128
from rpgan.models.bucket import STRATEGIES
from rpgan.models.generator import ARCHITECTURES, RandomPathGenerator, build_generator, render
from rpgan.models.modes import eval_mode, routed_by

BASE = {
    "sn-resnet-32": GeneratorConfig(widths=(6, 4, 4, 5), bucket_sizes=(3, 2, 3, 1, 4)),
    "sn-resnet-64": GeneratorConfig(
        image_shape=(1, 64, 64), widths=(4, 3, 3, 2, 2), bucket_sizes=(2, 3, 2, 2, 2, 3)
    ),
    "sn-resnet-128": GeneratorConfig(
        image_shape=(3, 128, 128), widths=(4, 4, 3, 2, 2, 2), bucket_sizes=(2,) * 7
    ),
    "dcgan-32": GeneratorConfig("dcgan", widths=(5, 4, 3), bucket_sizes=(3, 2, 4, 2)),
    "dcgan-64": GeneratorConfig("dcgan", (3, 64, 64), widths=(4, 4, 3, 3), bucket_sizes=(2, 3, 2, 2, 3)),
    "fc": GeneratorConfig("fc", (1, 14, 14), widths=(8, 9, 10, 7), bucket_sizes=(4, 3, 2, 2, 3)),
}
SMALL = {name: replace(config, latent_dim=8) for name, config in BASE.items()}
VARIED = {name: SMALL[name] for name in ("sn-resnet-32", "dcgan-32", "fc")}
LINEAR = {f"{n}-linear": replace(c, leak=1.0, last_relu=False) for n, c in VARIED.items()}
TWINS = {f"{name}-twin": standard_twin(config) for name, config in VARIED.items()}
ROUTED = SMALL | LINEAR | {"sn-resnet-32-fixed": replace(SMALL["sn-resnet-32"], latent="fixed")}
ALL = ROUTED | TWINS
N = 7


@pytest.fixture(params=ALL)
def config(request: pytest.FixtureRequest) -> GeneratorConfig:
    return ALL[request.param]


@pytest.fixture(params=ROUTED)
def routed(request: pytest.FixtureRequest) -> RandomPathGenerator:
    return build_generator(ROUTED[request.param], seed=1)


def draw(generator: RandomPathGenerator, n: int = N) -> tuple[torch.Tensor, torch.Tensor | None]:
    rng = torch.Generator().manual_seed(3)
    return generator.sample_paths(n, rng), generator.sample_latents(n, rng)


def settled(generator: RandomPathGenerator) -> RandomPathGenerator:
    """In eval mode, with BatchNorm statistics of its own images."""
    with torch.no_grad():
        generator.train()(*draw(generator, 32))
    return generator.eval()


def test_every_architecture_is_under_the_contract():
    assert {config.architecture for config in ALL.values()} == set(ARCHITECTURES)


def test_images_have_the_shape_and_the_range(config):
    generator = build_generator(config, seed=1)
    images = generator(*draw(generator))
    assert images.shape == (N, *config.image_shape) and images.dtype == torch.float32
    assert images.abs().max() <= 1 and images.std() > 0
    assert generator.bucket_sizes == config.bucket_sizes


def test_the_same_seed_gives_the_same_generator_and_leaves_the_global_one_alone(config):
    before = torch.get_rng_state()
    first, second, other = (build_generator(config, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    arguments = draw(first)
    assert torch.equal(first(*arguments), second(*arguments))
    assert not torch.equal(first(*arguments), other(*arguments))


def test_gradients_reach_every_drawn_instance_and_no_other(config):
    generator = build_generator(replace(config, leak=config.leak or 0.1), seed=1)
    routes, latents = draw(generator, 3)
    (generator(routes, latents) * torch.randn(3, *config.image_shape)).sum().backward()
    for bucket, column in zip(generator.buckets, routes.unbind(1), strict=True):
        for i, instance in enumerate(bucket.instances):
            gradients = [p.grad for p in instance.parameters()]
            if i in column:
                assert all(g is not None and g.isfinite().all() for g in gradients)
                assert any(g.abs().sum() > 0 for g in gradients if g is not None)
            else:
                assert gradients == [None] * len(gradients)


@pytest.mark.parametrize(
    "storage", [("float32", "instances"), ("float16", "instances"), ("float32", "table")]
)
def test_what_is_loaded_is_what_was_saved(config, storage, tmp_path):
    generator = settled(build_generator(config, seed=1))
    if storage[1] == "table" and generator.latent is None:
        pytest.skip("a Gaussian latent has no table")
    save_checkpoint(tmp_path / "x", generator, GanConfig("x", generator=config), {}, *storage)
    loaded = load_generator(tmp_path / "x")
    assert not loaded.training and loaded.bucket_sizes == generator.bucket_sizes
    tolerance = 0.05 if storage[0] == "float16" else 1e-5
    expected, got = (render(g, *draw(g)) for g in (generator, loaded))
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)
    assert storage != ("float32", "instances") or torch.equal(got, expected)


@pytest.mark.tried(
    "determinism",
    "the images of paths in another order and in other batches",
    "equal but for rounding, in every architecture",
)
def test_an_image_depends_on_its_path_only(config):
    generator = settled(build_generator(config, seed=1))
    routes, latents = draw(generator)
    whole = render(generator, routes, latents)
    order = torch.tensor([4, 0, 6, 2, 1, 5, 3])
    shuffled = render(generator, routes[order], None if latents is None else latents[order], batch_size=2)
    torch.testing.assert_close(shuffled, whole[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_sharing_beginnings_agrees_with_plain_routing(routed, training):
    """Latents that are given switch sharing off, even where all of them are Z."""
    routed.double().train(training)
    plain, (routes, _) = deepcopy(routed), draw(routed, 12)
    shared = routed(routes)
    separate = plain(routes, plain.latent.detach().expand(12, -1))
    torch.testing.assert_close(shared, separate, rtol=1e-9, atol=1e-10)
    for name, buffer in routed.named_buffers():
        torch.testing.assert_close(buffer, plain.get_buffer(name), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "per_sample"])
def test_strategies_agree_in_images_and_gradients(routed, strategy, training):
    routed.double().train(training)
    outcomes = []
    for taken in ("per_sample", strategy):
        routed.strategy = taken
        routed.zero_grad()
        images = routed(draw(routed)[0])
        (images * torch.linspace(-1, 2, images.numel(), dtype=images.dtype).view_as(images)).sum().backward()
        outcomes.append([images.detach(), *(p.grad for p in routed.parameters())])
    for expected, got in zip(*outcomes, strict=True):
        assert (expected is None) == (got is None)
        if expected is not None:
            torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


def test_beginnings_are_computed_once_in_eval_mode():
    generator = build_generator(SMALL["sn-resnet-32"]).eval()
    rows: list[int] = []
    for bucket in generator.buckets:
        bucket.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    generator(paths.enumerate_all(generator.bucket_sizes))
    assert rows == [3, 6, 18, 18, 72]


def test_rendering_restores_every_mode_and_shares_repeated_paths(generator):
    generator.train()
    generator.links.eval()
    modes = [module.training for module in generator.modules()]
    rows: list[int] = []
    generator.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    images = render(generator, torch.zeros(9, 5, dtype=torch.int64))
    assert [module.training for module in generator.modules()] == modes and rows == [1]
    assert (images == images[0]).all() and not images.requires_grad


def test_eval_mode_restores_after_an_error():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2).eval())
    with pytest.raises(ZeroDivisionError), eval_mode(module):
        assert not module.training
        1 / 0  # noqa: B018
    assert [m.training for m in module.modules()] == [True, True, False]


def test_a_strategy_holds_inside_its_block_only(generator):
    with pytest.raises(ZeroDivisionError), routed_by("batched", generator):
        assert generator.strategy == "batched"
        1 / 0  # noqa: B018
    assert generator.strategy == "auto"


def test_a_learned_latent_learns_a_fixed_one_does_not():
    learned, fixed = (
        build_generator(replace(SMALL["fc"], latent=name), seed=1) for name in ("learned", "fixed")
    )
    routes, _ = draw(learned)
    learned(routes).sum().backward()
    assert learned.latent.grad.abs().sum() > 0 and not fixed.latent.requires_grad
    assert "latent" in fixed.state_dict() and torch.equal(fixed.latent, learned.latent)
    assert learned.sample_latents(3, torch.Generator()) is None


def test_a_standard_gan_takes_one_gaussian_latent_a_path(rng):
    twin = build_generator(TWINS["fc-twin"], seed=1)
    latents = twin.sample_latents(4_000, rng)
    assert twin.bucket_sizes == (1,) * 5 and twin.latent is None and latents.shape == (4_000, 8)
    assert abs(float(latents.mean())) < 0.03 and abs(float(latents.std()) - 1) < 0.03
    routes = twin.sample_paths(3, rng)
    with pytest.raises(UserError, match=r"generator\(paths, latents\)"):
        twin(routes)
    with pytest.raises(UserError, match="4000 latents for 3 paths"):
        twin._inputs(3, latents)  # behind the check of shapes, which is there in tests only


@pytest.mark.parametrize("name", [*LINEAR, *VARIED])
def test_linear_generators_are_additive_up_to_the_tanh_and_others_are_not(name, rng):
    generator = settled(build_generator(ALL[name], seed=1)).double()
    route = generator.sample_paths(1, rng).expand(4, -1)
    a, b = 0.1 * torch.randn(2, 8, generator=rng, dtype=torch.float64)
    before = torch.atanh(generator(route, torch.stack([a, b, a + b, 0 * a])))
    additive = torch.allclose(before[0] + before[1], before[2] + before[3], rtol=1e-8, atol=1e-9)
    assert additive == (name in LINEAR)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def count(config: GeneratorConfig) -> tuple[list[int], int]:
    """Parameters of one instance of each bucket, and of the generator; nothing is allocated."""
    with torch.device("meta"):
        single = build_generator(replace(config, bucket_sizes=(1,) * len(config.bucket_sizes)))
    instances = [parameters(bucket.instances[0]) for bucket in single.buckets]
    shared = parameters(single) - sum(instances)
    return instances, shared + sum(m * p for m, p in zip(config.bucket_sizes, instances, strict=True))


def test_parameters_of_the_resnet_for_cifar10():
    instances, total = count(EXPERIMENTS["cifar10-rpgan"].generator)
    assert instances == [528_384, 1_180_160, 1_180_160, 1_180_160, 6_915]
    assert round(total / 1e6, 1) == 163.0 and round(sum(instances) / 1e6, 2) == 4.08


@pytest.mark.parametrize(
    ("config", "millions", "total"),
    [
        (RESNET_64, [2.11, 11.80, 2.95, 0.74, 0.18], 355.7),
        (RESNET_128, [2.11, 18.88, 11.80, 2.95, 0.74, 0.18], 733.2),
    ],
)
def test_parameters_of_the_larger_resnets(config, millions, total):
    instances, everything = count(config)
    assert [round(p / 1e6, 2) for p in instances[:-1]] == millions and instances[-1] == 1_731
    assert round(everything / 1e6, 1) == total


def test_parameters_of_the_linear_generator():
    linear = EXPERIMENTS["mnist-linear"].generator
    assert round(count(linear)[1] / 1e6, 2) == 27.06
    widths = (linear.latent_dim, *linear.widths, prod(linear.image_shape))
    assert widths == (128, 128, 256, 512, 1024, 784)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "vit"},
        {"latent": "none"},
        {"bucket_sizes": (2, 2)},
        {"bucket_sizes": (2, 0, 2, 2, 2)},
        {"image_shape": (3, 64, 64)},
        {"image_shape": (3, 32, 16)},
        {"image_shape": (32, 32)},
    ],
)
def test_what_does_not_fit_is_refused(changes):
    with pytest.raises(UserError, match="; expected"):
        build_generator(replace(SMALL["sn-resnet-32"], **changes))

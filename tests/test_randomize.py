"""Randomising a generator: with one instance a bucket nothing changes, with more the first stays."""

import pytest
import torch
from torch import nn

from rpgan.errors import UserError
from rpgan.models.generator import render
from rpgan.models.randomize import randomize


def dense() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 12),
        nn.Unflatten(1, (3, 2, 2)),
        nn.Tanh(),
    )


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(6, 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Tanh(),
    )


NETS = {"dense": (dense, (6,), (0, 3)), "convolutional": (convolutional, (6, 1, 1), (0, 3))}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest) -> tuple[nn.Sequential, torch.Tensor, tuple[int, ...]]:
    make, shape, split = NETS[request.param]
    torch.manual_seed(0)
    module = make()
    for _ in range(3):  # running statistics that are not those of the start
        module(2 + torch.randn(16, *shape))
    return module.eval(), torch.randn(5, *shape), split


def test_one_instance_a_bucket_is_the_original_bit_for_bit(net):
    module, z, split = net
    generator = randomize(module, split, 1)
    routes = torch.zeros(5, len(split), dtype=torch.int64)
    assert torch.equal(generator(routes, z), module(z))
    assert torch.equal(render(generator, routes, z), module(z))


def test_the_original_is_copied_not_shared(net):
    module, z, split = net
    generator, before = randomize(module, split, 2), module(z)
    nn.init.zeros_(module[0].weight)
    assert torch.equal(generator(torch.zeros(5, 2, dtype=torch.int64), z), before)


def test_the_first_instance_is_the_original_and_the_others_are_not(net):
    module, z, split = net
    generator = randomize(module, split, 3)
    original = generator(torch.zeros(5, 2, dtype=torch.int64), z)
    torch.testing.assert_close(original, module(z))
    for route in ([1, 0], [2, 0], [0, 1], [0, 2]):
        assert (generator(torch.tensor([route] * 5), z) - original).abs().mean() > 1e-3


def test_perturbed_instances_stay_near_the_original(net):
    """Their noise has a tenth of the weights' standard deviation; re-initialised ones are unrelated."""
    module, _, split = net
    for others, lowest, highest in (("perturbed", 0.08, 0.12), ("reinitialised", 0.9, 2)):
        first, second = randomize(module, split, 2, others=others).buckets[0].instances
        distance = (second[0].weight - first[0].weight).std() / first[0].weight.std()
        assert lowest < distance < highest


def test_reinitialised_statistics_start_anew():
    module = dense()
    module(5 + torch.randn(16, 6))
    first, second = randomize(module, (0, 3), 2).buckets[0].instances
    assert first[1].running_mean.abs().sum() > 0 and second[1].running_mean.abs().sum() == 0


def test_seed_and_sizes_are_the_callers(net):
    module, _, split = net
    before = torch.get_rng_state()
    first, second, other = (randomize(module, split, (2, 4), seed=s) for s in (0, 0, 1))
    assert first.bucket_sizes == (2, 4) and torch.equal(torch.get_rng_state(), before)
    same = [
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    ]
    assert all(same) and not torch.equal(first.latent, other.latent)


def test_modes_are_kept(net):
    module, z, split = net
    generator = randomize(module, split, 2)
    assert not generator.training
    render(generator, torch.zeros(5, 2, dtype=torch.int64), z)
    assert not any(layer.training for bucket in generator.buckets for i in bucket.instances for layer in i)


def test_latents_have_the_type_of_the_networks_weights():
    generator = randomize(dense().double(), (0, 3), 1, latent="gaussian").eval()
    latents = generator.sample_latents(4, torch.Generator())
    assert latents.dtype == torch.float64
    assert render(generator, torch.zeros(4, 2, dtype=torch.int64), latents).isfinite().all()


def test_the_latent_has_the_shape_of_the_networks_input():
    assert randomize(convolutional(), (0, 3), 2).latent.shape == (1, 6, 1, 1)
    assert randomize(dense(), (0, 3), 2, latent="gaussian").sample_latents(4, torch.Generator()).shape == (
        4,
        6,
    )
    reshaped = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.Unflatten(1, (3, 2, 2)))
    assert randomize(reshaped, (0, 2), (2, 1), latent_shape=(2, 3)).latent.shape == (1, 2, 3)
    padded = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.Upsample(scale_factor=8), nn.Tanh())
    with pytest.raises(UserError, match="say latent_shape"):
        randomize(padded, (0,), 2)
    with pytest.raises(UserError, match="say latent_shape"):
        randomize(reshaped, (0, 2), (2, 1))


@pytest.mark.parametrize("split", [(), (1, 3), (0, 0), (0, 3, 2), (0, 6)])
def test_a_split_must_rise_from_the_first_layer(split):
    with pytest.raises(UserError, match="expected rising layer numbers from 0 to 5"):
        randomize(dense(), split, 2)


@pytest.mark.parametrize("n_in", [0, (2,), (2, 2, 2), (2, 0)])
def test_every_bucket_needs_an_instance(n_in):
    with pytest.raises(UserError, match="for 2 buckets"):
        randomize(dense(), (0, 3), n_in)


def test_other_mistakes_are_named():
    with pytest.raises(UserError, match="expected one of reinitialised, perturbed"):
        randomize(dense(), (0, 3), 2, others="copied")

    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

    with pytest.raises(UserError, match="Scale cannot be re-initialised"):
        randomize(nn.Sequential(nn.Linear(2, 2), Scale()), (0, 1), 2)


def test_a_network_keeps_its_precision():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 12), nn.Unflatten(1, (3, 2, 2))).double()
    generator = randomize(net, split=(0, 2), n_in=3, seed=0)
    assert generator(generator.sample_paths(5, torch.Generator().manual_seed(0))).dtype == torch.float64


def test_other_streams_go_on_where_they_were(net, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("began a GPU's stream anew"))
    state = torch.get_rng_state()
    module, _, split = net
    randomize(module, split=split, n_in=2, seed=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_chance_is_drawn_for_every_image():
    """Equal beginnings are shared only where they are equal: not behind Dropout, while it trains."""
    net = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 12), nn.Unflatten(1, (3, 2, 2)))
    generator = randomize(net, split=(0, 2), n_in=2, seed=0).train()
    paths = torch.zeros(8, 2, dtype=torch.int64)
    assert len(generator(paths).unique(dim=0)) == 8
    assert len(generator.eval()(paths).unique(dim=0)) == 1
    generator.train().strategy = "batched"
    with pytest.raises(UserError, match="random layers"):
        generator(torch.tensor([[0, 0], [1, 1]]))


def test_a_layer_that_would_stay_as_it_is_is_refused():
    """Spectral norm computes its weight from another parameter, which reset_parameters does not reach."""
    net = nn.Sequential(torch.nn.utils.spectral_norm(nn.Linear(4, 12)), nn.Unflatten(1, (3, 2, 2)))
    with pytest.raises(UserError, match="Linear cannot be re-initialised"):
        randomize(net, split=(0,), n_in=3)


def test_a_bucket_without_weights_has_nothing_to_vary():
    net = nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)))
    with pytest.raises(UserError, match="bucket 2 has no weights"):
        randomize(net, split=(0, 1), n_in=3)
    assert randomize(net, split=(0, 1), n_in=(3, 1)).bucket_sizes == (3, 1)

"""Experiments: the paper's numbers, and profiles that change nothing but the amount."""

import json
from dataclasses import replace

import pytest
import torch

from rpgan.config import ClassifierConfig, GanConfig, GeneratorConfig, InversionConfig
from rpgan.datasets import DATASETS
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.losses import ADVERSARIAL
from rpgan.metrics.features import EXTRACTORS
from rpgan.models.classifier import build_classifier
from rpgan.models.discriminator import build_discriminator
from rpgan.models.generator import build_generator
from rpgan.models.inverter import build_inverter
from rpgan.overrides import flatten, from_dict, override, to_dict
from rpgan.presets import BOOK, changes_of, resolve

GANS = [name for name, config in EXPERIMENTS.items() if isinstance(config, GanConfig)]
INVERSIONS = [name for name, config in EXPERIMENTS.items() if isinstance(config, InversionConfig)]
SLOPED = ("cifar10-rpgan", "cifar10-gan", "cifar10-explorer", "sprites-rpgan")
WITHOUT_DIVERSITY = ("cifar10-dcgan", "colored-mnist-rpgan", "colored-mnist-gan")  # erratum 3
PENALISED = ("sprites-rpgan",)  # by WGAN-GP in place of the hinge loss
AT = {"book": BOOK, "paper": EXPERIMENTS}  # what has a size under a profile
CASES = [(name, profile) for name in EXPERIMENTS for profile in ("smoke", "paper")] + [
    (n, "book") for n in BOOK
]


def test_names_are_the_keys_and_the_book_has_no_other():
    assert all(config.name == name for name, config in EXPERIMENTS.items())
    assert BOOK.keys() <= EXPERIMENTS.keys()


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_every_experiment_resolves_and_survives_json(name, profile):
    config = resolve(name, profile)
    assert config.name == name and from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert isinstance(config, InversionConfig) or config.data.name in DATASETS


@pytest.mark.parametrize(("name", "profile"), [case for case in CASES if case[1] != "smoke"])
def test_every_experiment_builds(name, profile):
    """On the meta device, one instance a bucket: up to 733 M parameters otherwise."""
    config = resolve(name, profile)
    with torch.device("meta"):
        if isinstance(config, ClassifierConfig):
            images = torch.zeros(2, *config.image_shape)
            assert build_classifier(config).eval()(images).shape == (2, sum(config.outputs))
            return
        if isinstance(config, InversionConfig):
            logits = build_inverter(config).eval()(torch.zeros(2, *config.image_shape))
            assert [part.shape[1] for part in logits] == list(config.bucket_sizes)
            return
        shape, plain = config.generator.image_shape, replace(config.discriminator, spectral_norm=False)
        build_generator(replace(config.generator, bucket_sizes=(1,) * len(config.generator.bucket_sizes)))
        assert build_discriminator(plain, shape)(torch.zeros(2, *shape)).shape == (2,)
    assert config.loss.name in ADVERSARIAL and config.train.features in EXTRACTORS


@pytest.mark.parametrize("name", BOOK)
def test_the_book_changes_the_amount_and_neither_data_nor_model(name):
    paper, book = flatten(resolve(name, "paper")), flatten(resolve(name, "book"))
    changed = {key for key in paper if paper[key] != book[key]}
    assert not {key for key in changed if key.startswith(("data.", "seed", "name"))}
    kept = [f"generator.{what}" for what in ("architecture", "image_shape", "bucket_sizes", "latent_dim")]
    kept += [f"generator.{what}" for what in ("latent", "last_relu")]
    assert ("generator.leak" in changed) == (name in SLOPED)  # what erratum 5 names, as the next
    loss = {key for key in changed if key.startswith("loss.") or key == "discriminator.spectral_norm"}
    penalty = {"loss.name", "discriminator.spectral_norm"} if name in PENALISED else set()
    assert loss == penalty | ({"loss.diversity"} if name in WITHOUT_DIVERSITY else set())
    assert not changed & {
        *kept,
        "discriminator.architecture",
        "outputs",
        "image_shape",
        "bucket_sizes",
        "generator",
    }


def test_a_twin_takes_no_change_of_routing():
    changes = {"generator.bucket_sizes": [20] * 5, "generator.latent": "fixed", "generator.leak": 0.1}
    assert changes_of("cifar10-rpgan", changes) == changes
    assert changes_of("cifar10-gan", changes) == {"generator.leak": 0.1}


def test_the_paper_profile_has_the_papers_numbers():
    """Table 1 and section 4, read as the specification's table of readings says."""
    paper = resolve("cifar10-rpgan", "paper")
    assert paper == override(EXPERIMENTS["cifar10-rpgan"], {"train.precision": "float32"})
    train = paper.train
    assert paper.generator.bucket_sizes == (40,) * 5 and paper.generator.widths == (256,) * 4
    assert (train.steps, train.d_steps, train.batch_size) == (90_000, 5, 64)
    assert train.g_lr == train.d_lr == 2.5e-4 and train.betas == (0.5, 0.999) and train.ema == 0
    assert (train.idle_instances, train.routing, paper.generator.latent) == ("zero", "uniform", "learned")
    loss = paper.loss
    assert (loss.name, loss.diversity, loss.diversity_weight, loss.diversity_margin) == (
        "hinge",
        "pair",
        1,
        1.5,
    )
    assert paper.discriminator.widths == (128,) * 4 and paper.discriminator.downsamplings == 2
    assert loss.gradient_penalty == 10


@pytest.mark.parametrize(
    ("name", "steps"), [("cifar10-dcgan", 90_000), ("celeba-dcgan", 50_000), ("colored-mnist-gan", 12_000)]
)
def test_the_dcgans_have_the_hyperparameters_of_section_4(name, steps):
    """Appendix A; the length on coloured digits is the released program's."""
    paper = resolve(name, "paper")
    train = paper.train
    assert (train.steps, train.d_steps, train.g_lr, train.d_lr) == (steps, 5, 2.5e-4, 2.5e-4)
    assert paper.loss.name == "wgan-gp" and paper.discriminator.spectral_norm is False


TWINS = [
    ("cifar10-rpgan", "cifar10-gan"),
    ("cifar10-linear", "cifar10-linear-gan"),
    ("colored-mnist-rpgan", "colored-mnist-gan"),
    ("lsun-rpgan", "lsun-gan"),
]
SHORTER = {("cifar10-linear-gan", "book"): {"train.steps", "train.decay_steps"}}


@pytest.mark.parametrize(
    ("routed", "standard", "profile"),
    [(*twins, profile) for twins in TWINS for profile in ("book", "paper") if {*twins} <= {*AT[profile]}],
)
def test_the_standard_gan_is_trained_by_the_same_protocol(routed, standard, profile):
    expected = {"name", "generator.bucket_sizes", "generator.latent"} | SHORTER.get(
        (standard, profile), set()
    )
    routed, standard = (flatten(resolve(name, profile)) for name in (routed, standard))
    assert {key for key in routed if routed[key] != standard[key]} == expected


@pytest.mark.parametrize("name", GANS)
def test_smoke_is_small_and_needs_no_download(name):
    config = resolve(name, "smoke")
    assert config.train.steps <= 3 and max(config.generator.bucket_sizes) <= 5
    assert (
        config.data.name in ("mnist-5k", "colored-mnist-5k", "sprites") and config.train.features == "pixels"
    )


@pytest.mark.parametrize("name", INVERSIONS)
def test_an_inversion_fits_its_generator_under_every_profile(name):
    source = resolve(name, "paper").generator
    for profile in ("smoke", "paper", *(["book"] if name in BOOK else [])):
        config, generator = resolve(name, profile), resolve(source, profile).generator
        assert config.bucket_sizes == generator.bucket_sizes and config.image_shape == generator.image_shape
    assert config.train.evaluate_n == 1_280  # Table 5


def test_changes_come_last_and_mistakes_are_named():
    assert resolve("mnist-rpgan", "smoke", {"train.steps": 5}).train.steps == 5
    with pytest.raises(UserError, match=r"'mnist'; expected one of mnist-rpgan, "):
        resolve("mnist")
    with pytest.raises(UserError, match="'large'; expected one of smoke, book, paper"):
        resolve("mnist-rpgan", "large")
    with pytest.raises(UserError, match=r"did you mean train\.steps"):
        resolve("mnist-rpgan", "book", {"train.stepps": 1})


def test_a_config_is_hashable_and_frozen():
    assert isinstance(hash(EXPERIMENTS["cifar10-rpgan"]), int)
    with pytest.raises(AttributeError):
        GeneratorConfig().latent = "fixed"  # type: ignore[misc]

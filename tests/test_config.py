"""Configs: one way to change them, every mistake named, nothing lost on the way through JSON."""

import json
from dataclasses import make_dataclass
from pathlib import Path

import pytest

from rpgan.config import ClassifierConfig, GanConfig, TrainConfig, standard_twin
from rpgan.errors import UserError
from rpgan.overrides import KINDS, fingerprint, flatten, from_dict, override, to_dict

GAN = GanConfig("x")


def test_override_changes_what_it_names_and_nothing_else():
    changed = override(GAN, {"train.steps": 20, "generator.widths": [8, 8], "loss.name": "wgan-gp"})
    assert (changed.train.steps, changed.generator.widths, changed.loss.name) == (20, (8, 8), "wgan-gp")
    differing = {key for key, value in flatten(changed).items() if flatten(GAN)[key] != value}
    assert differing == {"train.steps", "generator.widths", "loss.name"}
    assert override(GAN, {}) == GAN


def test_an_unknown_key_is_answered_with_the_close_ones():
    with pytest.raises(UserError, match=r"unknown setting 'train.step'; did you mean train.steps"):
        override(GAN, {"train.step": 20})
    with pytest.raises(UserError, match=r"'qqq'; valid keys: name, data.name, .*seed"):
        override(GAN, {"qqq": 1})
    with pytest.raises(UserError, match="unknown setting 'train'"):
        override(GAN, {"train": {"steps": 2}})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.steps", "many", "'many' is a str; expected int"),
        ("train.steps", 2.5, "is a float; expected int"),
        ("train.steps", True, "is a bool; expected int"),
        ("train.steps", None, "is a NoneType; expected int"),
        ("train.frozen_norm", 1, "is a int; expected bool"),
        ("train.g_lr", "fast", "expected float"),
        ("train.g_lr", False, "expected float"),
        ("generator.widths", 8, "is a int; expected a list of int"),
        ("generator.widths", "88", "expected a list of int"),
        ("generator.widths", [8, "8"], "'8' is a str; expected int"),
        ("loss.name", 3, "expected str"),
    ],
)
def test_a_value_of_another_type_is_refused(key, value, message):
    with pytest.raises(UserError, match=f"{key} = .*{message}"):
        override(GAN, {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.steps", 0),
        ("train.d_steps", 0),
        ("train.batch_size", -4),
        ("train.save_every", 0),
        ("train.evaluate_n", 1),
        ("train.g_lr", -1e-3),
        ("train.g_lr", float("nan")),
        ("train.g_lr", float("inf")),
        ("train.betas", [0.5, 1.0]),
        ("train.ema", 1.5),
        ("generator.widths", [8, 0]),
        ("generator.bucket_sizes", [3, 0]),
        ("generator.latent_dim", 0),
        ("generator.leak", 1.5),
        ("train.evaluate_every", 0),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_number_out_of_range_is_refused(key, value):
    with pytest.raises(UserError, match=f"{key} = .*; expected a number (from|of at least)"):
        override(GAN, {key: value})


def test_whole_numbers_serve_as_floats():
    rate = override(GAN, {"train.g_lr": 1}).train.g_lr
    assert rate == 1.0 and type(rate) is float


@pytest.mark.parametrize(
    "config",
    [
        override(GAN, {"data.classes": [1, 2], "train.trainable": ["latent"], "loss.diversity_weight": 0.1}),
        override(ClassifierConfig("c"), {"outputs": [4, 2], "train.flip": True}),
    ],
)
def test_json_gives_the_same_config_back(config):
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "vae"}, "kind 'vae'; expected one of gan, classifier"),
        ({"kind": ["gan"]}, "expected one of gan, classifier"),
        ({"kind": "classifier"}, r"unknown keys \['discriminator"),
        ({"extra": 1}, r"unknown keys \['extra'\]"),
        ({"seed": "0"}, "expected int"),
        ({"train": 3}, r"unknown keys \['train'\];"),
        ({"a\nb": 1}, r"unknown keys \['a\\nb'\];"),
    ],
)
def test_foreign_data_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        from_dict(to_dict(GAN) | changes)


def test_a_key_that_an_earlier_version_did_not_have_takes_its_default():
    data = to_dict(GAN)
    del data["train"]["decay_steps"]
    assert from_dict(data) == GAN and GAN.train.decay_steps == 0


def test_defaults_stay_as_they_are_since_cards_and_fingerprints_rely_on_them():
    """One that must change wants the digests in data/results made anew; a new one, a line in this file."""
    known = json.loads((Path(__file__).parent / "golden" / "defaults.json").read_text())
    for kind, cls in KINDS.items():
        assert json.loads(json.dumps(flatten(cls(name="")))) == known[kind]


def test_a_setting_that_comes_later_leaves_a_fingerprint_as_it_was():
    def told(cls=GanConfig, name="a", steps=7, features="pixels"):
        return fingerprint(cls(name, train=TrainConfig(steps=steps)), features)

    assert len({told(), told(name="b"), told(steps=8), told(features="inception")}) == 4
    later = make_dataclass("Later", [("later", int, 0)], bases=(GanConfig,), frozen=True)
    assert told(later) == told()


def test_a_twin_has_the_same_layers_one_instance_each_and_a_gaussian_latent():
    twin = standard_twin(GAN.generator)
    assert twin.bucket_sizes == (1,) * 5 and twin.latent == "gaussian"
    assert twin.widths == GAN.generator.widths and twin.latent_dim == GAN.generator.latent_dim

"""Experiments as frozen data, and the one way to change them: dotted overrides."""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from rpgan.errors import UserError


@dataclass(frozen=True)
class DataConfig:
    """What the images are; where they lie is the environment's business (`$RPGAN_DATA`)."""

    name: str = "mnist"  # a key of rpgan.datasets.DATASETS
    path: str = ""  # folder or zip of images, for name="folder"
    classes: tuple[int, ...] = ()  # labels that are kept; empty keeps all


@dataclass(frozen=True)
class GeneratorConfig:
    """A routed generator; with one instance a bucket and a Gaussian latent it is the standard GAN."""

    architecture: str = "sn-resnet"  # sn-resnet | dcgan | fc
    image_shape: tuple[int, ...] = (3, 32, 32)  # channels, height, width
    widths: tuple[int, ...] = (256, 256, 256, 256)  # output channels of every bucket but the last
    bucket_sizes: tuple[int, ...] = (40, 40, 40, 40, 40)  # instances in each bucket
    latent: str = "learned"  # learned | fixed (one Z for all images) | gaussian (a new one for each)
    latent_dim: int = 128  # length of Z
    leak: float = 0.0  # negative slope of every activation inside and between buckets; 1 makes them linear
    last_relu: bool = True  # the ReLU before the last bucket of a ResNet (specification, point 8)


def standard_twin(config: GeneratorConfig) -> GeneratorConfig:
    """The standard GAN of the same layers: one instance a bucket and a Gaussian latent (section 3.2)."""
    return replace(config, bucket_sizes=(1,) * len(config.bucket_sizes), latent="gaussian")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A standard discriminator; RPGAN does not change it (section 3.2)."""

    architecture: str = "sn-resnet"  # sn-resnet | dcgan | fc
    widths: tuple[int, ...] = (128, 128, 128, 128)  # output channels of every block or layer but the last
    downsamplings: int = 2  # how many of the first blocks of a ResNet halve the resolution
    spectral_norm: bool = True  # divide every weight by its largest singular value


@dataclass(frozen=True)
class LossConfig:
    """The adversarial loss and the instance diversity term (section 3.2)."""

    name: str = "hinge"  # hinge | wgan-gp
    gradient_penalty: float = 10.0  # λ of WGAN-GP
    diversity: str = "pair"  # pair (released code) | all-pairs (text) | off
    diversity_weight: float = 1.0  # λ of the diversity term
    diversity_margin: float = 1.5  # a bucket counts only while its value is below; for "pair"


@dataclass(frozen=True)
class TrainConfig:
    """How long and how a network is trained."""

    steps: int = 90_000  # generator updates
    batch_size: int = 64  # images a step
    d_steps: int = 5  # discriminator updates a generator update
    g_lr: float = 2.5e-4  # Adam's rate for the generator
    d_lr: float = 2.5e-4  # Adam's rate for the discriminator
    betas: tuple[float, ...] = (0.5, 0.999)  # Adam's decay rates
    decay_steps: int = 0  # last steps, over which both learning rates fall linearly to 0
    ema: float = 0.0  # decay of the averaged generator; 0 keeps none
    idle_instances: str = "zero"  # zero (Adam moves instances that were not drawn) | skip
    routing: str = "uniform"  # uniform (every instance independently) | balanced (equally often a batch)
    trainable: tuple[str, ...] = ()  # parameter name prefixes that are trained; empty trains all
    frozen_norm: bool = False  # shared BatchNorm keeps its statistics (specification, point 7)
    precision: str = "auto"  # auto | float32 | bfloat16
    evaluate_every: int = 1_000  # steps between scores, sample sheets and candidates for the best checkpoint
    save_every: int = 500  # steps between resumable states
    features: str = "pixels"  # extractor of the Fréchet distance that selects the best checkpoint
    evaluate_n: int = 2_000  # images of either side of that distance


@dataclass(frozen=True)
class GanConfig:
    """One experiment: data, two networks, a loss, a schedule."""

    name: str
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0


@dataclass(frozen=True)
class ClassifierTrainConfig:
    """How a classifier is trained."""

    steps: int = 6_000  # updates
    batch_size: int = 128  # images an update
    lr: float = 3e-3  # peak rate of AdamW, one cosine cycle
    weight_decay: float = 1e-2  # decoupled decay of AdamW
    shift: int = 2  # largest random translation in pixels
    flip: bool = False  # mirror half the images
    precision: str = "auto"  # auto | float32 | bfloat16
    evaluate_every: int = 500  # steps between held-out scores
    save_every: int = 500  # steps between resumable states


@dataclass(frozen=True)
class ClassifierConfig:
    """A small convolutional classifier whose last hidden layer serves as features."""

    name: str
    data: DataConfig = field(default_factory=DataConfig)
    image_shape: tuple[int, ...] = (1, 28, 28)  # channels, height, width
    widths: tuple[int, ...] = (32, 64, 128)  # channels of the stages, each of half the resolution before
    pool: int = 1  # side of the grid that the last stage is averaged to; above 1 keeps positions
    hidden: int = 128  # units of the hidden layer, the features
    outputs: tuple[int, ...] = (10,)  # classes of each label
    train: ClassifierTrainConfig = field(default_factory=ClassifierTrainConfig)
    seed: int = 0


Config = GanConfig | ClassifierConfig
C = TypeVar("C", bound=Config)
T = TypeVar("T")
KINDS: dict[str, type[Config]] = {"gan": GanConfig, "classifier": ClassifierConfig}
# Least and most of a number, by the last part of its key; 0 and no bound for all others.
AT_LEAST_ONE = (
    "image_shape widths bucket_sizes latent_dim pool hidden outputs "
    "steps batch_size d_steps evaluate_every save_every"
)
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(AT_LEAST_ONE.split(), (1, math.inf)),
    "evaluate_n": (2, math.inf),  # a covariance needs two images
    "leak": (0, 1),
    "ema": (0, 1),
    "betas": (0, 0.9999999),  # Adam divides by 1 − β
    "seed": (0, 2**63 - 1),
}


def override(config: C, changes: Mapping[str, Any]) -> C:
    """Returns the config with dotted keys replaced, e.g. `{"train.steps": 20}`.

    Raises UserError for an unknown key (with the valid ones) and for a value of another type.
    """
    known = flatten(config)
    for key in changes:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"valid keys: {', '.join(known)}"
            raise UserError(f"unknown setting {key!r}; {hint}")
    return _build(type(config), {**known, **changes})


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the config's leaves by dotted key."""
    leaves: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        nested = dataclasses.is_dataclass(value)
        leaves |= flatten(value, f"{prefix}{f.name}.") if nested else {f"{prefix}{f.name}": value}
    return leaves


def to_dict(config: Config) -> dict[str, Any]:
    """Returns the config as plain nested data, with its kind."""
    kind = next(name for name, cls in KINDS.items() if cls is type(config))
    return {"kind": kind, **dataclasses.asdict(config)}


def from_dict(data: Mapping[str, Any]) -> Config:
    """Returns the config that `to_dict` wrote (or JSON of it); every value is checked.

    A key that an earlier version did not have takes its default, which is what that version did.
    """
    leaves = dict(_leaves(data))
    kind = leaves.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"config of kind {kind!r}; expected one of {', '.join(KINDS)}")
    expected = flatten(KINDS[kind](name=""))
    if unknown := sorted(leaves.keys() - expected.keys()):
        raise UserError(f"config has unknown keys {', '.join(unknown)}; expected {', '.join(expected)}")
    if "name" not in leaves:
        raise UserError("config has no name; expected that of its experiment")
    return _build(KINDS[kind], {**expected, **leaves})


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _build(cls: type[T], leaves: Mapping[str, Any], prefix: str = "") -> T:
    values = {}
    for name, annotation in typing.get_type_hints(cls).items():
        key = f"{prefix}{name}"
        nested = dataclasses.is_dataclass(annotation)
        values[name] = (
            _build(annotation, leaves, f"{key}.") if nested else _checked(key, leaves[key], annotation)
        )
    return cls(**values)


def _checked(key: str, value: Any, annotation: Any) -> Any:
    """Returns the value as the annotated type, where nothing is lost by it."""
    if typing.get_origin(annotation) is tuple:
        item = typing.get_args(annotation)[0]
        if isinstance(value, list | tuple):
            return tuple(_checked(key, v, item) for v in value)
        raise UserError(f"{key} = {value!r} is a {type(value).__name__}; expected a list of {item.__name__}")
    if annotation is float and type(value) is int:
        value = float(value)
    if type(value) is not annotation:
        raise UserError(f"{key} = {value!r} is a {type(value).__name__}; expected {annotation.__name__}")
    return _in_range(key, value) if annotation in (int, float) else value


def _in_range(key: str, value: int | float) -> int | float:
    least, most = RANGES.get(key.rpartition(".")[2], (0, math.inf))
    if not (least <= value <= most and math.isfinite(value)):
        expected = f"from {least} to {most}" if most < math.inf else f"of at least {least}"
        raise UserError(f"{key} = {value}; expected a number {expected}")
    return value

"""The released code's layouts of generators as tables: which of its tensors is which of ours.

Sizes are read off the tensors. What is in no table is an error; what is stored twice is compared and dropped.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isqrt

import torch
from torch import Tensor

from rpgan.config import GeneratorConfig
from rpgan.errors import UserError

AFFINE = ("weight", "bias")
NORM = (*AFFINE, "running_mean", "running_var", "num_batches_tracked")
EPSILON = 1e-5  # of BatchNorm, theirs and ours

State = dict[str, Tensor]


@dataclass(frozen=True)
class Source:
    """The authors' tensors, each of which is to be taken exactly once."""

    model: str  # what the authors call the generator
    tensors: State
    taken: set[str] = field(default_factory=set)

    def take(self, key: str) -> Tensor:
        """Returns a tensor; raises UserError where it is not there."""
        if key not in self.tensors:
            remedy = "take the whole file and the arguments that belong to it"
            raise UserError(f"no tensor {key!r}; expected one in a generator {self.model!r}; {remedy}")
        self.taken.add(key)
        return self.tensors[key]

    def take_all(self, theirs: str, ours: str, names: Iterable[str] = AFFINE) -> State:
        """Returns the tensors of one module under the names they have here."""
        return {f"{ours}.{name}": self.take(f"{theirs}.{name}") for name in names}

    def drop_alias(self, alias: str, original: str) -> None:
        """Drops a module that is stored twice; raises UserError where the two do not hold the same bits."""
        for name in AFFINE:
            if not torch.equal(self.take(f"{alias}.{name}"), self.take(f"{original}.{name}")):
                raise UserError(
                    f"{alias}.{name} differs from {original}.{name}; expected the same tensor twice: "
                    "the file is damaged or edited, fetch it again"
                )

    def shape(self, key: str, ndim: int) -> tuple[int, ...]:
        """Returns a tensor's shape; raises UserError unless it has that many dimensions, none empty."""
        shape = tuple(self.take(key).shape)
        if len(shape) != ndim or 0 in shape:
            raise UserError(f"{key} has the shape {shape}; expected {ndim} dimensions, none of them 0")
        return shape

    def count(self, module: str) -> int:
        """Number of instances in a bucket."""
        prefix = f"{module}.blocks."
        return len({key[len(prefix) :].partition(".")[0] for key in self.tensors if key.startswith(prefix)})

    def finish(self) -> None:
        """Raises UserError unless every tensor was taken."""
        if rest := sorted(self.tensors.keys() - self.taken):
            more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
            inside = any(part in key for key in rest for part in (".bn1.", ".bn2."))
            why = "; BatchNorm inside instances (per_block, lazy) has no counterpart here" if inside else ""
            raise UserError(
                f"unknown tensors {', '.join(rest[:3])}{more}; expected only those of {self.model!r}{why}"
            )


@dataclass(frozen=True)
class Converted:
    """A generator in this project's terms."""

    config: GeneratorConfig
    state: State
    notes: tuple[str, ...] = ()  # where the same function has other weights


def sn_resnet(source: Source, leak: float, channels: int) -> Converted:
    """Linear, reshape, residual buckets from module 2 on, BatchNorm, ReLU, convolution, Tanh."""
    last = 2
    while f"model.{last}.blocks.0.conv1.weight" in source.tensors:
        last += 1
    modules = ["model.0", *(f"model.{k}" for k in range(2, last)), f"model.{last + 2}"]
    rows, latent_dim = source.shape("model.0.blocks.0.weight", 2)
    middle = modules[1:-1]
    widths = (rows // 16, *(source.shape(f"{module}.blocks.0.conv1.weight", 4)[0] for module in middle))
    side = 4 * 2 ** len(middle)
    config = GeneratorConfig(
        architecture="sn-resnet",
        image_shape=(source.shape(f"{modules[-1]}.blocks.0.weight", 4)[0], side, side),
        widths=widths,
        bucket_sizes=tuple(map(source.count, modules)),
        latent_dim=latent_dim,
        leak=leak,
    )
    state = source.take_all(f"model.{last}", f"links.{len(middle)}.1", NORM)
    for theirs, ours, bucket in _instances(config, modules):
        if bucket in (0, len(middle) + 1):
            state |= source.take_all(theirs, ours)
        else:
            state |= _residual(source, theirs, ours, skip=widths[bucket - 1] != widths[bucket])
    return Converted(config, state)


def _residual(source: Source, theirs: str, ours: str, skip: bool) -> State:
    source.drop_alias(f"{theirs}.model.3", f"{theirs}.conv1")
    source.drop_alias(f"{theirs}.model.6", f"{theirs}.conv2")
    state = source.take_all(f"{theirs}.conv1", f"{ours}.conv1")
    state |= source.take_all(f"{theirs}.conv2", f"{ours}.conv2")
    return state | (source.take_all(f"{theirs}.bypass.1", f"{ours}.skip") if skip else {})


def dcgan(source: Source, leak: float, channels: int) -> Converted:
    """Linear and transposed convolutions, with activations and either BatchNorm or nothing between; Tanh.

    Modules without weights count too: a bucket comes every four modules with BatchNorm, every three without.
    """
    normed = "model.0.1.weight" in source.tensors
    stride = 4 if normed else 3
    numbers = [1]
    while f"model.{numbers[-1] + stride}.blocks.0.weight" in source.tensors:
        numbers.append(numbers[-1] + stride)
    rows, latent_dim = source.shape("model.0.0.blocks.0.weight", 2)
    outputs = [source.shape(f"model.{k}.blocks.0.weight", 4)[1] for k in numbers]
    modules = ["model.0.0", *(f"model.{k}" for k in numbers)]
    side = 4 * 2 ** len(outputs)
    config = GeneratorConfig(
        architecture="dcgan",
        image_shape=(outputs[-1], side, side),
        widths=(rows // 16, *outputs[:-1]),
        bucket_sizes=tuple(map(source.count, modules)),
        latent_dim=latent_dim,
        leak=leak,
    )
    state: State = {}
    for theirs, ours, bucket in _instances(config, modules):
        state |= source.take_all(theirs, f"{ours}.conv" if bucket else ours)
    for bucket, norm in enumerate(["model.0.1", *(f"model.{k + 1}" for k in numbers[:-1])]):
        features = config.widths[bucket] if bucket else rows
        target = f"links.{bucket}.0"
        state |= source.take_all(norm, target, NORM) if normed else _identity_norm(target, features)
    return Converted(
        config, state, () if normed else ("no BatchNorm in the source; here it is the identity",)
    )


def _identity_norm(target: str, features: int) -> State:
    """BatchNorm that changes nothing in eval mode."""
    one, zero = torch.ones(features), torch.zeros(features)
    values = (one, zero, zero.clone(), one - EPSILON, torch.tensor(0))
    return {f"{target}.{name}": value for name, value in zip(NORM, values, strict=True)}


def fully_connected(source: Source, leak: float, channels: int) -> Converted:
    """Linear layers with activations inside the buckets, and either BatchNorm or nothing between; Tanh.

    BatchNorm follows an activation there, so it is folded into the linear layers behind it.
    """
    last = 2
    while f"model.{last}.blocks.0.0.weight" in source.tensors:
        last += 2
    modules = [f"model.{k}" for k in range(0, last + 1, 2)]
    hidden = [source.shape(f"{module}.blocks.0.0.weight", 2) for module in modules[:-1]]
    side = isqrt(source.shape(f"{modules[-1]}.blocks.0.weight", 2)[0] // channels)
    config = GeneratorConfig(
        architecture="fc",
        image_shape=(channels, side, side),
        widths=tuple(rows for rows, _ in hidden),
        bucket_sizes=tuple(map(source.count, modules)),
        latent_dim=hidden[0][1],
        leak=leak,
    )
    state: State = {}
    for theirs, ours, bucket in _instances(config, modules):
        state |= source.take_all(f"{theirs}.0" if bucket < len(hidden) else theirs, ours)
    if "model.1.weight" not in source.tensors:
        return Converted(config, state)
    norms = [source.take_all(f"model.{2 * bucket + 1}", "norm", NORM) for bucket in range(len(hidden))]
    for _, ours, bucket in _instances(config, modules):
        state |= _folded(state, ours, norms[bucket - 1]) if bucket else {}
    return Converted(config, state, ("shared BatchNorm is folded into the linear layers behind it",))


def _folded(state: State, linear: str, norm: State) -> State:
    """Returns the linear layer that does in one step what BatchNorm in eval mode and then it do."""
    gain, shift, mean, variance = (norm[f"norm.{name}"].double() for name in NORM[:4])
    weight, bias = (state[f"{linear}.{name}"].double() for name in AFFINE)
    if not gain.shape == shift.shape == mean.shape == variance.shape == weight.shape[1:]:
        raise UserError(
            f"BatchNorm of {len(gain)} features before {tuple(weight.shape)} weights; expected equal"
        )
    scale = gain / (variance + EPSILON).sqrt()
    return {
        f"{linear}.weight": (weight * scale).float(),
        f"{linear}.bias": (bias + weight @ (shift - mean * scale)).float(),
    }


def _instances(config: GeneratorConfig, modules: Iterable[str]) -> Iterable[tuple[str, str, int]]:
    """Yields every instance's name there, its name here, and its bucket."""
    for bucket, (module, size) in enumerate(zip(modules, config.bucket_sizes, strict=True)):
        for i in range(size):
            yield f"{module}.blocks.{i}", f"buckets.{bucket}.instances.{i}", bucket


Layout = Callable[[Source, float, int], Converted]
MODELS: dict[str, tuple[Layout, int]] = {
    "sn_resnet32": (sn_resnet, 32),
    "sn_resnet64": (sn_resnet, 64),
    "sn_resnet128": (sn_resnet, 128),
    "sn_resnet256": (sn_resnet, 256),
    "conv32": (dcgan, 32),
    "conv64": (dcgan, 64),
    "sn_fc": (fully_connected, 28),
}  # the authors' name → its table, and pixels a side

"""The authors' released generators as checkpoints of this project.

Loading executes nothing from their files: the state dict is read as tensors only, the arguments are JSON.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from rpgan.checkpoint import refuse_what_is_no_checkpoint, save_checkpoint
from rpgan.config import DataConfig, DiscriminatorConfig, GanConfig, GeneratorConfig
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.layouts import MODELS, Converted, Source
from rpgan.models.generator import RandomPathGenerator, build_generator
from rpgan.overrides import override

LARGEST = 8 * 2**30  # bytes; the largest released generator has 3·2³⁰
BROKEN = ("fc", "sn_conv32", "sn_resnet48")  # that the released code names but cannot run
DATA = {"cifar10": "cifar10", "mnist": "mnist", "anime_faces": "anime-faces", "lsun_bedroom": "lsun-bedroom"}
LOSSES = {"hinge": "hinge", "wasserstein_gp": "wgan-gp"}

Arguments = Mapping[str, Any]


def convert(source: Path, params: Path, out: Path) -> None:
    """Writes a released generator, with the JSON of its arguments, as a checkpoint into the directory `out`.

    Its card holds the SHA-256 of the source and all of the authors' arguments. Raises UserError where a file
    cannot be read, a tensor is missing, unknown or of a wrong shape, an alias differs, or the arguments
    contradict the tensors; then nothing is written.
    """
    refuse_what_is_no_checkpoint(out.absolute())
    arguments = read_arguments(params)
    tensors, digest = read_tensors(source)
    converted = translate(tensors, arguments)
    config = describe(arguments, converted.config)
    about = {
        "data": f"trained by the authors on {arguments.get('data', 'data that the arguments do not name')}",
        "steps": config.train.steps,
        "seed": config.seed,
        "source": {"file": source.name, "sha256": digest, "arguments": dict(arguments)},
        "notes": ["converted; the discriminator is not in the source", *converted.notes],
    }
    save_checkpoint(out, assemble(converted), config, about)


def translate(tensors: dict[str, Tensor], arguments: Arguments) -> Converted:
    """Maps the authors' tensors onto ours, every one of them; sizes come from the tensors.

    Raises UserError for a model that is not known, and for a tensor that is missing, left over or misshapen.
    """
    model = arguments.get("model")
    if not isinstance(model, str) or model not in MODELS:
        why = " (which the released code cannot run)" if model in BROKEN else ""
        raise UserError(f"model {model!r}{why}; expected one of {', '.join(MODELS)}")
    layout, resolution = MODELS[model]
    source = Source(model, tensors)
    channels = arguments.get("image_channels", 3)  # as the released loader reads older arguments
    if channels not in (1, 3):
        raise UserError(f"image_channels {channels!r} in the arguments; expected 1 or 3")
    converted = layout(source, _number(arguments, "generator_leak"), int(channels))
    latent, state = _latent(source, arguments)
    source.finish()
    config = replace(converted.config, latent=latent)
    _cross_check(arguments, config, resolution)
    return replace(converted, config=config, state=converted.state | state)


def _latent(source: Source, arguments: Arguments) -> tuple[str, dict[str, Tensor]]:
    """Returns the kind of latent and Z, which a standard GAN does not have."""
    if arguments.get("nonfixed_noise", False):
        return "gaussian", {}
    noise = source.take("const_noise")
    if noise.ndim != 2 or len(noise) != 1:
        raise UserError(f"const_noise has the shape {tuple(noise.shape)}; expected (1, d), a single Z")
    return "learned" if arguments.get("optimize_noise", False) else "fixed", {"latent": noise}


def _cross_check(arguments: Arguments, config: GeneratorConfig, resolution: int) -> None:
    """Raises UserError where the arguments say other sizes than the tensors have."""
    said = {"resolution": resolution, "latent_dim": arguments.get("latent_dim", config.latent_dim)}
    found: dict[str, Any] = {"resolution": config.image_shape[1], "latent_dim": config.latent_dim}
    if config.architecture != "dcgan":  # whose released code ignores the argument
        said["image_channels"] = arguments.get("image_channels", 3)
        found["image_channels"] = config.image_shape[0]
    if "num_blocks" in arguments:
        blocks = arguments["num_blocks"]
        one = blocks[0] if isinstance(blocks, list) and len(blocks) == 1 else blocks
        said["num_blocks"] = one if isinstance(one, list) else [one] * len(config.bucket_sizes)
        found["num_blocks"] = list(config.bucket_sizes)
    for key, value in said.items():
        if value != found[key]:
            raise UserError(
                f"{key} is {value} by the arguments ({arguments['model']}) and {found[key]} by the tensors; "
                "expected the arguments that belong to this file"
            )


def assemble(converted: Converted) -> RandomPathGenerator:
    """Builds the generator around its tensors, in eval mode; raises UserError where a shape does not fit."""
    with torch.device("meta"):  # no memory is taken before all shapes are known to fit
        generator = build_generator(converted.config)
    state = {k: v.float() if v.is_floating_point() else v for k, v in converted.state.items()}
    try:
        generator.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise UserError(
            f"the tensors do not fit each other: {_line(error)}; expected a whole generator: fetch it again"
        ) from None
    return generator.eval()


def describe(arguments: Arguments, generator: GeneratorConfig) -> GanConfig:
    """Returns the authors' experiment as a config; their steps count discriminator updates (erratum 2).

    The file says nothing of the discriminator: it is that of an experiment here of such images, if any.
    """
    d_steps = int(_number(arguments, "discriminator_steps", 5.0))
    data = DATA.get(str(arguments.get("data")))
    loss = str(arguments.get("loss", "hinge"))
    weight = _number(arguments, "diversity", 1.0)
    config = GanConfig(
        name=f"released-{arguments['model']}",
        data=DataConfig(data) if data else DataConfig("folder"),
        generator=generator,
        discriminator=_usual_discriminator(generator),
    )
    changes = {
        "loss.name": LOSSES.get(loss, loss),
        "loss.diversity": "awake-pairs" if weight else "off",
        "loss.diversity_weight": weight,
        "loss.diversity_margin": _number(arguments, "diversity_margin", 1.5),
        "train.steps": int(_number(arguments, "steps", 450_000.0)) // max(d_steps, 1),
        "train.batch_size": int(_number(arguments, "batch", 64.0)),
        "train.d_steps": d_steps,
        "train.g_lr": _number(arguments, "rate", 2.5e-4),
        "train.d_lr": _number(arguments, "rate", 2.5e-4),
        "train.betas": arguments.get("betas", [0.5, 0.999]),
        "train.routing": "balanced" if arguments.get("equal_split", False) else "uniform",
        "seed": int(_number(arguments, "seed", 42.0)),
    }
    return override(config, changes)


def _usual_discriminator(generator: GeneratorConfig) -> DiscriminatorConfig:
    def kind(of: GeneratorConfig) -> tuple[str, tuple[int, ...]]:
        return of.architecture, of.image_shape[1:]

    gans = [config for config in EXPERIMENTS.values() if isinstance(config, GanConfig)]
    alike = (config.discriminator for config in gans if kind(config.generator) == kind(generator))
    return next(alike, DiscriminatorConfig(architecture=generator.architecture))


def read_arguments(path: Path) -> dict[str, Any]:
    """Reads the JSON of arguments beside a released checkpoint; raises UserError when it is not that."""
    try:
        arguments = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is no readable JSON ({_line(error)}); expected the authors' arguments"
        ) from None
    if not isinstance(arguments, dict) or "model" not in arguments:
        raise UserError(f'{path} holds no arguments; expected JSON like {{"model": "sn_resnet32", …}}')
    return arguments


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Reads a state dict as tensors on the CPU, and the file's SHA-256.

    Raises UserError for a file that is missing, damaged, too large, or holds anything but plain tensors.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({_line(error)}); expected a released generator") from None
    with file:
        try:
            _check_size(path, file)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        except UserError:
            raise
        except Exception as error:  # a damaged or hostile file makes torch raise nearly anything
            raise UserError(
                f"{path} is not a file of plain tensors ({_line(error)}); fetch it again"
            ) from None
    _check_tensors(path, loaded)
    return dict(loaded), digest


def _check_size(path: Path, file: BinaryIO) -> None:
    size = path.stat().st_size
    unpacked = size
    if zipfile.is_zipfile(file):  # torch stores without compression: a bomb would be compressed
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    file.seek(0)
    if size > LARGEST or unpacked > size:
        raise UserError(
            f"{path} has {size:,} bytes, {unpacked:,} unpacked; expected at most {LARGEST:,}, uncompressed"
        )


def _check_tensors(path: Path, loaded: object) -> None:
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(f"{path} holds a {type(loaded).__name__}; expected a state dict, names to tensors")
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{path} has {key!r}: {type(value).__name__}; expected names to tensors only")
        stored = value.layout == torch.strided and not value.is_quantized and value.is_contiguous()
        plain = value.dtype == torch.int64 or value.dtype in (torch.float16, torch.float32, torch.float64)
        if not stored or not plain or prod(value.shape) * value.element_size() > path.stat().st_size:
            kind = f"{value.dtype} of shape {tuple(value.shape)}"
            raise UserError(f"{path} has {key} as {kind}; expected whole, contiguous floats or int64")
        if not torch.isfinite(value).all():
            raise UserError(f"{path} has NaN or infinity in {key}; expected finite weights; fetch it again")


def _number(arguments: Arguments, key: str, default: float | None = None) -> float:
    value = arguments.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e12:
        raise UserError(f"{key} = {value!r} in the arguments; expected a number of at least 0")
    return float(value)


def _line(error: BaseException) -> str:
    """First line of a message, short enough for one line in all."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]

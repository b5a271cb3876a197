"""Conversion of the authors' checkpoints: the same images, and one clear line for whatever does not fit.

Run as a program, this file writes the golden files: random weights in the authors' layout, and the images
that the plain reference below makes of them.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rpgan.checkpoint import load_card, load_config, load_generator
from rpgan.config import GanConfig
from rpgan.convert import convert
from rpgan.errors import UserError
from rpgan.experiments import EXPERIMENTS
from rpgan.models.generator import render

GOLDEN = Path(__file__).parent / "golden"
BASE = {"optimize_noise": True, "generator_leak": 0.0, "nonfixed_noise": False, "noises_count": 1}
STRIDE = 4  # of the pixels that golden files keep
Weights = dict[str, Tensor]


class Builder:
    """Random tensors under the authors' names."""

    def __init__(self, seed: int) -> None:
        self.rng = torch.Generator().manual_seed(seed)
        self.weights: Weights = {}

    def layer(self, name: str, *shape: int, bias: int) -> None:
        scale = (torch.tensor(shape).prod() / shape[0]) ** -0.5
        self.weights[f"{name}.weight"] = torch.randn(*shape, generator=self.rng) * scale
        self.weights[f"{name}.bias"] = 0.1 * torch.randn(bias, generator=self.rng)

    def norm(self, name: str, n: int) -> None:
        self.weights[f"{name}.weight"] = 1 + 0.1 * torch.randn(n, generator=self.rng)
        self.weights[f"{name}.bias"] = 0.1 * torch.randn(n, generator=self.rng)
        self.weights[f"{name}.running_mean"] = 0.1 * torch.randn(n, generator=self.rng)
        self.weights[f"{name}.running_var"] = 0.5 + torch.rand(n, generator=self.rng)
        self.weights[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def alias(self, name: str, original: str) -> None:
        for part in ("weight", "bias"):
            self.weights[f"{name}.{part}"] = self.weights[f"{original}.{part}"]


def build_resnet(
    widths: list[int], sizes: list[int], d: int = 5, channels: int = 3, seed: int = 0
) -> Weights:
    b = Builder(seed)
    b.weights["const_noise"] = torch.randn(1, d, generator=b.rng)
    for i in range(sizes[0]):
        b.layer(f"model.0.blocks.{i}", 16 * widths[0], d, bias=16 * widths[0])
    for k, (w, v) in enumerate(pairwise(widths), start=2):
        for name in (f"model.{k}.blocks.{i}" for i in range(sizes[k - 1])):
            b.layer(f"{name}.conv1", v, w, 3, 3, bias=v)
            b.layer(f"{name}.conv2", v, v, 3, 3, bias=v)
            b.alias(f"{name}.model.3", f"{name}.conv1")
            b.alias(f"{name}.model.6", f"{name}.conv2")
            if w != v:
                b.layer(f"{name}.bypass.1", v, w, 3, 3, bias=v)
    end = len(widths) + 1
    b.norm(f"model.{end}", widths[-1])
    for i in range(sizes[-1]):
        b.layer(f"model.{end + 2}.blocks.{i}", channels, widths[-1], 3, 3, bias=channels)
    return b.weights


def build_dcgan(
    widths: list[int], sizes: list[int], d: int = 5, normed: bool = True, seed: int = 0
) -> Weights:
    b = Builder(seed)
    b.weights["const_noise"] = torch.randn(1, d, generator=b.rng)
    for i in range(sizes[0]):
        b.layer(f"model.0.0.blocks.{i}", 16 * widths[0], d, bias=16 * widths[0])
    if normed:
        b.norm("model.0.1", 16 * widths[0])
    outputs = [*widths[1:], 3]
    for u, (w, v) in enumerate(zip(widths, outputs, strict=True)):
        k = 1 + u * (4 if normed else 3)
        for i in range(sizes[u + 1]):
            b.layer(f"model.{k}.blocks.{i}", w, v, 5, 5, bias=v)
        if normed and u < len(widths) - 1:
            b.norm(f"model.{k + 1}", v)
    return b.weights


def build_fc(widths: list[int], sizes: list[int], d: int = 5, normed: bool = False, seed: int = 0) -> Weights:
    b = Builder(seed)
    b.weights["const_noise"] = torch.randn(1, d, generator=b.rng)
    for k, (w, v) in enumerate(zip([d, *widths], [*widths, 784], strict=True)):
        inner = ".0" if k < len(widths) else ""
        for i in range(sizes[k]):
            b.layer(f"model.{2 * k}.blocks.{i}{inner}", v, w, bias=v)
        if normed and inner:
            b.norm(f"model.{2 * k + 1}", v)
    return b.weights


def affine(weights: Weights, name: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def normed(weights: Weights, name: str, x: Tensor) -> Tensor:
    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, *affine(weights, name))


def resnet_image(weights: Weights, path: list[int], leak: float, z: Tensor) -> Tensor:
    x = F.linear(z, *affine(weights, f"model.0.blocks.{path[0]}"))
    x = x.view(1, -1, 4, 4)
    for k, s in enumerate(path[1:-1], start=2):
        name = f"model.{k}.blocks.{s}"
        h = F.interpolate(F.leaky_relu(x, leak), scale_factor=2)
        h = F.leaky_relu(F.conv2d(h, *affine(weights, f"{name}.conv1"), padding=1), leak)
        h = F.conv2d(h, *affine(weights, f"{name}.conv2"), padding=1)
        x = F.interpolate(x, scale_factor=2)
        if f"{name}.bypass.1.weight" in weights:
            x = F.conv2d(x, *affine(weights, f"{name}.bypass.1"), padding=1)
        x = x + h
    x = F.relu(normed(weights, f"model.{len(path)}", x))
    return F.conv2d(x, *affine(weights, f"model.{len(path) + 2}.blocks.{path[-1]}"), padding=1).tanh()


def dcgan_image(weights: Weights, path: list[int], leak: float, z: Tensor) -> Tensor:
    x = F.linear(z, *affine(weights, f"model.0.0.blocks.{path[0]}"))
    has_norm = "model.0.1.weight" in weights
    x = F.leaky_relu(normed(weights, "model.0.1", x) if has_norm else x, leak).view(1, -1, 4, 4)
    for u, s in enumerate(path[1:]):
        k = 1 + u * (4 if has_norm else 3)
        x = F.conv_transpose2d(x, *affine(weights, f"model.{k}.blocks.{s}"), stride=2, padding=1)
        if u < len(path) - 2:
            x = F.leaky_relu(normed(weights, f"model.{k + 1}", x) if has_norm else x, leak)
        x = x[:, :, :-1, :-1]
    return x.tanh()


def fc_image(weights: Weights, path: list[int], leak: float, z: Tensor) -> Tensor:
    x = z
    for k, s in enumerate(path[:-1]):
        x = F.leaky_relu(F.linear(x, *affine(weights, f"model.{2 * k}.blocks.{s}.0")), leak)
        x = normed(weights, f"model.{2 * k + 1}", x) if f"model.{2 * k + 1}.weight" in weights else x
    x = F.linear(x, *affine(weights, f"model.{2 * len(path) - 2}.blocks.{path[-1]}"))
    return x.view(1, 1, 28, 28).tanh()


Image = Callable[[Weights, list[int], float, Tensor], Tensor]
R32, R64, R128 = [4, 4, 4, 4], [6, 4, 4, 3, 2], [4, 4, 3, 2, 2, 2]
LAYOUTS: dict[str, tuple[Weights, Image, dict]] = {
    "resnet32": (build_resnet(R32, [2, 3, 1, 2, 2]), resnet_image, {"model": "sn_resnet32"}),
    "resnet32-grey": (
        build_resnet([4, 4, 2, 2], [2, 2, 2, 2, 1], channels=1, seed=1),
        resnet_image,
        {"model": "sn_resnet32", "image_channels": 1, "generator_leak": 0.2, "num_blocks": [2, 2, 2, 2, 1]},
    ),
    "resnet64": (
        build_resnet(R64, [1, 2, 2, 1, 2, 2], seed=2),
        resnet_image,
        {"model": "sn_resnet64", "optimize_noise": False},
    ),
    "resnet128": (
        build_resnet(R128, [2] * 7, seed=3),
        resnet_image,
        {"model": "sn_resnet128", "generator_leak": 1.0, "num_blocks": [2]},
    ),
    "dcgan32": (build_dcgan([4, 3, 2], [2, 2, 3, 2], seed=4), dcgan_image, {"model": "conv32"}),
    "dcgan32-no-norm": (
        build_dcgan([4, 3, 2], [2, 2, 3, 2], normed=False, seed=5),
        dcgan_image,
        {"model": "conv32", "generator_leak": 0.1},
    ),
    "dcgan64": (
        build_dcgan([4, 3, 2, 2], [2] * 5, seed=6),
        dcgan_image,
        {"model": "conv64", "num_blocks": 2, "image_channels": 1},  # which the released code ignores here
    ),
    "fc-linear": (
        build_fc([4, 5, 6, 4], [2, 3, 2, 2, 1], seed=7),
        fc_image,
        {"model": "sn_fc", "image_channels": 1, "generator_leak": 1.0},
    ),
    "fc-norm": (
        build_fc([4, 5, 6, 4], [2, 3, 2, 2, 1], normed=True, seed=8),
        fc_image,
        {"model": "sn_fc", "image_channels": 1, "generator_leak": 0.2},
    ),
}
KEPT = ("resnet32-grey", "resnet64", "dcgan32", "fc-linear")  # as golden files


def paths_of(name: str, n: int) -> Tensor:
    weights = LAYOUTS[name][0]
    buckets: dict[str, set[str]] = {}
    for key in weights:
        if ".blocks." in key:
            bucket, _, rest = key.partition(".blocks.")
            buckets.setdefault(bucket, set()).add(rest.partition(".")[0])
    rng = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(len(m), (n,), generator=rng) for m in buckets.values()], dim=1)


def reference(name: str, weights: Weights, paths: Tensor) -> Tensor:
    _, image, arguments = LAYOUTS[name]
    leak = arguments.get("generator_leak", 0.0)
    return torch.cat([image(weights, path, leak, weights["const_noise"]) for path in paths.tolist()])


def write(folder: Path, weights: object, arguments: object) -> tuple[Path, Path, Path]:
    """Writes the two files of a released checkpoint; returns them and where to convert to."""
    torch.save(weights, folder / "generator.pt")
    (folder / "params.json").write_text(json.dumps(arguments))
    return folder / "generator.pt", folder / "params.json", folder / "converted"


@pytest.mark.parametrize("name", LAYOUTS)
def test_images_are_those_of_a_plain_forward(name: str, tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS[name]
    convert(*write(tmp_path, weights, BASE | arguments))
    generator, paths = load_generator(tmp_path / "converted"), paths_of(name, 4)
    expected = reference(name, weights, paths)
    assert expected.std() > 0.02 and len(expected.flatten(1).unique(dim=0)) > 1
    assert (render(generator, paths) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("name", KEPT)
def test_images_are_the_golden_ones(name: str, tmp_path: Path) -> None:
    with np.load(GOLDEN / f"{name}.npz") as golden:
        stored = {key: torch.from_numpy(golden[key]) for key in golden.files}
    paths, images = stored.pop("paths"), stored.pop("images")
    for alias in (k for k in LAYOUTS[name][0] if ".model." in k):
        block, part = alias.split(".model.")[0], alias.rpartition(".")[2]
        stored[alias] = stored[f"{block}.conv{1 if '.model.3.' in alias else 2}.{part}"]
    convert(*write(tmp_path, stored, BASE | LAYOUTS[name][2]))
    got = render(load_generator(tmp_path / "converted"), paths)
    assert (got[:, :, ::STRIDE, ::STRIDE] - images).abs().max() < 1e-5


def test_the_card_says_where_it_comes_from(tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["resnet64"]
    arguments = (
        BASE | arguments | {"data": "anime_faces", "steps": 25e4, "discriminator_steps": 1, "rate": 1e-4}
    )
    convert(*write(tmp_path, weights, arguments))
    card = load_card(tmp_path / "converted")
    assert len(card["source"]["sha256"]) == 64 and card["source"]["arguments"] == arguments
    config = card["config"]
    assert config["generator"]["widths"] == R64 and config["generator"]["bucket_sizes"] == [1, 2, 2, 1, 2, 2]
    assert config["generator"]["latent"] == "fixed" and config["generator"]["latent_dim"] == 5
    assert config["data"]["name"] == "anime-faces" and config["train"]["g_lr"] == 1e-4
    assert card["steps"] == 250_000
    usual = json.loads(json.dumps(asdict(EXPERIMENTS["anime-rpgan"].discriminator)))
    assert config["discriminator"] == usual, "of 64 pixels, since the file holds none"
    assert config["loss"]["diversity"] == "awake-pairs"


def test_learned_latents_are_trained_on_and_steps_are_of_the_generator(tmp_path: Path) -> None:
    convert(*write(tmp_path, LAYOUTS["resnet32"][0], BASE | {"model": "sn_resnet32"}))
    generator = load_generator(tmp_path / "converted")
    assert isinstance(generator.latent, torch.nn.Parameter)
    assert load_card(tmp_path / "converted")["steps"] == 90_000  # of 450,000, of the discriminator


def test_a_standard_gan_takes_gaussian_latents(tmp_path: Path) -> None:
    weights = build_resnet(R32, [1] * 5)
    arguments = BASE | {"model": "sn_resnet32", "num_blocks": 1, "nonfixed_noise": True}
    with pytest.raises(UserError, match="unknown tensors const_noise"):
        convert(*write(tmp_path, weights, arguments))
    del weights["const_noise"]
    convert(*write(tmp_path, weights, arguments))
    generator, z = load_generator(tmp_path / "converted"), torch.randn(2, 5)
    assert generator.latent is None
    expected = torch.cat([resnet_image(weights, [0] * 5, 0.0, row[None]) for row in z])
    assert (render(generator, torch.zeros(2, 5, dtype=torch.int64), z) - expected).abs().max() < 1e-5


Spoil = Callable[[Weights], object]


def without(key: str) -> Spoil:
    return lambda weights: {k: v for k, v in weights.items() if k != key}


def with_(**changes: Callable[[Tensor], Tensor]) -> Spoil:
    dotted = {key.replace("__", "."): change for key, change in changes.items()}
    return lambda weights: {k: dotted[k](v) if k in dotted else v for k, v in weights.items()}


@pytest.mark.parametrize("name", ["resnet64", "dcgan32", "fc-linear", "fc-norm"])
def test_every_single_tensor_is_needed(name: str, tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS[name]
    for key in weights:
        with pytest.raises(UserError):
            convert(*write(tmp_path, without(key)(weights), BASE | arguments))
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (without("model.2.blocks.1.conv2.bias"), "no tensor 'model.2.blocks.1.conv2.bias'"),
        (without("const_noise"), "no tensor 'const_noise'"),
        (lambda w: w | {"model.9.weight": torch.ones(1)}, r"unknown tensors model\.9\.weight"),
        (lambda w: w | {f"extra.{i}": torch.ones(1) for i in range(9)}, r"extra\.2 and 6 more"),
        (lambda w: w | {"model.2.blocks.0.bn1.weight": torch.ones(4)}, "BatchNorm inside instances"),
        (lambda w: w | {"model.0.blocks.7.weight": torch.ones(4, 4)}, "no tensor 'model.0.blocks.2"),
        (with_(model__2__blocks__1__model__3__weight=lambda t: t + 1e-7), "differs from .*conv1.weight"),
        (with_(model__3__blocks__0__conv1__bias=lambda t: t[:2]), "differs from"),
        (with_(model__0__blocks__1__weight=lambda t: t[:, :3].clone()), "do not fit each other"),
        (with_(model__0__blocks__0__weight=lambda t: t.flatten()), "expected 2 dimensions"),
        (with_(model__7__blocks__0__bias=lambda t: t[:1]), "do not fit each other"),
        (with_(const_noise=lambda t: t.repeat(2, 1)), r"\(2, 5\); expected \(1, d\)"),
        (with_(const_noise=lambda t: t[:, :3].clone()), "do not fit each other"),
        (with_(model__5__running_var=lambda t: t * torch.nan), "NaN or infinity in model.5.running_var"),
        (with_(model__5__weight=lambda t: t.to(torch.complex64)), "expected whole, contiguous floats"),
        (with_(model__5__weight=lambda t: torch.ones(1).expand(10**12)), "expected whole, contiguous"),
        (with_(model__5__weight=lambda t: t.tolist()), "names to tensors only"),
        (lambda w: list(w.values()), "holds a list; expected a state dict"),
        (lambda w: {}, "expected a state dict"),
        (lambda w: {"generator": w}, "names to tensors only"),
    ],
)
@pytest.mark.tried(
    "hostile",
    "released checkpoints with other tensors than their arguments say",
    "one line that names the tensor; nothing is written",
)
def test_tensors_that_do_not_fit_are_named(spoil: Spoil, message: str, tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["resnet32"]
    with pytest.raises(UserError, match=message) as error:
        convert(*write(tmp_path, spoil(weights), BASE | arguments))
    assert "\n" not in str(error.value) and not (tmp_path / "converted").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": "sn_fc", "image_channels": 1}, "no tensor 'model.0.blocks.0.0.weight'"),
        ({"model": "conv32"}, "no tensor 'model.0.0.blocks.0.weight'"),
        ({"model": "sn_resnet64"}, "resolution is 64 .* 32 by the tensors"),
        ({"model": "fc"}, "released code cannot run"),
        ({"model": ["sn_resnet32"]}, "expected one of sn_resnet32"),
        ({"latent_dim": 128}, "latent_dim is 128 .* 5 by the tensors"),
        ({"num_blocks": 40}, "num_blocks"),
        ({"num_blocks": [2, 3, 1, 2]}, "num_blocks"),
        ({"image_channels": 1}, "image_channels is 1"),
        ({"image_channels": 0}, "expected 1 or 3"),
        ({"generator_leak": "0"}, "generator_leak = '0'"),
        ({"generator_leak": None}, "generator_leak = None"),
        ({"batch": [64]}, "batch"),
        ({"betas": 0.5}, "betas"),
    ],
)
@pytest.mark.tried(
    "hostile",
    "`params.json` that contradicts the tensors",
    "one line that names the entry; nothing is written",
)
def test_arguments_that_contradict_the_tensors_are_named(changes: dict, message: str, tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["resnet32"]
    with pytest.raises(UserError, match=message):
        convert(*write(tmp_path, weights, BASE | arguments | changes))
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize("text", ["", "{", "model: sn_resnet32", "[1]", "{}", '"sn_resnet32"', "\x00"])
def test_arguments_must_be_json(text: str, tmp_path: Path) -> None:
    source, params, out = write(tmp_path, LAYOUTS["resnet32"][0], {})
    params.write_text(text)
    with pytest.raises(UserError, match="expected"):
        convert(source, params, out)


def test_the_card_has_the_authors_training(tmp_path: Path) -> None:
    given = {
        "loss": "wasserstein_gp",
        "rate": 1e-4,
        "batch": 8,
        "betas": [0.0, 0.9],
        "equal_split": True,
        "diversity": 0,
        "diversity_margin": 1.2,
        "seed": 7,
        "discriminator_steps": 3,
        "steps": 90,
    }
    convert(*write(tmp_path, LAYOUTS["resnet32"][0], BASE | {"model": "sn_resnet32"} | given))
    config = load_config(tmp_path / "converted")
    assert isinstance(config, GanConfig)
    told, loss = config.train, config.loss
    assert (told.g_lr, told.d_lr, told.batch_size, told.betas) == (1e-4, 1e-4, 8, (0.0, 0.9))
    assert (told.routing, told.d_steps, told.steps, config.seed) == ("balanced", 3, 30, 7)
    assert (loss.name, loss.diversity, loss.diversity_margin) == ("wgan-gp", "off", 1.2)


class Payload:
    """Makes a file when it is unpickled, where unpickling is not restricted."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return Path.touch, (self.witness,)


@pytest.mark.tried("hostile", "pickled code among the tensors of a released checkpoint", "it is not executed")
def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["resnet32"]
    witness = tmp_path / "executed"
    source, params, out = write(tmp_path, weights | {"extra": Payload(witness)}, BASE | arguments)
    with pytest.raises(UserError, match="not a file of plain tensors"):
        convert(source, params, out)
    assert not witness.exists() and not out.exists()
    torch.load(source, weights_only=False)
    assert witness.exists(), "the code would have run"


@pytest.mark.parametrize("part", [0, 1, 4, 100, 0.3, 0.9, 0.999])
@pytest.mark.tried("fault", "a released checkpoint cut off", "one line; nothing is written")
def test_cut_files_are_refused(part: float, tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["resnet32"]
    source, params, out = write(tmp_path, weights, BASE | arguments)
    content = source.read_bytes()
    source.write_bytes(content[: int(part * len(content)) if 0 < part < 1 else int(part)])
    with pytest.raises(UserError, match="not a file of plain tensors"):
        convert(source, params, out)
    source.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        convert(source, params, out)


@pytest.mark.tried(
    "hostile", "a released checkpoint that unpacks to more than it is", "refused before it does"
)
def test_files_that_unpack_to_more_than_they_are_are_refused(tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["resnet32"]
    source, params, out = write(tmp_path, weights | {"zeros": torch.zeros(10**6)}, BASE | arguments)
    with zipfile.ZipFile(source) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="uncompressed"):
        convert(source, params, out)


def test_a_folder_that_is_no_checkpoint_is_left_alone(tmp_path: Path) -> None:
    weights, _, arguments = LAYOUTS["fc-linear"]
    source, params, out = write(tmp_path, weights, BASE | arguments)
    with pytest.raises(UserError, match="no checkpoint; expected a new directory"):
        convert(source, params, tmp_path)
    with pytest.raises(UserError, match="no checkpoint"):
        convert(source, params, source)
    for _ in range(2):  # the second takes the place of the first
        convert(source, params, out)
    assert source.exists() and len(list(out.iterdir())) == 2


def write_golden() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in KEPT:
        weights, paths = LAYOUTS[name][0], paths_of(name, 3)
        images = reference(name, weights, paths)[:, :, ::STRIDE, ::STRIDE]
        kept = {k: v.numpy() for k, v in weights.items() if ".model." not in k}
        np.savez_compressed(GOLDEN / f"{name}.npz", paths=paths.numpy(), images=images.numpy(), **kept)


if __name__ == "__main__":
    write_golden()

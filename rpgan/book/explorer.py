"""The path explorer of the book: a small generator as a script, whose images the page computes itself."""

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rpgan.analysis.variation import variation_grid
from rpgan.book.launch import code_link
from rpgan.checkpoint import kept_step, load_card, load_config, load_generator
from rpgan.config import GanConfig, GeneratorConfig
from rpgan.errors import UserError
from rpgan.models.generator import RandomPathGenerator
from rpgan.places import CHECKOUT

EXPLORED = "cifar10-explorer"  # the checkpoint on the page: any small sn-resnet
MODEL_SCRIPT = "explorer-model.js"
GRID = "explorer-grid.png"
SCRIPTS = (MODEL_SCRIPT, "explorer-engine.js", "explorer-controls.js")  # in the order in which they run
KEY_DIGITS = 8  # of the weights' SHA-256, which name the model in the page's address
N_STATIC = 8  # other instances a bucket in the picture that stands in for the scripts
PART = """\
```{{raw}} html
<link rel="stylesheet" href="../_static/explorer.css">
<div id="explorer" class="explorer" hidden></div>
{scripts}
```

:::{{figure}} {grid}
:name: fig-explorer
:figclass: explorer-static
:alt: {alt}

The image of one path, and what other instances of each bucket make of it. {code}
:::

{about}
"""


def write_explorer(folder: Path, checkpoint: str | Path = EXPLORED, root: Path = CHECKOUT) -> str:
    """Writes a checkpoint's script and its static grid into a folder of pages; returns MyST text.

    The text shows the explorer, or, without scripts and in print, the grid. Raises UserError for a checkpoint
    that is no `sn-resnet` with a constant Z.
    """
    config, generator = load_config(checkpoint), load_generator(checkpoint)
    assert isinstance(config, GanConfig), "load_generator accepts no other"
    card, start = load_card(checkpoint), first_path(generator)
    script = model_script(generator, config.generator, start, card["sha256"][:KEY_DIGITS])
    (folder / "_static").mkdir(parents=True, exist_ok=True)
    (folder / "_static" / MODEL_SCRIPT).write_text(script, encoding="utf-8")
    draw_grid(generator, start, folder / GRID)
    scripts = "\n".join(f'<script defer src="../_static/{name}"></script>' for name in SCRIPTS)
    code = code_link(__name__, root)
    return PART.format(scripts=scripts, grid=GRID, alt=_alt(start), code=code, about=_about(card))


def first_path(generator: RandomPathGenerator) -> Tensor:
    """Returns the path (n_buckets,) that the page begins with: random, always the same."""
    return generator.sample_paths(1, torch.Generator().manual_seed(0))[0]


def _alt(start: Tensor) -> str:
    return (
        "Rows of generated images, a row a bucket: at the left always the image of the path "
        f"{dotted(start)}, beside it what other instances of the bucket make of it"
    )


def dotted(path: Tensor) -> str:
    """Returns a path as the page's address has it: `3.1.7.0.2`."""
    return ".".join(str(instance) for instance in path.tolist())


def _about(card: dict[str, Any]) -> str:
    n_paths = math.prod(card["config"]["generator"]["bucket_sizes"])
    name = card["config"]["name"]
    return (
        f"The generator is `{name}` ({card.get('data', 'data not stated')}; step {kept_step(card)}), "
        f'with {n_paths:,} paths; in Python it is `rpgan.load_generator("{name}")`.'
    )


def model_script(generator: RandomPathGenerator, config: GeneratorConfig, start: Tensor, key: str) -> str:
    """Returns a classic script that defines the generator: its shape as JSON, its weights in float16.

    Weights lie in the order of `weights`, little-endian, base64; `key` names the model in the page's address.
    Raises UserError for another architecture than `sn-resnet`, for Gaussian latents, and for weights beyond
    float16.
    """
    _check(generator, config)
    document = {
        "imageShape": list(config.image_shape),
        "widths": list(config.widths),
        "bucketSizes": list(config.bucket_sizes),
        "leak": config.leak,
        "start": start.tolist(),
        "key": key,
        **_norm(generator, config),
        "weights": base64.b64encode(_halves(generator)).decode(),
    }
    return f"window.RPGAN_MODEL = {json.dumps(document)};\n"


def _check(generator: RandomPathGenerator, config: GeneratorConfig) -> None:
    if config.architecture != "sn-resnet" or generator.latent is None:
        raise UserError(
            f"a generator {config.architecture} with a {config.latent} latent; "
            "the explorer expects sn-resnet with a constant Z"
        )


def _norm(generator: RandomPathGenerator, config: GeneratorConfig) -> dict[str, Any]:
    """Returns the shared BatchNorm as a factor and a summand a channel, in full precision."""
    norm = next(module for module in generator.links.modules() if isinstance(module, nn.BatchNorm2d))
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None, "generators keep running statistics"
    scale = norm.weight / (variance + norm.eps).sqrt()
    shift = norm.bias - mean * scale
    return {"scale": scale.tolist(), "shift": shift.tolist(), "lastRelu": config.last_relu}


def _halves(generator: RandomPathGenerator) -> bytes:
    tensors = [tensor.detach().half() for tensor in weights(generator)]
    if not all(tensor.isfinite().all() for tensor in tensors):
        raise UserError("weights beyond the range of float16; the explorer expects a trained generator")
    return b"".join(tensor.numpy().astype("<f2").tobytes() for tensor in tensors)


@torch.no_grad()
def weights(generator: RandomPathGenerator) -> Iterator[Tensor]:
    """Yields what the engine reads, in its order.

    First the first bucket's activations, which a constant Z makes a table; then of each instance of each
    residual bucket conv1, conv2 and, where the width changes, skip; then of the last bucket the convolution;
    of each convolution the weight before the bias.
    """
    first, *rest = generator.buckets
    for instance in first.instances:
        yield instance(generator.latent)
    for bucket in rest:
        for instance in bucket.instances:
            for layer in instance.modules():
                if isinstance(layer, nn.Conv2d):
                    yield layer.weight
                    assert layer.bias is not None, "every layer of a generator has a bias"
                    yield layer.bias


def draw_grid(generator: RandomPathGenerator, start: Tensor, path: Path) -> None:
    """Draws the variation grid of a path into a PNG file."""
    from rpgan import plotting

    rng = torch.Generator().manual_seed(0)
    plotting.style()
    figure, (ax,) = plotting.figure_of(1, width=6.4, ratio=0.5)
    plotting.draw_variation(ax, variation_grid(generator, start, N_STATIC, rng))
    figure.savefig(path, dpi=160)
    plotting.plt.close(figure)

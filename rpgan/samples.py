"""Samples of a generator as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rpgan.analysis.variation import variation_grid
from rpgan.checkpoint import load_generator
from rpgan.errors import UserError
from rpgan.files import replacing
from rpgan.images import save_png, tile
from rpgan.models.draws import images_of


def write_samples(model: str | Path, n: int, seed: int, out: Path, device: str = "cpu") -> None:
    """Draws n paths and writes their images: a PNG sheet, or an NPZ of `images` (n, h, w, c) and `paths`."""
    if out.suffix not in WRITERS:
        raise UserError(f"--out {out}; expected a name that ends in {' or '.join(WRITERS)}")
    generator = load_generator(model).to(device)
    rng = torch.Generator().manual_seed(seed)
    paths, latents = generator.sample_paths(n, rng), generator.sample_latents(n, rng)
    WRITERS[out.suffix](out, images_of(generator, paths, latents), paths)


def _write_png(out: Path, images: Tensor, paths: Tensor) -> None:
    save_png(tile(images, columns=max(1, round(len(images) ** 0.5))), out)


def _write_npz(out: Path, images: Tensor, paths: Tensor) -> None:
    with replacing(out) as aside, aside.open("wb") as file:
        np.savez_compressed(file, images=images.permute(0, 2, 3, 1).numpy(), paths=paths.numpy())


WRITERS: dict[str, Callable[[Path, Tensor, Tensor], None]] = {".png": _write_png, ".npz": _write_npz}


def write_grid(model: str | Path, n: int, seed: int, out: Path) -> None:
    """Draws one path and writes its variation grid, n alternatives a bucket, as PNG."""
    import matplotlib.pyplot as plt

    from rpgan.plotting import draw_variation, figure_of, plain_style

    if out.suffix != ".png":
        raise UserError(f"--out {out}; expected a name that ends in .png")
    generator = load_generator(model)
    rng = torch.Generator().manual_seed(seed)
    grid = variation_grid(generator, generator.sample_paths(1, rng)[0], n, rng)
    plain_style()
    figure, (ax,) = figure_of(1, width=5.4, ratio=0.5)
    draw_variation(ax, grid)
    with replacing(out) as aside:
        # Two pixels for one, as in the figures of the book.
        figure.savefig(aside, dpi=2 * figure.dpi, bbox_inches="tight", format="png")
    plt.close(figure)

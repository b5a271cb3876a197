"""Drawing: arrays in, matplotlib axes out. Nothing is computed here that a conclusion could rest on."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rpgan.analysis.variation import VariationGrid
from rpgan.images import tile

PALETTE = [
    "#9c4221",
    "#2f6690",
    "#5b8e3e",
    "#b8860b",
    "#6d4c7d",
    "#4a5568",
]  # dark enough for lines; where lines meet, they differ by marker or dash too, for whom colours look alike
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":")
PAPER = "#58616f"  # the colour of what the paper published
PADDING = 1  # pixels of an image between images


LOOK: dict[Any, Any] = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.interpolation": "nearest",
}


def style() -> None:
    """Sets the look of all figures that follow: white ground, quiet axes, one palette."""
    import seaborn as sns  # with SciPy and pandas, which take longer to load than a single figure to draw

    sns.set_theme(style="ticks", palette=PALETTE, rc=LOOK)


def plain_style() -> None:
    """The look of a figure that is all images, without loading seaborn."""
    plt.rcParams.update(LOOK)


def draw_sheet(ax: Axes, images: Tensor, columns: int, title: str = "") -> None:
    """Draws uint8 images (n, c, h, w) as rows on a white sheet."""
    sheet = tile(images, columns, PADDING).permute(1, 2, 0).numpy()
    ax.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=255)
    ax.set_title(title)
    ax.set_axis_off()


def draw_variation(ax: Axes, grid: VariationGrid) -> None:
    """Draws the original at the left of one row a bucket, and the bucket's alternatives behind a gap."""
    rows = {f"bucket {b + 1}": row for b, row in grid.rows.items()}
    cell, gap = draw_beside(ax, grid.original, rows)
    others = max(len(row) for row in rows.values())
    ax.set_xticks(
        [grid.original.shape[-1] / 2, cell + gap + others * cell / 2],
        ["original", "other instances of the bucket"],
    )


def draw_beside(ax: Axes, original: Tensor, rows: Mapping[str, Tensor]) -> tuple[int, int]:
    """Draws a uint8 image (c, h, w) at the left of rows of others, (k, c, h, w) by name, behind a gap.

    Returns the pixels from one image to the next and those of the gap.
    """
    size = original.shape[-1]
    cell, gap = size + PADDING, size // 3
    columns = 1 + max(len(row) for row in rows.values())
    canvas = np.full((len(rows) * cell, columns * cell + gap, original.shape[0]), 255, np.uint8)
    for y, row in enumerate(rows.values()):
        for x, image in enumerate([original, *row]):
            left = x * cell + (gap if x else 0)
            canvas[y * cell : y * cell + size, left : left + size] = image.permute(1, 2, 0).numpy()
    ax.imshow(canvas.squeeze(), cmap="gray", vmin=0, vmax=255)
    ax.set_yticks([y * cell + size / 2 for y in range(len(rows))], list(rows))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return cell, gap


def figure_of(n: int, width: float = 7.0, ratio: float = 0.5) -> tuple[Figure, list[Axes]]:
    """Makes a figure of n axes side by side, `ratio` times as high as one of them is wide."""
    return stack_of(1, n, width, ratio)


def stack_of(
    rows: int, columns: int = 1, width: float = 7.0, ratio: float = 0.5
) -> tuple[Figure, list[Axes]]:
    """Makes rows of axes, each `ratio` times as high as wide; returns them row by row."""
    size = (width, rows * width / columns * ratio)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    return figure, list(axes.flat)


def legend_above(figure: Figure, axes: Sequence[Axes]) -> None:
    """Explains what is drawn in any of the axes, each label once, in a row above them."""
    handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=5)


def draw_sheets(images: Mapping[str, Tensor], columns: int, ratio: float = 0.5) -> Figure:
    """Draws uint8 images (n, c, h, w) of several names as sheets side by side."""
    figure, axes = figure_of(len(images), ratio=ratio)
    for ax, (name, of_name) in zip(axes, images.items(), strict=True):
        draw_sheet(ax, of_name, columns, title=name)
    return figure


def draw_variations(
    grids: Sequence[tuple[str, VariationGrid]], columns: int = 1, width: float = 7.0, ratio: float = 0.5
) -> Figure:
    """Draws grids row by row, each under its title; the last row may be short."""
    figure, axes = stack_of(ceil(len(grids) / columns), columns, width, ratio)
    for ax, (title, grid) in zip(axes, grids, strict=False):
        draw_variation(ax, grid)
        ax.set_title(title)
    for unused in axes[len(grids) :]:
        unused.set_axis_off()
    return figure


def draw_paths(ax: Axes, bucket_sizes: Sequence[int], routes: Tensor) -> None:
    """Draws every bucket as a column of instances, and paths (n, n_buckets) as lines through them."""
    top = max(bucket_sizes) - 1
    middle = top / 2
    height = [np.linspace(0, top, size) if size > 1 else np.array([middle]) for size in bucket_sizes]
    for bucket, places in enumerate(height):
        ax.scatter(
            [bucket + 1] * len(places), places, s=90, color="white", edgecolor=PAPER, linewidth=1, zorder=3
        )
    for k, route in enumerate(routes.tolist()):
        shift = 0.02 * top * (k - (len(routes) - 1) / 2)  # paths that share a stretch stay apart
        ys = [float(height[b][i]) for b, i in enumerate(route)]
        xs = [0.3, *range(1, len(ys) + 1), len(ys) + 0.7]
        shifted = [y + shift for y in (middle, *ys, ys[-1])]
        color = PALETTE[k % len(PALETTE)]
        ax.plot(xs, shifted, color=color, linewidth=1.6, zorder=2)
        ax.scatter(xs[1:-1], shifted[1:-1], s=26, color=color, zorder=4)
    ax.text(0.2, middle, "$Z$", ha="right", va="center", fontsize=11)
    ax.set_xticks(range(1, len(bucket_sizes) + 1), [f"$B_{b + 1}$" for b in range(len(bucket_sizes))])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_ratios(
    ax: Axes,
    batch_sizes: Sequence[int],
    lines: Mapping[str, Sequence[tuple[float, tuple[float, float]]]],
    bounds: Mapping[str, Sequence[float]],
    references: Mapping[str, float],
) -> None:
    """Draws ratios with their intervals against the batch size, computed bounds dashed, references level."""
    for color, (name, ratios) in zip(PALETTE, lines.items(), strict=False):
        low, high = zip(*(interval for _, interval in ratios), strict=True)
        values = [value for value, _ in ratios]
        ax.plot(batch_sizes, values, marker="o", markersize=3, color=color, label=name)
        ax.fill_between(batch_sizes, low, high, color=color, alpha=0.18, linewidth=0)
    for name, bound in bounds.items():
        ax.plot(batch_sizes, bound, color=PAPER, linestyle="--", linewidth=1, label=name)
    for name, value in references.items():
        ax.axhline(value, color=PAPER, linestyle=":", linewidth=1)
        ax.text(1.01, value, name, transform=ax.get_yaxis_transform(), va="center", color=PAPER)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xticks(batch_sizes, [f"{n:,}" for n in batch_sizes])
    ax.minorticks_off()
    ax.set(xlabel="images in a call", ylabel="times faster")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)

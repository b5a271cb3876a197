"""Sheets of images whose rows have names."""

from collections.abc import Mapping

import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rpgan.plotting import draw_sheet, stack_of


def draw_rows(ax: Axes, rows: Mapping[str, Tensor], columns: int, title: str = "") -> None:
    """Draws uint8 images (k · columns, c, h, w) of every name in k rows, with the name at their left."""
    images = torch.cat(list(rows.values()))
    draw_sheet(ax, images, columns, title=title)
    each = len(images) // (columns * len(rows))
    height = each * (images.shape[2] + 1)
    ax.set_axis_on()
    ax.set_xticks([])
    ax.set_yticks([height * (k + 0.5) for k in range(len(rows))], list(rows))
    ax.tick_params(length=0)
    for k in range(1, len(rows) if each > 1 else 1):
        ax.axhline(height * k, color="white", linewidth=3)
    sns.despine(ax=ax, left=True, bottom=True)


def draw_stack(sheets: Mapping[str, Mapping[str, Tensor]], columns: int, ratio: float) -> Figure:
    """Draws such sheets under each other, each under its name."""
    figure, axes = stack_of(len(sheets), ratio=ratio)
    for ax, (title, rows) in zip(axes, sheets.items(), strict=True):
        draw_rows(ax, rows, columns, title=title)
    return figure

"""Sheets of images whose rows have names."""

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from torch import Tensor

from rpgan.plotting import draw_sheet


def draw_rows(
    ax: Axes, images: Tensor, columns: int, names: Sequence[str], each: int = 1, title: str = ""
) -> None:
    """Draws uint8 images (n, c, h, w) as a sheet, and a name at the left of every `each` rows."""
    draw_sheet(ax, images, columns, title=title)
    height = each * (images.shape[2] + 1)
    ax.set_axis_on()
    ax.set_xticks([])
    ax.set_yticks([height * (k + 0.5) for k in range(len(names))], list(names))
    ax.tick_params(length=0)
    for k in range(1, len(names) if each > 1 else 1):
        ax.axhline(height * k, color="white", linewidth=3)
    sns.despine(ax=ax, left=True, bottom=True)

"""Which classes a generator shows, along which paths, and what becomes of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from torch import Tensor

# Pale for what was known, strong for what is new; numbers in the cells tell pale ones apart as well.
CLASSES = ["#cfe3f1", "#f9dcc4", "#d8ead2", "#f1d9ea", "#f6efb6", "#b9d3c9", "#d5cfe8"]
NEW_CLASSES = ["#9c4221", "#2f6690", "#5b8e3e"]


def draw_class_shares(ax: Axes, shares: Mapping[str, Sequence[float]]) -> None:
    """Draws the share of every class (columns) in several sets of images (rows), in per cent."""
    table = 100 * np.array(list(shares.values()))
    sns.heatmap(table, ax=ax, cmap="mako_r", vmin=0, annot=True, fmt=".0f", cbar=False, linewidths=0.5)
    n_classes = table.shape[1]
    ax.set_xticks(np.arange(n_classes) + 0.5, [str(k) for k in range(n_classes)], rotation=0)
    ax.set_yticks(np.arange(len(shares)) + 0.5, list(shares), rotation=0)
    ax.tick_params(length=0)
    ax.set_xlabel("read as digit, % of the images")


def draw_transitions(ax: Axes, moved: Tensor, rows: Sequence[int], title: str) -> None:
    """Draws, for the classes before (rows), what the same paths show afterwards, in per cent."""
    table = 100 * moved[list(rows)].nan_to_num().numpy()
    sns.heatmap(table, ax=ax, cmap="mako_r", vmin=0, vmax=100, annot=True, fmt=".0f", cbar=False)
    ax.set_yticks(np.arange(len(rows)) + 0.5, [str(row) for row in rows], rotation=0)
    ax.set_xticks(np.arange(len(moved)) + 0.5, [str(k) for k in range(len(moved))], rotation=0)
    ax.tick_params(length=0)
    ax.set(xlabel="digit after", ylabel="digit before", title=title)


def draw_class_map(
    ax: Axes, labels: Tensor, shares: Tensor, old: tuple[int, int], new_classes: Sequence[int]
) -> None:
    """Draws the class of every pair of instances as colour and number, faint where few remainders show it.

    Lines part old instances from new ones; new classes have strong colours.
    """
    n_classes = max(int(labels.max()), *new_classes) + 1
    light, strong = iter(CLASSES * 2), iter(NEW_CLASSES * 4)
    colors = ListedColormap([next(strong if k in new_classes else light) for k in range(n_classes)])
    ax.imshow(labels.T, cmap=colors, vmin=-0.5, vmax=n_classes - 0.5)
    for (x, y), label in np.ndenumerate(labels.numpy()):
        color = "white" if label in new_classes else "black"
        sure = float(shares[x, y])
        ax.text(
            x, y, str(label), ha="center", va="center", fontsize=5.5, color=color, alpha=0.25 + 0.75 * sure
        )
    ax.axvline(old[0] - 0.5, color="black", linewidth=1)
    ax.axhline(old[1] - 0.5, color="black", linewidth=1)
    for axis, size, bucket in ((ax.xaxis, len(labels), 1), (ax.yaxis, len(labels.T), 2)):
        axis.set_ticks(range(0, size, 5), [str(k) for k in range(0, size, 5)])
        axis.set_label_text(f"instance of bucket {bucket}")
    sns.despine(ax=ax, left=True, bottom=True)

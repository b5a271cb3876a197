"""Numbers that come with intervals, drawn by seaborn: groups of bars, and points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from torch import Tensor

from rpgan.plotting import PALETTE

Ends = tuple[Tensor, ...]  # value, lower end, upper end, by place

# Seaborn takes samples and computes intervals; ours are computed. Every place is given three "samples", its
# value and both ends, which these hand back as they are.
AS_GIVEN: dict[str, Any] = {
    "estimator": lambda rows: rows.iloc[0],
    "errorbar": lambda rows: (rows.iloc[1], rows.iloc[2]),
}
# Of measures and groups of them, where a key is not what a reader calls it.
TITLES = {"color": "colour", "edges": "edges²", "position": "position, size, rotation"}
WHISKERS = {"linewidth": 0.9, "color": "#1f2430"}


def draw_groups(
    ax: Axes, groups: Mapping[str, Ends], names: Sequence[str], colors: Mapping[str, str] | None = None
) -> None:
    """Draws a bar for every place and name of a group, with whiskers from its lower to its upper end."""
    rows = [
        (place, TITLES.get(group, group), float(end))
        for group, ends in groups.items()
        for place, three in zip(names, zip(*ends, strict=True), strict=True)
        for end in three
    ]
    places, kinds, values = zip(*rows, strict=True)
    own = colors or {}
    palette = {
        TITLES.get(group, group): own.get(group, PALETTE[k % len(PALETTE)]) for k, group in enumerate(groups)
    }
    sns.barplot(
        x=places, y=values, hue=kinds, palette=palette, saturation=1, ax=ax, err_kws=WHISKERS, **AS_GIVEN
    )
    ax.legend().remove()  # whoever draws knows best whether it is wanted, and where


def draw_shares(ax: Axes, shares: Mapping[str, Sequence[float]], buckets: Sequence[int]) -> None:
    """Draws the share of each bucket in several kinds of change, a group of bars a bucket."""
    groups = {name: (Tensor(values),) * 3 for name, values in shares.items()}
    draw_groups(ax, groups, [f"bucket {bucket + 1}" for bucket in buckets])
    ax.set_ylabel("share of the change")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))  # above the axes is room for a title


def draw_points(
    ax: Axes, ends: Sequence[ArrayLike], names: Sequence[str], color: str, label: str | None = None
) -> None:
    """Draws a point for every place, from values, lower and upper ends."""
    sns.pointplot(
        x=np.repeat(list(names), 3),
        y=np.stack([np.asarray(end) for end in ends], 1).ravel(),
        color=color,
        linestyle="none",
        markersize=6,
        capsize=0.12,
        err_kws={"linewidth": 1.4},
        label=label,
        legend=False,  # whoever draws knows best whether it is wanted, and where
        ax=ax,
        **AS_GIVEN,
    )

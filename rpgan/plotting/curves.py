"""Small panels of training curves, one for every training."""

from collections.abc import Mapping
from math import ceil

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpgan.curves import Curve
from rpgan.plotting import PALETTE, legend_above

COLUMNS = 4


def draw_scores(curves: Mapping[str, Curve], kept: Mapping[str, int]) -> Figure:
    """Draws the score that chose the checkpoint against the step, and a dot at the step that was kept."""
    figure, axes = _panels(curves)
    for ax, (name, curve) in zip(axes, curves.items(), strict=True):
        values = next(iter(curve.scores.values()))
        sns.lineplot(x=curve.scored, y=values, ax=ax, color=PALETTE[1], linewidth=1.2, errorbar=None)
        ax.plot(
            kept[name],
            values[curve.scored.index(kept[name])],
            "o",
            color=PALETTE[0],
            markersize=4,
            clip_on=False,
        )
        ends = min(values), max(values)
        ax.set_yscale("log" if ends[0] > 0 else "linear")
        ax.set_yticks(ends, [f"{end:,.0f}" if end >= 1_000 else f"{end:.3g}" for end in ends])
        ax.minorticks_off()
    return figure


def draw_losses(curves: Mapping[str, Curve]) -> Figure:
    """Draws all losses against the step, means over windows of steps."""
    figure, axes = _panels(curves)
    names = list(dict.fromkeys(name for curve in curves.values() for name in curve.losses))
    colors = dict(zip(names, PALETTE, strict=False))
    for ax, curve in zip(axes, curves.values(), strict=True):
        for name, values in curve.losses.items():
            look = {"color": colors[name], "label": name.replace("_", " "), "legend": False}
            sns.lineplot(x=curve.steps, y=values, ax=ax, linewidth=1, errorbar=None, **look)
    legend_above(figure, axes)
    return figure


def _panels(curves: Mapping[str, Curve]) -> tuple[Figure, list[Axes]]:
    rows = ceil(len(curves) / COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=(8.6, 1.7 * rows), squeeze=False)
    for unused in grid.flat[len(curves) :]:
        unused.set_axis_off()
    for ax, (name, curve) in zip(grid.flat, curves.items(), strict=False):
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=7)
        ax.set_xlim(0, max(curve.steps))
        ax.set_xticks([0, max(curve.steps)], ["0", f"{max(curve.steps):,}"])
    return figure, list(grid.flat[: len(curves)])

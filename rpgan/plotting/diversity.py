"""Bars of layer diversity, a group of bars for every bucket (the paper's figure 6)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rpgan.analysis.accord import OTHER, RPGAN, STANDARD
from rpgan.metrics.diversity import LayerDiversity
from rpgan.plotting import PALETTE, PAPER
from rpgan.plotting.intervals import TITLES, Ends, draw_groups

COLORS = {"red": "#b5483a", "green": "#5b8e3e", "blue": "#2f6690", "color": "#8a94a6"}
KINDS = {OTHER: "#b08d79", RPGAN: PALETTE[0], STANDARD: PALETTE[1]}  # of trainings

Bars = Mapping[str, Ends]  # by bucket


def draw_bars(
    ax: Axes,
    bars: Bars,
    buckets: Sequence[int],
    label: str,
    level: float | None = None,
    colors: Mapping[str, str] | None = None,
) -> None:
    """Draws value, lower and upper end of every name for the buckets listed; a dashed line at `level`."""
    # No bar where there is no ratio, since bucket 1 never changed the image.
    groups = {name: tuple(end[buckets].nan_to_num(0, 0, 0) for end in ends) for name, ends in bars.items()}
    draw_groups(ax, groups, [str(bucket + 1) for bucket in buckets], colors or COLORS)
    if level is not None:
        ax.axhline(level, color=PAPER, linestyle="--", linewidth=0.9)
    ax.set(xlabel="bucket", ylabel=label, ylim=(0, None))
    sns.despine(ax=ax)


def draw_models(
    models: Mapping[str, Sequence[Bars]],
    buckets: Mapping[str, Sequence[int]],
    labels: Sequence[str],
    level: float | None = None,
) -> Figure:
    """Draws a row of panels for every model, one for each kind of bars, with their names above."""
    shape = (len(models), len(labels))
    figure, axes = plt.subplots(*shape, figsize=(7, 2.4 * len(models)), squeeze=False)
    for row, (model, kinds) in zip(axes, models.items(), strict=True):
        for ax, bars, label in zip(row, kinds, labels, strict=True):
            draw_bars(ax, bars, buckets[model], label, level)
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
        row[0].set_ylabel(f"{model}\n{labels[0]}")
    return figure


def paper_bars(found: Mapping[str, LayerDiversity]) -> Bars:
    """The paper's form: mean of ratios, with a standard deviation over routes to either side, down to 0."""
    ends = {name: (d.ratio_mean - d.ratio_std, d.ratio_mean + d.ratio_std) for name, d in found.items()}
    return {name: (found[name].ratio_mean, low.clamp(min=0), high) for name, (low, high) in ends.items()}


def robust_bars(found: Mapping[str, LayerDiversity]) -> Bars:
    """The ratio of sums, with its bootstrap interval over routes."""
    return {name: (d.ratio, d.ratio_low, d.ratio_high) for name, d in found.items()}


def share_bars(found: Mapping[str, LayerDiversity]) -> Bars:
    """Each bucket's share of the sums over all buckets, with its bootstrap interval over routes."""
    return {name: (d.share, *d.share_interval()) for name, d in found.items()}


def draw_trainings(
    shares: Mapping[str, Tensor],
    kinds: Sequence[int | str],
    title: str = "instances",
    palette: str | Mapping[str, str] = "crest",
    place: str = "bucket",
) -> Figure:
    """Draws shares (trainings, buckets) by measure: a line for each training, coloured by its kind."""
    figure, axes = plt.subplots(1, len(shares), figsize=(2.6 * len(shares), 2.5), sharey=True, squeeze=False)
    for ax, (name, values) in zip(axes.flat, shares.items(), strict=True):
        trainings, buckets = values.shape
        sns.lineplot(
            x=[str(bucket + 1) for _ in range(trainings) for bucket in range(buckets)],
            y=values.flatten().tolist(),
            hue=[kind for kind in kinds for _ in range(buckets)],
            units=[training for training in range(trainings) for _ in range(buckets)],
            estimator=None,
            palette=palette,
            linewidth=1.2,
            marker="o",
            markersize=4,
            markeredgewidth=0,
            legend="full" if ax is axes.flat[-1] else False,
            ax=ax,
        )
        ax.set(xlabel=place, ylabel="share of the change", ylim=(0, None), title=TITLES.get(name, name))
        sns.despine(ax=ax)
    sns.move_legend(ax, "center left", bbox_to_anchor=(1, 0.5), title=title, title_fontsize=8)
    return figure

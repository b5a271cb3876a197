"""Figures of inversion: accuracies, confusions, rows of images, errors over budgets."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rpgan.analysis.editing import Edits, Leaning
from rpgan.analysis.inversion import Recovery, alike_first
from rpgan.plotting import DASHES, PALETTE, PAPER, figure_of, legend_above, stack_of
from rpgan.plotting.intervals import draw_points, draw_shares


def draw_accuracies(found: Mapping[str, Mapping[int, Recovery]], published: Sequence[float]) -> Figure:
    """Draws for every model the accuracy of each bucket with its interval, and chance as a line.

    The paper's values stand beside where there are as many buckets.
    """
    one = len(found) == 1
    figure, axes = figure_of(len(found), width=5.2 if one else 8.0, ratio=0.5 if one else 0.9)
    for ax, (model, of_model) in zip(axes, found.items(), strict=True):
        _draw_accuracies(ax, of_model, published)
        ax.set(xlabel=f"bucket of {model}", ylabel="accuracy" if ax is axes[0] else "")
    legend_above(figure, axes)
    return figure


def _draw_accuracies(ax: Axes, found: Mapping[int, Recovery], published: Sequence[float]) -> None:
    xs = list(range(len(found)))
    ends = zip(*((r.accuracy, *r.interval) for r in found.values()), strict=True)
    names = [str(bucket + 1) for bucket in found]
    draw_points(ax, list(ends), names, PALETTE[1], "this generator, 95 %")
    ax.hlines(
        [r.chance for r in found.values()],
        np.array(xs) - 0.3,
        np.array(xs) + 0.3,
        color=PALETTE[5],
        linestyle=":",
        label="chance",
    )
    if len(published) == len(found):
        ax.plot(
            np.arange(len(published)) + 0.15, published, "D", color=PAPER, ms=4, label="paper, Anime Faces"
        )
    ax.set_ylim(0, 1.04)


def draw_confusions(found: Mapping[str, Mapping[int, Recovery]]) -> Figure:
    """Draws a row for every model: the confusion of its least, a middle and its most accurate bucket.

    Instances that are taken for each other stand side by side.
    """
    figure, axes = stack_of(len(found), 3, ratio=1.1)
    for k, (model, of_model) in enumerate(found.items()):
        ranked = sorted(of_model, key=lambda bucket: of_model[bucket].accuracy)
        shown = dict.fromkeys([ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1]])
        for ax, bucket in zip(axes[3 * k :], shown, strict=False):
            confusion, accuracy = of_model[bucket].confusion, of_model[bucket].accuracy
            title = f"bucket {bucket + 1}, accuracy {accuracy:.2f}"
            draw_confusion(ax, confusion, alike_first(confusion), title)
        axes[3 * k].set_ylabel(f"{model}\ntrue")
    return figure


def draw_confusion(ax: Axes, confusion: Tensor, order: Tensor, title: str) -> None:
    """Draws a confusion matrix with its instances in the given order, dark where images go."""
    table = confusion[order][:, order].numpy()
    sns.heatmap(table, ax=ax, cmap="Blues", vmin=0, vmax=1, cbar=False, square=True)
    ax.set(title=title, xlabel="read", ylabel="true", xticks=[], yticks=[])


def draw_budgets(
    curves: Mapping[str, Mapping[str, Tensor]], levels: Mapping[str, Mapping[str, float]], label: str
) -> Figure:
    """Draws for every model mean errors (n, budget) over the number of rendered images; levels dotted."""
    one = len(curves) == 1
    figure, axes = figure_of(len(curves), width=6.0 if one else 8.0, ratio=0.55 if one else 0.8)
    for ax, (model, of_model) in zip(axes, curves.items(), strict=True):
        _draw_budgets(ax, of_model, levels[model], label)
        ax.set_title(model)
    return figure


def _draw_budgets(ax: Axes, curves: Mapping[str, Tensor], levels: Mapping[str, float], label: str) -> None:
    for color, dash, (name, errors) in zip(PALETTE, DASHES, curves.items(), strict=False):
        counts = np.tile(np.arange(1, errors.shape[1] + 1), len(errors))
        sns.lineplot(
            x=counts,
            y=errors.flatten().numpy(),
            errorbar="se",
            color=color,
            linestyle=dash,
            label=name,
            ax=ax,
        )
    for name, value in levels.items():
        ax.axhline(value, color=PAPER, linestyle=":", linewidth=1)
        ax.text(1.01, value, name, transform=ax.get_yaxis_transform(), va="center", color=PAPER)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_ylim(bottom=0)
    ax.set(xlabel="rendered images", ylabel=label)
    ax.legend()


def draw_edits(edits: Mapping[str, Edits], leanings: Mapping[str, Leaning]) -> Figure:
    """Draws each bucket's shares in all kinds of change, and how they differ between the two compared.

    A row for every model.
    """
    figure, axes = stack_of(len(edits), 2, width=7.5, ratio=0.7)
    for left, right, model in zip(axes[::2], axes[1::2], edits, strict=True):
        shown, leaning = edits[model], leanings[model]
        draw_shares(left, shown.shares(), shown.buckets)
        left.set_title(model)
        label = "share of {} − of {}".format(*leaning.kinds)
        draw_leaning(right, leaning.difference, leaning.interval, shown.buckets, label)
        for ax in (left, right):
            ax.tick_params(axis="x", rotation=30)
    return figure


def draw_leaning(ax: Axes, difference: Tensor, interval: Tensor, buckets: Sequence[int], label: str) -> None:
    """Draws the difference of two shares for every bucket with its interval, around a line at 0."""
    ax.axhline(0, color=PAPER, linestyle=":", linewidth=1)
    draw_points(ax, (difference, *interval.T), [f"bucket {bucket + 1}" for bucket in buckets], PALETTE[0])
    ax.set_ylabel(label)

"""Linear generators beside each other, and what keeping few products saves."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from rpgan.analysis.linearity import Look
from rpgan.metrics.normality import LIMIT
from rpgan.plotting import PALETTE, PAPER, draw_sheet


def draw_twins(looks: Mapping[str, Look]) -> Figure | None:
    """Draws a sheet of each generator's images, and the moments of all; None where there is no generator."""
    if not looks:
        return None
    width, columns = 7.0, 8
    figure = plt.figure(figsize=(width, width * (1 / len(looks) + 0.45)), layout="constrained")
    places = figure.add_gridspec(2, len(looks), height_ratios=(1 / len(looks) + 0.05, 0.4))
    for k, (name, look) in enumerate(looks.items()):
        draw_sheet(figure.add_subplot(places[0, k]), look.images[: columns**2], columns, title=name)
    draw_moments(figure.add_subplot(places[1, :]), looks)
    return figure


def draw_moments(ax: Axes, looks: Mapping[str, Look]) -> None:
    """Draws skewness and excess kurtosis of every component, and the region of 95 % of a Gaussian's."""
    angles = np.linspace(0, 2 * math.pi, 200)
    n = min(look.shape.n for look in looks.values())
    radius = math.sqrt(6 * LIMIT / n)
    ax.plot(
        radius * np.cos(angles), 2 * radius * np.sin(angles), color=PAPER, linewidth=1, label="95 %, Gaussian"
    )
    for color, marker, (name, look) in zip(cycle(PALETTE), cycle("o^sDv"), looks.items(), strict=False):
        ax.scatter(
            look.shape.skewness, look.shape.kurtosis, s=14, color=color, marker=marker, alpha=0.7, label=name
        )
    # Linear where a Gaussian's are, logarithmic outside: some components are far from it.
    ax.set_xscale("symlog", linthresh=4 * radius)
    ax.set_yscale("symlog", linthresh=8 * radius)
    ax.set(xlabel="skewness of a component", ylabel="excess kurtosis")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def draw_latency(ax: Axes, rows: Mapping[int, Mapping[str, Sequence[float]]], counts: Sequence[int]) -> None:
    """Draws microseconds an image (median, quartiles) against the products kept, for each number of images.

    The original of each is a dotted line.
    """
    for color, (n, row) in zip(PALETTE, rows.items(), strict=False):
        middle, low, high = zip(*(row[str(count)] for count in counts), strict=True)
        ax.plot(counts, middle, marker="o", markersize=3, color=color, label=f"{n} in a call")
        ax.fill_between(counts, low, high, color=color, alpha=0.18, linewidth=0)
        ax.axhline(row["original"][0], color=color, linestyle=":", linewidth=1, label=f"{n}, original")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(list(counts), [f"{count:,}" for count in counts])
    ax.minorticks_off()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.set(xlabel="products kept", ylabel="microseconds per image")
    ax.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def draw_kept(ax: Axes, distances: Mapping[int, Sequence[float]], label: str) -> None:
    """Draws a distance for every number of kept products: each choice of them a dot, their mean a line."""
    points = [(count, value) for count, row in distances.items() for value in row]
    counts, values = zip(*points, strict=True)
    sns.scatterplot(x=counts, y=values, color=PALETTE[1], alpha=0.6, s=18, linewidth=0, ax=ax)
    sns.lineplot(x=counts, y=values, color=PALETTE[1], errorbar=None, ax=ax)
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(distances), [f"{count:,}" for count in distances])
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.minorticks_off()
    ax.set(xlabel="products kept", ylabel=label)

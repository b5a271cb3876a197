"""Instances that are alike, the order in which they go, and what that costs."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from rpgan.plotting import DASHES, PALETTE, PAPER


def draw_likeness(apart: Mapping[int, Tensor]) -> Figure:
    """Draws the squared distances of the instances of all buckets, matrices under their trees."""
    n, width = len(apart), 7.0
    figure, (top, bottom) = plt.subplots(
        2, n, figsize=(width, 1.45 * width / n), height_ratios=[0.4, 1], sharex="col", squeeze=False
    )
    for tree, matrix, (bucket, distances) in zip(top, bottom, apart.items(), strict=True):
        draw_clusters(tree, matrix, distances, f"bucket {bucket + 1}")
    return figure


def draw_clusters(tree: Axes, matrix: Axes, distances: Tensor, title: str) -> None:
    """Draws the root of squared distances (m, m) of instances, ordered by average linkage, under its tree.

    The colours run from 0 to the bucket's own largest distance, which the matrix states.
    """
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    apart = distances.double().sqrt().numpy()
    joined = linkage(squareform(apart, checks=False), method="average", optimal_ordering=True)
    drawn = dendrogram(joined, no_plot=True)
    for xs, ys in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        tree.plot(np.array(xs) / 10, ys, color=PAPER, linewidth=0.8)  # scipy's leaves lie at 5, 15, 25, …
    order = drawn["leaves"]
    sns.heatmap(apart[np.ix_(order, order)], ax=matrix, cmap="mako_r", vmin=0, cbar=False, square=False)
    tree.set(title=title, yticks=[], ylim=(0, None))
    sns.despine(ax=tree, left=True, bottom=True)
    tree.tick_params(length=0, labelbottom=False)
    step = max(1, len(order) // 10)
    places = range(0, len(order), step)
    matrix.set_xticks([p + 0.5 for p in places], [str(order[p]) for p in places], rotation=90)
    matrix.set_yticks([])
    matrix.tick_params(length=0, labelsize=6)
    matrix.set_xlabel(f"largest {apart.max():.2g}")


def draw_left(ax: Axes, left: Mapping[int, Sequence[int]]) -> None:
    """Draws how many instances each bucket has left, after none, one, two, … are removed from all."""
    for color, dash, (bucket, counts) in zip(PALETTE * 2, DASHES * 3, left.items(), strict=False):
        places, name = range(len(counts)), f"bucket {bucket + 1}"
        ax.step(places, counts, where="post", color=color, linestyle=dash, label=name)
    ax.set(xlabel="instances removed", ylabel="instances left", ylim=(0, None), xlim=(0, None))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()


def draw_quality(
    ax: Axes,
    distances: Mapping[str, Mapping[int, Sequence[float]]],
    band: tuple[float, float],
    label: str,
) -> None:
    """Draws mean and range of the distance in every way by the number removed, over what is tolerated."""
    for style, color, (name, rows) in zip(DASHES, PALETTE, distances.items(), strict=False):
        points = [(count, value) for count, row in rows.items() for value in row]
        counts, values = zip(*points, strict=True)
        look = {"color": color, "linestyle": style, "marker": ".", "label": name}
        sns.lineplot(x=counts, y=values, errorbar=("pi", 100), ax=ax, **look)
    ax.axhspan(*band, color=PAPER, alpha=0.25, linewidth=0, label="whole generator, tolerance")
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}")
    ax.set(xlabel="instances removed", ylabel=label, xlim=(0, None))
    ax.legend()

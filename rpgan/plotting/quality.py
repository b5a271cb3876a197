"""Figures of quality: precision and recall, trainings beside each other, and numbers of instances."""

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rpgan.analysis.instances import Ablation
from rpgan.analysis.quality import REAL, Comparison
from rpgan.analysis.trainings import FIXED, RPGAN, STANDARD, Contest
from rpgan.metrics.prd import PrdCurve
from rpgan.plotting import PALETTE, PAPER, figure_of

COLORS = {RPGAN: PALETTE[0], STANDARD: PALETTE[1], FIXED: PALETTE[3]}


def draw_precision_recall(ax: Axes, comparison: Comparison) -> None:
    """Draws the curves of all models with their bands, and that of other real images."""
    colors = [*COLORS.values()][:2]
    for color, (name, measured) in zip((*colors, PAPER), comparison.measured.items(), strict=True):
        curve = measured.curve()
        line = "--" if name == REAL else "-"
        ax.plot(curve.recall, curve.precision, color=color, linestyle=line, label=name)
        _band(ax, *measured.band(), color)
    _frame(ax, comparison.yardstick.extractor.name)


def _frame(ax: Axes, title: str) -> None:
    ax.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall", ylabel="precision", aspect="equal", title=title)


def _band(ax: Axes, low: PrdCurve, high: PrdCurve, color: str) -> None:
    xs = np.concatenate([low.recall, high.recall[::-1]])
    ys = np.concatenate([low.precision, high.precision[::-1]])
    ax.fill(xs, ys, color=color, alpha=0.2, linewidth=0)


def draw_comparisons(comparisons: list[Comparison]) -> Figure:
    """Draws precision against recall in every set of features, side by side."""
    figure, axes = figure_of(len(comparisons), width=3.6 * len(comparisons), ratio=1.0)
    for ax, comparison in zip(axes, comparisons, strict=True):
        draw_precision_recall(ax, comparison)
    axes[0].legend(loc="lower left")
    return figure


def draw_contest(contest: Contest) -> Figure:
    """Draws every training's distance as a dot, with the mean and its interval, a panel for each distance."""
    if not (names := contest.distances):
        return _nothing()
    figure, axes = figure_of(len(names), width=4.0 * len(names), ratio=0.75)
    for ax, name in zip(axes, names, strict=True):
        spreads = {kind: contest.spread(kind, name) for kind in contest.trainings}
        points = [(kind, value) for kind, spread in spreads.items() for value in spread.values]
        kinds, values = zip(*points, strict=True)
        look = {"size": 5, "alpha": 0.7, "jitter": False, "legend": False}
        sns.stripplot(x=kinds, y=values, hue=kinds, palette=COLORS, ax=ax, **look)
        for place, spread in enumerate(spreads.values()):
            low, high = spread.interval or (spread.mean, spread.mean)
            ax.errorbar(
                place + 0.22,
                spread.mean,
                [[spread.mean - low], [high - spread.mean]],
                marker="D",
                markersize=4,
                color=PAPER,
                capsize=3,
                linewidth=1,
            )
        _name(ax, name)
        ax.set_xlabel("")
        ax.set_ylim(bottom=0)
    return figure


def draw_curves(contest: Contest) -> Figure:
    """Draws the mean curve of all trainings of a kind with their range, a panel for each set of features."""
    found = contest.curves()
    if not found:
        return _nothing("curves of trainings")
    figure, axes = figure_of(len(found), width=3.6 * len(found), ratio=1.0)
    for ax, (extractor, kinds) in zip(axes, found.items(), strict=True):
        for kind, (mean, least, largest) in kinds.items():
            ax.plot(mean.recall, mean.precision, color=COLORS[kind], label=kind)
            _band(ax, least, largest, COLORS[kind])
        _frame(ax, extractor)
    axes[0].legend(loc="lower left")
    return figure


def draw_progress(contest: Contest) -> Figure:
    """Draws the distance during training against updates and against time, and the common level."""
    if not contest.trainings:
        return _nothing()
    figure, axes = figure_of(2, ratio=0.75)
    for kind in (RPGAN, STANDARD):
        for k, row in enumerate(contest.trainings.get(kind, ())):
            steps = np.asarray(row.curve["steps"])
            for ax, unit in zip(axes, (1.0, contest.step_seconds(kind) / 60), strict=True):
                label = kind if k == 0 else None
                ax.plot(
                    steps * unit, row.curve["values"], color=COLORS[kind], alpha=0.7, marker=".", label=label
                )
    for ax, title in zip(axes, ("generator updates", "minutes"), strict=True):
        if contest.has(RPGAN, STANDARD):
            ax.axhline(contest.level, color=PAPER, linestyle=":", linewidth=1, label="reached by all")
        ax.set_xlabel(title)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
    name = next(row.curve["name"] for rows in contest.trainings.values() for row in rows)
    axes[0].set_ylabel(f"Fréchet distance, {name.removeprefix('frechet_')} (logarithmic)")
    axes[0].legend()
    return figure


def _nothing(what: str = "trainings") -> Figure:
    """A figure that says that there is nothing to draw."""
    figure, (ax,) = figure_of(1, width=4.0, ratio=0.3)
    ax.set_axis_off()
    ax.text(0.5, 0.5, f"no {what} are here yet", ha="center", va="center", color=PAPER)
    return figure


def draw_instances(ablation: Ablation, paper: Mapping[int, float], spread: float) -> Figure:
    """Draws distances and, in a panel of its own, the paper's FIDs against the number of instances.

    Ours: a dot for each training and the mean with its interval. The paper's: in a band of plus and minus
    `spread`, which one training may be off.
    """
    scores = ablation.scores
    figure, axes = figure_of(len(scores) + 1, width=2.8 * (len(scores) + 1), ratio=0.85)
    for color, ax, score in zip(PALETTE[1:], axes, scores, strict=False):
        _draw_points(ax, ablation, score, color)
    values = np.array(list(paper.values()))
    _draw_line(axes[-1], list(paper), values, PAPER)
    band = values - spread, values + spread
    axes[-1].fill_between(list(paper), *band, color=PAPER, alpha=0.18, linewidth=0)
    axes[-1].set(ylabel="FID", title="the paper")
    for ax in axes:
        ax.set_xlabel("instances per bucket")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))
    return figure


def _draw_points(ax: Axes, ablation: Ablation, score: str, color: str) -> None:
    points = ablation.points
    places, means = [p.n_in for p in points], np.array([p.spread(score).mean for p in points])
    for point in points:
        values = point.spread(score).values
        ax.scatter([point.n_in] * len(values), values, s=12, color=color, alpha=0.6, linewidth=0)
    _draw_line(ax, places, means, color)
    bounds = [ablation.interval(point, score) for point in points]
    if all(bounds) and points:
        low, high = zip(*(bound for bound in bounds if bound), strict=True)
        ax.fill_between(places, low, high, color=color, alpha=0.18, linewidth=0)
    _name(ax, score)


def _draw_line(ax: Axes, places: list[int], values: np.ndarray, color: str) -> None:
    sns.lineplot(x=places, y=values, ax=ax, color=color, marker="o", markersize=4)


def _name(ax: Axes, score: str) -> None:
    """Says what a distance is: FID, or Fréchet distance with its features in the title."""
    features = score.removeprefix("frechet_")
    ax.set(ylabel="FID" if score == "fid" else "Fréchet distance", title="" if score == "fid" else features)

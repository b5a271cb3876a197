"""Figures of noise in weights: images by layer and level, and what grows with the level (section 4.2)."""

from collections.abc import Mapping, Sequence

import seaborn as sns
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from rpgan.analysis.noise import KINDS, Comparison, Damage
from rpgan.analysis.roles import EXCHANGE, PER_CHANGE, WORDS, Roles
from rpgan.plotting import MARKERS, PALETTE, PAPER, draw_beside, figure_of, legend_above
from rpgan.plotting.diversity import draw_bars


def draw_noisy(
    ax: Axes,
    original: UInt8[Tensor, "c h w"],
    rows: UInt8[Tensor, "layers k c h w"],
    columns: Sequence[str] = (),
    title: str = "",
) -> None:
    """Draws the image without noise at the left of a row for each layer, and the noisy ones behind a gap.

    `columns` gives the level of each of the k images; without it they are called draws of noise.
    """
    k, size = rows.shape[1], rows.shape[-1]
    named_rows = {f"layer {y + 1}": row for y, row in enumerate(rows)}
    cell, gap = draw_beside(ax, original, named_rows)
    places = [cell + gap + x * cell + size / 2 for x in range(k)]
    named = (places, columns) if columns else ([sum(places) / k], ["draws of noise"])
    ax.set_xticks([size / 2, *named[0]], ["α = 0" if columns else "original", *named[1]])
    ax.set_title(title)


def draw_layers(
    ax: Axes,
    x: Float[Tensor, "layers points"],
    y: Float[Tensor, "layers points"],
    xlabel: str,
    ylabel: str,
    levels: Mapping[str, float] | None = None,
) -> None:
    """Draws y against x as a line for each layer, and named levels of y across; x is logarithmic."""
    for layer, (xs, ys) in enumerate(zip(x, y, strict=True)):
        color = PALETTE[layer % len(PALETTE)]
        mark = MARKERS[layer % len(MARKERS)]
        ax.plot(xs, ys, marker=mark, markersize=3.5, color=color, label=f"layer {layer + 1}")
    for (name, level), line in zip((levels or {}).items(), ("--", ":", "-."), strict=False):
        ax.axhline(level, color=PAPER, linestyle=line, linewidth=1, label=name)
    ax.set_xscale("log")
    ax.minorticks_off()
    if bool((x == x[:1]).all()):  # the same places for all layers
        ax.set_xticks(x[0].tolist(), [f"{place:g}" for place in x[0].tolist()])
    else:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel=xlabel, ylabel=ylabel)


def draw_changes(sweep: Damage) -> Figure:
    """Draws the changes of all kinds against α, side by side."""
    figure, axes = figure_of(len(KINDS), ratio=0.9)
    for ax, kind in zip(axes, KINDS, strict=True):
        draw_layers(ax, sweep.alphas, sweep.changes[kind].mean(-1), "α", f"{WORDS.get(kind, kind)} change")
        ax.set_ylim(bottom=0)
    legend_above(figure, axes[:1])
    return figure


def draw_profiles(roles: Roles) -> Figure:
    """Draws every layer's share in colour and in semantic change, with 95 % intervals."""
    figure, axes = figure_of(len(roles.noise), ratio=0.7)
    for ax, kind in zip(axes, roles.noise, strict=True):
        profiles = roles.profiles(kind)
        bars = {name: (p.shares, *p.interval()) for name, p in profiles.items()}
        layers = range(len(profiles[EXCHANGE].shares))
        noise = [name for name in bars if name not in (EXCHANGE, PER_CHANGE)]
        blues = sns.light_palette(PALETTE[1], len(noise) + 1).as_hex()[1:]
        colors = dict(zip(noise, blues, strict=True)) | {EXCHANGE: PALETTE[0], PER_CHANGE: "#d3a08e"}
        draw_bars(ax, bars, list(layers), "share", colors=colors)
        ax.set(xlabel="layer or bucket", title=f"{WORDS[kind]} change")
    legend_above(figure, axes[:1])
    return figure


def draw_distances(sweep: Damage, comparison: Comparison) -> Figure:
    """Draws the distance to real images against α and against the total change, beside RPGAN's buckets."""
    levels = {"no noise": sweep.clean, "RPGAN": float(comparison.own.mean())}
    figure, axes = figure_of(2, ratio=0.75)
    draw_layers(axes[0], sweep.alphas, sweep.frechet, "α", "Fréchet distance", levels)
    draw_layers(axes[1], sweep.changes["total"].mean(-1), sweep.frechet, "total change", "", levels)
    changes, varied = comparison.exchange["total"].mean(1).tolist(), comparison.varied.mean(0).tolist()
    axes[1].scatter(changes, varied, marker="D", s=22, color=PAPER, zorder=4, label="buckets")
    for bucket, place in enumerate(zip(changes, varied, strict=True)):
        offset = (0, 9 if bucket % 2 else -9)  # two may lie together
        axes[1].annotate(
            str(bucket + 1), place, offset, textcoords="offset points", ha="center", va="center", fontsize=7
        )
    low, high = comparison.own.min(), comparison.own.max()
    for ax in axes:
        ax.axhspan(float(low), float(high), color=PAPER, alpha=0.15, linewidth=0)
        ax.set_yscale("log")  # noise spans from nothing to ruins
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    legend_above(figure, axes[1:])
    return figure

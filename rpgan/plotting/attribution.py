"""Drawing of responsibilities: heat maps of bucket × property, and where along the buckets they lie."""

from collections.abc import Mapping

import seaborn as sns
from matplotlib.axes import Axes
from torch import Tensor

from rpgan.analysis.attribution import Attribution, Centre
from rpgan.plotting import PALETTE, PAPER
from rpgan.plotting.intervals import TITLES


def draw_matrix(
    ax: Axes,
    found: Attribution,
    index: str = "total",
    title: str = "",
    intervals: bool = False,
    chance: Mapping[str, float] | None = None,
) -> None:
    """Draws "total" or "first" indices, darker for larger, with their intervals below the numbers if wanted.

    What does not exceed its property's chance level stands in brackets.
    """
    values = found.matrix(index)
    cells = _cells(found, index) if intervals else [[_number(v) for v in row] for row in values]
    if chance:
        for row, texts in zip(values, cells, strict=True):
            texts[:] = [
                text if value > chance[name] else f"({text})"
                for text, value, name in zip(texts, row, found.names, strict=True)
            ]
    sns.heatmap(
        values.numpy(),
        ax=ax,
        vmin=0,
        vmax=1,
        cmap=sns.light_palette(PALETTE[1], as_cmap=True),
        annot=cells,
        fmt="",
        annot_kws={"size": 6.5},
        cbar=False,
        linewidths=1,
        yticklabels=[f"bucket {row + 1}" for row in range(len(values))],
    )
    labels = [name.replace("_", " ") for name in found.names]
    ax.set_xticks(
        [column + 0.5 for column in range(len(labels))],
        labels,
        rotation=30,
        ha="right",
        rotation_mode="anchor",
    )
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(length=0)
    ax.set_title(title)


def _cells(found: Attribution, index: str) -> list[list[str]]:
    value, low, high = (found.matrix(index, end) for end in ("value", "low", "high"))
    return [
        [f"{_number(v)}\n{_number(a)} … {_number(b)}" for v, a, b in zip(*rows, strict=True)]
        for rows in zip(value, low, high, strict=True)
    ]


def _number(value: Tensor) -> str:
    if value.isnan():
        return "–"
    return f"{float(value):.2f}".replace("-0.00", "0.00").replace("-", "−")


def draw_centres(ax: Axes, groups: Mapping[str, Mapping[str, Centre]], n_buckets: int) -> None:
    """Draws where along the buckets the responsibility for each property lies, a colour each group."""
    rows: list[str] = []
    for color, (group, centres) in zip(PALETTE, groups.items(), strict=False):
        places = range(len(rows), len(rows) + len(centres))
        for place, found in zip(places, centres.values(), strict=True):
            ax.plot(found.interval, [place] * 2, color=color, linewidth=2)
        ax.plot([c.value for c in centres.values()], places, "o", color=color, label=TITLES.get(group, group))
        rows += centres
    ax.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0.9, n_buckets + 0.1)
    ax.set_xticks(range(1, n_buckets + 1))
    ax.axvline((1 + n_buckets) / 2, color=PAPER, linestyle=":", linewidth=1)
    ax.set_xlabel("centre of responsibility, in buckets")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

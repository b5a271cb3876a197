"""Figures of the readings: the diversity term against correlation, and the drift of idle weights."""

from collections.abc import Mapping, Sequence

import seaborn as sns
from matplotlib.axes import Axes
from torch import Tensor

from rpgan.plotting import PAPER


def draw_pair_term(
    ax: Axes, correlations: Sequence[float], values: Sequence[float], awake: Sequence[bool], margin: float
) -> None:
    """Draws the term against the correlation of two instances; filled where it has a gradient."""
    state = ["has a gradient" if a else "asleep" for a in awake]
    sns.scatterplot(x=list(correlations), y=list(values), hue=state, style=state, ax=ax, zorder=3)
    ax.plot([0, 1], [2, 0], color=PAPER, linewidth=1, linestyle=":", label="2(1 − ρ)")
    ax.axhline(margin, color=PAPER, linewidth=1, linestyle="--", label="margin")
    ax.set_xlabel("correlation ρ of two instances")
    ax.set_ylabel("diversity term of the pair")
    ax.legend()


def draw_drift(ax: Axes, drift: Mapping[str, Tensor], used: int) -> None:
    """Draws how far a weight goes on after it was last drawn, in learning rates, for each reading."""
    for name, positions in drift.items():
        ax.plot(range(len(positions) - used + 1), positions[used - 1 :] - positions[used - 1], label=name)
    ax.set_xlabel("steps since the instance was drawn")
    ax.set_ylabel("drift (learning rates)")
    ax.legend(title="train.idle_instances")

"""The book's page of trained models: what is in the repository, how good it is, what was changed for CPUs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rpgan.book.launch import code_link
from rpgan.book.pages import table
from rpgan.checkpoint import CARD, load_card, load_config, load_generator
from rpgan.config import Config, GanConfig
from rpgan.curves import Curve, read_curve
from rpgan.errors import UserError
from rpgan.models.draws import draw
from rpgan.overrides import flatten
from rpgan.places import CHECKOUT
from rpgan.presets import resolve
from rpgan.sweep import SWEEPS, plan
from rpgan.sweep.table import published_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEET = "trained-models.png"
PARTS = (
    "trained_sheet",
    "trained_generators",
    "trained_readers",
    "trained_departures",
    "trained_curves",
    "trained_times",
    "trained_sweeps",
)
SCORES, LOSSES = "training-scores.png", "training-losses.png"
COLUMNS, SIZE = 14, 64  # images of a generator on the sheet, and their pixels
FIGURE = """\
:::{{figure}} {sheet}
:name: fig-trained
:alt: A row of small generated images for each of {names}

The first {columns} images that a seed gives, none selected, of every generator in the repository. {code}
:::
"""


CURVES = """\
:::{{figure}} {scores}
:name: fig-trained-scores
:alt: A small panel for each training: its score against the step; a dot marks the step that was kept

The score that chooses the checkpoint, against the step: the Fréchet distance to held-out images, or the
error of classifiers. Logarithmic unless it reaches 0, with least and largest value; the dot is the state
that was kept. {code}
:::

:::{{figure}} {losses}
:name: fig-trained-losses
:alt: A small panel for each GAN: the losses of both networks and the diversity term against the step

The adversarial losses of both networks, and the diversity term, which the generator raises; means over
hundredths of a training. {code}
:::
"""


def trained_parts(folder: Path, root: Path = CHECKOUT) -> dict[str, str]:
    """Draws the sheet into a folder of pages and returns the generated parts of the page by name."""
    found = committed(root)
    generators = [path for path in found if isinstance(load_config(path), GanConfig)]
    draw_sheet({path.name: first_images(path) for path in generators}, folder / SHEET)
    names, listed = ", ".join(path.name for path in generators), ("plain", "26 12 12 22 28")
    parts = (
        FIGURE.format(sheet=SHEET, names=names, columns=COLUMNS, code=code_link(__name__, root)),
        table(*_listing(generators, "Fréchet distance"), *listed),
        table(*_listing([path for path in found if path not in generators], "Held-out score"), *listed),
        departures_table([path.name for path in found], root),
        *_curve_parts(found, folder, root),
        sweeps_table(),
    )
    return dict(zip(PARTS, parts, strict=True))


def committed(root: Path = CHECKOUT) -> list[Path]:
    """Lists the checkpoints of the repository, whatever else the user has under their names."""
    return sorted(card.parent for card in (root / "data" / "checkpoints").glob(f"[!.]*/{CARD}"))


def _listing(found: Sequence[Path], score: str) -> tuple[list[str], list[list[str]]]:
    cards = {path.name: load_card(path) for path in found}
    rows = [
        [
            f"`{name}`",
            f"{card['steps']:,}",
            f"{card['storage']['bytes'] / 1e6:.1f}",
            quality(card["scores"][0]),
            card["data"],
        ]
        for name, card in cards.items()
    ]
    return ["Model", "Step", "MB", score, "Trained on"], rows


def quality(score: dict[str, Any]) -> str:
    """Words a card's score: the value, its features where it has some, and how many images it is of."""
    _, _, features = score["name"].partition("frechet_")
    value, n = score["value"], f"(n = {score['n']:,})"
    if not features:
        return f"{score['name']} {value:.1%} {n}"
    return f"{value:,.0f}, {features} {n}" if value >= 1_000 else f"{value:.3g}, {features} {n}"


def departures_table(names: Sequence[str], root: Path = CHECKOUT) -> str:
    """Returns a table of the settings in which models of the repository differ from the paper's.

    Names of others are left out; "" where none is left.
    """
    alike: dict[str, list[str]] = {}
    for path in committed(root):
        if path.name in names:
            told = "; ".join(departures(load_config(path))) or "nothing"
            alike.setdefault(told, []).append(f"`{path.name}`")
    rows = [[", ".join(of_name), text] for text, of_name in alike.items()]
    return table(["Models", "Setting: here (paper)"], rows, "plain", "24 76") if rows else ""


def sweeps_table() -> str:
    """Returns a table of the published sweeps: command, trainings, and what these have in common."""
    rows = []
    for name, sweep in SWEEPS.items():
        rows_there, trials = published_rows(name, "book"), plan(sweep, "book")
        if (done := sum(trial.digest in rows_there for trial in trials)) == 0:
            continue
        each = [departures(trial.config) for trial in trials]
        common = [setting for setting in each[0] if all(setting in others for others in each)]
        trainings = f"{done} of {len(each)}"
        rows.append([f"`rpgan sweep {name} --publish`", sweep.about, trainings, "; ".join(common)])
    header = ["Command", "Trainings", "Published", "Setting of all: here (paper)"]
    return table(header, rows, "plain", "22 22 10 46")


def _curve_parts(found: Sequence[Path], folder: Path, root: Path) -> tuple[str, str]:
    """Draws the training curves that are kept, and returns their figures and the table of times."""
    cards = {path.name: load_card(path) for path in found}
    curves = {name: curve for name in cards if (curve := read_curve(name))}
    for name, curve in curves.items():
        if not curve.fits(cards[name]):
            raise UserError(f"the curve of {name} is not that of its checkpoint; write it: rpgan curve RUN")
    draw_curves(curves, {name: cards[name]["steps"] for name in curves}, folder)
    header = ["Model", "Steps", "Hours", "Seconds a step", "Command"]
    rows = [_times(name, curve, cards[name]["config"]["train"]["steps"]) for name, curve in curves.items()]
    figures = CURVES.format(scores=SCORES, losses=LOSSES, code=code_link("rpgan.plotting.curves", root))
    return figures, table(header, rows, "plain", "24 13 9 12 42")


def _times(name: str, curve: Curve, planned: int) -> list[str]:
    made = curve.steps[-1]
    steps = f"{made:,}" if made == planned else f"{made:,} of {planned:,}"
    hours, each = f"{curve.seconds / 3600:.1f}", f"{curve.seconds / made:.2f}"
    return [f"`{name}`", steps, hours, each, f"`{curve.command}`"]


def departures(config: Config) -> list[str]:
    """Lists the settings in which a config differs from the paper's experiment of its name."""
    here, paper = flatten(config), flatten(resolve(config.name, "paper"))
    free = {"train.evaluate_every", "train.evaluate_n", "train.save_every"}
    return [
        f"`{key}` {_shown(value)} ({_shown(paper[key])})"
        for key, value in here.items()
        if value != paper[key] and key not in free
    ]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        same = len(set(value)) == 1 and len(value) > 1
        return f"{len(value)} × {value[0]}" if same else ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def first_images(checkpoint: Path) -> Tensor:
    """Images of the first paths, and latents where it has some, that a seed gives; uint8 (COLUMNS, 3, …)."""
    rng, generator = torch.Generator().manual_seed(0), load_generator(checkpoint)
    images = draw(generator, COLUMNS, rng).expand(-1, 3, -1, -1)
    return F.interpolate(images, size=(SIZE, SIZE), mode="nearest")


def draw_curves(curves: Mapping[str, Curve], kept: Mapping[str, int], folder: Path) -> None:
    """Writes the pictures of scores and of losses; of losses, those of GANs."""
    from rpgan import plotting
    from rpgan.plotting.curves import draw_losses, draw_scores

    plotting.style()
    gans = {name: curve for name, curve in curves.items() if "d_loss" in curve.losses}
    for figure, name in ((draw_scores(curves, kept), SCORES), (draw_losses(gans), LOSSES)):
        _write(figure, folder / name)


def draw_sheet(rows: dict[str, Tensor], path: Path) -> None:
    """Writes a picture with a named row of images for every generator."""
    from rpgan import plotting
    from rpgan.plotting.rows import draw_rows

    plotting.plain_style()
    figure, (ax,) = plotting.figure_of(1, width=8.0, ratio=(len(rows) + 0.2) / (COLUMNS + 3))
    draw_rows(ax, rows, COLUMNS)
    _write(figure, path)


def _write(figure: "Figure", path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)

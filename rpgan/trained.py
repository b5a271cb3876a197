"""The book's page of trained models: what is in the repository, how good it is, what was changed for CPUs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rpgan.checkpoint import CARD, load_card, load_config, load_generator
from rpgan.config import GanConfig
from rpgan.launch import code_link
from rpgan.models.draws import draw
from rpgan.overrides import flatten
from rpgan.pages import table
from rpgan.presets import resolve
from rpgan.results import CHECKOUT

SHEET = "trained-models.png"
PARTS = ("trained_sheet", "trained_generators", "trained_readers", "trained_departures")
COLUMNS, SIZE = 14, 64  # images of a generator on the sheet, and their pixels
FIGURE = """\
:::{{figure}} {sheet}
:name: fig-trained
:alt: A row of small generated images for each of {names}

The first {columns} images that a seed gives, none selected, of every generator in the repository. {code}
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
        table(*_departures_listing(generators), "plain", "24 76"),
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


def _departures_listing(found: Sequence[Path]) -> tuple[list[str], list[list[str]]]:
    alike: dict[str, list[str]] = {}
    for path in found:
        alike.setdefault("; ".join(departures(path)) or "nothing", []).append(f"`{path.name}`")
    return ["Models", "Setting: here (paper)"], [[", ".join(names), text] for text, names in alike.items()]


def departures(checkpoint: Path) -> list[str]:
    """Lists the settings in which a checkpoint differs from the paper's experiment of its name."""
    config = load_config(checkpoint)
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


def draw_sheet(rows: dict[str, Tensor], path: Path) -> None:
    """Writes a picture with a named row of images for every generator."""
    import matplotlib.pyplot as plt

    from rpgan import plotting
    from rpgan.plotting.rows import draw_rows

    plotting.plain_style()
    figure, (ax,) = plotting.figure_of(1, width=8.0, ratio=(len(rows) + 0.2) / (COLUMNS + 3))
    draw_rows(ax, rows, COLUMNS)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)

"""The explorer of live notebooks, with ipywidgets and without."""

import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from rpgan import widgets
from rpgan.errors import UserError
from rpgan.images import to_uint8
from rpgan.models.generator import RandomPathGenerator, render


def shown(generator: RandomPathGenerator, path: list[int]) -> np.ndarray:
    return to_uint8(render(generator, torch.tensor([path])))[0].permute(1, 2, 0).numpy()


def picture(box: object) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(box.children[0].value)))[::8, ::8]


def test_a_choice_changes_path_and_picture(generator: RandomPathGenerator, rng: torch.Generator) -> None:
    pytest.importorskip("ipywidgets")
    box = widgets.explore(generator, rng, torch.tensor([2, 1, 0, 1, 3]))
    *choices, button, label = box.children[1].children
    assert (picture(box) == shown(generator, [2, 1, 0, 1, 3])).all()
    choices[0].value = 1
    assert box.path.tolist() == [1, 1, 0, 1, 3] and label.value.endswith("path 1, 1, 0, 1, 3")
    assert (picture(box) == shown(generator, [1, 1, 0, 1, 3])).all()
    expected = generator.sample_paths(1, rng.clone_state())[0].tolist()
    button.click()
    assert box.path.tolist() == expected and (picture(box) == shown(generator, expected)).all()


def test_without_ipywidgets_there_is_a_static_grid(
    generator: RandomPathGenerator, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    figure = widgets.explore(generator, rng)
    assert isinstance(figure, Figure)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [f"bucket {b}" for b in range(1, 6)]


def test_a_path_that_is_none_is_refused(generator: RandomPathGenerator, rng: torch.Generator) -> None:
    with pytest.raises(UserError, match="entries below"):
        widgets.explore(generator, rng, torch.tensor([9, 0, 0, 0, 0]))

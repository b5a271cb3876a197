"""Bars of layer diversity: heights, whiskers, and buckets without a ratio."""

import matplotlib.pyplot as plt
import pytest
import torch

from rpgan.metrics.diversity import layer_diversity
from rpgan.plotting.diversity import draw_bars, draw_models, paper_bars, robust_bars, share_bars


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_bars_and_whiskers_stand_where_the_numbers_are():
    _, ax = plt.subplots()
    value, low, high = (
        torch.tensor([1.0, torch.nan, 3.0]),
        torch.zeros(3),
        torch.tensor([2.0, torch.nan, 3.5]),
    )
    draw_bars(ax, {"x": (value, low, high)}, [0, 2], "D", level=1.0)
    assert [bar.get_height() for bar in ax.containers[0]] == [1, 3]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "3"]
    *whiskers, level = [line.get_ydata() for line in ax.lines]
    assert [list(ends) for ends in whiskers] == [[0, 2], [0, 3.5]] and list(level) == [1, 1]


def test_a_model_whose_first_bucket_does_nothing_is_drawn_without_bars(rng):
    found = {"x": layer_diversity(torch.tensor([[0.0, 1.0, 2.0]] * 3), (3, 3, 3), rng)}
    forms = [paper_bars(found), robust_bars(found), share_bars(found)]
    figure = draw_models({"m": forms}, {"m": [0, 1, 2]}, ("paper", "sums", "share"), level=1.0)
    figure.canvas.draw()
    heights = [[bar.get_height() for bar in ax.containers[0]] for ax in figure.axes]
    assert heights == [[0, 0, 0], [0, 0, 0], pytest.approx([0, 1 / 3, 2 / 3])]
    assert figure.axes[0].get_ylabel() == "m\npaper"


def test_whiskers_of_the_papers_form_end_at_zero(rng):
    found = {"x": layer_diversity(torch.tensor([[1.0, 0.1], [1.0, 9.0], [1.0, 0.1]]), (4, 4), rng)}
    mean, low, high = paper_bars(found)["x"]
    assert low[1] == 0 and high[1] - mean[1] == found["x"].ratio_std[1]

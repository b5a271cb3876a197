"""PRD: identical, disjoint, dropped modes, direction."""

import numpy as np
import pytest
import torch

from rpgan.errors import UserError
from rpgan.metrics.prd import PrdCurve, prd, prd_from_shares


def modes(labels: list[int], n: int = 60) -> torch.Tensor:
    """Points tightly around one corner of a simplex for each label."""
    rng = torch.Generator().manual_seed(len(labels))
    centres = torch.eye(8)[torch.tensor(labels).repeat_interleave(n)] * 20
    return centres + 0.1 * torch.randn(centres.shape, generator=rng)


def curve(real: torch.Tensor, fake: torch.Tensor, clusters: int = 4) -> PrdCurve:
    return prd(real=real, fake=fake, rng=torch.Generator().manual_seed(0), n_clusters=clusters, n_runs=2)


def test_identical_sets_reach_the_corner():
    features = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    result = prd(real=features, fake=features, rng=torch.Generator().manual_seed(1), n_runs=2)
    assert result.precision.shape == result.recall.shape == (1001,)
    assert np.max(np.minimum(result.precision, result.recall)) == pytest.approx(1)
    assert result.f8 == pytest.approx(1) and result.f1_8 == pytest.approx(1)


def test_disjoint_sets_are_zero_everywhere():
    result = curve(modes([0, 1]), modes([2, 3]))
    assert result.f8 == result.f1_8 == 0 and not result.precision.any()


def test_a_dropped_mode_loses_recall_only():
    result = curve(modes([0, 1, 2, 3]), modes([0, 1, 2, 2]))
    assert result.precision.max() == pytest.approx(1)
    assert result.recall.max() == pytest.approx(0.75)
    assert result.f8 < 0.8 and result.f1_8 > 0.95


def test_an_invented_mode_loses_precision_only():
    result = curve(modes([0, 1, 2, 2]), modes([0, 1, 2, 3]))
    assert result.recall.max() == pytest.approx(1)
    assert result.precision.max() == pytest.approx(0.75)
    assert result.f1_8 < 0.8 and result.f8 > 0.95


def test_swapping_the_sets_swaps_precision_and_recall():
    p, q = np.array([0.5, 0.3, 0.2, 0]), np.array([0.1, 0.1, 0.2, 0.6])
    one, other = prd_from_shares(real=p, fake=q), prd_from_shares(real=q, fake=p)
    np.testing.assert_allclose(one.precision, other.recall[::-1], atol=1e-9)
    np.testing.assert_allclose(one.recall, other.precision[::-1], atol=1e-9)


def test_the_middle_of_the_curve_is_one_minus_total_variation():
    p, q = np.array([0.5, 0.3, 0.2, 0]), np.array([0.1, 0.1, 0.2, 0.6])
    result = prd_from_shares(real=p, fake=q)
    overlap = 1 - np.abs(p - q).sum() / 2
    assert result.precision[500] == pytest.approx(overlap) and result.recall[500] == pytest.approx(overlap)


def test_f_score_of_one_point():
    point = PrdCurve(np.array([0.5]), np.array([0.25]))
    assert point.f_score(1.0) == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert point.f8 == pytest.approx(0.25, abs=0.01) and point.f1_8 == pytest.approx(0.5, abs=0.01)


def test_mistakes_are_named():
    with pytest.raises(UserError, match="take the first n of both"):
        curve(modes([0, 1]), modes([0, 1, 2]))
    with pytest.raises(UserError, match="at least 20"):
        prd(real=torch.zeros(5, 2), fake=torch.zeros(5, 2), rng=torch.Generator())
    with pytest.raises(TypeError):
        prd(torch.zeros(30, 2), torch.zeros(30, 2), torch.Generator())

"""Precision, recall, density, coverage: identical, disjoint, dropped modes, direction, expectations."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from rpgan.errors import UserError
from rpgan.metrics.knn import density_coverage, neighbour_scores, precision_recall


def modes(labels: list[int], n: int = 40, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    centres = torch.eye(6)[torch.tensor(labels).repeat_interleave(n)] * 50
    return centres + torch.randn(centres.shape, generator=rng)


def test_identical_sets():
    features = modes([0, 1])
    result = precision_recall(real=features, fake=features)
    assert (result.precision, result.recall) == (1, 1)
    assert density_coverage(real=features, fake=features).coverage == 1


def test_each_score_has_the_neighbours_of_its_own_paper(rng):
    real, fake = torch.randn(60, 3, generator=rng), 0.5 + torch.randn(50, 3, generator=rng)
    expected = asdict(precision_recall(real=real, fake=fake, k=3))
    expected |= asdict(density_coverage(real=real, fake=fake, k=5))
    assert neighbour_scores(real=real, fake=fake) == expected
    assert expected["precision"] != precision_recall(real=real, fake=fake, k=5).precision
    assert expected["density"] != density_coverage(real=real, fake=fake, k=3).density


def test_disjoint_sets():
    real, fake = modes([0, 1]), modes([2, 3])
    result, other = precision_recall(real=real, fake=fake), density_coverage(real=real, fake=fake)
    assert (result.precision, result.recall, other.density, other.coverage) == (0, 0, 0, 0)


def test_a_dropped_mode_loses_recall_and_coverage_only():
    real, fake = modes([0, 1, 2, 3]), modes([0, 1], n=80, seed=1)
    result, other = precision_recall(real=real, fake=fake, k=5), density_coverage(real=real, fake=fake)
    full = precision_recall(real=real, fake=modes([0, 1, 2, 3], seed=1), k=5)
    assert result.precision == pytest.approx(full.precision, abs=0.1)
    assert result.recall <= 0.5 < full.recall
    assert other.coverage <= 0.5 and other.density == pytest.approx(1, abs=0.3)


def test_an_invented_mode_loses_precision_only():
    real, fake = modes([0, 1], n=80), modes([0, 1, 2, 3], seed=1)
    result = precision_recall(real=real, fake=fake, k=5)
    assert result.precision <= 0.5 < result.recall
    assert density_coverage(real=real, fake=fake).coverage > 0.8


def test_an_outlier_inflates_recall_but_not_coverage():
    """Why coverage exists: one generated outlier has a ball around everything."""
    real = modes([0], n=100)
    beside = real.mean(0) - 5
    fake = torch.cat([beside + 0.01 * torch.randn(99, 6, generator=torch.Generator()), beside[None] + 500])
    assert precision_recall(real=real, fake=fake).recall == 1
    assert density_coverage(real=real, fake=fake).coverage == 0


def test_one_distribution_has_the_expected_density_and_coverage():
    n, m, k = 400, 300, 5
    results = []
    for seed in range(6):
        rng = torch.Generator().manual_seed(seed)
        points = torch.randn(n + m, 2, generator=rng)
        results.append(density_coverage(real=points[:n], fake=points[n:], k=k))
    expected = 1 - np.prod([(n - i) / (n + m - i) for i in range(1, k + 1)])
    assert np.mean([r.density for r in results]) == pytest.approx(1, abs=0.05)
    assert np.mean([r.coverage for r in results]) == pytest.approx(expected, abs=0.02)


def test_by_hand_on_a_line():
    """k = 1. Balls of real: 0 ± 1, 1 ± 1, 4 ± 3; of generated: 1.5 ± 1, 2.5 ± 1, 9 ± 6.5."""
    real, fake = torch.tensor([[0.0], [1], [4]]), torch.tensor([[1.5], [2.5], [9]])
    result, other = precision_recall(real=real, fake=fake, k=1), density_coverage(real=real, fake=fake, k=1)
    assert result.precision == pytest.approx(2 / 3) and result.recall == pytest.approx(2 / 3)
    assert other.density == pytest.approx((2 + 1 + 0) / 3) and other.coverage == pytest.approx(2 / 3)


def test_mistakes_are_named():
    with pytest.raises(UserError, match="more than k images"):
        precision_recall(real=torch.zeros(3, 2), fake=torch.zeros(10, 2))
    with pytest.raises(UserError, match="one extractor"):
        density_coverage(real=torch.zeros(10, 2), fake=torch.zeros(10, 3))

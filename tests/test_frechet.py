"""Fréchet distance: closed forms, agreement with others, streaming."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpgan.errors import UserError
from rpgan.metrics.frechet import Moments, distance_ratio, frechet_distance


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    moments = Moments()
    moments.n, moments.mean = 101, np.asarray(mean, float)
    moments.scatter = 100 * np.asarray(covariance, float)
    return moments


def test_commuting_covariances_have_a_closed_form():
    """With a common eigenbasis the distance is ‖Δμ‖² + Σ (√λ − √κ)²."""
    basis = np.linalg.qr(normal(5, 5).numpy())[0]
    left, right = np.array([4.0, 1.0, 9.0, 0.0, 2.0]), np.array([1.0, 1.0, 0.0, 0.0, 8.0])
    a = gaussian(np.zeros(5), basis * left @ basis.T)
    b = gaussian(np.array([3.0, 0, 0, 4.0, 0]), basis * right @ basis.T)
    assert frechet_distance(a, b) == pytest.approx(25 + np.sum((np.sqrt(left) - np.sqrt(right)) ** 2))


def test_one_dimension_compares_means_and_deviations():
    assert frechet_distance(gaussian([1.0], [[4.0]]), gaussian([3.0], [[25.0]])) == pytest.approx(4 + 9)


def test_agrees_with_the_general_matrix_square_root():
    """Against scipy.linalg.sqrtm itself: pytorch-fid calls it by an argument that scipy 1.18 drops."""
    a, b = Moments(normal(50, 8)), Moments(normal(60, 8, 1) @ normal(8, 8, 2) + 1)
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    expected = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_agrees_with_pytorch_fid():
    fid_score = pytest.importorskip("pytorch_fid.fid_score")
    try:
        scipy.linalg.sqrtm(np.eye(1), disp=False)
    except TypeError:
        pytest.skip("this scipy has no sqrtm(disp=), which pytorch-fid 0.3.0 needs")
    a, b = Moments(normal(50, 8)), Moments(3 * normal(60, 8, 1) + 1)
    expected = fid_score.calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_identical_features_are_at_distance_zero():
    features = normal(100, 20)
    assert frechet_distance(Moments(features), Moments(features.flip(0))) == pytest.approx(0, abs=1e-9)


def test_symmetric():
    a, b = Moments(normal(40, 6)), Moments(2 * normal(30, 6, 1) + 1)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_fewer_images_than_features():
    """Rank-deficient covariances: still zero for equal sets, and exact for orthogonal supports."""
    features = normal(5, 64)
    assert frechet_distance(Moments(features), Moments(features)) == pytest.approx(0, abs=1e-5)
    left, right = torch.zeros(4, 10), torch.zeros(4, 10)
    left[:, 0], right[:, 1] = torch.tensor([-1.0, 1, -1, 1]), torch.tensor([-1.0, 1, -1, 1])
    assert frechet_distance(Moments(left), Moments(right)) == pytest.approx(4 / 3 + 4 / 3)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 100), max_size=8))
def test_streaming_equals_one_batch_in_any_chunking(cuts):
    features = normal(100, 5) + torch.tensor([0.0, 1e3, -50, 1, 2])
    streamed, whole = Moments(), Moments(features)
    for chunk in features.tensor_split(sorted(cuts)):
        streamed.update(chunk)
    assert streamed.n == whole.n == 100
    np.testing.assert_allclose(streamed.mean, features.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(streamed.covariance, np.cov(features.numpy().T), rtol=1e-8, atol=1e-10)


def test_a_large_offset_cancels_nothing():
    """Raw float64 sums Σx² − nμ² would lose the variance of values near 1e8."""
    features = normal(1_000, 3)
    moments = Moments()
    for chunk in (features + 1e8).split(10):
        moments.update(chunk)
    np.testing.assert_allclose(moments.covariance, Moments(features).covariance, rtol=1e-5, atol=1e-6)


def test_what_was_counted_can_be_taken_out():
    features = normal(30, 4)
    rest, expected = (
        Moments(features).without(features[5:12]),
        Moments(torch.cat([features[:5], features[12:]])),
    )
    assert rest.n == 23
    np.testing.assert_allclose(rest.mean, expected.mean)
    np.testing.assert_allclose(rest.covariance, expected.covariance)
    with pytest.raises(UserError, match="at least 2 to be left"):
        Moments(features).without(features[1:])


def test_mistakes_are_named():
    with pytest.raises(UserError, match="at least 2"):
        _ = Moments(normal(1, 3)).covariance
    with pytest.raises(UserError, match="same extractor"):
        frechet_distance(Moments(normal(5, 3)), Moments(normal(5, 4)))
    with pytest.raises(UserError, match="expected 3"):
        Moments(normal(5, 3)).update(normal(5, 4))
    with pytest.raises(UserError, match="finite"):
        Moments(torch.tensor([[float("nan")], [0.0]]))
    with pytest.raises(UserError, match=r"10,001 features an image; expected at most 10,000.*LPIPS"):
        Moments(torch.zeros(2, 10_001))


def test_groups_hold_all_images():
    features = torch.randn(103, 3, generator=torch.Generator().manual_seed(0))
    groups, whole = Moments.grouped(features), Moments(features)
    assert sum(group.n for group in groups) == 103 and len(groups) == 10
    assert [group.n for group in Moments.grouped(features[:102].unflatten(0, (3, 34)))] == [34] * 3
    merged = Moments.merged(groups)
    np.testing.assert_allclose(merged.mean, whole.mean)
    np.testing.assert_allclose(merged.scatter, whole.scatter)


def test_the_interval_of_a_ratio_holds_the_truth_about_as_often_as_it_says():
    """Both distances are squared shifts of the mean, known without error on the real side."""
    rng = torch.Generator().manual_seed(1)
    real = gaussian([0.0], [[1.0]])
    truth, n, held = (2**2 / 1**2), 400, 0
    for _ in range(200):
        a, b = (shift + torch.randn(n, 1, generator=rng) for shift in (2.0, 1.0))
        ratio, (low, high) = distance_ratio(Moments.grouped(a), Moments.grouped(b), real)
        assert low < ratio < high
        held += low < truth < high
    assert 180 <= held <= 199


def test_what_is_drawn_together_is_left_out_together():
    """Five draws of sixty images each, around a mean of their own; cut elsewhere, too few would hold it."""
    rng = torch.Generator().manual_seed(1)
    real = gaussian([0.0], [[1.0]])
    truth, held = 2**2 / 1**2, 0
    for _ in range(200):
        means = 2 + 0.2 * torch.randn(5, 1, 1, generator=rng)
        a, b = means + torch.randn(5, 60, 1, generator=rng), 1 + torch.randn(5, 60, 1, generator=rng)
        _, (low, high) = distance_ratio(Moments.grouped(a), Moments.grouped(b), real)
        held += low < truth < high
    assert 180 <= held <= 199
    with pytest.raises(UserError, match=r"1 independent draw.*at least 2"):
        Moments.grouped(a[:1])


def test_no_ratio_to_images_that_are_the_real_ones():
    features = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    groups = Moments.grouped(features)
    with pytest.raises(UserError, match="of which one is 0"):
        distance_ratio(groups, groups, Moments.merged(groups))

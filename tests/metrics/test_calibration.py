"""Calibration by hand, and against what an exact model of chance must give."""

import numpy as np
import pytest

from tinymed.metrics import brier_score, expected_calibration_error, reliability_curve


def test_curve_by_hand():
    curve = reliability_curve([0, 1, 1, 0, 1], [0.05, 0.1, 0.55, 0.5, 1.0], bins=10)
    # Bins: [0, 0.1) holds 0.05; [0.1, 0.2) holds 0.1; [0.5, 0.6) holds 0.5 and 0.55; the last holds 1.0.
    np.testing.assert_allclose(curve.predicted, [0.05, 0.1, 0.525, 1.0])
    np.testing.assert_allclose(curve.observed, [0, 1, 0.5, 1])
    assert curve.counts.tolist() == [1, 1, 2, 1]
    error = expected_calibration_error([0, 1, 1, 0, 1], [0.05, 0.1, 0.55, 0.5, 1.0])
    assert error == pytest.approx((0.05 + 0.9 + 2 * 0.025 + 0) / 5)


def test_bins_of_equal_counts():
    rng = np.random.default_rng(0)
    scores = rng.random(1000) ** 4
    curve = reliability_curve(rng.random(1000) < scores, scores, bins=8, strategy="quantile")
    assert curve.counts.tolist() == [125] * 8
    assert np.all(np.diff(curve.predicted) > 0)


def test_true_probabilities_are_calibrated_and_sharpened_ones_are_not():
    rng = np.random.default_rng(1)
    p = rng.random(50_000)
    y = (rng.random(50_000) < p).astype(int)
    sure = p**3 / (p**3 + (1 - p) ** 3)  # the same ranking, too sure
    assert expected_calibration_error(y, p) < 0.01
    assert expected_calibration_error(y, sure) > 0.1
    assert brier_score(y, p) == pytest.approx(1 / 6, abs=0.004)  # the integral of p (1 - p)
    assert brier_score(y, sure) > brier_score(y, p)


def test_brier_of_the_share_is_its_variance():
    y = np.array([0, 0, 0, 1])
    assert brier_score(y, np.full(4, 0.25)) == pytest.approx(0.25 * 0.75)
    assert brier_score(y, y) == 0
    assert brier_score(y[:, None], y[:, None]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: brier_score([0, 1], [0.2, 1.7]), "from 0 to 1 but found 1.7; apply a sigmoid"),
        (lambda: reliability_curve([0, 1], [0.2, 0.7], bins=0), "whole number of bins from 1, got 0"),
        (lambda: reliability_curve([0, 1], [0.2, 0.7], strategy="equal"), "unknown strategy 'equal'"),
        (lambda: expected_calibration_error([0, 2], [0.2, 0.7]), "labels 0 or 1 but found 2"),
        (lambda: brier_score([], []), "at least one sample"),
    ],
)
def test_what_cannot_be_used_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()

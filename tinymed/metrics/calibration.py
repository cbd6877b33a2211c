"""Do the probabilities mean what they say? Of a hundred patients told 0.8, eighty should be ill.

A ranking can be perfect (AUC 1) while every probability is wrong, so these numbers stand beside the ROC curve. As in
:mod:`tinymed.metrics.report`, arguments may be NumPy arrays, lists, or arrays of the current backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed.metrics.report import labels_and_scores


@dataclass(frozen=True)
class Reliability:
    """Predicted and observed frequency in each bin that holds a sample.

    Attributes:
        predicted: Mean probability of the bin's samples, (bins,).
        observed: Share of them that are of class 1, (bins,).
        counts: How many they are, (bins,).
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray


def reliability_curve(y_true: Any, probabilities: Any, bins: int = 10, strategy: str = "uniform") -> Reliability:
    """Compare what is predicted with what is observed, in bins of similar probabilities.

    Arguments:
        y_true: Labels 0 or 1.
        probabilities: Of class 1.
        bins: Number of bins; those without a sample are left out.
        strategy: ``"uniform"`` for bins of equal width, ``"quantile"`` for bins of equally many samples.

    Raises:
        ValueError: For scores outside 0 to 1, or an unknown strategy.

    Example:
        >>> curve = reliability_curve([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], bins=2)
        >>> curve.predicted.round(2).tolist(), curve.observed.tolist(), curve.counts.tolist()
        ([0.15, 0.8], [0.0, 1.0], [2, 2])
    """
    labels, values = _labels_and_probabilities("reliability_curve", y_true, probabilities)
    if int(bins) != bins or bins < 1:
        raise ValueError(f"reliability_curve needs a whole number of bins from 1, got {bins!r}")
    if strategy == "uniform":
        places = np.minimum((values * bins).astype(np.int64), bins - 1)
    elif strategy == "quantile":
        edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
        places = np.searchsorted(edges, values, side="right")
    else:
        raise ValueError(f"unknown strategy {strategy!r}; choose 'uniform' or 'quantile'")
    counts = np.bincount(places, minlength=bins)
    filled = counts > 0
    counts = counts[filled]
    predicted = np.bincount(places, values, bins)[filled] / counts
    observed = np.bincount(places, labels, bins)[filled] / counts
    return Reliability(predicted, observed, counts)


def expected_calibration_error(y_true: Any, probabilities: Any, bins: int = 10, strategy: str = "uniform") -> float:
    r"""Return the mean distance between predicted and observed frequency: $\sum_b \frac{n_b}{n} |o_b - p_b|$.

    It depends on the bins and is never quite 0 for a finite sample, so compare only what was measured alike.

    Arguments:
        y_true: Labels 0 or 1.
        probabilities: Of class 1.
        bins: As for :func:`reliability_curve`.
        strategy: As for :func:`reliability_curve`.

    Example:
        >>> round(expected_calibration_error([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], bins=2), 4)
        0.175

    Source:
        Naeini, Cooper and Hauskrecht 2015, Obtaining well calibrated probabilities using Bayesian binning, AAAI.
    """
    curve = reliability_curve(y_true, probabilities, bins, strategy)
    return float(np.sum(curve.counts * np.abs(curve.observed - curve.predicted)) / curve.counts.sum())


def brier_score(y_true: Any, probabilities: Any) -> float:
    r"""Return the mean squared error of the probabilities, $\frac{1}{n} \sum (p - y)^2$: 0 is perfect.

    Always predicting the share of class 1, $\pi$, scores $\pi (1 - \pi)$. Nobody can lower the score in expectation
    by saying anything but what they believe, so it needs no bins and rewards both ranking and calibration.

    Arguments:
        y_true: Labels 0 or 1.
        probabilities: Of class 1.

    Example:
        >>> round(brier_score([0, 1], [0.1, 0.7]), 4)
        0.05

    Source:
        Brier 1950, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78.
    """
    labels, values = _labels_and_probabilities("brier_score", y_true, probabilities)
    return float(np.mean((values - labels) ** 2))


def _labels_and_probabilities(owner: str, y_true: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    labels, values = labels_and_scores(owner, y_true, probabilities)
    outside = (values < 0) | (values > 1)
    if outside.any():
        raise ValueError(
            f"{owner} expects probabilities from 0 to 1 but found {values[outside][0]:g}; "
            "apply a sigmoid to logits first"
        )
    return labels, values

"""How sure is a number? Draw the test set again and again from itself, and see how much the number moves.

>>> from tinymed.metrics import roc_auc
>>> interval = bootstrap(roc_auc, [0, 0, 0, 1, 1, 1] * 10, [0.1, 0.3, 0.6, 0.4, 0.8, 0.9] * 10, seed=1)
>>> print(interval)
0.889 (95 % interval 0.790 to 0.951)

What is drawn are patients, not images: two images of one patient say less than images of two patients, and an interval
that does not know this is too narrow. Pass ``groups`` whenever a patient has several samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend

METHODS = ("bca", "percentile")


@dataclass(frozen=True)
class Interval:
    """A number and the interval in which it lies.

    Attributes:
        value: The number, on the samples as they are.
        low, high: The ends of the interval.
        level: The confidence, such as 0.95.
        drawn: From how many draws it was made.
    """

    value: float
    low: float
    high: float
    level: float
    drawn: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({100 * self.level:g} % interval {self.low:.3f} to {self.high:.3f})"

    def numbers(self) -> list[float]:
        """Return both ends, as a report keeps them."""
        return [self.low, self.high]


def bootstrap(
    metric: Callable[[np.ndarray, np.ndarray], float],
    y_true: Any,
    y_pred: Any,
    *,
    groups: Any = None,
    level: float = 0.95,
    samples: int = 1000,
    method: str = "bca",
    seed: int = 0,
) -> Interval:
    r"""Return a metric with its bootstrap confidence interval.

    ``"percentile"`` takes the middle part of the drawn values. ``"bca"`` moves its ends twice: for draws that lie
    mostly on one side of the value ($z_0$), and for a metric whose spread changes with its value ($a$, from leaving
    out each group once). With the standard normal distribution function $\Phi$ the ends are the quantiles

    $\Phi\left(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)}\right)$ of the drawn values.

    Arguments:
        metric: Function of ``(y_true, y_pred)`` that returns a number. If it refuses a draw with ValueError or
            returns NaN (an AUC needs both classes), the draw is left out.
        y_true: Labels, N rows.
        y_pred: Predictions, N rows.
        groups: The patient of each sample, (N,); all samples of a patient are drawn together. Every sample is a
            group of its own if omitted.
        level: Confidence, between 0 and 1.
        samples: Number of draws.
        method: ``"bca"`` or ``"percentile"``.
        seed: Same seed, same interval.

    Raises:
        ValueError: For arguments that cannot be used, fewer than two groups, or a metric that is defined on fewer than
            half of the draws.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 14.
    """
    true, predicted = backend.to_host(y_true), backend.to_host(y_pred)
    if len(true) != len(predicted):
        raise ValueError(f"bootstrap got {len(true)} labels but {len(predicted)} predictions")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95, got {level!r}")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose 'bca' or 'percentile'")
    if samples < 50:
        raise ValueError(f"an interval needs at least 50 draws, got samples={samples}")
    members = _members(groups, len(true))
    if len(members) < 2:
        raise ValueError(f"bootstrap needs at least two groups to draw from, got {len(members)}")
    value = float(metric(true, predicted))
    if not np.isfinite(value):
        raise ValueError(f"the metric is {value} on the samples as they are: there is nothing to find an interval for")
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        chosen = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        drawn.append(_defined(metric, true[chosen], predicted[chosen]))
    found = np.array([x for x in drawn if x is not None])
    if 2 * len(found) < samples:
        raise ValueError(
            f"the metric is defined on {len(found)} of {samples} draws only; "
            "a class is too rare among the groups for an interval"
        )
    tail = (1 - level) / 2
    ends = np.array([tail, 1 - tail])
    if method == "bca":
        without = [
            _defined(metric, np.delete(true, rows, axis=0), np.delete(predicted, rows, axis=0)) for rows in members
        ]
        ends = _bca(ends, value, found, np.array([x for x in without if x is not None]))
    low, high = np.quantile(found, ends)
    return Interval(value, float(low), float(high), level, len(found))


def _members(groups: Any, n: int) -> list[np.ndarray]:
    """Return the rows of each group."""
    if groups is None:
        return list(np.arange(n)[:, None])
    names = backend.to_host(groups).reshape(-1)
    if len(names) != n:
        raise ValueError(f"bootstrap got {len(names)} groups for {n} samples")
    _, number = np.unique(names, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def _defined(metric: Callable[..., float], true: np.ndarray, predicted: np.ndarray) -> float | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value = float(metric(true, predicted))
    except (ValueError, ZeroDivisionError):
        return None
    return value if np.isfinite(value) else None


def _bca(ends: np.ndarray, value: float, drawn: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Return the quantiles to take, corrected for bias and acceleration."""
    from scipy.stats import norm

    below = np.mean(drawn < value) + np.mean(drawn == value) / 2
    if below in (0.0, 1.0):  # all draws on one side: no correction can be estimated
        return ends
    bias = norm.ppf(below)
    away = without.mean() - without if without.size else np.zeros(1)
    spread = np.sum(away**2)
    acceleration = np.sum(away**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + norm.ppf(ends)
    return norm.cdf(bias + shifted / (1 - acceleration * shifted))

r"""True and false positives and negatives at thresholds, and what is made of them.

A prediction is positive at threshold $t$ if $p > t$. With weights $w_n$ (1 unless given):

$TP(t) = \sum_{n: y_n = 1} w_n [p_n > t], \quad FP(t) = \sum_{n: y_n = 0} w_n [p_n > t]$,
$FN(t) = \sum_{n: y_n = 1} w_n - TP(t), \quad TN(t) = \sum_{n: y_n = 0} w_n - FP(t)$.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed.backend import Array, array_namespace, constant
from tinymed.metrics.base import (
    EPSILON,
    Metric,
    as_float,
    check_same_shape,
    divide_no_nan,
    on_device_of,
    same_rank,
    sum_dtype,
    together,
    total,
)

Thresholds = float | Sequence[float] | None

_FEW = 8
"""Up to this many thresholds are compared one by one; more are found by sorting the predictions once."""


def threshold_list(thresholds: Thresholds, default: float = 0.5) -> list[float]:
    """Return thresholds as a list, after checking that each lies in [0, 1]."""
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, Sequence) else [thresholds]
    for value in values:
        if value is None or not 0 <= value <= 1:
            raise ValueError(f"thresholds are probabilities from 0 to 1, got {value!r}")
    return values


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Tell whether the thresholds are 0, 1/(T-1), 2/(T-1), ..., 1."""
    last = len(thresholds) - 1
    return last >= 2 and all(abs(t - i / last) <= EPSILON + 1e-5 * i / last for i, t in enumerate(thresholds))


def weight_above(p: Array, thresholds: Array, weights: Array) -> Array:
    """Return for each threshold (ascending) the sum of the weights of the values above it; NaN is above nothing.

    Shapes:
        ``p`` (N,), ``thresholds`` (T,), ``weights`` (K, N) for K sums at once; the result is (K, T).
    """
    xp = array_namespace(p)
    if thresholds.shape[0] <= _FEW:
        above = xp.astype(p > thresholds[:, None], weights.dtype)  # (T, N)
        return weights @ above.T  # (K, N) @ (N, T)
    p = xp.where(xp.isnan(p), xp.full_like(p, -float("inf")), p)
    order = xp.argsort(p)
    below = xp.searchsorted(xp.take(p, order), thresholds, side="right")  # values <= each threshold
    running = xp.cumulative_sum(xp.take(weights, order, axis=1), axis=1, include_initial=True)  # (K, N + 1)
    return running[:, -1:] - xp.take(running, below, axis=1)


class ConfusionMetric(Metric):
    """Base of the metrics that count true and false positives and negatives at one threshold or several.

    The state holds four sums of shape (T,): ``true_positives``, ``false_positives``, ``true_negatives``,
    ``false_negatives``.

    Arguments:
        thresholds: The thresholds.
        name: Key in the history.
        dtype: dtype name of the result.
        top_k: Count only the ``k`` largest predictions of the last axis as positive.
        class_id: Look only at this class of the last axis.
        margin: Move the first threshold a little below 0 and the last a little above 1.
    """

    direction: str | None = "up"

    def __init__(
        self,
        thresholds: Sequence[float],
        name: str | None = None,
        dtype: str | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        margin: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        if top_k is not None and (int(top_k) != top_k or top_k < 1):
            raise ValueError(f"{self.name} needs top_k, a positive whole number, but got {top_k!r}")
        self._thresholds = list(thresholds)
        self.top_k = top_k
        self.class_id = class_id
        self._margin = margin
        self._even = evenly_spaced(thresholds)

    def empty_shape(self) -> tuple[int, ...]:
        """Return () for one threshold, (T,) for several."""
        return () if len(self._thresholds) == 1 else (len(self._thresholds),)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch: labels 0 or 1 (anything else than 0 is positive) and probabilities of the same shape."""
        y_true, y_pred = same_rank(*together(y_true, y_pred))
        check_same_shape(self.name, y_true, y_pred)
        p = as_float(y_pred)
        xp = array_namespace(p)
        kind = sum_dtype(p)
        weights = None
        if sample_weight is not None:
            weights = xp.astype(on_device_of(p, sample_weight), kind)
            _, weights = same_rank(p, weights, expand=False)
            weights = xp.reshape(weights, (*weights.shape, *[1] * (p.ndim - weights.ndim)))  # (N,) -> (N, 1, ...)
        if self.top_k is not None:
            p = _only_largest(p, self.top_k)
        if self.class_id is not None:
            if p.ndim < 2 or not 0 <= self.class_id < p.shape[-1]:
                raise ValueError(f"{self.name} looks at class {self.class_id} but predictions have shape {p.shape}")
            y_true, p = (a[..., self.class_id : self.class_id + 1] for a in (y_true, p))
        positive = xp.reshape(xp.astype(y_true != 0, kind), (-1,))
        if weights is None:
            by_class = xp.stack([positive, 1 - positive])  # (2, N)
        else:
            weights = xp.reshape(xp.broadcast_to(weights, p.shape), (-1,))
            by_class = xp.stack([positive * weights, (1 - positive) * weights])
        above = self._above(xp.reshape(p, (-1,)), by_class)  # (2, T)
        below = total(by_class, axis=1)[:, None] - above
        self.add(
            true_positives=above[0, ...],
            false_positives=above[1, ...],
            true_negatives=below[1, ...],
            false_negatives=below[0, ...],
        )

    def _above(self, p: Array, weights: Array) -> Array:
        """Return the weights above each threshold; among even thresholds by the number of the step, as Keras does."""
        xp = array_namespace(p)
        if self._even:
            steps = len(self._thresholds) - 1
            p = xp.ceil(xp.minimum(xp.maximum(p, 0.0), 1.0) * steps)
            if self._margin:
                p = xp.maximum(p, 1.0)  # all are above the first
        limits = range(len(self._thresholds)) if self._even else self._limits_with_margin()
        return weight_above(p, constant(limits, p), weights)

    def _limits_with_margin(self) -> list[float]:
        if not self._margin:
            return self._thresholds
        return [-EPSILON, *self._thresholds[1:-1], 1 + EPSILON]

    def _squeeze(self, values: Array) -> Array:
        return values[0, ...] if len(self._thresholds) == 1 else values

    def _ratio(self, part: str, rest: str) -> Array:
        """Return part / (part + rest), zero where both are zero."""
        return divide_no_nan(self.state[part], self.state[part] + self.state[rest])


def _only_largest(p: Array, k: int) -> Array:
    """Put every value but the ``k`` largest of the last axis far below all thresholds; the first of equal ones stay."""
    xp = array_namespace(p)
    order = xp.argsort(p, axis=-1, descending=True, stable=True)
    rank = xp.argsort(order, axis=-1, stable=True)
    return xp.where(rank < k, p, xp.full_like(p, -1e10))


class _Count(ConfusionMetric):
    _counts: str

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(threshold_list(thresholds), name, dtype)
        self.thresholds = thresholds

    def compute(self) -> Array:
        """Return the count at each threshold."""
        return self._squeeze(self.state[self._counts])


class TruePositives(_Count):
    """The number (the weight, if weighted) of positives found.

    Arguments:
        thresholds: One threshold or a list of them in [0, 1]; 0.5 if omitted.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _counts = "true_positives"


class TrueNegatives(_Count):
    """The number of negatives that were called negative.

    Arguments:
        thresholds: One threshold or a list of them in [0, 1]; 0.5 if omitted.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _counts = "true_negatives"


class FalsePositives(_Count):
    """The number of negatives that were called positive: false alarms.

    Arguments:
        thresholds: One threshold or a list of them in [0, 1]; 0.5 if omitted.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "down"
    _counts = "false_positives"


class FalseNegatives(_Count):
    """The number of positives that were missed.

    Arguments:
        thresholds: One threshold or a list of them in [0, 1]; 0.5 if omitted.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "down"
    _counts = "false_negatives"


class _Ratio(ConfusionMetric):
    _rest: str

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        default = 0.5 if top_k is None else -1e10
        super().__init__(threshold_list(thresholds, default), name, dtype, top_k, class_id)
        self.thresholds = thresholds

    def compute(self) -> Array:
        """Return the ratio at each threshold."""
        return self._squeeze(self._ratio("true_positives", self._rest))


class Precision(_Ratio):
    """Of those called positive, the part that is: TP / (TP + FP); zero if none is called positive.

    Arguments:
        thresholds: One threshold or a list of them in [0, 1]; 0.5 if omitted.
        top_k: Count only the ``k`` largest predictions of each sample as positive.
        class_id: Look only at this class of the last axis.
        name: Key in the history.
        dtype: dtype name of the result.

    Example:
        >>> round(float(Precision()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])), 4)
        0.6667
    """

    _rest = "false_positives"


class Recall(_Ratio):
    """Of the positives, the part that was found (sensitivity): TP / (TP + FN); zero if there is none.

    Arguments:
        thresholds: One threshold or a list of them in [0, 1]; 0.5 if omitted.
        top_k: Count only the ``k`` largest predictions of each sample as positive.
        class_id: Look only at this class of the last axis.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _rest = "false_negatives"

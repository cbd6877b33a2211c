"""The F scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.metrics.base import EPSILON, Metric, as_float, check_same_shape, on_device_of, sum_dtype, together


class FBetaScore(Metric):
    r"""$F_\beta = (1 + \beta^2) \frac{P R}{\beta^2 P + R}$ of precision P and recall R, for each class or averaged.

    Arguments:
        average: None for one score per class; ``"micro"`` counts all classes together, ``"macro"`` averages the
            classes' scores, ``"weighted"`` averages them by the number of labels of each class.
        beta: Recall counts ``beta`` times as much as precision.
        threshold: A class is predicted if its probability exceeds this; if None, the most probable class is.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{self.name} takes average=None, 'micro', 'macro' or 'weighted', got {average!r}")
        if not beta > 0:
            raise ValueError(f"{self.name} needs a positive beta, got {beta!r}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"{self.name} needs a threshold with 0 < threshold <= 1 or None, got {threshold!r}")
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels and predictions, both (N, classes)."""
        y_true, y_pred = together(y_true, y_pred)
        if y_pred.ndim != 2 or y_true.ndim != 2:
            raise ValueError(
                f"{self.name} expects y_true and y_pred of shape (N, classes) but got {tuple(y_true.shape)} and "
                f"{tuple(y_pred.shape)}; for a single class add an axis: y[:, np.newaxis]"
            )
        check_same_shape(self.name, y_true, y_pred)
        y_pred = as_float(y_pred)
        xp = array_namespace(y_pred)
        kind = sum_dtype(y_pred)
        if self.threshold is None:
            chosen = (y_pred >= xp.max(y_pred, axis=-1, keepdims=True)) & (xp.abs(y_pred) > 1e-9)
        else:
            chosen = y_pred > self.threshold
        found, true = xp.astype(chosen, kind), xp.astype(y_true, kind)
        weights = None if sample_weight is None else xp.astype(on_device_of(y_pred, sample_weight), kind)
        axis = None if self.average == "micro" else 0

        def add_up(values: Array) -> Array:
            if weights is not None:
                values = values * xp.reshape(weights, (-1, 1))
            return xp.sum(values, axis=axis)

        self.add(
            true_positives=add_up(found * true),
            false_positives=add_up(found * (1 - true)),
            false_negatives=add_up((1 - found) * true),
            support=add_up(true),
        )

    def compute(self) -> Array:
        """Return one score per class, or the average."""
        hits = self.state["true_positives"]
        xp = array_namespace(hits)
        precision = hits / (hits + self.state["false_positives"] + EPSILON)
        recall = hits / (hits + self.state["false_negatives"] + EPSILON)
        square = self.beta**2
        score = (1 + square) * (precision * recall) / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            support = self.state["support"]
            return xp.sum(score * support / (xp.sum(support) + EPSILON))
        return score if self.average is None else xp.mean(score)


class F1Score(FBetaScore):
    r"""The harmonic mean of precision and recall, $2PR/(P + R)$, for each class or averaged.

    Arguments:
        average: As for :class:`FBetaScore`.
        threshold: As for :class:`FBetaScore`.
        name: Key in the history.
        dtype: dtype name of the result.

    Example:
        >>> score = F1Score(threshold=0.5)
        >>> score([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.6, 0.8], [0.8, 0.6]]).round(4)
        array([0.8, 0.8], dtype=float32)
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

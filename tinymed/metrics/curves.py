"""Numbers read off the ROC and the precision-recall curve, over many thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.metrics.base import as_float, divide_no_nan, together
from tinymed.metrics.confusion import ConfusionMetric, threshold_list


def even_thresholds(count: int) -> list[float]:
    """Return ``count`` thresholds from 0 to 1; 0.5 alone if there is to be one."""
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


class AUC(ConfusionMetric):
    """The area under the ROC curve (or the precision-recall curve), from counts at ``num_thresholds`` thresholds.

    For the exact area of a finished evaluation use :func:`tinymed.metrics.roc_auc`; this one can be added up over
    batches. Without any positive or any negative it is 0, as in Keras.

    Arguments:
        num_thresholds: Number of thresholds, evenly spaced.
        curve: ``"ROC"`` or ``"PR"``.
        summation_method: ``"interpolation"`` (trapezoids; for PR interpolation after Davis and Goadrich 2006),
            ``"minoring"`` or ``"majoring"``.
        name: Key in the history.
        dtype: dtype name of the result.
        thresholds: Thresholds between 0 and 1 to use instead of evenly spaced ones.
        multi_label: Only False is offered; use one AUC for each label.
        from_logits: Whether predictions are logits, to which the sigmoid is applied first.

    Example:
        >>> round(float(AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])), 4)
        0.75

    Source:
        J. Davis, M. Goadrich, The relationship between precision-recall and ROC curves, ICML 2006.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        *,
        from_logits: bool = False,
    ) -> None:
        if multi_label:
            raise ValueError("AUC does not offer multi_label=True; use one AUC on the column of each label")
        if str(curve).upper() not in ("ROC", "PR"):
            raise ValueError(f"AUC takes curve='ROC' or 'PR', got {curve!r}")
        if str(summation_method).lower() not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"AUC takes summation_method='interpolation', 'minoring' or 'majoring', got {summation_method!r}"
            )
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"AUC needs num_thresholds > 1, got {num_thresholds!r}")
        if thresholds is None:
            inner = even_thresholds(num_thresholds)[1:-1]
        else:
            inner = sorted(threshold_list(list(thresholds)))
        super().__init__([0.0, *inner, 1.0], name, dtype, margin=True)
        self.num_thresholds = len(inner) + 2
        self.thresholds = None if thresholds is None else inner
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        self.multi_label = multi_label
        self.from_logits = from_logits

    def empty_shape(self) -> tuple[int, ...]:
        """Return (): the area is one number."""
        return ()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch at every threshold."""
        if self.from_logits:
            y_true, z = together(y_true, y_pred)
            z = as_float(z)
            y_pred = 0.5 * (1 + array_namespace(z).tanh(0.5 * z))
        super().update_state(y_true, y_pred, sample_weight)

    def compute(self) -> Array:
        """Return the area."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._interpolated_precision_recall()
        recall = self._ratio("true_positives", "false_negatives")
        if self.curve == "ROC":
            x, y = self._ratio("false_positives", "true_negatives"), recall
        else:
            x, y = recall, self._ratio("true_positives", "false_positives")
        xp = array_namespace(x)
        if self.summation_method == "interpolation":
            height = (y[:-1] + y[1:]) / 2
        else:
            height = (xp.minimum if self.summation_method == "minoring" else xp.maximum)(y[:-1], y[1:])
        return xp.sum((x[:-1] - x[1:]) * height)

    def _interpolated_precision_recall(self) -> Array:
        r"""Between two thresholds TP grows along a straight line in $P = TP + FP$: $TP = a + b P$.

        The area is the sum of $\frac{1}{TP + FN} \int (a + b P) / P \; dTP$, with $dTP = b\, dP$.
        """
        hits, alarms = self.state["true_positives"], self.state["false_positives"]
        xp = array_namespace(hits)
        called = hits + alarms
        more_hits, more_called = hits[:-1] - hits[1:], called[:-1] - called[1:]
        slope = divide_no_nan(more_hits, xp.where(more_called > 0, more_called, xp.zeros_like(more_called)))
        intercept = hits[1:] - slope * called[1:]
        both = (called[:-1] > 0) & (called[1:] > 0)
        ones = xp.ones_like(more_called)
        ratio = xp.where(both, called[:-1], ones) / xp.where(both, called[1:], ones)
        positives = hits[1:] + self.state["false_negatives"][1:]
        return xp.sum(divide_no_nan(slope * (more_hits + intercept * xp.log(ratio)), positives))


class _BestUnder(ConfusionMetric):
    """The best of one rate among the thresholds at which another rate is high enough."""

    _wanted: tuple[str, str]
    _constrained: tuple[str, str]

    def __init__(
        self,
        argument: str,
        value: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: str | None,
    ) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__} needs {argument} from 0 to 1, got {value!r}")
        if num_thresholds <= 0:
            raise ValueError(f"{type(self).__name__} needs num_thresholds > 0, got {num_thresholds!r}")
        super().__init__(even_thresholds(num_thresholds), name, dtype, class_id=class_id)
        self.num_thresholds = num_thresholds
        self._value = value

    def empty_shape(self) -> tuple[int, ...]:
        """Return (): one number."""
        return ()

    def compute(self) -> Array:
        """Return the best rate, zero if no threshold is feasible."""
        rate, constrained = self._ratio(*self._wanted), self._ratio(*self._constrained)
        xp = array_namespace(rate)
        limit = xp.astype(constrained, xp.float32) >= self._value
        return xp.max(xp.where(limit, rate, xp.zeros_like(rate)))


_SENSITIVITY = ("true_positives", "false_negatives")
_SPECIFICITY = ("true_negatives", "false_positives")
_PRECISION = ("true_positives", "false_positives")


class SensitivityAtSpecificity(_BestUnder):
    """The best sensitivity TP / (TP + FN) among thresholds whose specificity TN / (TN + FP) is high enough.

    Arguments:
        specificity: The least specificity, from 0 to 1.
        num_thresholds: Number of thresholds tried.
        class_id: Look only at this class of the last axis.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _wanted, _constrained = _SENSITIVITY, _SPECIFICITY

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_BestUnder):
    """The best specificity TN / (TN + FP) among thresholds whose sensitivity TP / (TP + FN) is high enough.

    Arguments:
        sensitivity: The least sensitivity, from 0 to 1.
        num_thresholds: Number of thresholds tried.
        class_id: Look only at this class of the last axis.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _wanted, _constrained = _SPECIFICITY, _SENSITIVITY

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_BestUnder):
    """The best precision among thresholds whose recall is high enough.

    Arguments:
        recall: The least recall, from 0 to 1.
        num_thresholds: Number of thresholds tried.
        class_id: Look only at this class of the last axis.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _wanted, _constrained = _PRECISION, _SENSITIVITY

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_BestUnder):
    """The best recall among thresholds whose precision is high enough.

    Arguments:
        precision: The least precision, from 0 to 1.
        num_thresholds: Number of thresholds tried.
        class_id: Look only at this class of the last axis.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    _wanted, _constrained = _SENSITIVITY, _PRECISION

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

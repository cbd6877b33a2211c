"""How far predictions are from measured values, and the losses as metrics."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.metrics.base import Mean, MeanMetricWrapper, as_float, check_same_shape, on_device_of, same_rank, together


def _difference(owner: str, y_true: Array, y_pred: Array) -> Array:
    y_true, y_pred = same_rank(*together(y_true, y_pred))
    check_same_shape(owner, y_true, y_pred)
    y_pred = as_float(y_pred)
    return y_pred - array_namespace(y_pred).astype(y_true, y_pred.dtype)


def mean_squared_error(y_true: Array, y_pred: Array) -> Array:
    """Return the mean over the last axis of the squared differences."""
    difference = _difference("mean_squared_error", y_true, y_pred)
    return array_namespace(difference).mean(difference * difference, axis=-1)


def mean_absolute_error(y_true: Array, y_pred: Array) -> Array:
    """Return the mean over the last axis of the absolute differences."""
    xp = array_namespace(difference := _difference("mean_absolute_error", y_true, y_pred))
    return xp.mean(xp.abs(difference), axis=-1)


class MeanSquaredError(MeanMetricWrapper):
    """The mean of $(y - t)^2$.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of $|y - t|$.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


class RootMeanSquaredError(Mean):
    r"""The root of the mean squared error, $\sqrt{\operatorname{mean}((y - t)^2)}$, in the unit of $y$.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add a batch."""
        difference = _difference(self.name, y_true, y_pred)
        super().update_state(difference * difference, sample_weight)

    def compute(self) -> Array:
        """Return the root of the mean."""
        return array_namespace(mean := super().compute()).sqrt(mean)


def _cosine(y_true: Array, y_pred: Array, axis: int = -1) -> Array:
    from tinymed import losses

    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


class CosineSimilarity(MeanMetricWrapper):
    r"""The mean cosine of the angle between prediction and target: 1 if they point the same way.

    The loss of the same name is its negative, so that less is better there.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
        axis: The axis of the vectors.

    Example:
        >>> float(CosineSimilarity()([[0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 3.0]]))
        0.5
    """

    direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)
        self.axis = axis


class _LossMean(MeanMetricWrapper):
    """The mean of a loss function, which is looked up when the metric is made."""

    direction = "down"

    def __init__(self, loss: str, name: str | None, dtype: str | None, **kwargs: Any) -> None:
        from tinymed import losses

        super().__init__(getattr(losses, loss), name, dtype, **kwargs)


class BinaryCrossentropy(_LossMean):
    """The mean binary cross-entropy.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
        from_logits: Whether predictions are logits.
        label_smoothing: Part of each label that is moved to one half.
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__("binary_crossentropy", name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(_LossMean):
    """The mean cross-entropy with one-hot labels.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
        from_logits: Whether predictions are logits.
        label_smoothing: Part of each label that is spread over all classes.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__("categorical_crossentropy", name, dtype, **options)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(_LossMean):
    """The mean cross-entropy with class numbers as labels.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
        from_logits: Whether predictions are logits.
        ignore_class: A label that does not count. As in Keras, the mean is over the other labels where weights are
            given; without weights it is over all labels, the loss of the ignored ones being 0.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__("sparse_categorical_crossentropy", name, dtype, **options)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add the cross-entropies of a batch."""
        y_true, y_pred = together(y_true, y_pred)
        if sample_weight is not None and self.ignore_class is not None:
            xp = array_namespace(y_pred)
            labels = y_true[..., 0] if y_true.ndim == y_pred.ndim else y_true
            weights = as_float(on_device_of(y_pred, sample_weight))
            weights = xp.reshape(weights, weights.shape + (1,) * (labels.ndim - weights.ndim))
            sample_weight = weights * xp.astype(labels != self.ignore_class, weights.dtype)
        super().update_state(y_true, y_pred, sample_weight)

"""How often the prediction is right."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace, device_of
from tinymed.metrics.base import MeanMetricWrapper, as_float, check_same_shape, same_rank, together


def accuracy(y_true: Array, y_pred: Array) -> Array:
    """Return 1 where ``y_true`` equals ``y_pred``, else 0."""
    y_true, y_pred = same_rank(*together(y_true, y_pred))
    check_same_shape("accuracy", y_true, y_pred)
    xp = array_namespace(y_pred)
    return xp.astype(xp.astype(y_true, y_pred.dtype) == y_pred, xp.float32)


def binary_accuracy(y_true: Array, y_pred: Array, threshold: float = 0.5) -> Array:
    """Return 1 where ``y_pred > threshold`` agrees with the label 0 or 1, else 0."""
    y_true, y_pred = same_rank(*together(y_true, y_pred))
    check_same_shape("binary_accuracy", y_true, y_pred)
    xp = array_namespace(y_pred)
    decided = xp.astype(as_float(y_pred) > threshold, y_true.dtype)
    return xp.astype(y_true == decided, xp.float32)


def categorical_accuracy(y_true: Array, y_pred: Array) -> Array:
    """Return 1 where the most probable class is the class of a one-hot label, else 0."""
    y_true, y_pred = together(y_true, y_pred)
    check_same_shape("categorical_accuracy", y_true, y_pred)
    xp = array_namespace(y_pred)
    return xp.astype(xp.argmax(y_true, axis=-1) == xp.argmax(y_pred, axis=-1), xp.float32)


def sparse_categorical_accuracy(y_true: Array, y_pred: Array) -> Array:
    """Return 1 where the most probable class is the label's class number, else 0."""
    y_true, y_pred = together(y_true, y_pred)
    xp = array_namespace(y_pred)
    y_true = _class_numbers("sparse_categorical_accuracy", y_true, y_pred)
    matches = xp.astype(xp.argmax(y_pred, axis=-1), y_true.dtype) == y_true
    return xp.astype(matches, xp.float32)


def top_k_categorical_accuracy(y_true: Array, y_pred: Array, k: int = 5) -> Array:
    """Return 1 where the class of a one-hot label is among the ``k`` most probable, else 0."""
    y_true, y_pred = together(y_true, y_pred)
    check_same_shape("top_k_categorical_accuracy", y_true, y_pred)
    return sparse_top_k_categorical_accuracy(array_namespace(y_true).argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Array, y_pred: Array, k: int = 5) -> Array:
    """Return 1 where the label's class number is among the ``k`` most probable, else 0.

    A class is among them if fewer than ``k`` classes are more probable, so that ties count as found (as in Keras).
    """
    y_true, y_pred = together(y_true, y_pred)
    xp = array_namespace(y_pred)
    y_true = _class_numbers("sparse_top_k_categorical_accuracy", y_true, y_pred)
    classes = xp.arange(y_pred.shape[-1], dtype=y_true.dtype, device=device_of(y_pred))
    own = classes == y_true[..., None]  # (N, ..., C)
    score = xp.sum(xp.where(own, y_pred, xp.zeros_like(y_pred)), axis=-1, keepdims=True)
    better = xp.sum(xp.astype(y_pred > score, xp.int32), axis=-1)
    found = (better < k) & xp.any(own, axis=-1) & xp.isfinite(score[..., 0])
    return xp.astype(found, xp.float32)


def _class_numbers(owner: str, y_true: Array, y_pred: Array) -> Array:
    """Return labels with one axis less than the predictions, or say what is wrong with them."""
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if tuple(y_true.shape) != tuple(y_pred.shape[:-1]):
        advice = "; one-hot labels need the metric without 'sparse'" if y_true.shape == y_pred.shape else ""
        raise ValueError(
            f"{owner} expects class numbers of shape {tuple(y_pred.shape[:-1])} for predictions "
            f"{tuple(y_pred.shape)} but got {tuple(y_true.shape)}{advice}"
        )
    return y_true


class Accuracy(MeanMetricWrapper):
    """How often ``y_pred`` equals ``y_true``.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.

    Example:
        >>> float(Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
        0.75
    """

    direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: str | None = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often a probability lies on the right side of the threshold.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
        threshold: Probabilities above it mean class 1.

    Example:
        >>> float(BinaryAccuracy()([1, 1, 0, 0], [0.98, 1.0, 0.0, 0.6]))
        0.75
    """

    direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the most probable class is that of the one-hot label.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the most probable class is the label's class number.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the one-hot label is among the ``k`` most probable.

    Arguments:
        k: How many classes count.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label's class number is among the ``k`` most probable.

    Arguments:
        k: How many classes count.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: str | None = None
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k

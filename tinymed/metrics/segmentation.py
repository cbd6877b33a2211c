r"""Overlap of predicted and true regions: intersection over union, $IoU_c = TP_c / (TP_c + FP_c + FN_c)$."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinymed.backend import Array, array_namespace, constant, device_of
from tinymed.metrics.base import EPSILON, Metric, as_float, on_device_of, sum_dtype, together

_ROWS = 2**18
"""Pixels counted at a time, which bounds the memory of their one-hot rows."""


class IoU(Metric):
    """The mean intersection over union of some classes, from one confusion matrix of all pixels.

    A class that occurs neither in the labels nor in the predictions is left out of the mean. Weights count as they
    are, where Keras cuts them to whole numbers unless ``dtype`` is a float. Labels out of range are not counted.

    Arguments:
        num_classes: Number of classes C.
        target_class_ids: The classes whose IoU is averaged.
        name: Key in the history.
        dtype: dtype name of the result.
        ignore_class: Pixels with this label are not counted.
        sparse_y_true: Whether labels are class numbers; else one-hot.
        sparse_y_pred: Whether predictions are class numbers; else probabilities or one-hot.
        axis: The axis of the classes where they are not class numbers.
    """

    direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        outside = [c for c in target_class_ids if not 0 <= c < num_classes]
        if outside:
            raise ValueError(f"{self.name} has classes 0 to {num_classes - 1}; class {outside[0]} is out of range")
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch into the confusion matrix (rows: labels, columns: predictions)."""
        y_true, y_pred = together(y_true, y_pred)
        xp = array_namespace(y_pred)
        if not self.sparse_y_true:
            y_true = xp.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = xp.argmax(y_pred, axis=self.axis)
        pixels_true, pixels_pred = (xp.reshape(xp.astype(a, xp.int32), (-1,)) for a in (y_true, y_pred))
        if pixels_true.shape != pixels_pred.shape:
            raise ValueError(
                f"{self.name} expects as many labels as predictions but got shapes {tuple(y_true.shape)} and "
                f"{tuple(y_pred.shape)}; one-hot masks or probabilities need sparse_y_true=False or sparse_y_pred=False"
            )
        kind = sum_dtype(y_pred)
        if sample_weight is None:
            weights = xp.ones(pixels_true.shape, dtype=kind, device=device_of(y_pred))
        else:
            weights = _per_pixel(xp.astype(on_device_of(y_pred, sample_weight), kind), tuple(y_true.shape), self.name)
        if self.ignore_class is not None:
            weights = xp.where(pixels_true != self.ignore_class, weights, xp.zeros_like(weights))
        self.add(confusion_matrix=_count(pixels_true, pixels_pred, weights, self.num_classes))

    def compute(self) -> Array:
        """Return the mean over the target classes that occur."""
        matrix = self.state["confusion_matrix"]
        xp = array_namespace(matrix)
        hits = xp.linalg.diagonal(matrix)
        union = xp.sum(matrix, axis=0) + xp.sum(matrix, axis=1) - hits
        chosen = constant(self.target_class_ids, matrix, "int64")
        hits, union = xp.take(hits, chosen), xp.take(union, chosen)
        occurs = xp.astype(union > 1e-9, matrix.dtype)
        return xp.sum(occurs * hits / (union + EPSILON)) / (xp.sum(occurs) + EPSILON)


def _per_pixel(weights: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return a weight for each pixel in one row: those given for a sample count for all of its pixels."""
    xp = array_namespace(weights)
    if math.prod(weights.shape) != math.prod(shape):
        given, weights = tuple(weights.shape), xp.reshape(weights, weights.shape + (1,) * (len(shape) - weights.ndim))
        if weights.ndim != len(shape) or any(a not in (1, b) for a, b in zip(weights.shape, shape, strict=True)):
            raise ValueError(
                f"{name}: sample_weight has shape {given} but the labels have shape {shape}; "
                "give one for each sample (N,), or one for each label"
            )
        weights = xp.broadcast_to(weights, shape)
    return xp.reshape(weights, (-1,))


def _count(y_true: Array, y_pred: Array, weights: Array, num_classes: int) -> Array:
    """Add up the weights of each pair of label and prediction, as a product of one-hot rows: (C, P) @ (P, C)."""
    xp = array_namespace(y_true)
    device = device_of(y_true)
    classes = xp.arange(num_classes, dtype=y_true.dtype, device=device)
    matrix = xp.zeros((num_classes, num_classes), dtype=weights.dtype, device=device)
    for start in range(0, y_true.shape[0], _ROWS):
        part = slice(start, min(start + _ROWS, y_true.shape[0]))
        rows = xp.astype(y_true[part][None, :] == classes[:, None], weights.dtype) * weights[part][None, :]
        columns = xp.astype(y_pred[part][:, None] == classes[None, :], weights.dtype)
        matrix = matrix + rows @ columns
    return matrix


class MeanIoU(IoU):
    """The mean intersection over union of all classes that occur.

    Arguments:
        num_classes: Number of classes C.
        name: Key in the history.
        dtype: dtype name of the result.
        ignore_class: Pixels with this label are not counted.
        sparse_y_true: Whether labels are class numbers; else one-hot.
        sparse_y_pred: Whether predictions are class numbers; else probabilities or one-hot.
        axis: The axis of the classes where they are not class numbers.

    Example:
        >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class BinaryIoU(IoU):
    """The mean intersection over union of foreground and background (or of one of them) at a threshold.

    Arguments:
        target_class_ids: ``(0, 1)`` averages both, ``(1,)`` is the foreground alone.
        threshold: Probabilities from this value on are foreground.
        name: Key in the history.
        dtype: dtype name of the result.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch of labels 0 or 1 and probabilities."""
        y_true, y_pred = together(y_true, y_pred)
        super().update_state(y_true, as_float(y_pred) >= self.threshold, sample_weight)


class OneHotIoU(IoU):
    """:class:`IoU` for one-hot labels and probabilities.

    Arguments:
        num_classes: Number of classes C.
        target_class_ids: The classes whose IoU is averaged.
        name: Key in the history.
        dtype: dtype name of the result.
        ignore_class: Pixels with this label are not counted.
        sparse_y_pred: Whether predictions are class numbers.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """:class:`MeanIoU` for one-hot labels and probabilities.

    Arguments:
        num_classes: Number of classes C.
        name: Key in the history.
        dtype: dtype name of the result.
        ignore_class: Pixels with this label are not counted.
        sparse_y_pred: Whether predictions are class numbers.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

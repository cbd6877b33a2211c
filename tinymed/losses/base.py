"""What every loss has: values for each sample, their weighted reduction to one number, and the way back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array, array_namespace
from tinymed.configurable import Configurable
from tinymed.ops import REGISTRY, Operation

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)

Shape = tuple[int | None, ...]


class Loss(Configurable):
    r"""A number that says how wrong the predictions are.

        loss, cache = obj.forward(y_true, y_pred)
        dy_pred = obj.backward(cache)

    The operation of the loss gives a value $\ell_i$ for each sample (for each pixel of a mask, each step of a
    sequence: the last axis is averaged or summed in the operation). With weights $w_i$, one by default, the loss is

        ``"sum_over_batch_size"``, ``"mean"``     $\frac1M \sum_i w_i \ell_i$ over the $M$ values
        ``"sum"``                                 $\sum_i w_i \ell_i$
        ``"mean_with_sample_weight"``             $\sum_i w_i \ell_i / \sum_i w_i$
        ``"none"``, None                          all $w_i \ell_i$

    A loss of one's own is an operation pair (``@op``, ``@backward_of``) of ``(y_true, y_pred)``, given to ``compile``
    as it is, or a subclass that names it in ``operation_name``.

    Arguments:
        reduction: One of the above.
        name: Name in messages; the operation's name if omitted.
    """

    operation_name: str = ""
    """Name of the operation that gives the values."""

    default_name: str = ""
    """Name of the loss where it differs from the operation's."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction={reduction!r} is unknown; choose one of {', '.join(map(repr, REDUCTIONS))}")
        self.reduction = reduction
        self.name = name or self.default_name or self.operation_name

    # --- what a subclass may say -------------------------------------------------------------------------------

    @property
    def operation(self) -> Operation:
        """The operation pair that gives the values and their gradient."""
        return REGISTRY[self.operation_name]

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments beside targets and predictions."""
        return {}

    @property
    def fuses_with(self) -> str | None:
        """Name of the last activation that can be left to this loss, None if there is none.

        The loss ``with_logits()`` of the values before that activation is the same number without its rounding, and
        its gradient is exact: see :mod:`tinymed.ops.cross_entropy`.
        """
        return None

    def with_logits(self) -> Loss:
        """Return the same loss for the values before the activation ``fuses_with``."""
        raise ValueError(f"{self.name} cannot be fused with an activation")

    def fit_shapes(self, true_shape: Shape, pred_shape: Shape) -> tuple[Shape, Shape]:
        """Return the shapes as the operation takes them: (N,) against (N, 1) gets its missing axis, as in Keras."""
        return same_rank(true_shape, pred_shape)

    def targets_for(self, y_true: Array, y_pred: Array) -> Array:
        """Return the targets in the dtype that the operation takes: that of the predictions."""
        return array_namespace(y_pred).astype(y_true, y_pred.dtype, copy=False)

    def counted(self, y_true: Array) -> Array | None:
        """Return which values count, boolean, or None if all do."""
        return None

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape, for the message."""
        return "the last layer's units should be the number of values in each target"

    def check_values(self, y_true: np.ndarray, classes: int | None) -> None:
        """Raise ValueError for targets, on the host, that the loss has no meaning for."""

    # --- forward and backward ----------------------------------------------------------------------------------

    def forward(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> tuple[Array, tuple]:
        """Return the loss and the cache for ``backward``.

        Args:
            y_true: Targets.
            y_pred: Predictions, of the same shape unless the loss says otherwise.
            sample_weight: A weight for each sample (N,), or for each value.
            mask: Boolean, which values count; the mean is then over those.
        """
        y_true, y_pred = _arrays(y_true, y_pred)
        xp = array_namespace(y_pred)
        pred_shape = y_pred.shape
        fitted_true, fitted_pred = self._checked_shapes(tuple(y_true.shape), tuple(pred_shape))
        y_true = self.targets_for(xp.reshape(y_true, fitted_true), y_pred)
        values, tape = self.operation.forward(y_true, xp.reshape(y_pred, fitted_pred), **self.options)
        values = xp.asarray(values)  # NumPy makes a scalar, no array, of a sum over all axes

        weight = self._weight(values, sample_weight, mask, self.counted(y_true))
        weighted = values if weight is None else values * weight
        weight = None if weight is None else xp.broadcast_to(weight, weighted.shape)
        factor = self._factor(weighted, weight)
        if self.reduction in ("none", None):
            loss = weighted
        else:
            loss = xp.asarray(xp.sum(weighted) * factor, dtype=values.dtype)
        return loss, (tape, values, weight, factor, pred_shape)

    def backward(self, cache: tuple, dloss: Any = 1.0) -> Array:
        """Return the gradient of the predictions; ``dloss`` is the gradient of the loss itself."""
        tape, values, weight, factor, pred_shape = cache
        xp = array_namespace(values)
        dvalues = xp.ones_like(values) if weight is None else weight
        dvalues = xp.astype(dvalues * (factor * dloss), values.dtype, copy=False)
        if dvalues.shape != values.shape:  # one value for all samples, weighted by each
            dvalues = xp.sum(dvalues)
        dy_pred = self.operation.backward(xp.asarray(dvalues), tape)
        return xp.reshape(dy_pred, pred_shape)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Array:
        """Return the loss."""
        return self.forward(y_true, y_pred, sample_weight, mask)[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _weight(self, values: Array, sample_weight: Any, mask: Any, counted: Array | None) -> Array | None:
        """Merge weights and masks into one array of weights, None if there are none."""
        xp = array_namespace(values)
        weight = None
        for which in (mask, counted):
            if which is not None:
                kept = xp.astype(self._aligned(which, values, "mask"), values.dtype)
                weight = kept if weight is None else weight * kept
        if weight is not None and self.reduction in ("sum_over_batch_size", "mean"):
            valid = xp.sum(weight)  # so that the mean over all values becomes the mean over the valid ones
            weight = weight * (math.prod(weight.shape) / xp.maximum(valid, 1.0))
        if sample_weight is not None:
            given = xp.astype(self._aligned(sample_weight, values, "sample_weight"), values.dtype)
            weight = given if weight is None else given * weight
        return weight

    def _aligned(self, weight: Any, values: Array, what: str) -> Array:
        """Return weights with the axes of ``values``: one for each sample, or for each value."""
        weight, xp = _like(weight, values), array_namespace(values)
        shape, wanted = tuple(weight.shape), tuple(values.shape)
        if not wanted:
            return weight
        while len(shape) > len(wanted) and shape[-1] == 1:
            shape = shape[:-1]
        shape += (1,) * (len(wanted) - len(shape))
        if len(shape) != len(wanted) or any(a not in (1, b) for a, b in zip(shape, wanted, strict=True)):
            raise ValueError(
                f"{self.name}: {what} has shape {tuple(weight.shape)} but the losses have shape {wanted}; "
                "give one for each sample (N,), or one for each of these"
            )
        return xp.reshape(weight, shape)

    def _factor(self, weighted: Array, weight: Array | None) -> Any:
        """Return what the sum of the weighted values is multiplied by."""
        if self.reduction in ("sum", "none", None):
            return 1.0
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            xp = array_namespace(weighted)
            total = xp.sum(weight)
            return xp.where(total == 0, 0.0, 1.0 / xp.where(total == 0, 1.0, total))
        return 1.0 / max(math.prod(weighted.shape), 1)

    # --- checks ------------------------------------------------------------------------------------------------

    def check_targets(self, y_true: Any, y_pred_shape: Shape) -> None:
        """Raise ValueError, with the likely fix, unless these targets can be compared with such predictions.

        Args:
            y_true: All targets, on the host.
            y_pred_shape: Shape of the predictions; None for any size (the number of samples is not compared).
        """
        y = backend.to_host(y_true)
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"{self.name} needs targets that are numbers but got {y.dtype}; "
                "np.unique(y, return_inverse=True)[1] turns names into class numbers"
            )
        self._checked_shapes((None, *y.shape[1:]), (None, *y_pred_shape[1:]))
        if not y.size:
            return
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError(f"{self.name} got targets with {np.sum(~np.isfinite(y))} values that are NaN or infinite")
        self.check_values(y, y_pred_shape[-1])

    def _checked_shapes(self, true_shape: Shape, pred_shape: Shape) -> tuple[Shape, Shape]:
        """Return the fitted shapes; raise ValueError unless targets and predictions belong together."""
        fitted_true, wanted = self.fit_shapes(true_shape, pred_shape)
        fitted_pred = wanted
        if self.sparse:
            wanted = wanted[:-1]
        same = len(fitted_true) == len(wanted) and all(
            a == b or a is None or b is None for a, b in zip(fitted_true, wanted, strict=True)
        )
        if same and not (self.sparse and pred_shape[-1] == 1):
            return fitted_true, fitted_pred
        raise ValueError(
            f"{self.name} expects targets of shape {_printed(wanted)} for predictions of shape "
            f"{_printed(pred_shape)} but got {_printed(true_shape)}: {self.shape_advice(true_shape, pred_shape)}"
        )

    sparse: bool = False
    """Whether targets are class numbers, without the predictions' last axis."""


class OperationLoss(Loss):
    """A loss made of a registered operation of ``(y_true, y_pred)``.

    Arguments:
        operation_name: Name of the operation.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    def __init__(
        self, operation_name: str, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        self.operation_name = operation_name
        super().__init__(reduction, name)


def same_rank(true_shape: Shape, pred_shape: Shape) -> tuple[Shape, Shape]:
    """Return both shapes with equally many axes, if a last axis of size 1 is all that is missing or too many.

    >>> same_rank((8,), (8, 1))
    ((8, 1), (8, 1))
    >>> same_rank((8, 64, 64, 1), (8, 64, 64))
    ((8, 64, 64), (8, 64, 64))
    """
    if len(true_shape) == len(pred_shape) + 1 and true_shape[-1] == 1:
        return (true_shape, (*pred_shape, 1)) if len(pred_shape) == 1 else (true_shape[:-1], pred_shape)
    if len(pred_shape) == len(true_shape) + 1 and pred_shape[-1] == 1:
        return ((*true_shape, 1), pred_shape) if len(true_shape) == 1 else (true_shape, pred_shape[:-1])
    return true_shape, pred_shape


def _arrays(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Return both as arrays of one library, the predictions floating."""
    y_pred = y_pred if hasattr(y_pred, "dtype") else backend.asarray(y_pred, dtype=backend.floatx())
    if not array_namespace(y_pred).isdtype(y_pred.dtype, ("real floating", "complex floating")):
        y_pred = array_namespace(y_pred).astype(y_pred, getattr(array_namespace(y_pred), backend.floatx()))
    return _like(y_true, y_pred), y_pred


def _like(x: Any, other: Array) -> Array:
    """Return ``x`` as an array of the library of ``other``."""
    if backend.is_host(x) and backend.is_host(other):
        return np.asarray(x)
    return backend.asarray(np.asarray(x)) if backend.is_host(x) else x


def _printed(shape: Shape) -> str:
    sizes = ["N" if size is None and i == 0 else str(size) for i, size in enumerate(shape)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

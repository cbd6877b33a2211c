"""Cross-entropy and its relatives: losses on probabilities, or on the logits before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymed.backend import Array, array_namespace
from tinymed.losses.base import Loss, Shape
from tinymed.losses.targets import (
    binary_shape_advice,
    categorical_shape_advice,
    check_between_0_and_1,
    check_class_numbers,
    sparse_shape_advice,
)
from tinymed.ops import REGISTRY, Operation


class _Crossentropy(Loss):
    """A loss that exists on probabilities and on logits."""

    logits_operation_name: str
    activation_name: str
    from_logits: bool
    axis: int

    @property
    def operation(self) -> Operation:
        """The operation on logits or on probabilities, as ``from_logits`` says."""
        return REGISTRY[self.logits_operation_name if self.from_logits else self.operation_name]

    @property
    def fuses_with(self) -> str | None:
        """The activation that turns logits into the probabilities of this loss; None if it takes logits already."""
        return None if self.from_logits else self.activation_name

    def with_logits(self) -> Loss:
        """Return the same loss with ``from_logits=True``."""
        return type(self).from_config({**self.get_config(), "from_logits": True})

    def check_values(self, y_true: np.ndarray, classes: int | None) -> None:
        """Raise ValueError unless all targets lie between 0 and 1."""
        check_between_0_and_1(self.name, y_true)

    def _keep(self, from_logits: bool, label_smoothing: float, axis: int) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{self.name} needs label_smoothing between 0 and 1 but got {label_smoothing}")
        if axis != -1:
            raise ValueError(
                f"{self.name} works along the last axis but got axis={axis}; move it there with np.moveaxis"
            )
        self.from_logits, self.label_smoothing, self.axis = bool(from_logits), label_smoothing, axis


class BinaryCrossentropy(_Crossentropy):
    r"""Cross-entropy of yes/no answers: $-y \log p - (1 - y) \log(1 - p)$, averaged over the last axis.

    Arguments:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: $s$ in $y (1 - s) + s / 2$, which replaces $y$.
        axis: -1, the axis averaged over.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        D0 §4 (one output needs both terms).
    """

    operation_name, logits_operation_name = "binary_crossentropy", "sigmoid_crossentropy"
    activation_name = "sigmoid"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self._keep(from_logits, label_smoothing, axis)

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"label_smoothing": self.label_smoothing}

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape."""
        return binary_shape_advice(true_shape, pred_shape)


class BinaryFocalCrossentropy(_Crossentropy):
    r"""Binary cross-entropy times $u^\gamma$, $u$ being how wrong the answer is: easy samples count little.

    Arguments:
        apply_class_balancing: Whether to weigh class 1 by ``alpha`` and class 0 by ``1 - alpha``.
        alpha: Weight of class 1.
        gamma: Exponent $\gamma$.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: $s$ in $y (1 - s) + s / 2$, which replaces $y$.
        axis: -1, the axis averaged over.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal Loss for Dense Object Detection, 2017.
    """

    operation_name, logits_operation_name = "binary_focal_crossentropy", "sigmoid_focal_crossentropy"
    activation_name = "sigmoid"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self._keep(from_logits, label_smoothing, axis)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        names = ("apply_class_balancing", "alpha", "gamma", "label_smoothing")
        return {name: getattr(self, name) for name in names}

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape."""
        return binary_shape_advice(true_shape, pred_shape)


class CategoricalCrossentropy(_Crossentropy):
    r"""Cross-entropy of K classes, $-\sum_c y_c \log p_c$, for one-hot targets.

    Arguments:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: $s$ in $y (1 - s) + s / K$, which replaces $y$.
        axis: -1, the axis of the classes.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        D0 §4; the loss of the program in D4 §4.1.
    """

    operation_name, logits_operation_name = "categorical_crossentropy", "softmax_crossentropy"
    activation_name = "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self._keep(from_logits, label_smoothing, axis)

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"label_smoothing": self.label_smoothing}

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape."""
        return categorical_shape_advice(true_shape, pred_shape)


class CategoricalFocalCrossentropy(_Crossentropy):
    r"""Cross-entropy of K classes times $\alpha (1 - p)^\gamma$: samples that are right already count little.

    Arguments:
        alpha: Weight of all classes, or a list of one for each.
        gamma: Exponent $\gamma$.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: $s$ in $y (1 - s) + s / K$, which replaces $y$.
        axis: -1, the axis of the classes.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal Loss for Dense Object Detection, 2017.
    """

    operation_name, logits_operation_name = "categorical_focal_crossentropy", "softmax_focal_crossentropy"
    activation_name = "softmax"

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self._keep(from_logits, label_smoothing, axis)
        self.alpha = alpha
        self.gamma = gamma

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"alpha": self.alpha, "gamma": self.gamma, "label_smoothing": self.label_smoothing}

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape."""
        return categorical_shape_advice(true_shape, pred_shape)


class SparseCategoricalCrossentropy(_Crossentropy):
    r"""Cross-entropy of K classes, $-\log p_y$, for targets that are class numbers.

    Arguments:
        from_logits: Whether predictions are logits rather than probabilities.
        ignore_class: A number that means "do not count this one", such as -1 or 255; the mean is over the others.
        reduction: How the values become one number, see :class:`Loss`.
        axis: -1, the axis of the classes.
        name: Name in messages.

    Source:
        D0 §4; the loss of the program in D3 §5.1.
    """

    operation_name, logits_operation_name = "sparse_categorical_crossentropy", "sparse_softmax_crossentropy"
    activation_name = "softmax"
    sparse = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self._keep(from_logits, 0.0, axis)
        self.ignore_class = ignore_class

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"ignore_class": self.ignore_class}

    def fit_shapes(self, true_shape: Shape, pred_shape: Shape) -> tuple[Shape, Shape]:
        """Return the shapes, without the targets' last axis where that has size 1."""
        squeeze = len(true_shape) == len(pred_shape) and true_shape[-1] == 1
        return true_shape[:-1] if squeeze else true_shape, pred_shape

    def targets_for(self, y_true: Array, y_pred: Array) -> Array:
        """Return the class numbers as whole numbers."""
        xp = array_namespace(y_pred)
        return xp.astype(y_true, xp.int64, copy=False)

    def counted(self, y_true: Array) -> Array | None:
        """Return which targets are not of the ignored class."""
        return None if self.ignore_class is None else y_true != self.ignore_class

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape."""
        return sparse_shape_advice(true_shape, pred_shape)

    def check_values(self, y_true: np.ndarray, classes: int | None) -> None:
        """Raise ValueError unless all targets are class numbers of the model's classes."""
        check_class_numbers(self.name, y_true, classes, self.ignore_class)

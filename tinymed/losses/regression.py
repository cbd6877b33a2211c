"""Losses of numbers, counts, directions and margins."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.losses.base import Loss, Shape
from tinymed.losses.targets import categorical_shape_advice, check_between_0_and_1


class MeanSquaredError(Loss):
    r"""The mean squared error, $(\hat y - y)^2$ averaged over the last axis.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        The loss of the program in D4 §4.2.
    """

    operation_name = "mean_squared_error"


class MeanAbsoluteError(Loss):
    r"""The mean absolute error, $|\hat y - y|$ averaged over the last axis.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "mean_absolute_error"


class MeanAbsolutePercentageError(Loss):
    r"""The mean error in per cent, $100\, |\hat y - y| / |y|$ averaged over the last axis.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(Loss):
    r"""The mean squared error of $\log(1 + y)$.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "mean_squared_logarithmic_error"


class Huber(Loss):
    r"""Half the squared error up to $\delta$, linear beyond.

    Arguments:
        delta: $\delta$, in the targets' unit.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Huber, Robust Estimation of a Location Parameter, 1964.
    """

    operation_name, default_name = "huber", "huber_loss"

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(reduction, name)
        if delta <= 0:
            raise ValueError(f"{self.name} needs a delta above 0 but got {delta}")
        self.delta = float(delta)

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"delta": self.delta}


class LogCosh(Loss):
    r"""A smooth Huber loss, $\log \cosh(\hat y - y)$ averaged over the last axis.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "log_cosh"


class Hinge(Loss):
    r"""What an answer lacks to a margin of 1, $\max(0, 1 - y \hat y)$; targets are -1 and 1, or 0 and 1.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "hinge"


class SquaredHinge(Loss):
    r"""The hinge loss squared, $\max(0, 1 - y \hat y)^2$; targets are -1 and 1, or 0 and 1.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "squared_hinge"


class CategoricalHinge(Loss):
    """What the right class's score lacks to be 1 above the best wrong one; targets are one-hot.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "categorical_hinge"

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with targets of this shape."""
        return categorical_shape_advice(true_shape, pred_shape)


class KLDivergence(Loss):
    r"""The Kullback-Leibler divergence of distributions, $\sum_c y_c \log(y_c / p_c)$.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "kl_divergence"

    def check_values(self, y_true: np.ndarray, classes: int | None) -> None:
        """Raise ValueError unless all targets lie between 0 and 1."""
        check_between_0_and_1(self.name, y_true)


class Poisson(Loss):
    r"""The negative log-likelihood of counts, $\lambda - y \log \lambda$ averaged over the last axis.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "poisson"

    def check_values(self, y_true: np.ndarray, classes: int | None) -> None:
        """Raise ValueError if a count is negative."""
        if y_true.min() < 0:
            raise ValueError(f"{self.name} expects counts, 0 or more, but got targets down to {y_true.min()}")


class CosineSimilarity(Loss):
    """The negative cosine of the angle between prediction and target.

    Arguments:
        axis: The axis along which the vectors lie.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
    """

    operation_name = "cosine_similarity"

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        self.axis = axis

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"axis": self.axis}

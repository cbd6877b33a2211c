r"""Losses of regression: how far predicted numbers are from the true ones, averaged over the last axis."""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import EPSILON, check_same_shape


@op
def mean_squared_error(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    r"""The mean of the squared errors.

    Forward:
        $\ell = \frac1K \sum_k e_k^2, \quad e = \hat y - y$

    Backward:
        $d\hat y = \frac{d\ell}{K}\, 2 e$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Predictions, in the same unit.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = mean_squared_error(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
        >>> loss
        array([2.])
        >>> mean_squared_error_backward(np.array([3.0]), cache)
        array([[0., 6.]])

    Source:
        The loss of the program in D4 §4.2; the squared error of D1 §3.2.
    """
    check_same_shape("the mean squared error", y_true, y_pred)
    e = y_pred - y_true
    return array_namespace(e).mean(e * e, axis=-1), e


@backward_of(mean_squared_error)
def mean_squared_error_backward(dy: Array, cache: Array) -> Array:
    """Return the gradient of the predictions (see :func:`mean_squared_error`)."""
    e = cache
    return (dy[..., None] * (2.0 / e.shape[-1])) * e


@op
def mean_absolute_error(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    r"""The mean of the absolute errors.

    Forward:
        $\ell = \frac1K \sum_k |e_k|, \quad e = \hat y - y$

    Backward:
        $d\hat y = \frac{d\ell}{K} \operatorname{sign} e$, and 0 where $e = 0$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Predictions, in the same unit.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = mean_absolute_error(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
        >>> loss
        array([1.])
        >>> mean_absolute_error_backward(np.array([3.0]), cache)
        array([[0. , 1.5]])

    Source:
        The median's loss; Keras's mean_absolute_error.
    """
    check_same_shape("the mean absolute error", y_true, y_pred)
    e = y_pred - y_true
    xp = array_namespace(e)
    return xp.mean(xp.abs(e), axis=-1), e


@backward_of(mean_absolute_error)
def mean_absolute_error_backward(dy: Array, cache: Array) -> Array:
    """Return the gradient of the predictions (see :func:`mean_absolute_error`)."""
    e = cache
    return (dy[..., None] / e.shape[-1]) * array_namespace(dy).sign(e)


@op
def mean_absolute_percentage_error(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""The mean of the errors in per cent of the true values.

    Forward:
        $\ell = \frac{100}{K} \sum_k \frac{|e_k|}{\max(|y_k|, \varepsilon)}, \quad e = \hat y - y, \quad
        \varepsilon = 10^{-7}$

    Backward:
        $d\hat y = \frac{100\, d\ell}{K} \frac{\operatorname{sign} e}{\max(|y|, \varepsilon)}$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)           per cent
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Predictions, in the same unit.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> mean_absolute_percentage_error(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))[0]
        array([50.])

    Source:
        Keras's mean_absolute_percentage_error.
    """
    check_same_shape("the mean absolute percentage error", y_true, y_pred)
    xp = array_namespace(y_pred)
    e, scale = y_pred - y_true, 100.0 / xp.maximum(xp.abs(y_true), EPSILON)
    return xp.mean(xp.abs(e) * scale, axis=-1), (e, scale)


@backward_of(mean_absolute_percentage_error)
def mean_absolute_percentage_error_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the predictions (see :func:`mean_absolute_percentage_error`)."""
    e, scale = cache
    return (dy[..., None] / e.shape[-1]) * scale * array_namespace(dy).sign(e)


@op
def mean_squared_logarithmic_error(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""The mean of the squared errors of $\log(1 + y)$: relative errors for large values.

    Forward:
        $\ell = \frac1K \sum_k e_k^2, \quad e = \log(1 + \max(\hat y, \varepsilon)) - \log(1 + \max(y, \varepsilon)),
        \quad \varepsilon = 10^{-7}$

    Backward:
        $d\hat y = \frac{d\ell}{K} \frac{2 e}{1 + \hat y}$, and 0 where $\hat y < \varepsilon$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets, none below 0; they get no gradient.
        y_pred: Predictions, in the same unit.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> mean_squared_logarithmic_error(np.array([[0.0]]), np.array([[np.e - 1.0]]))[0].round(4)
        array([1.])

    Source:
        Keras's mean_squared_logarithmic_error.
    """
    check_same_shape("the mean squared logarithmic error", y_true, y_pred)
    xp = array_namespace(y_pred)
    e = xp.log1p(xp.maximum(y_pred, EPSILON)) - xp.log1p(xp.maximum(y_true, EPSILON))
    return xp.mean(e * e, axis=-1), (e, y_pred)


@backward_of(mean_squared_logarithmic_error)
def mean_squared_logarithmic_error_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the predictions (see :func:`mean_squared_logarithmic_error`)."""
    e, y_pred = cache
    xp = array_namespace(dy)
    slope = xp.where(y_pred >= EPSILON, 1.0 / (1.0 + xp.maximum(y_pred, EPSILON)), 0.0)
    return (dy[..., None] * (2.0 / e.shape[-1])) * e * slope


@op
def huber(y_true: Array, y_pred: Array, delta: float = 1.0) -> tuple[Array, tuple]:
    r"""Squared for small errors, linear for large ones, so that outliers do not dominate.

    Forward:
        $\ell = \frac1K \sum_k \begin{cases} \frac12 e_k^2 & |e_k| \le \delta \\
        \delta |e_k| - \frac12 \delta^2 & |e_k| > \delta \end{cases}, \quad e = \hat y - y$

    Backward:
        $d\hat y = \frac{d\ell}{K} \min(\max(e, -\delta), \delta)$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Predictions, in the same unit.
        delta: $\delta$, in that unit: errors beyond it count linearly.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = huber(np.array([[0.0, 0.0]]), np.array([[0.5, -3.0]]))
        >>> loss
        array([1.3125])
        >>> huber_backward(np.array([2.0]), cache)
        array([[ 0.5, -1. ]])

    Source:
        Huber, Robust Estimation of a Location Parameter, 1964.
    """
    check_same_shape("the Huber loss", y_true, y_pred)
    e = y_pred - y_true
    xp = array_namespace(e)
    near = xp.minimum(xp.abs(e), delta)  # 1/2 near^2 + delta (|e| - near) is both cases in one
    return xp.mean(0.5 * near * near + delta * (xp.abs(e) - near), axis=-1), (e, delta)


@backward_of(huber)
def huber_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the predictions (see :func:`huber`)."""
    e, delta = cache
    xp = array_namespace(dy)
    return (dy[..., None] / e.shape[-1]) * xp.minimum(xp.maximum(e, -delta), delta)


@op
def log_cosh(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    r"""A smooth Huber loss.

    Forward:
        $\ell = \frac1K \sum_k \log \cosh e_k, \quad e = \hat y - y$, computed as
        $|e| + \log(1 + e^{-2|e|}) - \log 2$, which does not overflow

    Backward:
        $d\hat y = \frac{d\ell}{K} \tanh e$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Predictions, in the same unit.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> log_cosh(np.array([[0.0, 0.0]]), np.array([[0.0, 1e4]]))[0].round(4)
        array([4999.6534])

    Source:
        Keras's log_cosh.
    """
    check_same_shape("the log-cosh loss", y_true, y_pred)
    e = y_pred - y_true
    xp = array_namespace(e)
    size = xp.abs(e)
    return xp.mean(size + xp.log1p(xp.exp(-2.0 * size)) - math.log(2.0), axis=-1), e


@backward_of(log_cosh)
def log_cosh_backward(dy: Array, cache: Array) -> Array:
    """Return the gradient of the predictions (see :func:`log_cosh`)."""
    e = cache
    return (dy[..., None] / e.shape[-1]) * array_namespace(dy).tanh(e)

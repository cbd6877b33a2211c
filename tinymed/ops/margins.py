r"""Hinge losses: an answer must be right by a margin, and beyond it costs nothing."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import check_same_shape


@op
def hinge(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""The mean of what is missing to a margin of 1.

    Forward:
        $\ell = \frac1K \sum_k \max(0, 1 - y_k \hat y_k)$; targets that are all 0 or 1 are first made $-1$ or 1

    Backward:
        $d\hat y = -\frac{d\ell}{K} y$ where $1 - y \hat y \ge 0$, and 0 elsewhere

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets, -1 or 1 (or 0 or 1); they get no gradient.
        y_pred: Scores, negative for the one answer and positive for the other.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = hinge(np.array([[1.0, -1.0]]), np.array([[0.5, -3.0]]))
        >>> loss
        array([0.25])
        >>> hinge_backward(np.array([2.0]), cache)
        array([[-1.,  0.]])

    Source:
        Cortes and Vapnik, Support-Vector Networks, 1995.
    """
    check_same_shape("the hinge loss", y_true, y_pred)
    t = _signs(y_true)
    xp = array_namespace(y_pred)
    missing = 1.0 - t * y_pred
    return xp.mean(xp.maximum(missing, 0.0), axis=-1), (t, missing)


@backward_of(hinge)
def hinge_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the scores (see :func:`hinge`)."""
    t, missing = cache
    xp = array_namespace(dy)
    return (dy[..., None] / t.shape[-1]) * xp.where(missing >= 0, -t, 0.0)


@op
def squared_hinge(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""The mean of the square of what is missing to a margin of 1.

    Forward:
        $\ell = \frac1K \sum_k \max(0, 1 - y_k \hat y_k)^2$; targets that are all 0 or 1 are first made $-1$ or 1

    Backward:
        $d\hat y = -\frac{2\, d\ell}{K} y \max(0, 1 - y \hat y)$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets, -1 or 1 (or 0 or 1); they get no gradient.
        y_pred: Scores, negative for the one answer and positive for the other.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> squared_hinge(np.array([[1.0, -1.0]]), np.array([[0.5, -3.0]]))[0]
        array([0.125])

    Source:
        Keras's squared_hinge.
    """
    check_same_shape("the squared hinge loss", y_true, y_pred)
    t = _signs(y_true)
    xp = array_namespace(y_pred)
    missing = xp.maximum(1.0 - t * y_pred, 0.0)
    return xp.mean(missing * missing, axis=-1), (t, missing)


@backward_of(squared_hinge)
def squared_hinge_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the scores (see :func:`squared_hinge`)."""
    t, missing = cache
    return (dy[..., None] * (-2.0 / t.shape[-1])) * t * missing


@op
def categorical_hinge(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""What the right class's score lacks to be 1 above the best wrong one.

    Forward:
        $\ell = \max(0, n - p + 1), \quad p = \sum_c y_c \hat y_c, \quad n = \max_c (1 - y_c) \hat y_c$

        As in Keras, $n$ also runs over the right class, whose term is 0: it is never below 0.

    Backward:
        $d\hat y_c = d\ell\, (m_c (1 - y_c) - y_c)$ where $n - p + 1 \ge 0$, and 0 elsewhere; $m_c$ is 1 for the class
        that the maximum was taken from (classes that tie share it) and 0 for the others

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$, one-hot
        y_pred    (..., K)        $\hat y$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Scores.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = categorical_hinge(np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 0.5, 0.25]]))
        >>> loss
        array([0.5])
        >>> categorical_hinge_backward(np.array([1.0]), cache)
        array([[-1.,  1.,  0.]])

    Source:
        Crammer and Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines, 2001.
    """
    check_same_shape("the categorical hinge loss", y_true, y_pred)
    xp = array_namespace(y_pred)
    wrong = (1.0 - y_true) * y_pred
    best = xp.max(wrong, axis=-1, keepdims=True)
    missing = best[..., 0] - xp.sum(y_true * y_pred, axis=-1) + 1.0
    return xp.maximum(missing, 0.0), (y_true, wrong == best, missing)


@backward_of(categorical_hinge)
def categorical_hinge_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the scores (see :func:`categorical_hinge`)."""
    y_true, is_best, missing = cache
    xp = array_namespace(dy)
    m = xp.astype(is_best, dy.dtype)
    m = m / xp.sum(m, axis=-1, keepdims=True)
    return xp.where(missing >= 0, dy, 0.0)[..., None] * (m * (1.0 - y_true) - y_true)


def _signs(y_true: Array) -> Array:
    """Return targets of -1 and 1 where all of them are 0 or 1, else as they are; decided without leaving the device."""
    xp = array_namespace(y_true)
    return xp.where(xp.all((y_true == 0) | (y_true == 1)), 2.0 * y_true - 1.0, y_true)

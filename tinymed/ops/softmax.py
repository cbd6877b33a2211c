r"""Softmax and its logarithm: scores to probabilities, without overflow."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op

Axis = int | tuple[int, ...]


@op
def softmax(x: Array, axis: Axis = -1) -> tuple[Array, tuple]:
    r"""Turn scores into probabilities that add up to one.

    Forward:
        $y_c = \frac{e^{x_c - m}}{\sum_k e^{x_k - m}}, \quad m = \max_k x_k$

        Subtracting $m$ changes nothing in exact arithmetic; without it $e^x$ overflows from $x = 89$ on in float32.

    Backward:
        $dx_c = y_c \left( dy_c - \sum_k dy_k y_k \right)$

        Every probability depends on every score. For equal $dy_k$ the gradient is zero: the sum of $y$ is fixed.

    Shapes:
        x and y: any shape, often (N, K).

    Arguments:
        x: Scores (logits), pure numbers.
        axis: The axis, or axes, along which ``y`` adds up to one.

    Example:
        >>> import numpy as np
        >>> y, cache = softmax(np.log(np.array([[1.0, 2.0, 5.0]])))
        >>> y
        array([[0.125, 0.25 , 0.625]])
        >>> softmax_backward(np.array([[8.0, 0.0, 0.0]]), cache)
        array([[ 0.875, -0.25 , -0.625]])

    Source:
        D4 §3.1.3 and §3.2.2 (there without the shift by the maximum, so that it overflows as written).
    """
    xp = array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    y = e / xp.sum(e, axis=axis, keepdims=True)
    return y, (y, axis)


@backward_of(softmax)
def softmax_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`softmax`)."""
    y, axis = cache
    xp = array_namespace(dy)
    return y * (dy - xp.sum(dy * y, axis=axis, keepdims=True))


@op
def log_softmax(x: Array, axis: Axis = -1) -> tuple[Array, tuple]:
    r"""The logarithm of softmax, exact also where the probability is too small for a floating-point number.

    Forward:
        $y_c = x_c - m - \log \sum_k e^{x_k - m}, \quad m = \max_k x_k$

    Backward:
        $dx_c = dy_c - e^{y_c} \sum_k dy_k$

    Shapes:
        x and y: any shape, often (N, K).

    Arguments:
        x: Scores (logits), pure numbers.
        axis: The axis, or axes, along which $e^y$ adds up to one.

    Example:
        >>> import numpy as np
        >>> log_softmax(np.array([0.0, -1000.0]))[0]
        array([    0., -1000.])

    Source:
        The logarithm of D4 §3.1.3.
    """
    xp = array_namespace(x)
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    y = shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))
    return y, (y, axis)


@backward_of(log_softmax)
def log_softmax_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`log_softmax`)."""
    y, axis = cache
    xp = array_namespace(dy)
    return dy - xp.exp(y) * xp.sum(dy, axis=axis, keepdims=True)

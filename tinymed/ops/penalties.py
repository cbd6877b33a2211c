r"""Penalties on weights that are added to the loss."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op


@op
def l1l2_penalty(w: Array, l1: float = 0.0, l2: float = 0.0) -> tuple[Array, tuple]:
    r"""Penalise large weights by the sum of their sizes and of their squares.

    Forward:
        $P = \lambda_1 \sum_i |w_i| + \lambda_2 \sum_i w_i^2$

    Backward:
        $dw_i = dP\, (\lambda_1\, \mathrm{sign}(w_i) + 2 \lambda_2 w_i)$, with $\mathrm{sign}(0) = 0$

    Shapes:
        ========  ==========  ==========================
        w         (...)       any shape
        P         ()          one number
        ========  ==========  ==========================

    Arguments:
        w: Weights.
        l1: $\lambda_1$, which drives weights to exactly zero.
        l2: $\lambda_2$, which keeps weights small (Keras has no factor 1/2 here).

    Example:
        >>> import numpy as np
        >>> penalty, cache = l1l2_penalty(np.array([3.0, -2.0]), l1=0.1, l2=0.5)
        >>> penalty
        array(7.)
        >>> l1l2_penalty_backward(np.asarray(1.0), cache)
        array([ 3.1, -2.1])

    Source:
        Hoerl and Kennard 1970 (ridge regression); Tibshirani 1996 (lasso).
    """
    xp = array_namespace(w)
    penalty = xp.zeros((), dtype=w.dtype, device=device_of(w))
    if l1:
        penalty = penalty + l1 * xp.sum(xp.abs(w))
    if l2:
        penalty = penalty + l2 * xp.sum(w * w)
    return xp.asarray(penalty), (w, l1, l2)


@backward_of(l1l2_penalty)
def l1l2_penalty_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dw`` (see :func:`l1l2_penalty`)."""
    w, l1, l2 = cache
    xp = array_namespace(w)
    if not l1:
        return (2 * l2 * dy) * w
    return dy * (l1 * xp.sign(w) + 2 * l2 * w)

r"""Dropout: during training each value is left out with a given probability."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op


@op
def dropout(x: Array, mask: Array, rate: float) -> tuple[Array, tuple]:
    r"""Set values to zero where the mask says so, and scale the others so that the expected value stays.

    Forward:
        $y_i = \frac{m_i}{1 - p}\, x_i$ with $m_i = 1$ for values that are kept, which has probability $1 - p$

    Backward:
        $dx_i = \frac{m_i}{1 - p}\, dy_i$

    Shapes:
        ========  ================  =========================================================
        x         (N, ...)
        mask      (N, ...)          True where a value is kept; axes of length 1 are repeated
        y         (N, ...)
        ========  ================  =========================================================

    Arguments:
        x: Input.
        mask: Which values are kept; drawn by the caller, so that a check can fix it (see ``ops.random.bernoulli``).
        rate: The probability $p$ of being left out, from 0 to below 1.

    Raises:
        ValueError: If the rate is not in [0, 1).

    Example:
        >>> import numpy as np
        >>> y, cache = dropout(np.array([[1.0, 2.0, 3.0]]), np.array([[True, False, True]]), 0.5)
        >>> y
        array([[2., 0., 6.]])
        >>> dropout_backward(np.array([[1.0, 1.0, 10.0]]), cache)
        array([[ 2.,  0., 20.]])

    Source:
        Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting (JMLR 15).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout expects a rate from 0 to below 1 but got {rate}")
    return _keep(x, mask, rate), (mask, rate)


@backward_of(dropout)
def dropout_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`dropout`)."""
    mask, rate = cache
    return _keep(dy, mask, rate)


def _keep(x: Array, mask: Array, rate: float) -> Array:
    """Return scaled values under the mask; what is left out is zero even if it was infinite or NaN."""
    xp = array_namespace(x)
    return xp.where(mask, x * (1.0 / (1.0 - rate)), xp.zeros_like(x))

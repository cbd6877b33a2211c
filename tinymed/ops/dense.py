r"""The fully connected layer's operation: one matrix product and a bias."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op


@op
def dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, tuple]:
    r"""Multiply by a matrix and add a bias: a row of ``y`` for each row of ``x``.

    Forward:
        $y = x W + b$

    Backward:
        $dx = dy\, W^T, \quad dW = x^T dy, \quad db = \sum_n dy_n$

    Shapes:
        ========  ============  ==========================================
        x         (..., D)      any number of leading axes, often (N, D)
        kernel    (D, U)        $W$
        bias      (U,)          $b$; may be None
        y         (..., U)
        ========  ============  ==========================================

    Arguments:
        x: Input, any unit.
        kernel: Weights.
        bias: Added to every row.

    Raises:
        ValueError: If the last axis of ``x`` is not D.

    Example:
        >>> import numpy as np
        >>> y, cache = dense(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
        >>> y
        array([[11.5]])
        >>> dx, dkernel, dbias = dense_backward(np.array([[10.0]]), cache)
        >>> dx
        array([[30., 40.]])

    Source:
        D1 §3.1.3, D2 §3.3 (written there in column form, $y = Wx + b$).
    """
    if x.shape[-1] != kernel.shape[0]:
        raise ValueError(f"dense expects x with {kernel.shape[0]} values in its last axis but got shape {x.shape}")
    y = x @ kernel  # (..., D) @ (D, U)
    if bias is not None:
        y = y + bias
    return y, (x, kernel, bias is not None)


@backward_of(dense)
def dense_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`dense`); ``dx`` is None if it is not asked for."""
    x, kernel, has_bias = cache
    xp = array_namespace(dy)
    rows_x = xp.reshape(x, (-1, x.shape[-1]))  # (M, D)
    rows_dy = xp.reshape(dy, (-1, dy.shape[-1]))  # (M, U)
    dx = dy @ kernel.T if input_gradient else None  # (..., U) @ (U, D)
    dkernel = rows_x.T @ rows_dy  # (D, M) @ (M, U)
    dbias = xp.sum(rows_dy, axis=0) if has_bias else None
    return dx, dkernel, dbias

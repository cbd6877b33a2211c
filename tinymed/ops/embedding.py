r"""A table of vectors, one for each whole number: how words, codes and categories enter a network."""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op

_BLOCK = 1 << 22  # elements of the one-hot matrix that exist at a time


@op
def embedding(table: Array, ids: Array) -> tuple[Array, tuple]:
    r"""Take the rows of a table that the whole numbers in ``ids`` name.

    Forward:
        $y_m = E_{k_m}$

    Backward:
        $dE_k = \sum_{m:\, k_m = k} dy_m$: each row sums the gradients of all places where it was used, in their order.
        (As a product: $dE = S^T dy$ with the one-hot rows $S_{mk} = [k_m = k]$. No two writers meet at one place, so
        that the same bits come out every time.)

    Shapes:
        ========  ==========  ===========================================
        table     (K, D)      $E$
        ids       (...)       $k$, whole numbers from 0 to K - 1
        y         (..., D)
        ========  ==========  ===========================================

    Arguments:
        table: One row of D numbers for each of K symbols.
        ids: Which row to take; has no gradient.

    Raises:
        ValueError: If ``ids`` are no whole numbers.

    Example:
        >>> import numpy as np
        >>> y, cache = embedding(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1]))
        >>> y
        array([[3., 4.],
               [3., 4.]])
        >>> embedding_backward(np.array([[1.0, 0.0], [10.0, 0.0]]), cache)
        array([[ 0.,  0.],
               [11.,  0.]])

    Source:
        Bengio et al. 2003, Journal of Machine Learning Research 3.
    """
    xp = array_namespace(table)
    if not xp.isdtype(ids.dtype, "integral"):
        raise ValueError(f"embedding expects ids that are whole numbers but got {ids.dtype}; convert them first")
    flat = xp.reshape(ids, (math.prod(ids.shape),))
    y = xp.take(table, flat, axis=0)  # (M, D)
    return xp.reshape(y, (*ids.shape, table.shape[1])), (flat, table.shape[0])


@backward_of(embedding)
def embedding_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dtable`` (see :func:`embedding`)."""
    ids, size = cache
    xp = array_namespace(dy)
    rows = xp.reshape(dy, (ids.shape[0], dy.shape[-1]))  # (M, D)
    step = max(_BLOCK // max(ids.shape[0], 1), 1)
    blocks = []
    for first in range(0, size, step):
        symbols = xp.arange(first, min(first + step, size), dtype=ids.dtype, device=device_of(dy))
        onehot = xp.expand_dims(symbols, axis=1) == xp.expand_dims(ids, axis=0)  # (K, M)
        blocks.append(xp.astype(onehot, dy.dtype) @ rows)  # (K, M) @ (M, D)
    return xp.concat(blocks, axis=0)

"""Matrix products for NumPy arrays, shared out over this package's threads in blocks of fixed size.

BLAS sums a block of rows or columns in an order of its own: only because the blocks do not depend on the number of
threads are the results the same bits for any number.
"""

from __future__ import annotations

import numpy as np

from tinymed.kernels.cpu import buffers, threads

_BLOCKS = 8
"""Into how many blocks of rows or columns a large product is cut."""

_SLICE = 192
"""Rows of ``b`` that are multiplied at a time where the common side is long: they stay in the processor's cache."""

_SMALL = 1 << 20
"""Below so many multiplications a product is not worth sharing."""


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a @ b`` for two matrices of one dtype."""
    rows, inner = a.shape
    columns = b.shape[1]
    if rows * columns * inner < _SMALL:
        out = buffers.empty((rows, columns), a.dtype)
        with threads.one_blas_thread():
            return np.matmul(a, b, out=out)
    if inner > 4 * max(rows, columns):
        return _sum_of_products(a, b)
    out = buffers.empty((rows, columns), a.dtype)
    length = max(rows, columns)
    step = _step(length)

    def body(first: int, last: int) -> None:
        for start in range(first * step, min(last * step, length), step):
            here = slice(start, start + step)
            if rows >= columns:
                np.matmul(a[here], b, out=out[here])
            else:  # BLAS is faster with the long side in front
                out[:, here] = np.matmul(b.T[here], a.T).T

    with threads.one_blas_thread():
        threads.run(body, -(-length // step))
    return out


def _sum_of_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a @ b`` for matrices whose common side is long: each block of it makes a part of the sum."""
    inner = a.shape[1]
    step = _step(inner)
    parts = buffers.empty((-(-inner // step), a.shape[0], b.shape[1]), a.dtype)

    def body(first: int, last: int) -> None:
        for place in range(first, last):
            parts[place] = 0
            stop = min((place + 1) * step, inner)
            for start in range(place * step, stop, _SLICE):
                here = slice(start, min(start + _SLICE, stop))
                parts[place] += a[:, here] @ b[here]

    with threads.one_blas_thread():
        threads.run(body, len(parts))
    return parts.sum(axis=0)


def _step(length: int) -> int:
    return max(-(-length // _BLOCKS) + 15 & -16, 16)

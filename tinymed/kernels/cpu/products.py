"""Matrix products for NumPy arrays, shared out over this package's threads in blocks of fixed size.

BLAS sums a block of rows or columns in an order of its own: only because the blocks do not depend on the number of
threads are the results the same bits for any number.
"""

from __future__ import annotations

import numpy as np

from tinymed.kernels.cpu import buffers, threads

_BLOCKS = 8
"""Into how many blocks of rows or columns a large product is cut."""

_SMALL = 1 << 20
"""Below so many multiplications a product is not worth sharing."""


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``a @ b`` for two matrices of one dtype."""
    rows, inner = a.shape
    columns = b.shape[1]
    out = buffers.empty((rows, columns), a.dtype)
    by_rows = rows >= columns
    length = rows if by_rows else columns
    step = max(-(-length // _BLOCKS) + 15 & -16, 16)
    if rows * columns * inner < _SMALL:
        step = max(length, 1)

    def body(first: int, last: int) -> None:
        for block in range(first * step, last * step, step):
            here = slice(block, block + step)
            if by_rows:
                np.matmul(a[here], b, out=out[here])
            else:
                np.matmul(a, b[:, here], out=out[:, here])

    with threads.one_blas_thread():
        threads.run(body, -(-length // step))
    return out

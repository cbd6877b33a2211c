"""Sums over the rows of a matrix on the GPU, in an order that depends on the shape alone."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load

load("sums")

BUSY = 528
"""So many blocks keep a large GPU busy (132 multiprocessors with four blocks each)."""

_ROWS = 64  # that a block sums, at least


def lanes(columns: int) -> tuple[int, int]:
    """Return the shape of a block for so many columns: threads along the columns, and threads that share each one.

    >>> lanes(3), lanes(100)
    ((4, 64), (32, 8))
    """
    wide = 1
    while wide < min(columns, 32):
        wide *= 2
    return wide, THREADS // wide


def parts_of(rows: int, columns: int) -> tuple[tuple[int, int], int, int, int]:
    """Return how a sum over the rows is shared out: block, blocks along the columns, parts, and rows of each part."""
    block = lanes(columns)
    across = blocks(columns, block[0])
    parts = max(min(BUSY // across, blocks(rows, max(_ROWS, block[1])), 65535), 1)
    step = max(blocks(rows, parts), 1)
    return block, across, blocks(rows, step), step


def column_sums(x: Array) -> Array:
    """Return the sum of the rows of a matrix (M, C), a vector (C,)."""
    rows, columns = x.shape
    out = empty((columns,), x)
    block, across, parts, step = parts_of(rows, columns)
    if not parts:
        return array_namespace(x).zeros_like(out)
    found = out if parts == 1 else empty((parts, columns), x)
    launch("column_sums", (across, parts), block, (contiguous(x), found, rows, columns, step))
    if parts > 1:
        sum_parts(found, out, None)
    return out


def sum_parts(parts: Array, first: Array, second: Array | None) -> None:
    """Add up ``parts`` (P, n) into the n1 values of ``first`` and, behind them, the others into ``second``."""
    count, n = parts.shape
    block = lanes(n)
    launch("sum_parts", blocks(n, block[0]), block, (parts, first, second, first.size, n, count))

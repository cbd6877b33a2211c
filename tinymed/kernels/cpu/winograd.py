"""Convolution with 3 x 3 kernels and stride 1 in less than half the multiplications: Winograd's F(2x2, 3x3).

Four neighbouring outputs Y (2 x 2) come from 16 inputs d (4 x 4) by 16 products for each channel instead of 36:
Y = A'((G g G') * (B' d B))A with

    B' = 1  0 -1  0     G = 1    0   0      A' = 1  1  1  0
         0  1  1  0         1/2  1/2 1/2         0  1 -1 -1
         0 -1  1  0         1/2 -1/2 1/2
         0  1  0 -1         0    0   1

The sums over the channels are 16 matrix products, one for each place of the 4 x 4. Backward takes the same steps in
reverse, each by its transpose. (Lavin and Gray 2016, arXiv:1509.09308.)

The sums are ordered differently from the textbook's, with rounding of the same size: a test bounds it. Infinity minus
infinity would give NaN where the textbook has numbers, so every function here returns None unless all is finite, and
the caller takes plain products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.winograd_loops import winograd_gradient_chunks, winograd_lines, winograd_pool_lines
from tinymed.ops.windows import Windows

_BLOCK_BYTES = 1 << 18  # of V and M together: a part of a usual second-level cache
_CHUNKS = 16  # partial sums of the kernel's gradient, however many threads there are
_FEWEST = 8  # channels and filters from which on the transforms cost less than they save


def fits(x: np.ndarray, kernel: np.ndarray, windows: Windows) -> bool:
    """Tell whether the formula holds for these windows, and pays."""
    channels, filters = kernel.shape[-2:]
    return (
        windows.window == (3, 3)
        and windows.strides == (1, 1)
        and windows.dilation == (1, 1)
        and min(channels, filters) >= _FEWEST
        and min(windows.counts) >= 4
        and x.size > 0
    )


def transform_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return U = G g G', (16, C, F), for a kernel (3, 3, C, F)."""

    def rows(g: np.ndarray) -> np.ndarray:
        ends = g[0] + g[2]
        return np.stack([g[0], (ends + g[1]) / 2, (ends - g[1]) / 2, g[2]])

    u = rows(kernel).swapaxes(0, 1)  # (3, 4, C, F): columns first
    return np.ascontiguousarray(rows(u).swapaxes(0, 1).reshape(16, *kernel.shape[2:]))


def transform_kernel_back(du: np.ndarray) -> np.ndarray:
    """Return G' dU G, (3, 3, C, F), for dU (16, C, F): the transpose of :func:`transform_kernel`."""

    def rows(m: np.ndarray) -> np.ndarray:
        both = (m[1] + m[2]) / 2
        return np.stack([m[0] + both, (m[1] - m[2]) / 2, both + m[3]])

    g = rows(du.reshape(4, 4, *du.shape[1:])).swapaxes(0, 1)  # (4, 3, C, F): columns first
    return rows(g).swapaxes(0, 1)


def convolve(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, windows: Windows, relu: bool
) -> np.ndarray | None:
    """Return the convolution, with ReLU if asked for."""
    filters = kernel.shape[-1]
    y = buffers.empty((x.shape[0], *windows.counts, filters), x.dtype)
    offset = np.zeros(filters if relu else 0, x.dtype) if bias is None else np.ascontiguousarray(bias)
    block, shape = _block(kernel, windows), _shape(x, windows)
    _run(
        winograd_lines,
        -(-len(x) * shape[5] // block),
        _flat(x),
        transform_kernel(kernel),
        offset,
        relu,
        y.reshape(-1),
        block,
        shape,
    )
    return y if _finite(y) else None


def convolve_and_pool(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, windows: Windows
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the largest of each 2 x 2 outputs after ReLU, and which of the four it was."""
    filters = kernel.shape[-1]
    height, width = windows.counts
    y = buffers.empty((x.shape[0], height // 2, width // 2, filters), x.dtype)
    winner = buffers.empty(y.shape, np.uint8)
    block, shape = _block(kernel, windows), _shape(x, windows)
    _run(
        winograd_pool_lines,
        -(-len(x) * shape[5] // block),
        _flat(x),
        transform_kernel(kernel),
        np.zeros(filters, x.dtype) if bias is None else np.ascontiguousarray(bias),
        y.reshape(-1),
        winner.reshape(-1),
        block,
        shape,
    )
    return (y, winner) if _finite(y) else None


def gradients(
    x: np.ndarray,
    kernel: np.ndarray,
    dy: np.ndarray,
    y: np.ndarray | None,
    winner: np.ndarray | None,
    windows: Windows,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray] | None:
    """Return dx, dkernel, dbias from whole images.

    If there is a ``y``, it came out of a ReLU; if there is a ``winner``, a maximum of 2 x 2 was taken after it.
    """
    images, (channels, filters) = len(x), kernel.shape[-2:]
    per_chunk = -(-images // _CHUNKS)
    chunks = -(-images // per_chunk)
    dx = buffers.empty(x.shape if input_gradient else (0,), x.dtype)
    dus = buffers.empty((chunks, 16, channels, filters), x.dtype)
    dbiases = np.empty((chunks, filters), x.dtype)
    _run(
        winograd_gradient_chunks,
        chunks,
        _flat(x),
        np.ascontiguousarray(transform_kernel(kernel).swapaxes(1, 2)),
        _flat(dy),
        np.empty(0, x.dtype) if y is None else _flat(y),
        np.empty(0, np.uint8) if winner is None else _flat(winner),
        dx.reshape(-1),
        dus,
        dbiases,
        per_chunk,
        _block(kernel, windows),
        _shape(x, windows),
    )
    dkernel = transform_kernel_back(dus.sum(axis=0))
    if not (_finite(dx) and _finite(dkernel)):
        return None
    return dx if input_gradient else None, dkernel, dbiases.sum(axis=0)


def _run(body: Callable[..., None], count: int, *arguments: Any) -> None:
    """Share a loop out; infinity minus infinity needs no warning where nothing infinite is returned."""

    def quietly(first: int, last: int, *arguments: Any) -> None:
        with np.errstate(all="ignore"):
            body(first, last, *arguments)

    with threads.one_blas_thread():
        threads.run(quietly, count, *arguments)


def _shape(x: np.ndarray, windows: Windows) -> tuple[int, ...]:
    (top, _), (left, _) = windows.pads
    tiles = (-(-count // 2) for count in windows.counts)
    return (*x.shape[1:], top, left, *tiles, *windows.counts, len(x))


def _block(kernel: np.ndarray, windows: Windows) -> int:
    """Return how many tile lines are transformed and multiplied at a time."""
    height, width = (-(-count // 2) for count in windows.counts)
    line = 16 * width * sum(kernel.shape[-2:]) * kernel.itemsize
    return min(max(_BLOCK_BYTES // line, 1), height)


def _flat(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(-1)


def _finite(x: np.ndarray) -> bool:
    """Tell whether all values are finite; very large ones may be taken for infinite."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.dot(x.reshape(-1), x.reshape(-1))))

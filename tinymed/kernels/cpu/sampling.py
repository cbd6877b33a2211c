"""Warping for NumPy arrays: a thread for some rows of the result; for the images' gradient, for some of the images.

Where each pixel looks is worked out by the textbook's own lines; the loops here fetch, weigh and add.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.convolution import supported
from tinymed.ops import sampling as ops
from tinymed.ops.sampling import Places, check_warp, places


@jit
def warp_rows(first: int, last: int, x: Any, i: Any, s: Any, j: Any, t: Any, y: Any) -> None:
    """Fill rows ``first`` to ``last`` (N, H counted through) of the result."""
    H, W, C = x.shape[1:]
    one = x.dtype.type(1)
    for row in range(first, last):
        n, h = row // H, row % H
        for w in range(W):
            target = y[n, h, w]
            target[:] = 0
            for corner in range(4):
                k = i[n, h, w] + corner // 2
                m = j[n, h, w] + corner % 2
                alpha = s[n, h, w] if corner // 2 else one - s[n, h, w]
                beta = t[n, h, w] if corner % 2 else one - t[n, h, w]
                share = alpha * beta
                if k < 0 or k >= H or m < 0 or m >= W:
                    share = share * x.dtype.type(0)
                source = x[n, min(max(k, 0), H - 1), min(max(m, 0), W - 1)]
                for c in range(C):
                    target[c] += share * source[c]


@jit
def warp_slope_rows(
    first: int, last: int, dy: Any, x: Any, i: Any, s: Any, ins: Any, j: Any, t: Any, jns: Any, du: Any
) -> None:
    """Fill rows ``first`` to ``last`` (N, H counted through) of the displacements' gradient."""
    H, W, C = x.shape[1:]
    one = x.dtype.type(1)
    for row in range(first, last):
        n, h = row // H, row % H
        for w in range(W):
            along = x.dtype.type(0)
            across = x.dtype.type(0)
            for corner in range(4):
                k = i[n, h, w] + corner // 2
                m = j[n, h, w] + corner % 2
                if k < 0 or k >= H or m < 0 or m >= W:
                    continue
                share = x.dtype.type(0)
                for c in range(C):
                    share += dy[n, h, w, c] * x[n, k, m, c]
                alpha = s[n, h, w] if corner // 2 else one - s[n, h, w]
                beta = t[n, h, w] if corner % 2 else one - t[n, h, w]
                along += share * beta if corner // 2 else -share * beta
                across += share * alpha if corner % 2 else -share * alpha
            du[n, h, w, 0] = along if ins[n, h, w] else x.dtype.type(0)
            du[n, h, w, 1] = across if jns[n, h, w] else x.dtype.type(0)


@jit
def warp_scatter_images(first: int, last: int, dy: Any, i: Any, s: Any, j: Any, t: Any, dx: Any) -> None:
    """Fill images ``first`` to ``last`` of the images' gradient: each pixel gives to the four it was made of."""
    H, W, C = dx.shape[1:]
    one = dx.dtype.type(1)
    for n in range(first, last):
        dx[n] = 0
        for h in range(H):
            for w in range(W):
                for corner in range(4):
                    k = i[n, h, w] + corner // 2
                    m = j[n, h, w] + corner % 2
                    alpha = s[n, h, w] if corner // 2 else one - s[n, h, w]
                    beta = t[n, h, w] if corner % 2 else one - t[n, h, w]
                    share = alpha * beta
                    if k < 0 or k >= H or m < 0 or m >= W:
                        share = share * dx.dtype.type(0)
                    target = dx[n, min(max(k, 0), H - 1), min(max(m, 0), W - 1)]
                    for c in range(C):
                        target[c] += share * dy[n, h, w, c]


@ops.warp.register(np.ndarray)
def _warp(x: np.ndarray, displacement: np.ndarray, border: str = "clamp") -> tuple[np.ndarray, tuple]:
    check_warp(x, displacement, border)
    if not supported(x, displacement):
        return ops.warp.textbook(x, displacement, border)
    y = buffers.empty(x.shape, x.dtype)
    rows, columns = places(displacement, border)
    threads.run(warp_rows, math.prod(x.shape[:2]), np.ascontiguousarray(x), *_plain(rows), *_plain(columns), y)
    return y, (x, displacement, border)


@ops.warp_backward.register(np.ndarray)
def _warp_backward(dy: np.ndarray, cache: tuple, input_gradient: bool = True) -> tuple[np.ndarray | None, np.ndarray]:
    x, displacement, border = cache
    if not supported(dy, x, displacement):
        return ops.warp_backward.textbook(dy, cache, input_gradient)
    rows, columns = places(displacement, border)
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    du = buffers.empty(displacement.shape, dy.dtype)
    arguments = (*_plain(rows), rows.inside, *_plain(columns), columns.inside)
    threads.run(warp_slope_rows, math.prod(x.shape[:2]), dy, x, *arguments, du)
    dx = None
    if input_gradient:
        dx = buffers.empty(x.shape, dy.dtype)
        threads.run(warp_scatter_images, len(x), dy, *_plain(rows), *_plain(columns), dx)
    return dx, du


def _plain(along: Places) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(along.first), np.ascontiguousarray(along.fraction)

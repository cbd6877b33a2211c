"""Maximum and average pooling for NumPy arrays: one pass over the image, a thread for some rows of it.

All kernels count three axes (D, H, W); signals and images have axes of size 1 in front. The innermost loop runs over
the channels, which lie side by side, so that the processor takes many at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.convolution import geometry, supported
from tinymed.ops import pooling as ops
from tinymed.ops.pooling import Size, plan_pool, winner_dtype
from tinymed.ops.windows import Padding, Windows


@jit
def max_pool_rows(first: int, last: int, x: Any, y: Any, winner: Any, shape: tuple[int, ...]) -> None:
    """Pool output rows ``first`` to ``last`` (N, OD, OH counted through); note which position won."""
    D, H, W, KD, KH, KW, sd, sh, sw, _, _, _, pd, ph, pw, OD, OH, OW, C = shape
    for row in range(first, last):
        top = row % OH * sh - ph
        front = row // OH % OD * sd - pd
        n = row // (OH * OD)
        for ow in range(OW):
            left = ow * sw - pw
            best = y[row * OW + ow]
            which = winner[row * OW + ow]
            fresh = True
            for d in range(max(front, 0), min(front + KD, D)):
                for h in range(max(top, 0), min(top + KH, H)):
                    for w in range(max(left, 0), min(left + KW, W)):
                        position = ((d - front) * KH + h - top) * KW + w - left
                        value = x[((n * D + d) * H + h) * W + w]
                        if fresh:
                            for c in range(C):
                                best[c] = value[c]
                                which[c] = position
                            fresh = False
                            continue
                        for c in range(C):
                            v = value[c]
                            b = best[c]
                            better = (v > b) | ((v != v) & (b == b))  # a NaN wins, once
                            best[c] = v if better else b
                            which[c] = position if better else which[c]


@jit
def max_pool_backward_rows(first: int, last: int, dy: Any, winner: Any, dx: Any, shape: tuple[int, ...]) -> None:
    """Gather image rows ``first`` to ``last`` (N, D, H counted through): each takes what its pixels have won."""
    D, H, W, KD, KH, KW, sd, sh, sw, _, _, _, pd, ph, pw, OD, OH, OW, C = shape
    for row in range(first, last):
        h = row % H
        d = row // H % D
        n = row // (H * D)
        for w in range(W):
            for c in range(C):
                dx[row * W + w, c] = 0
        for i in range(KD):
            od = d + pd - i
            if od < 0 or od % sd or od // sd >= OD:
                continue
            for j in range(KH):
                oh = h + ph - j
                if oh < 0 or oh % sh or oh // sh >= OH:
                    continue
                line = ((n * OD + od // sd) * OH + oh // sh) * OW
                for ow in range(OW):
                    upstream = dy[line + ow]
                    which = winner[line + ow]
                    left = ow * sw - pw
                    for k in range(max(-left, 0), min(KW, W - left)):
                        position = (i * KH + j) * KW + k
                        target = dx[row * W + left + k]
                        for c in range(C):
                            here = target[c]
                            target[c] = here + upstream[c] if which[c] == position else here


@jit
def average_pool_rows(first: int, last: int, x: Any, y: Any, shape: tuple[int, ...]) -> None:
    """Average output rows ``first`` to ``last`` (N, OD, OH counted through)."""
    D, H, W, KD, KH, KW, sd, sh, sw, _, _, _, pd, ph, pw, OD, OH, OW, C = shape
    for row in range(first, last):
        top = row % OH * sh - ph
        front = row // OH % OD * sd - pd
        n = row // (OH * OD)
        rows = (min(front + KD, D) - max(front, 0)) * (min(top + KH, H) - max(top, 0))
        for ow in range(OW):
            left = ow * sw - pw
            total = y[row * OW + ow]
            total[:] = 0
            for d in range(max(front, 0), min(front + KD, D)):
                for h in range(max(top, 0), min(top + KH, H)):
                    for w in range(max(left, 0), min(left + KW, W)):
                        value = x[((n * D + d) * H + h) * W + w]
                        for c in range(C):
                            total[c] += value[c]
            inside = total.dtype.type(rows * (min(left + KW, W) - max(left, 0)))
            for c in range(C):
                total[c] /= inside


@jit
def average_pool_backward_rows(first: int, last: int, dy: Any, dx: Any, shape: tuple[int, ...]) -> None:
    """Gather image rows ``first`` to ``last`` (N, D, H counted through): each takes its share of every window."""
    D, H, W, KD, KH, KW, sd, sh, sw, _, _, _, pd, ph, pw, OD, OH, OW, C = shape
    for row in range(first, last):
        h = row % H
        d = row // H % D
        n = row // (H * D)
        for w in range(W):
            for c in range(C):
                dx[row * W + w, c] = 0
        for i in range(KD):
            od = d + pd - i
            if od < 0 or od % sd or od // sd >= OD:
                continue
            front = d - i
            for j in range(KH):
                oh = h + ph - j
                if oh < 0 or oh % sh or oh // sh >= OH:
                    continue
                top = h - j
                rows = (min(front + KD, D) - max(front, 0)) * (min(top + KH, H) - max(top, 0))
                line = ((n * OD + od // sd) * OH + oh // sh) * OW
                for ow in range(OW):
                    left = ow * sw - pw
                    upstream = dy[line + ow]
                    inside = dx.dtype.type(rows * (min(left + KW, W) - max(left, 0)))
                    for w in range(max(left, 0), min(left + KW, W)):
                        target = dx[row * W + w]
                        for c in range(C):
                            target[c] += upstream[c] / inside


# --- the operations ------------------------------------------------------------------------------------------------


def _pixels(a: np.ndarray) -> np.ndarray:
    """Write an image as (N*H*W, C), side by side in memory."""
    return np.ascontiguousarray(a).reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _max_pool(x: np.ndarray, windows: Windows) -> tuple[np.ndarray, tuple]:
    y = buffers.empty((x.shape[0], *windows.counts, x.shape[-1]), x.dtype)
    winner = buffers.empty(y.shape, winner_dtype(windows))
    rows = math.prod(y.shape[:-2])
    threads.run(max_pool_rows, rows, _pixels(x), _pixels(y), _pixels(winner), geometry(windows, x.shape[-1]))
    return y, (winner, windows)


def _max_pool_backward(dy: np.ndarray, winner: np.ndarray, windows: Windows) -> np.ndarray:
    dx = buffers.empty((dy.shape[0], *windows.image, dy.shape[-1]), dy.dtype)
    rows = math.prod(dx.shape[:-2])
    threads.run(
        max_pool_backward_rows, rows, _pixels(dy), _pixels(winner), _pixels(dx), geometry(windows, dy.shape[-1])
    )
    return dx


def _average_pool(x: np.ndarray, windows: Windows) -> tuple[np.ndarray, Windows]:
    y = buffers.empty((x.shape[0], *windows.counts, x.shape[-1]), x.dtype)
    threads.run(average_pool_rows, math.prod(y.shape[:-2]), _pixels(x), _pixels(y), geometry(windows, x.shape[-1]))
    return y, windows


def _average_pool_backward(dy: np.ndarray, windows: Windows) -> np.ndarray:
    dx = buffers.empty((dy.shape[0], *windows.image, dy.shape[-1]), dy.dtype)
    rows = math.prod(dx.shape[:-2])
    threads.run(average_pool_backward_rows, rows, _pixels(dy), _pixels(dx), geometry(windows, dy.shape[-1]))
    return dx


def _register(axes: int) -> None:
    """Give the poolings over this number of axes their bodies."""
    maximum, maximum_backward = getattr(ops, f"max_pool{axes}d"), getattr(ops, f"max_pool{axes}d_backward")
    average, average_backward = getattr(ops, f"average_pool{axes}d"), getattr(ops, f"average_pool{axes}d_backward")
    default = (2,) * axes

    @maximum.register(np.ndarray)
    def max_pool(
        x: np.ndarray, pool_size: Size = default, strides: Size | None = None, padding: Padding = "valid"
    ) -> tuple[np.ndarray, tuple]:
        if not supported(x):
            return maximum.textbook(x, pool_size, strides, padding)
        return _max_pool(x, plan_pool(x, pool_size, strides, padding, axes))

    @maximum_backward.register(np.ndarray)
    def max_pool_backward(dy: np.ndarray, cache: tuple) -> np.ndarray:
        return _max_pool_backward(dy, *cache) if supported(dy) else maximum_backward.textbook(dy, cache)

    @average.register(np.ndarray)
    def average_pool(
        x: np.ndarray, pool_size: Size = default, strides: Size | None = None, padding: Padding = "valid"
    ) -> tuple[np.ndarray, Windows]:
        if not supported(x):
            return average.textbook(x, pool_size, strides, padding)
        return _average_pool(x, plan_pool(x, pool_size, strides, padding, axes))

    @average_backward.register(np.ndarray)
    def average_pool_backward(dy: np.ndarray, cache: Windows) -> np.ndarray:
        return _average_pool_backward(dy, cache) if supported(dy) else average_backward.textbook(dy, cache)


for _axes in (1, 2, 3):
    _register(_axes)

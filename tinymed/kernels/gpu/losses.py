"""Softmax and the cross-entropies on the GPU: one launch each, forward and backward."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.ops import cross_entropy as ops
from tinymed.ops.softmax import Axis, log_softmax, log_softmax_backward, softmax, softmax_backward
from tinymed.ops.targets import smoothed

load("losses")


def by_rows(kernel: str, args: tuple, rows: int, columns: int, *more: Any) -> None:
    """Launch a kernel that works row by row: as many threads for a row as it has columns, up to 256.

    Its arguments are ``args``, then the numbers of rows and columns, then ``more``.
    """
    wide = 1
    while wide < min(columns, THREADS):
        wide *= 2
    tall = THREADS // wide
    launch(kernel, blocks(rows, tall), (wide, tall), (*map(_plain, args), rows, columns, *more))


def _plain(argument: Any) -> Any:
    return contiguous(argument) if hasattr(argument, "dtype") else argument


def sizes(x: Array) -> tuple[int, int]:
    """Return how many rows an array (..., K) has, and K."""
    return math.prod(x.shape[:-1]), x.shape[-1]


def _last(axis: Axis, x: Array) -> bool:
    """Tell whether ``axis`` is the last one, and none of the rows is empty."""
    axes = (axis,) if isinstance(axis, int) else axis
    return x.ndim > 0 and len(axes) == 1 and axes[0] in (-1, x.ndim - 1) and x.shape[-1] > 0


# --- softmax --------------------------------------------------------------------------------------------------------


@on_gpu(softmax)
def _softmax(x: Array, axis: Axis = -1) -> tuple[Array, tuple]:
    if not supported(x) or not _last(axis, x):
        return softmax.textbook(x, axis)
    y = empty(x.shape, x)
    by_rows("softmax", (x, y), *sizes(x))
    return y, (y, axis)


@on_gpu(softmax_backward)
def _softmax_backward(dy: Array, cache: tuple) -> Array:
    y, axis = cache
    if not supported(dy, y) or not _last(axis, y) or dy.shape != y.shape:
        return softmax_backward.textbook(dy, cache)
    dx = empty(dy.shape, dy)
    by_rows("softmax_backward", (dy, y, dx), *sizes(y))
    return dx


@on_gpu(log_softmax)
def _log_softmax(x: Array, axis: Axis = -1) -> tuple[Array, tuple]:
    if not supported(x) or not _last(axis, x):
        return log_softmax.textbook(x, axis)
    y = empty(x.shape, x)
    _log_p(x, None, None, y, None)
    return y, (y, axis)


@on_gpu(log_softmax_backward)
def _log_softmax_backward(dy: Array, cache: tuple) -> Array:
    y, axis = cache
    if not supported(dy, y) or not _last(axis, y) or dy.shape != y.shape:
        return log_softmax_backward.textbook(dy, cache)
    dx = empty(dy.shape, dy)
    by_rows("log_softmax_backward", (dy, y, dx), *sizes(y))
    return dx


# --- cross-entropy on scores ----------------------------------------------------------------------------------------


def _log_p(
    x: Array, t: Array | None, labels: Array | None, log_p: Array, loss: Array | None, ignore: int | None = None
) -> None:
    by_rows("log_softmax", (x, t, labels, log_p, loss), *sizes(x), ignore is not None, ignore or 0)


def usual(y_true: Array, y_pred: Array) -> bool:
    """Tell whether targets and predictions are what the kernels take: one dtype, one shape, a last axis."""
    return supported(y_true, y_pred) and y_true.shape == y_pred.shape and y_pred.ndim > 0 and y_pred.shape[-1] > 0


@on_gpu(ops.softmax_crossentropy)
def _softmax_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    if not usual(y_true, y_pred):
        return ops.softmax_crossentropy.textbook(y_true, y_pred, label_smoothing)
    t = smoothed(y_true, label_smoothing, y_true.shape[-1])
    log_p, loss = empty(y_pred.shape, y_pred), empty(y_pred.shape[:-1], y_pred)
    _log_p(y_pred, t, None, log_p, loss)
    return loss, (t, log_p)


@on_gpu(ops.softmax_crossentropy_backward)
def _softmax_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    t, log_p = cache
    if not supported(dy, t, log_p) or dy.shape != t.shape[:-1]:
        return ops.softmax_crossentropy_backward.textbook(dy, cache)
    dz = empty(log_p.shape, dy)
    by_rows("softmax_crossentropy_backward", (dy, log_p, t, None, dz), *sizes(dz), False, 0)
    return dz


@on_gpu(ops.sparse_softmax_crossentropy)
def _sparse_softmax_crossentropy(y_true: Array, y_pred: Array, ignore_class: int | None = None) -> tuple[Array, tuple]:
    fits = y_pred.ndim > 0 and y_true.shape == y_pred.shape[:-1] and y_pred.shape[-1] > 0
    if not fits or not supported(y_pred):
        return ops.sparse_softmax_crossentropy.textbook(y_true, y_pred, ignore_class)
    xp = array_namespace(y_pred)
    labels = xp.astype(y_true, xp.int64, copy=False)
    log_p, loss = empty(y_pred.shape, y_pred), empty(y_pred.shape[:-1], y_pred)
    _log_p(y_pred, None, labels, log_p, loss, ignore_class)
    return loss, (log_p, labels, None, ignore_class)


@on_gpu(ops.sparse_softmax_crossentropy_backward)
def _sparse_softmax_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    log_p, labels, hot, ignore_class = cache
    if hot is not None:  # the textbook's
        return ops.sparse_softmax_crossentropy_backward.textbook(dy, cache)
    dz = empty(log_p.shape, log_p)
    arrays = (array_namespace(dy).astype(dy, log_p.dtype, copy=False), log_p, None, labels, dz)
    by_rows("softmax_crossentropy_backward", arrays, *sizes(dz), ignore_class is not None, ignore_class or 0)
    return dz


@on_gpu(ops.sigmoid_crossentropy)
def _sigmoid_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    if not usual(y_true, y_pred):
        return ops.sigmoid_crossentropy.textbook(y_true, y_pred, label_smoothing)
    t = smoothed(y_true, label_smoothing, 2)
    loss = empty(y_pred.shape[:-1], y_pred)
    by_rows("sigmoid_crossentropy", (t, y_pred, loss), *sizes(y_pred))
    return loss, (t, y_pred)


@on_gpu(ops.sigmoid_crossentropy_backward)
def _sigmoid_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    t, z = cache
    if not supported(dy, t, z) or dy.shape != z.shape[:-1]:
        return ops.sigmoid_crossentropy_backward.textbook(dy, cache)
    dz = empty(z.shape, dy)
    arguments = (contiguous(dy), contiguous(t), contiguous(z), dz, z.shape[-1], dz.size)
    launch("sigmoid_crossentropy_backward", blocks(dz.size), THREADS, arguments)
    return dz


# --- cross-entropy on probabilities ---------------------------------------------------------------------------------


@on_gpu(ops.binary_crossentropy)
def _binary_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    if not usual(y_true, y_pred):
        return ops.binary_crossentropy.textbook(y_true, y_pred, label_smoothing)
    t = smoothed(y_true, label_smoothing, 2)
    loss = empty(y_pred.shape[:-1], y_pred)
    by_rows("binary_crossentropy", (t, y_pred, loss), *sizes(y_pred))
    return loss, (t, y_pred)


@on_gpu(ops.binary_crossentropy_backward)
def _binary_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    if len(cache) == 3:  # the textbook's
        return ops.binary_crossentropy_backward.textbook(dy, cache)
    t, p = cache
    dp = empty(p.shape, p)
    dy = array_namespace(dy).astype(dy, p.dtype, copy=False)
    arguments = (contiguous(dy), contiguous(t), contiguous(p), dp, p.shape[-1], dp.size)
    launch("binary_crossentropy_backward", blocks(dp.size), THREADS, arguments)
    return dp


@on_gpu(ops.categorical_crossentropy)
def _categorical_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    if not usual(y_true, y_pred):
        return ops.categorical_crossentropy.textbook(y_true, y_pred, label_smoothing)
    t = smoothed(y_true, label_smoothing, y_true.shape[-1])
    q, loss = empty(y_pred.shape, y_pred), empty(y_pred.shape[:-1], y_pred)
    sums = empty((*y_pred.shape[:-1], 1), y_pred)
    by_rows("categorical_crossentropy", (t, y_pred, q, sums, loss), *sizes(y_pred))
    return loss, (t, q, sums)


@on_gpu(ops.categorical_crossentropy_backward)
def _categorical_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    t, q, sums = cache
    if not supported(dy, t, q, sums) or dy.shape != q.shape[:-1]:
        return ops.categorical_crossentropy_backward.textbook(dy, cache)
    dp = empty(q.shape, dy)
    by_rows("categorical_crossentropy_backward", (dy, t, q, sums, dp), *sizes(q))
    return dp

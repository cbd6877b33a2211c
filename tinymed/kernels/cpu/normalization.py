"""Batch normalisation of channels-last NumPy arrays: means of blocks that stay in the cache, then one pass to write.

A block's variance is the mean of squared distances from the block's own mean, taken in the cache; blocks are put
together with Chan's formula, which adds the squared distance between their means. So the array is read twice, and no
square of a large value is ever subtracted from another. Blocks have a fixed size: the bits do not depend on the number
of threads.

Source: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.convolution import supported
from tinymed.ops.normalization import NormalizationCache, batch_norm, batch_norm_backward

_VALUES = 1 << 13
"""Values of a block: 32 kB in single precision."""


@jit
def moments(first: int, last: int, x: Any, rows: int, means: Any, squares: Any) -> None:
    """Write the mean of each channel in each block of ``rows`` rows, and the sum of squared distances from it."""
    C = np.uint64(means.shape[1])
    mean, square = np.empty(means.shape[1]), np.empty(means.shape[1])
    count = x.size // means.shape[1]
    for block in range(first, last):
        start, stop = block * rows, min((block + 1) * rows, count)
        mean[:] = 0
        for row in range(start, stop):
            at = np.uint64(row) * C
            for c in range(C):
                mean[c] += x[at + c]
        for c in range(C):
            mean[c] /= stop - start
        square[:] = 0
        for row in range(start, stop):
            at = np.uint64(row) * C
            for c in range(C):
                d = x[at + c] - mean[c]
                square[c] += d * d
        means[block, :] = mean
        squares[block, :] = square


@jit
def normalize(
    first: int, last: int, x: Any, rows: int, mean: Any, scale: Any, gamma: Any, beta: Any, normalized: Any, y: Any
) -> None:
    """Write the normalised values, and the same scaled and shifted."""
    C = np.uint64(mean.size)
    for row in range(first * rows, min(last * rows, x.size // mean.size)):
        at = np.uint64(row) * C
        for c in range(C):
            value = (x[at + c] - mean[c]) * scale[c]
            normalized[at + c] = value
            y[at + c] = value * gamma[c] + beta[c]


@jit
def sums(first: int, last: int, dy: Any, normalized: Any, rows: int, plain: Any, weighted: Any) -> None:
    """Write each block's sums of dy, and of dy times the normalised values, for each channel."""
    C = np.uint64(plain.shape[1])
    one, other = np.empty(plain.shape[1]), np.empty(plain.shape[1])
    for block in range(first, last):
        one[:] = 0
        other[:] = 0
        for row in range(block * rows, min((block + 1) * rows, dy.size // plain.shape[1])):
            at = np.uint64(row) * C
            for c in range(C):
                one[c] += dy[at + c]
            for c in range(C):
                other[c] += np.float64(dy[at + c]) * normalized[at + c]
        plain[block, :] = one
        weighted[block, :] = other


@jit
def gradients(
    first: int, last: int, dy: Any, normalized: Any, rows: int, factor: Any, along_ones: Any, along_x: Any, dx: Any
) -> None:
    """Write dx, whose parts along the ones and along the normalised values are taken out."""
    C = np.uint64(factor.size)
    for row in range(first * rows, min(last * rows, dy.size // factor.size)):
        at = np.uint64(row) * C
        for c in range(C):
            dx[at + c] = factor[c] * (dy[at + c] - along_ones[c] - normalized[at + c] * along_x[c])


def _rows(channels: int) -> int:
    return max(_VALUES // channels, 1)


@batch_norm.register(np.ndarray)
def _batch_norm(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[np.ndarray, NormalizationCache]:
    last = axis % x.ndim == x.ndim - 1
    fits = all(w is None or w.shape == x.shape[-1:] for w in (gamma, beta))
    if not last or not fits or not x.size or not supported(x, gamma, beta):
        return batch_norm.textbook(x, gamma, beta, axis, epsilon)
    C = x.shape[-1]
    flat, rows = np.ascontiguousarray(x).reshape(-1), _rows(C)
    blocks = -(-flat.size // (rows * C))
    means, squares = np.empty((blocks, C)), np.empty((blocks, C))
    threads.run(moments, blocks, flat, rows, means, squares)
    counts = np.full((blocks, 1), rows)
    counts[-1] = flat.size // C - rows * (blocks - 1)
    mean = (counts * means).sum(axis=0) / (flat.size // C)
    variance = (squares + counts * (means - mean) ** 2).sum(axis=0) / (flat.size // C)
    scale = 1.0 / np.sqrt(variance + epsilon)
    # The mean stays in double precision: of values near -1000 its last digits matter.
    weights = (mean, *(w.astype(x.dtype) for w in (scale, _ones(gamma, C), _zeros(beta, C))))
    normalized, y = buffers.empty(x.shape, x.dtype), buffers.empty(x.shape, x.dtype)
    threads.run(normalize, blocks, flat, rows, *weights, normalized.reshape(-1), y.reshape(-1))
    shape = (1,) * (x.ndim - 1) + (C,)
    axes, weight_axes = tuple(range(x.ndim - 1)), (x.ndim - 1,)
    scale, mean, variance = scale.astype(x.dtype).reshape(shape), mean.astype(x.dtype), variance.astype(x.dtype)
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, weight_axes, mean, variance)


@batch_norm_backward.register(np.ndarray)
def _batch_norm_backward(
    dy: np.ndarray, cache: NormalizationCache
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    normalized, C = cache.normalized, dy.shape[-1]
    if cache.axes != tuple(range(dy.ndim - 1)) or not normalized.flags.c_contiguous or not supported(dy, normalized):
        return batch_norm_backward.textbook(dy, cache)
    flat, values, rows = np.ascontiguousarray(dy).reshape(-1), normalized.reshape(-1), _rows(C)
    blocks = -(-flat.size // (rows * C))
    plain, weighted = np.empty((blocks, C)), np.empty((blocks, C))
    threads.run(sums, blocks, flat, values, rows, plain, weighted)
    dbeta, dgamma = plain.sum(axis=0), weighted.sum(axis=0)
    count = flat.size // C
    factor = cache.scale.reshape(-1) * _ones(cache.gamma, C)
    dx = buffers.empty(dy.shape, dy.dtype)
    means = (dbeta / count).astype(dy.dtype), (dgamma / count).astype(dy.dtype)
    threads.run(gradients, blocks, flat, values, rows, factor.astype(dy.dtype), *means, dx.reshape(-1))
    return (
        dx,
        None if cache.gamma is None else dgamma.astype(dy.dtype),
        None if cache.beta is None else dbeta.astype(dy.dtype),
    )


def _ones(weight: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count) if weight is None else weight


def _zeros(weight: np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count) if weight is None else weight

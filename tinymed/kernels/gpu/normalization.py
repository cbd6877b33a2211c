"""Batch and layer normalisation on the GPU, over the last axis or axes; elsewhere the textbook's bodies do it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.kernels.gpu.losses import by_rows
from tinymed.kernels.gpu.sums import parts_of, sum_parts
from tinymed.ops import normalization as ops
from tinymed.ops.normalization import NormalizationCache

load("normalization")

Gradients = tuple[Array, Array | None, Array | None]


def _plain(w: Array | None) -> Array | None:
    return None if w is None else contiguous(w)


# --- each channel over the batch -----------------------------------------------------------------------------------


def _channels_fit(x: Array, axis: int, *weights: Array | None) -> bool:
    """Tell whether the kernels take this: channels last, something to average, weights of the right size."""
    right = all(w is None or w.shape == x.shape[-1:] for w in weights)
    return x.ndim > 1 and axis % x.ndim == x.ndim - 1 and x.size > 0 and supported(x, *weights) and right


def _normalize(
    x: Array, mean: Array, offset: Array | None, scale: Array, gamma: Array | None, beta: Array | None
) -> tuple[Array, Array]:
    normalized, y = empty(x.shape, x), empty(x.shape, x)
    arrays = map(_plain, (x, mean, offset, scale, gamma, beta))
    launch("normalize_channels", blocks(x.size), THREADS, (*arrays, normalized, y, x.shape[-1], x.size))
    return normalized, y


@on_gpu(ops.batch_norm)
def _batch_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, axis: int = -1, epsilon: float = 1e-3
) -> tuple[Array, NormalizationCache]:
    if not _channels_fit(x, axis, gamma, beta):
        return ops.batch_norm.textbook(x, gamma, beta, axis, epsilon)
    channels = x.shape[-1]
    rows = x.size // channels
    block, across, parts, step = parts_of(rows, channels)
    x = contiguous(x)
    found = empty((3, parts, channels), x)
    launch("channel_moments", (across, parts), block, (x, found, rows, channels, step))
    mean, offset, variance, scale = (empty((channels,), x) for _ in range(4))
    arrays = (x, found, mean, offset, variance, scale)
    launch("merge_moments", across, block, (*arrays, parts, channels, epsilon))
    normalized, y = _normalize(x, mean, offset, scale, gamma, beta)
    axes, last = tuple(range(x.ndim - 1)), (x.ndim - 1,)
    scale = array_namespace(x).reshape(scale, (*(1 for _ in axes), channels))
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, last, mean, variance)


@on_gpu(ops.batch_norm_inference)
def _batch_norm_inference(
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    moving_mean: Array,
    moving_variance: Array,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, NormalizationCache]:
    if not _channels_fit(x, axis, gamma, beta, moving_mean, moving_variance):
        return ops.batch_norm_inference.textbook(x, gamma, beta, moving_mean, moving_variance, axis, epsilon)
    xp = array_namespace(x)
    scale = 1.0 / xp.sqrt(moving_variance + epsilon)
    normalized, y = _normalize(x, moving_mean, None, scale, gamma, beta)
    axes, last = tuple(range(x.ndim - 1)), (x.ndim - 1,)
    scale = xp.reshape(scale, (*(1 for _ in axes), x.shape[-1]))
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, last, moving_mean, moving_variance)


def _weight_gradients(dy: Array, normalized: Array, columns: int) -> tuple[Array, Array]:
    """Return the sums of dy x^ and of dy over all rows, each a vector."""
    rows = dy.size // columns
    block, across, parts, step = parts_of(rows, columns)
    found = empty((parts, 2 * columns), dy)
    dgamma, dbeta = empty((columns,), dy), empty((columns,), dy)
    launch("weight_sums", (across, parts), block, (contiguous(dy), contiguous(normalized), found, rows, columns, step))
    sum_parts(found, dgamma, dbeta)
    return dgamma, dbeta


def _channels_backward(dy: Array, cache: NormalizationCache, constant: bool) -> Gradients:
    channels = dy.shape[-1]
    dgamma, dbeta = _weight_gradients(dy, cache.normalized, channels)
    dx = empty(dy.shape, dy)
    arrays = (contiguous(dy), contiguous(cache.normalized), contiguous(cache.scale), _plain(cache.gamma), dgamma, dbeta)
    rows = 0 if constant else dy.size // channels
    launch("normalize_channels_backward", blocks(dy.size), THREADS, (*arrays, dx, rows, channels, dy.size))
    return dx, None if cache.gamma is None else dgamma, None if cache.beta is None else dbeta


def _channels_last(dy: Array, cache: NormalizationCache) -> bool:
    last = cache.weight_axes == (dy.ndim - 1,) and len(cache.axes) == dy.ndim - 1
    return last and dy.size > 0 and dy.shape == cache.normalized.shape and supported(dy, *cache[:4])


@on_gpu(ops.batch_norm_backward)
def _batch_norm_backward(dy: Array, cache: NormalizationCache) -> Gradients:
    if not _channels_last(dy, cache):
        return ops.batch_norm_backward.textbook(dy, cache)
    return _channels_backward(dy, cache, constant=False)


@on_gpu(ops.batch_norm_inference_backward)
def _batch_norm_inference_backward(dy: Array, cache: NormalizationCache) -> Gradients:
    if not _channels_last(dy, cache):
        return ops.batch_norm_inference_backward.textbook(dy, cache)
    return _channels_backward(dy, cache, constant=True)


# --- each row over its features ------------------------------------------------------------------------------------


@on_gpu(ops.layer_norm)
def _layer_norm(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, NormalizationCache]:
    axes = tuple(sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)))
    trailing = axes == tuple(range(x.ndim - len(axes), x.ndim))
    right = all(w is None or w.shape == x.shape[x.ndim - len(axes) :] for w in (gamma, beta))
    if not (axes and trailing and right and x.size > 0 and supported(x, gamma, beta)):
        return ops.layer_norm.textbook(x, gamma, beta, axis, epsilon)
    lead = x.shape[: x.ndim - len(axes)]
    rows, features = math.prod(lead), math.prod(x.shape[x.ndim - len(axes) :])
    normalized, y = empty(x.shape, x), empty(x.shape, x)
    scale = empty((*lead, *(1 for _ in axes)), x)
    by_rows("normalize_rows", (x, gamma, beta, normalized, scale, y, epsilon), rows, features)
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, axes)


@on_gpu(ops.layer_norm_backward)
def _layer_norm_backward(dy: Array, cache: NormalizationCache) -> Gradients:
    count = len(cache.axes)
    trailing = cache.axes == cache.weight_axes == tuple(range(dy.ndim - count, dy.ndim))
    if not (trailing and dy.size > 0 and dy.shape == cache.normalized.shape and supported(dy, *cache[:4])):
        return ops.layer_norm_backward.textbook(dy, cache)
    shape = dy.shape[dy.ndim - count :]
    features = math.prod(shape)
    dx = empty(dy.shape, dy)
    arrays = (dy, cache.normalized, cache.scale, cache.gamma, dx)
    by_rows("normalize_rows_backward", arrays, dy.size // features, features)
    dgamma = dbeta = None
    if cache.gamma is not None or cache.beta is not None:
        xp = array_namespace(dy)
        dgamma, dbeta = (xp.reshape(w, shape) for w in _weight_gradients(dy, cache.normalized, features))
    return dx, None if cache.gamma is None else dgamma, None if cache.beta is None else dbeta

r"""Global pooling: one value for each channel, the largest or the mean over the whole image."""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op


@op
def global_max_pool(x: Array, keepdims: bool = False) -> tuple[Array, tuple]:
    r"""Keep the largest value of each channel over all places.

    Forward:
        $y_{n,c} = \max_{h,w} x_{n,h,w,c}$

    Backward:
        $dx_{n,h,w,c} = dy_{n,c}$ at the first place of the maximum, 0 elsewhere

    Shapes:
        ========  =====================  ========================================
        x         (N, H, W, C)           or (N, T, C), or (N, D, H, W, C)
        y         (N, C)                 with ``keepdims`` (N, 1, 1, C)
        ========  =====================  ========================================

    Arguments:
        x: Image, signal or volume.
        keepdims: Whether to keep the spatial axes, with size 1.

    Raises:
        ValueError: If ``x`` has no spatial axis.

    Example:
        >>> import numpy as np
        >>> y, cache = global_max_pool(np.array([[[1.0], [5.0], [5.0]]]))
        >>> y
        array([[5.]])
        >>> global_max_pool_backward(np.array([[2.0]]), cache)[0, :, 0]
        array([0., 2., 0.])

    Source:
        D4 §3.1.2 with one window as large as the image.
    """
    xp = array_namespace(x)
    places = _places(x)  # (N, H*W, C)
    y = xp.max(places, axis=1)
    wins = (places == y[:, None, :]) | (xp.isnan(places) & xp.isnan(y)[:, None, :])
    winner = xp.argmax(xp.astype(wins, xp.uint8), axis=1)  # (N, C), the first of equals
    return _keep(y, x, keepdims), (winner, x.shape)


@backward_of(global_max_pool)
def global_max_pool_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`global_max_pool`)."""
    winner, shape = cache
    xp = array_namespace(dy)
    places = xp.arange(math.prod(shape[1:-1]), dtype=winner.dtype, device=device_of(dy))
    here = places[None, :, None] == winner[:, None, :]  # (N, H*W, C)
    flat = xp.reshape(dy, (shape[0], 1, shape[-1]))
    return xp.reshape(xp.where(here, flat, xp.zeros((), dtype=dy.dtype, device=device_of(dy))), shape)


@op
def global_average_pool(x: Array, keepdims: bool = False) -> tuple[Array, tuple[int, ...]]:
    r"""Take the mean of each channel over all places.

    Forward:
        $y_{n,c} = \frac{1}{HW} \sum_{h,w} x_{n,h,w,c}$

    Backward:
        $dx_{n,h,w,c} = dy_{n,c} / (HW)$

    Shapes:
        ========  =====================  ========================================
        x         (N, H, W, C)           or (N, T, C), or (N, D, H, W, C)
        y         (N, C)                 with ``keepdims`` (N, 1, 1, C)
        ========  =====================  ========================================

    Arguments:
        x: Image, signal or volume.
        keepdims: Whether to keep the spatial axes, with size 1.

    Raises:
        ValueError: If ``x`` has no spatial axis.

    Example:
        >>> import numpy as np
        >>> y, cache = global_average_pool(np.array([[[1.0], [5.0]]]))
        >>> y
        array([[3.]])
        >>> global_average_pool_backward(np.array([[2.0]]), cache)[0, :, 0]
        array([1., 1.])

    Source:
        D4 §3.1.2 with one window as large as the image.
    """
    places = _places(x)
    return _keep(array_namespace(x).sum(places, axis=1) / places.shape[1], x, keepdims), x.shape


@backward_of(global_average_pool)
def global_average_pool_backward(dy: Array, cache: tuple[int, ...]) -> Array:
    """Return ``dx`` (see :func:`global_average_pool`)."""
    xp = array_namespace(dy)
    share = xp.reshape(dy / math.prod(cache[1:-1]), (cache[0], *(1 for _ in cache[1:-1]), cache[-1]))
    return share + xp.zeros(cache, dtype=dy.dtype, device=device_of(dy))


def _places(x: Array) -> Array:
    """Write an image as (N, H*W, C)."""
    if x.ndim < 3 or math.prod(x.shape[1:-1]) == 0:
        raise ValueError(f"global pooling expects (N, ..., C) with at least one place to pool over, got {x.shape}")
    return array_namespace(x).reshape(x, (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]))


def _keep(y: Array, x: Array, keepdims: bool) -> Array:
    """Give (N, C) the spatial axes of ``x`` back, with size 1, if they are to be kept."""
    return array_namespace(y).reshape(y, (x.shape[0], *(1 for _ in x.shape[1:-1]), x.shape[-1])) if keepdims else y

"""Maximum and average pooling on the GPU: a thread for each value."""

from __future__ import annotations

import math

from tinymed.backend import Array
from tinymed.kernels.gpu.columns import geometry
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.kernels.gpu.sums import lanes
from tinymed.ops import pooling
from tinymed.ops.global_pooling import (
    global_average_pool,
    global_average_pool_backward,
    global_max_pool,
    global_max_pool_backward,
)
from tinymed.ops.pooling import Size, plan_pool, winner_dtype
from tinymed.ops.windows import Padding, Windows

load("pooling")


def max_pool_of(x: Array, windows: Windows) -> tuple[Array, Array]:
    """Return the maximum of each window and, as a byte, its position."""
    y = empty((x.shape[0], *windows.counts, x.shape[-1]), x)
    winner = empty(y.shape, x, dtype="uint8")
    arguments = (contiguous(x), y, winner, geometry(windows, x.shape[-1]), y.size)
    launch("max_pool", blocks(y.size), THREADS, arguments)
    return y, winner


def _max_pool_backward(dy: Array, winner: Array, windows: Windows) -> Array:
    dx = empty((dy.shape[0], *windows.image, dy.shape[-1]), dy)
    arguments = (contiguous(dy), contiguous(winner), dx, geometry(windows, dy.shape[-1]), dx.size)
    launch("max_pool_backward", blocks(dx.size), THREADS, arguments)
    return dx


def _average_pool(x: Array, windows: Windows) -> tuple[Array, Windows]:
    y = empty((x.shape[0], *windows.counts, x.shape[-1]), x)
    arguments = (contiguous(x), y, geometry(windows, x.shape[-1]), y.size)
    launch("average_pool", blocks(y.size), THREADS, arguments)
    return y, windows


def _average_pool_backward(dy: Array, windows: Windows) -> Array:
    dx = empty((dy.shape[0], *windows.image, dy.shape[-1]), dy)
    arguments = (contiguous(dy), dx, geometry(windows, dy.shape[-1]), dx.size)
    launch("average_pool_backward", blocks(dx.size), THREADS, arguments)
    return dx


def _enter(axes: int) -> None:
    """Give the poolings over this number of axes their bodies."""
    maximum, maximum_backward = getattr(pooling, f"max_pool{axes}d"), getattr(pooling, f"max_pool{axes}d_backward")
    average, average_backward = (
        getattr(pooling, f"average_pool{axes}d"),
        getattr(pooling, f"average_pool{axes}d_backward"),
    )
    default = (2,) * axes

    @on_gpu(maximum)
    def max_pool(
        x: Array, pool_size: Size = default, strides: Size | None = None, padding: Padding = "valid"
    ) -> tuple[Array, tuple]:
        windows = plan_pool(x, pool_size, strides, padding, axes)
        if not supported(x) or winner_dtype(windows) != "uint8":
            return maximum.textbook(x, pool_size, strides, padding)
        y, winner = max_pool_of(x, windows)
        return y, (winner, windows)

    @on_gpu(maximum_backward)
    def max_pool_backward(dy: Array, cache: tuple) -> Array:
        winner, windows = cache
        if not supported(dy) or winner_dtype(windows) != "uint8":
            return maximum_backward.textbook(dy, cache)
        return _max_pool_backward(dy, winner, windows)

    @on_gpu(average)
    def average_pool(
        x: Array, pool_size: Size = default, strides: Size | None = None, padding: Padding = "valid"
    ) -> tuple[Array, Windows]:
        if not supported(x):
            return average.textbook(x, pool_size, strides, padding)
        return _average_pool(x, plan_pool(x, pool_size, strides, padding, axes))

    @on_gpu(average_backward)
    def average_pool_backward(dy: Array, cache: Windows) -> Array:
        return _average_pool_backward(dy, cache) if supported(dy) else average_backward.textbook(dy, cache)


for _axes in (1, 2, 3):
    _enter(_axes)


# --- the whole image as one window ----------------------------------------------------------------------------------


def _places(x: Array) -> int | None:
    """Return how many places an image has, or None where the textbook shall say what is wrong with it."""
    places = math.prod(x.shape[1:-1])
    return places if x.ndim >= 3 and 0 < places < 2**31 and supported(x) else None


def _one_window(x: Array, keepdims: bool) -> tuple[int, ...]:
    return (x.shape[0], *(1 for _ in x.shape[1:-1] if keepdims), x.shape[-1])


@on_gpu(global_average_pool)
def _global_average_pool(x: Array, keepdims: bool = False) -> tuple[Array, tuple[int, ...]]:
    places, channels = _places(x), x.shape[-1]
    if places is None:
        return global_average_pool.textbook(x, keepdims)
    y = empty(_one_window(x, keepdims), x)
    block = lanes(channels)
    tiles = blocks(channels, block[0])
    launch("global_average_pool", x.shape[0] * tiles, block, (contiguous(x), y, places, channels, tiles))
    return y, x.shape


@on_gpu(global_average_pool_backward)
def _global_average_pool_backward(dy: Array, cache: tuple[int, ...]) -> Array:
    return _spread(dy, None, cache) if supported(dy) else global_average_pool_backward.textbook(dy, cache)


@on_gpu(global_max_pool)
def _global_max_pool(x: Array, keepdims: bool = False) -> tuple[Array, tuple]:
    places, channels = _places(x), x.shape[-1]
    if places is None:
        return global_max_pool.textbook(x, keepdims)
    y = empty(_one_window(x, keepdims), x)
    winner = empty((x.shape[0], channels), x, dtype="int64")
    block = lanes(channels)
    tiles = blocks(channels, block[0])
    launch("global_max_pool", x.shape[0] * tiles, block, (contiguous(x), y, winner, places, channels, tiles))
    return y, (winner, x.shape)


@on_gpu(global_max_pool_backward)
def _global_max_pool_backward(dy: Array, cache: tuple) -> Array:
    winner, shape = cache
    return _spread(dy, winner, shape) if supported(dy) else global_max_pool_backward.textbook(dy, cache)


def _spread(dy: Array, winner: Array | None, shape: tuple[int, ...]) -> Array:
    dx = empty(shape, dy)
    arguments = (contiguous(dy), winner, dx, math.prod(shape[1:-1]), shape[-1], dx.size)
    launch("global_pool_backward", blocks(dx.size), THREADS, arguments)
    return dx

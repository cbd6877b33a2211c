"""Embedding and warping on the GPU."""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace, device_of
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.ops.embedding import embedding_backward
from tinymed.ops.sampling import check_warp, warp, warp_backward

load("lookup")


@on_gpu(embedding_backward)
def _embedding_backward(dy: Array, cache: tuple) -> Array:
    ids, size = cache
    columns = dy.shape[-1]
    if not supported(dy) or blocks(columns) > 65535:
        return embedding_backward.textbook(dy, cache)
    xp = array_namespace(dy)
    dtable = empty((size, columns), dy)
    block = 32
    while block < min(columns, THREADS):
        block *= 2
    arrays = (contiguous(dy), contiguous(xp.astype(ids, xp.int64, copy=False)), dtable)
    launch("embedding_backward", (size, blocks(columns, block)), block, (*arrays, ids.shape[0], columns))
    return dtable


@on_gpu(warp)
def _warp(x: Array, displacement: Array, border: str = "clamp") -> tuple[Array, tuple]:
    check_warp(x, displacement, border)
    if not supported(x, displacement):
        return warp.textbook(x, displacement, border)
    y = empty(x.shape, x)
    pixels = math.prod(x.shape[:3])
    arrays = (contiguous(x), contiguous(displacement), y)
    launch("warp", blocks(pixels), THREADS, (*arrays, *x.shape[1:], border == "clamp", pixels))
    return y, (x, displacement, border)


@on_gpu(warp_backward)
def _warp_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array]:
    x, displacement, border = cache
    if not supported(dy, x, displacement):
        return warp_backward.textbook(dy, cache, input_gradient)
    du = empty(displacement.shape, dy)
    pixels, clamp = math.prod(x.shape[:3]), border == "clamp"
    dy, displacement = contiguous(dy), contiguous(displacement)
    launch("warp_slope", blocks(pixels), THREADS, (dy, contiguous(x), displacement, du, *x.shape[1:], clamp, pixels))
    return _gathered(dy, displacement, clamp) if input_gradient else None, du


def _gathered(dy: Array, displacement: Array, clamp: bool) -> Array:
    """Return the images' gradient: what each pixel of ``dy`` sends to four pixels, sorted by where it goes."""
    xp = array_namespace(dy)
    pixels, size = math.prod(dy.shape[:3]), dy.shape[1:3]
    targets = empty((4 * pixels,), dy, dtype="int64")
    launch("warp_targets", blocks(pixels), THREADS, (displacement, targets, *size, clamp, pixels))
    order = xp.argsort(targets, stable=True)
    numbers = xp.arange(pixels + 1, dtype=xp.int64, device=device_of(dy))
    starts = xp.searchsorted(xp.take(targets, order), numbers)
    dx = empty(dy.shape, dy)
    arrays = (dy, displacement, *(contiguous(xp.astype(a, xp.int64, copy=False)) for a in (order, starts)), dx)
    launch("warp_gather", blocks(dx.size), THREADS, (*arrays, *dy.shape[1:], clamp, pixels, dx.size))
    return dx

"""im2col and col2im on the GPU, and convolution through them and cuBLAS, for kernels that are large enough for that.

Columns are KH*KW times as large as the image: they are made for so many images at a time as a fixed budget allows.
"""

from __future__ import annotations

import functools
import math

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.activations import finish, relu_backward
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.kernels.gpu.products import matmul
from tinymed.kernels.gpu.sums import column_sums
from tinymed.ops.convolution import Size
from tinymed.ops.windows import Padding, Windows, im2col, im2col_backward, plan_windows
from tinymed.precision import get_precision

load("columns")

COLUMNS_BYTES = 1 << 28
"""So large the columns may become that exist at a time."""

_LONG, _MANY = 256, 128  # values of a window and filters, from which on cuBLAS makes up for writing the columns
_LONG_TF32, _MANY_TF32 = 32, 16  # the same where it may use tensor cores


@functools.lru_cache(maxsize=4096)
def geometry(windows: Windows, channels: int) -> tuple[int, ...]:
    """Return the numbers of the structure ``Windows`` that kernels take."""
    numbers: list[int] = []
    before = tuple(pad[0] for pad in windows.pads)
    for values, neutral in (
        (windows.image, 1),
        (windows.window, 1),
        (windows.strides, 1),
        (windows.dilation, 1),
        (before, 0),
        (windows.counts, 1),
    ):
        numbers += [neutral] * (3 - len(values)) + list(values)
    return (*numbers, channels)


def columns_of(x: Array, windows: Windows) -> Array:
    """Return what each window sees, (N, OH, OW, KH*KW*C)."""
    channels = x.shape[-1]
    size = windows.size * channels
    columns = empty((x.shape[0], *windows.counts, size), x)
    across = 32 if size <= 32 else 64 if size <= 64 else 128
    rows = math.prod(columns.shape[:-1])
    arguments = (contiguous(x), columns, geometry(windows, channels), rows)
    launch("im2col", blocks(rows, 64), (across, THREADS // across), arguments)
    return columns


def image_of(dcolumns: Array, windows: Windows) -> Array:
    """Return the image whose pixels sum what reaches them from the windows."""
    channels = dcolumns.shape[-1] // windows.size
    dx = empty((dcolumns.shape[0], *windows.image, channels), dcolumns)
    launch("col2im", blocks(dx.size), THREADS, (contiguous(dcolumns), dx, geometry(windows, channels), dx.size))
    return dx


@on_gpu(im2col)
def _im2col(
    x: Array, window: Size, strides: Size = 1, padding: Padding = "valid", dilation_rate: Size = 1
) -> tuple[Array, Windows]:
    if not supported(x) or not 3 <= x.ndim <= 5:
        return im2col.textbook(x, window, strides, padding, dilation_rate)
    windows = plan_windows(x.shape[1:-1], window, strides, padding, dilation_rate)
    return columns_of(x, windows), windows


@on_gpu(im2col_backward)
def _im2col_backward(dy: Array, cache: Windows) -> Array:
    if not supported(dy) or len(cache.image) > 3:
        return im2col_backward.textbook(dy, cache)
    return image_of(dy, cache)


# --- convolution through columns ------------------------------------------------------------------------------------


def worth_it(kernel: Array, groups: int) -> bool:
    """Tell whether a convolution with this kernel is faster through columns and cuBLAS."""
    fast = get_precision() == "tf32" and kernel.dtype == "float32"
    long, many = (_LONG_TF32, _MANY_TF32) if fast else (_LONG, _MANY)
    return groups == 1 and math.prod(kernel.shape[:-1]) >= long and kernel.shape[-1] >= many


def _chunks(x: Array, windows: Windows) -> list[slice]:
    """Return which images are taken at a time."""
    each = math.prod(windows.counts) * windows.size * x.shape[-1] * x.itemsize
    step = max(COLUMNS_BYTES // each, 1)
    return [slice(first, first + step) for first in range(0, x.shape[0], step)]


def _matrix(x: Array, windows: Windows) -> Array:
    """Return the columns as a matrix; the image itself, if a window is one pixel and every pixel has one."""
    if not _one_to_one(windows):
        x = columns_of(x, windows)
    return array_namespace(x).reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _one_to_one(windows: Windows) -> bool:
    return windows.size == 1 and windows.counts == windows.image and not windows.padded


def convolve(x: Array, kernel: Array, bias: Array | None, windows: Windows, relu: bool) -> Array:
    """Return $y = X W + b$, with ReLU if asked for."""
    xp = array_namespace(x)
    weights = xp.reshape(kernel, (math.prod(kernel.shape[:-1]), kernel.shape[-1]))
    y = empty((x.shape[0], *windows.counts, kernel.shape[-1]), x)
    for chunk in _chunks(x, windows):
        found = matmul(_matrix(x[chunk, ...], windows), weights)
        if found.size == y.size:
            y = xp.reshape(contiguous(found), y.shape)
        else:
            y[chunk, ...] = xp.reshape(found, (-1, *y.shape[1:]))
    return finish(y, bias, relu)


def gradients(
    dy: Array,
    x: Array,
    kernel: Array,
    has_bias: bool,
    windows: Windows,
    input_gradient: bool,
    y: Array | None,
) -> tuple[Array | None, Array, Array | None]:
    """Return dx, dkernel, dbias; ``y`` is what came out of a ReLU behind the convolution, if there is one."""
    xp = array_namespace(dy)
    filters = kernel.shape[-1]
    dz = dy if y is None else relu_backward(dy, (y, 0.0, None, 0.0))
    weights = xp.reshape(kernel, (math.prod(kernel.shape[:-1]), filters))
    dkernel = xp.zeros_like(weights)
    dx = empty(x.shape, x) if input_gradient else None
    for number, chunk in enumerate(_chunks(x, windows)):
        here = dz[chunk, ...]
        rows = xp.reshape(here, (math.prod(here.shape[:-1]), filters))
        part = matmul(_matrix(x[chunk, ...], windows).T, rows)
        dkernel = dkernel + part if number else part
        if dx is not None:
            dcolumns = matmul(rows, weights.T)
            if _one_to_one(windows):
                dx[chunk, ...] = xp.reshape(dcolumns, (-1, *x.shape[1:]))
            else:
                dx[chunk, ...] = image_of(xp.reshape(dcolumns, (*here.shape[:-1], weights.shape[0])), windows)
    dbias = column_sums(xp.reshape(dz, (math.prod(dz.shape[:-1]), filters))) if has_bias else None
    return dx, xp.reshape(dkernel, kernel.shape), dbias

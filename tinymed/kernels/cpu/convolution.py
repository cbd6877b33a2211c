"""Convolution for NumPy arrays: im2col, col2im, and whole convolutions a tile at a time.

A tile is as many windows as fit into a processor's own cache. Its columns are written, multiplied by the kernel and
given their bias before the next tile begins, so that the columns never travel through main memory. Each thread takes
its own tiles and multiplies with one BLAS thread. Backward makes the columns again.

All kernels count three axes (D, H, W); signals and images have axes of size 1 in front.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.products import product
from tinymed.ops.convolution import (
    Size,
    check_shapes,
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    conv3d,
    conv3d_backward,
)
from tinymed.ops.fused import conv2d_relu, conv2d_relu_backward
from tinymed.ops.windows import Padding, Windows, im2col, im2col_backward, plan_windows

_TILE_BYTES = 1 << 19  # of columns: half of a usual second-level cache
_CHUNKS = 16  # partial sums of the kernel's gradient, however many threads there are


def supported(*arrays: np.ndarray | None) -> bool:
    """Tell whether the kernels take these arrays: all float32, or all float64."""
    kinds = {a.dtype for a in arrays if a is not None}
    return kinds == {np.dtype(np.float32)} or kinds == {np.dtype(np.float64)}


def geometry(windows: Windows, channels: int) -> tuple[int, ...]:
    """Return the numbers that the kernels need: sizes, windows, strides, dilation, padding before, counts; C."""
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


# --- the loops -----------------------------------------------------------------------------------------------------


@jit
def _copy(source: Any, a: int, target: Any, b: int, count: int) -> None:
    """Copy ``count`` values. Unsigned indices cannot be negative, which lets the compiler use vector instructions."""
    start, end = np.uint64(a), np.uint64(b)
    for t in range(np.uint64(count)):
        target[end + t] = source[start + t]


@jit
def _add(source: Any, a: int, target: Any, b: int, count: int) -> None:
    start, end = np.uint64(a), np.uint64(b)
    for t in range(np.uint64(count)):
        target[end + t] += source[start + t]


@jit
def _clear(target: Any, b: int, count: int) -> None:
    end = np.uint64(b)
    for t in range(np.uint64(count)):
        target[end + t] = 0


@jit
def fill_columns(x: Any, columns: Any, first: int, last: int, shape: tuple[int, ...]) -> None:
    """Write windows ``first`` to ``last`` of the flat image ``x`` one after the other into the flat ``columns``."""
    D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C = shape
    span = KW * C
    ow = first % OW
    oh = first // OW % OH
    od = first // (OW * OH) % OD
    n = first // (OW * OH * OD)
    at = 0
    for _ in range(last - first):
        left = ow * sw - pw
        whole = gw == 1 and left >= 0 and left + KW <= W  # a span without gaps or edges
        for i in range(KD):
            d = od * sd - pd + i * gd
            for j in range(KH):
                h = oh * sh - ph + j * gh
                line = ((n * D + d) * H + h) * W
                if d < 0 or d >= D or h < 0 or h >= H:
                    _clear(columns, at, span)
                elif whole:
                    _copy(x, (line + left) * C, columns, at, span)
                else:
                    for k in range(KW):
                        w = left + k * gw
                        if w < 0 or w >= W:
                            _clear(columns, at + k * C, C)
                        else:
                            _copy(x, (line + w) * C, columns, at + k * C, C)
                at += span
        ow += 1
        if ow == OW:
            ow = 0
            oh += 1
            if oh == OH:
                oh = 0
                od += 1
                if od == OD:
                    od = 0
                    n += 1


@jit
def im2col_rows(first: int, last: int, x: Any, columns: Any, shape: tuple[int, ...]) -> None:
    """Write windows ``first`` to ``last`` into the same rows of ``columns``."""
    fill_columns(x, columns[first:last].reshape(-1), first, last, shape)


@jit
def col2im_rows(first: int, last: int, columns: Any, dx: Any, shape: tuple[int, ...]) -> None:
    """Gather image rows ``first`` to ``last`` (N, D, H counted through): each sums what its windows hold of it."""
    D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C = shape
    span = KW * C
    size = KD * KH * span
    for row in range(first, last):
        h = row % H
        d = row // H % D
        n = row // (H * D)
        start = row * W * C
        _clear(dx, start, W * C)
        for i in range(KD):
            od = d + pd - i * gd
            if od < 0 or od % sd or od // sd >= OD:
                continue
            for j in range(KH):
                oh = h + ph - j * gh
                if oh < 0 or oh % sh or oh // sh >= OH:
                    continue
                at = ((n * OD + od // sd) * OH + oh // sh) * OW * size + (i * KH + j) * span
                for ow in range(OW):
                    left = ow * sw - pw
                    if gw == 1 and left >= 0 and left + KW <= W:
                        _add(columns, at, dx, start + left * C, span)
                    else:
                        for k in range(KW):
                            w = left + k * gw
                            if w >= 0 and w < W:
                                _add(columns, at + k * C, dx, start + w * C, C)
                    at += size


@jit
def convolve_tiles(
    first: int, last: int, x: Any, kernel: Any, bias: Any, relu: bool, y: Any, tile: int, shape: tuple[int, ...]
) -> None:
    """Convolve tiles ``first`` to ``last``: columns, matrix product, bias, and ReLU if asked for."""
    rows, filters = y.shape
    size = kernel.shape[0]
    buffer = np.empty(tile * size, x.dtype)
    for index in range(first, last):
        a = index * tile
        b = min(a + tile, rows)
        fill_columns(x, buffer, a, b, shape)
        columns = buffer[: (b - a) * size].reshape(b - a, size)
        out = y[a:b]
        np.dot(columns, kernel, out)  # (tile, KH*KW*C) @ (KH*KW*C, F)
        if bias.size and relu:
            for r in range(b - a):
                for f in range(filters):
                    z = out[r, f] + bias[f]
                    out[r, f] = 0 if z < 0 else z  # NaN stays NaN
        elif bias.size:
            for r in range(b - a):
                for f in range(filters):
                    out[r, f] += bias[f]


@jit
def kernel_gradient_chunks(
    first: int,
    last: int,
    x: Any,
    dy: Any,
    y: Any,
    dkernels: Any,
    dbiases: Any,
    tile: int,
    tiles_per_chunk: int,
    shape: tuple[int, ...],
) -> None:
    """Sum the kernel's and the bias's gradient over chunks ``first`` to ``last`` of the tiles.

    If there is a ``y``, it came out of a ReLU: dy counts only where y is positive.
    """
    rows, filters = dy.shape
    size = dkernels.shape[1]
    buffer = np.empty(tile * size, x.dtype)
    masked = np.empty((tile, filters), x.dtype)
    product = np.empty((size, filters), x.dtype)
    for chunk in range(first, last):
        dkernel = dkernels[chunk]
        dbias = dbiases[chunk]
        dkernel[:] = 0
        dbias[:] = 0
        for index in range(chunk * tiles_per_chunk, (chunk + 1) * tiles_per_chunk):
            a = index * tile
            b = min(a + tile, rows)
            if a >= b:
                break
            fill_columns(x, buffer, a, b, shape)
            columns = buffer[: (b - a) * size].reshape(b - a, size)
            dz = dy[a:b]
            if y.size:
                dz = masked[: b - a]
                _mask(dy[a:b], y[a:b], dz)
            np.dot(columns.T, dz, product)  # (KH*KW*C, tile) @ (tile, F)
            for r in range(size):
                for f in range(filters):
                    dkernel[r, f] += product[r, f]
            for r in range(b - a):
                for f in range(filters):
                    dbias[f] += dz[r, f]


@jit
def _mask(dy: Any, y: Any, dz: Any) -> None:
    """Write ``dy * (y > 0)``, row by row."""
    rows, filters = dy.shape
    one = dy.dtype.type(1)
    zero = dy.dtype.type(0)
    for r in range(rows):
        for f in range(filters):
            dz[r, f] = dy[r, f] * (one if y[r, f] > 0 else zero)


@jit
def mask_rows(first: int, last: int, dy: Any, y: Any, dz: Any) -> None:
    """Write rows ``first`` to ``last`` of ``dy * (y > 0)``."""
    _mask(dy[first:last], y[first:last], dz[first:last])


# --- the operations ------------------------------------------------------------------------------------------------


@im2col.register(np.ndarray)
def _im2col(
    x: np.ndarray,
    window: Size,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
) -> tuple[np.ndarray, Windows]:
    if not supported(x) or not 3 <= x.ndim <= 5:
        return im2col.textbook(x, window, strides, padding, dilation_rate)
    windows = plan_windows(x.shape[1:-1], window, strides, padding, dilation_rate)
    channels = x.shape[-1]
    columns = buffers.empty((x.shape[0], *windows.counts, windows.size * channels), x.dtype)
    rows = columns.reshape(math.prod(columns.shape[:-1]), columns.shape[-1])
    threads.run(im2col_rows, len(rows), _flat(x), rows, geometry(windows, channels))
    return columns, windows


@im2col_backward.register(np.ndarray)
def _im2col_backward(dy: np.ndarray, cache: Windows) -> np.ndarray:
    if not supported(dy) or len(cache.image) > 3:
        return im2col_backward.textbook(dy, cache)
    channels = dy.shape[-1] // cache.size
    dx = buffers.empty((dy.shape[0], *cache.image, channels), dy.dtype)
    rows = math.prod(dx.shape[:-2])
    threads.run(col2im_rows, rows, _flat(dy), dx.reshape(-1), geometry(cache, channels))
    return dx


def _forward(
    textbook: Any,
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Size,
    padding: Padding,
    dilation_rate: Size,
    groups: int,
    relu: bool = False,
) -> tuple[np.ndarray, tuple]:
    if groups != 1 or not supported(x, kernel, bias):
        return textbook(x, kernel, bias, strides, padding, dilation_rate, groups)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    y = _convolve(x, kernel, bias, windows, relu)
    return y, (x, kernel, bias is not None, strides, padding, dilation_rate, groups)


def _backward(
    textbook: Any, dy: np.ndarray, cache: tuple, input_gradient: bool
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    x, kernel, has_bias, strides, padding, dilation_rate, groups = cache
    if groups != 1 or not supported(x, kernel, dy):
        return textbook(dy, cache, input_gradient)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    dy = np.ascontiguousarray(dy)
    dkernel, dbias = _kernel_gradient(x, dy, None, kernel.shape, windows)
    dx = _input_gradient(dy, kernel, windows) if input_gradient else None
    return dx, dkernel, dbias if has_bias else None


def _convolve(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, windows: Windows, relu: bool = False
) -> np.ndarray:
    channels, filters = kernel.shape[-2:]
    y = buffers.empty((x.shape[0], *windows.counts, filters), x.dtype)
    rows = y.reshape(math.prod(y.shape[:-1]), filters)
    tile = _tile(windows.size * channels, x.itemsize, len(rows))
    matrix = np.ascontiguousarray(kernel).reshape(windows.size * channels, filters)
    offset = np.zeros(filters if relu else 0, x.dtype) if bias is None else np.ascontiguousarray(bias)
    with threads.one_blas_thread():
        threads.run(
            convolve_tiles,
            -(-len(rows) // tile),
            _flat(x),
            matrix,
            offset,
            relu,
            rows,
            tile,
            geometry(windows, channels),
        )
    return y


def _kernel_gradient(
    x: np.ndarray, dy: np.ndarray, y: np.ndarray | None, kernel_shape: tuple[int, ...], windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
    channels, filters = kernel_shape[-2:]
    size = windows.size * channels
    rows = dy.reshape(math.prod(dy.shape[:-1]), filters)
    tile = _tile(size, x.itemsize, len(rows))
    tiles = -(-len(rows) // tile)
    per_chunk = max(-(-tiles // _CHUNKS), 1)
    chunks = -(-tiles // per_chunk)
    dkernels = buffers.empty((chunks, size, filters), x.dtype)
    dbiases = np.empty((chunks, filters), x.dtype)
    with threads.one_blas_thread():
        threads.run(
            kernel_gradient_chunks,
            chunks,
            _flat(x),
            rows,
            np.empty((0, filters), x.dtype) if y is None else np.ascontiguousarray(y).reshape(rows.shape),
            dkernels,
            dbiases,
            tile,
            per_chunk,
            geometry(windows, channels),
        )
    return dkernels.sum(axis=0).reshape(kernel_shape), dbiases.sum(axis=0)


def _input_gradient(dy: np.ndarray, kernel: np.ndarray, windows: Windows) -> np.ndarray:
    if all(stride == 1 for stride in windows.strides):
        # With stride 1 the way back is a convolution too: of dy with the kernel turned around and C, F exchanged.
        spans = [(k - 1) * d for k, d in zip(windows.window, windows.dilation, strict=True)]
        pads = tuple((span - pad[0], span - pad[1]) for span, pad in zip(spans, windows.pads, strict=True))
        turned = np.flip(kernel, axis=tuple(range(kernel.ndim - 2))).swapaxes(-1, -2)
        ones = (1,) * len(spans)
        back = Windows(windows.counts, windows.window, ones, windows.dilation, pads, windows.image)
        return _convolve(dy, turned, None, back)
    channels, filters = kernel.shape[-2:]
    matrix = kernel.reshape(windows.size * channels, filters)
    dcolumns = product(dy.reshape(math.prod(dy.shape[:-1]), filters), matrix.T)
    return _im2col_backward(dcolumns.reshape(*dy.shape[:-1], windows.size * channels), windows)


def _flat(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(-1)


def _tile(size: int, itemsize: int, rows: int) -> int:
    """Return how many windows make a tile: columns of half a cache, and at least 64 windows for BLAS to work on."""
    return min(max(_TILE_BYTES // (size * itemsize) // 16 * 16, 64), max(rows, 1))


@conv2d_relu.register(np.ndarray)
def _conv2d_relu(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
) -> tuple[np.ndarray, tuple]:
    check_shapes(x, kernel, groups, axes=2)
    if groups != 1 or not supported(x, kernel, bias):
        return conv2d_relu.textbook(x, kernel, bias, strides, padding, dilation_rate, groups)
    y, cache = _forward(None, x, kernel, bias, strides, padding, dilation_rate, groups, relu=True)
    return y, (cache, y)


@conv2d_relu_backward.register(np.ndarray)
def _conv2d_relu_backward(
    dy: np.ndarray, cache: tuple, input_gradient: bool = True
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    (x, kernel, has_bias, strides, padding, dilation_rate, groups), y = cache
    if groups != 1 or not supported(x, kernel, dy, y):
        return conv2d_relu_backward.textbook(dy, cache, input_gradient)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    dy = np.ascontiguousarray(dy)
    if not input_gradient:  # dy is needed once: it is masked tile by tile
        dkernel, dbias = _kernel_gradient(x, dy, y, kernel.shape, windows)
        return None, dkernel, dbias if has_bias else None
    dz = buffers.empty(dy.shape, dy.dtype)
    rows = (-1, dy.shape[-1])
    threads.run(mask_rows, math.prod(dy.shape[:-1]), dy.reshape(rows), y.reshape(rows), dz.reshape(rows))
    dkernel, dbias = _kernel_gradient(x, dz, None, kernel.shape, windows)
    return _input_gradient(dz, kernel, windows), dkernel, dbias if has_bias else None


def _register(forward: Any, backward: Any, axes: int) -> None:
    """Give one rank of convolution its bodies."""

    @forward.register(np.ndarray)
    def convolution(
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None = None,
        strides: Size = 1,
        padding: Padding = "valid",
        dilation_rate: Size = 1,
        groups: int = 1,
    ) -> tuple[np.ndarray, tuple]:
        check_shapes(x, kernel, groups, axes)
        return _forward(forward.textbook, x, kernel, bias, strides, padding, dilation_rate, groups)

    @backward.register(np.ndarray)
    def convolution_backward(
        dy: np.ndarray, cache: tuple, input_gradient: bool = True
    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
        return _backward(backward.textbook, dy, cache, input_gradient)


_register(conv1d, conv1d_backward, 1)
_register(conv2d, conv2d_backward, 2)
_register(conv3d, conv3d_backward, 3)

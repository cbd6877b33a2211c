"""Convolution for NumPy arrays: im2col, col2im, and whole convolutions a tile at a time (see :mod:`tiles`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads, winograd
from tinymed.kernels.cpu.products import product
from tinymed.kernels.cpu.tiles import (
    col2im_rows,
    convolve_tiles,
    gradient_chunks,
    im2col_rows,
    kernel_gradient_chunks,
    mask_rows,
)
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
from tinymed.ops.windows import Padding, Windows, im2col, im2col_backward, plan_windows

_TILE_BYTES = 1 << 19  # of columns: half of a usual second-level cache
_LINES_BYTES = 1 << 18  # of columns and outputs of a tile that consists of whole lines
_LINE_BYTES = 1 << 21  # of one line, from which on whole lines no longer make tiles
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


def forward_pass(
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
    """Convolve, with ReLU if asked for, or leave it to ``textbook``; return y and the textbook's cache."""
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
    dx, dkernel, dbias = gradients(x, kernel, dy, None, windows, input_gradient)
    return dx, dkernel, dbias if has_bias else None


def gradients(
    x: np.ndarray, kernel: np.ndarray, dy: np.ndarray, y: np.ndarray | None, windows: Windows, input_gradient: bool
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Return dx, dkernel, dbias; if ``y`` is given, it came out of a ReLU behind the convolution."""
    dy = np.ascontiguousarray(dy)
    whole_images = lines_fit(x, kernel, windows)
    if not input_gradient and not (whole_images and winograd.fits(x, kernel, windows)):
        return None, *_kernel_gradient(x, dy, y, kernel.shape, windows)  # dy is needed once: it is masked tile by tile
    if whole_images:
        return gradients_in_one_pass(x, kernel, dy, y, None, windows, input_gradient)
    dz = dy
    if y is not None:
        dz = buffers.empty(dy.shape, dy.dtype)
        rows = (-1, dy.shape[-1])
        threads.run(mask_rows, math.prod(dy.shape[:-1]), dy.reshape(rows), y.reshape(rows), dz.reshape(rows))
    return _input_gradient(dz, kernel, windows), *_kernel_gradient(x, dz, None, kernel.shape, windows)


def lines_fit(x: np.ndarray, kernel: np.ndarray, windows: Windows, lines: int = 1) -> bool:
    """Tell whether each thread can take whole images, tile by tile of so many lines or more."""
    return x.shape[0] >= _CHUNKS // 2 and lines * windows.counts[-1] * _window_bytes(kernel) <= _LINE_BYTES


def lines_per_tile(kernel: np.ndarray, width: int, lines: int) -> int:
    """Return how many of an image's ``lines``, each with ``width`` windows, make a tile."""
    return min(max(_LINES_BYTES // (width * _window_bytes(kernel)), 1), lines)


def _window_bytes(kernel: np.ndarray) -> int:
    """Return the bytes of a window's columns and of its outputs."""
    size, filters = math.prod(kernel.shape[:-1]), kernel.shape[-1]
    return (size + filters) * kernel.itemsize


def gradients_in_one_pass(
    x: np.ndarray,
    kernel: np.ndarray,
    dy: np.ndarray,
    y: np.ndarray | None,
    winner: np.ndarray | None,
    windows: Windows,
    input_gradient: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Return dx, dkernel, dbias from whole images; for ``y`` and ``winner`` see :func:`gradient_chunks`."""
    if winograd.fits(x, kernel, windows):
        found = winograd.gradients(x, kernel, dy, y, winner, windows, input_gradient)
        if found is not None:
            return found
    images, filters = x.shape[0], kernel.shape[-1]
    size = kernel.size // filters
    fold = 1 if winner is None else 2
    per_chunk = -(-images // _CHUNKS)
    chunks = -(-images // per_chunk)
    dx = buffers.empty(x.shape if input_gradient else (0,), x.dtype)
    dkernels = buffers.empty((chunks, size, filters), x.dtype)
    dbiases = np.empty((chunks, filters), x.dtype)
    lines = math.prod(windows.counts[:-1]) // fold
    with threads.one_blas_thread():
        threads.run(
            gradient_chunks,
            chunks,
            _flat(x),
            np.ascontiguousarray(kernel.reshape(size, filters).T),
            _rows(dy),
            np.empty((0, filters), x.dtype) if y is None else _rows(y),
            np.empty((0, filters), np.uint8) if winner is None else _rows(winner),
            dx.reshape(-1),
            dkernels,
            dbiases,
            per_chunk,
            lines_per_tile(kernel, fold * windows.counts[-1], lines),
            geometry(windows, x.shape[-1]),
        )
    return dx if input_gradient else None, dkernels.sum(axis=0).reshape(kernel.shape), dbiases.sum(axis=0)


def _convolve(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, windows: Windows, relu: bool = False
) -> np.ndarray:
    if winograd.fits(x, kernel, windows):
        found = winograd.convolve(x, kernel, bias, windows, relu)
        if found is not None:
            return found
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


def _rows(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a).reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _tile(size: int, itemsize: int, rows: int) -> int:
    """Return how many windows make a tile: columns of half a cache, and at least 64 windows for BLAS to work on."""
    return min(max(_TILE_BYTES // (size * itemsize) // 16 * 16, 64), max(rows, 1))


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
        return forward_pass(forward.textbook, x, kernel, bias, strides, padding, dilation_rate, groups)

    @backward.register(np.ndarray)
    def convolution_backward(
        dy: np.ndarray, cache: tuple, input_gradient: bool = True
    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
        return _backward(backward.textbook, dy, cache, input_gradient)


_register(conv1d, conv1d_backward, 1)
_register(conv2d, conv2d_backward, 2)
_register(conv3d, conv3d_backward, 3)

"""Convolution on the GPU: one product whose left matrix is never written; large kernels go by way of columns."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu import columns
from tinymed.kernels.gpu.columns import geometry
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.kernels.gpu.sums import BUSY, column_sums, sum_parts
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
from tinymed.ops.transposed import conv2d_transpose, conv2d_transpose_backward, plan_output
from tinymed.ops.windows import Padding, Windows, plan_windows

load("convolution")
load("convolution_gradients")

Gradients = tuple[Array | None, Array, Array | None]

_TILES = {"64": (128, 64), "32": (256, 32), "16": (256, 16), "small": (32, 32)}
_ROWS_OF_KERNEL = 64  # that a block makes of the kernel's gradient
_PART = 8192  # windows at most that one sum of the kernel's gradient runs over
_PARTS_BYTES = 1 << 26


def tile_for(rows: int, columns: int, groups: int) -> tuple[str, tuple[int, int, int]]:
    """Return which shape of block suits a product of this size, and the grid of such blocks."""
    name = "64" if columns > 32 else "32" if columns > 16 else "16"
    for chosen in (name, "small"):
        tall, wide = _TILES[chosen]
        grid = (blocks(rows, tall), blocks(columns, wide), groups)
        if math.prod(grid) >= BUSY // 4:
            break
    return chosen, grid


# --- the three products ---------------------------------------------------------------------------------------------


def convolve(
    x: Array,
    kernel: Array,
    bias: Array | None,
    windows: Windows,
    groups: int = 1,
    relu: bool = False,
    pooled: bool = False,
) -> tuple[Array, Array | None]:
    """Return $y = X W + b$, and the winners if 2 x 2 outputs are pooled (``windows.counts`` must then be even)."""
    counts, filters = windows.counts, kernel.shape[-1]
    rows = x.shape[0] * math.prod(counts)
    if pooled:
        counts = (*counts[:-2], counts[-2] // 2, counts[-1] // 2)
    y = empty((x.shape[0], *counts, filters), x)
    winner = empty(y.shape, x, dtype="uint8") if pooled else None
    name, grid = tile_for(rows, filters // groups, groups)
    arrays = (contiguous(x), contiguous(kernel), None if bias is None else contiguous(bias), y, winner)
    sizes = (geometry(windows, kernel.shape[-2]), rows, x.shape[-1], filters // groups, filters, relu)
    launch(f"convolve_{name}", grid, THREADS, (*arrays, *sizes))
    return y, winner


def image_gradient(
    dy: Array,
    kernel: Array,
    bias: Array | None,
    windows: Windows,
    images: int,
    groups: int = 1,
    y: Array | None = None,
    winner: Array | None = None,
) -> Array:
    """Return what ``dy`` sends back through the windows, plus ``bias``; behind ReLU and pooling with their results."""
    channels, filters = kernel.shape[-2:]
    dx = empty((images, *windows.image, channels * groups), dy)
    rows = images * math.prod(windows.image)
    name, grid = tile_for(rows, channels, groups)
    arrays = (dy, y, winner, contiguous(kernel), None if bias is None else contiguous(bias), dx)
    sizes = (geometry(windows, channels), rows, channels * groups, filters // groups, filters)
    launch(f"image_gradient_{name}", grid, THREADS, (*arrays, *sizes))
    return dx


def kernel_gradient(
    x: Array,
    dy: Array,
    kernel_shape: tuple[int, ...],
    has_bias: bool,
    windows: Windows,
    groups: int = 1,
    y: Array | None = None,
    winner: Array | None = None,
) -> tuple[Array, Array | None]:
    """Return the gradients of kernel and bias."""
    filters = kernel_shape[-1]
    dkernel, dbias = empty(kernel_shape, x), empty((filters,), x) if has_bias else None
    rows, images = math.prod(kernel_shape[:-1]) + has_bias, x.shape[0] * math.prod(windows.counts)
    if not images:
        xp = array_namespace(x)
        return xp.zeros_like(dkernel), xp.zeros_like(dbias) if has_bias else None
    own = filters // groups
    wide = 64 if own > 32 else 32 if own > 16 else 16
    tiles = (blocks(rows, _ROWS_OF_KERNEL), blocks(own, wide))
    parts = max(min(blocks(BUSY, math.prod(tiles) * groups), blocks(images, THREADS)), blocks(images, _PART))
    parts = max(min(parts, _PARTS_BYTES // (rows * filters * x.itemsize), 65535 // groups), 1)
    step = blocks(blocks(images, parts), THREADS) * THREADS
    parts = blocks(images, step)
    found = empty((parts, rows * filters), x)
    arrays = (contiguous(x), dy, y, winner, found)
    sizes = (geometry(windows, kernel_shape[-2]), images, step, x.shape[-1], own, filters, groups, has_bias)
    launch(f"kernel_gradient_{wide}", (*tiles, parts * groups), THREADS, (*arrays, *sizes))
    sum_parts(found, dkernel, dbias)
    return dkernel, dbias


# --- the operations -------------------------------------------------------------------------------------------------


def fits(x: Array, kernel: Array, bias: Array | None) -> bool:
    """Tell whether the kernels can take this convolution: other dtypes and a bias to be repeated they cannot."""
    return supported(x, kernel, bias) and kernel.size > 0 and (bias is None or bias.shape == kernel.shape[-1:])


def forward_pass(
    x: Array, kernel: Array, bias: Array | None, windows: Windows, groups: int, relu: bool = False
) -> Array:
    """Return $y = X W + b$, with ReLU if asked for."""
    if columns.worth_it(kernel, groups):
        return columns.convolve(x, kernel, bias, windows, relu)
    return convolve(x, kernel, bias, windows, groups, relu)[0]


def gradients(
    dy: Array,
    x: Array,
    kernel: Array,
    has_bias: bool,
    windows: Windows,
    groups: int,
    input_gradient: bool,
    y: Array | None = None,
    winner: Array | None = None,
) -> Gradients:
    """Return dx, dkernel, dbias; ``y`` and ``winner`` are those of ReLU and pooling behind the convolution."""
    if winner is None and columns.worth_it(kernel, groups):
        return columns.gradients(dy, x, kernel, has_bias, windows, input_gradient, y)
    dy = contiguous(dy)
    dkernel, dbias = kernel_gradient(x, dy, kernel.shape, has_bias, windows, groups, y, winner)
    dx = None
    if input_gradient:
        dx = image_gradient(dy, kernel, None, windows, x.shape[0], groups, y, winner)
    return dx, dkernel, dbias


def _enter(forward: Any, backward: Any, axes: int) -> None:
    """Give one rank of convolution its bodies."""

    @on_gpu(forward)
    def convolution(
        x: Array,
        kernel: Array,
        bias: Array | None = None,
        strides: Size = 1,
        padding: Padding = "valid",
        dilation_rate: Size = 1,
        groups: int = 1,
    ) -> tuple[Array, tuple]:
        check_shapes(x, kernel, groups, axes)
        windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
        if not fits(x, kernel, bias):
            return forward.textbook(x, kernel, bias, strides, padding, dilation_rate, groups)
        y = forward_pass(x, kernel, bias, windows, groups)
        return y, (x, kernel, bias is not None, strides, padding, dilation_rate, groups)

    @on_gpu(backward)
    def convolution_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> Gradients:
        x, kernel, has_bias, strides, padding, dilation_rate, groups = cache
        if not supported(dy, x, kernel) or not kernel.size:
            return backward.textbook(dy, cache, input_gradient)
        windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
        return gradients(dy, x, kernel, has_bias, windows, groups, input_gradient)


_enter(conv1d, conv1d_backward, 1)
_enter(conv2d, conv2d_backward, 2)
_enter(conv3d, conv3d_backward, 3)


@on_gpu(conv2d_transpose)
def _conv2d_transpose(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = (1, 1),
    padding: str = "valid",
    output_padding: Size | None = None,
    dilation_rate: Size = (1, 1),
) -> tuple[Array, tuple]:
    usual = x.ndim == 4 and kernel.ndim == 4 and x.shape[-1] == kernel.shape[-1] and supported(x, kernel, bias)
    if not usual or (bias is not None and bias.shape != kernel.shape[2:3]):
        return conv2d_transpose.textbook(x, kernel, bias, strides, padding, output_padding, dilation_rate)
    windows = plan_output(x.shape[1:-1], kernel.shape[:-2], strides, padding, output_padding, dilation_rate)
    y = image_gradient(contiguous(x), kernel, bias, windows, x.shape[0])
    return y, (x, kernel, bias is not None, windows)


@on_gpu(conv2d_transpose_backward)
def _conv2d_transpose_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> Gradients:
    x, kernel, has_bias, windows = cache
    if not supported(dy, x, kernel):
        return conv2d_transpose_backward.textbook(dy, cache, input_gradient)
    dkernel, _ = kernel_gradient(dy, contiguous(x), kernel.shape, False, windows)
    dx = convolve(dy, kernel, None, windows)[0] if input_gradient else None
    rows = (math.prod(dy.shape[:-1]), dy.shape[-1])
    dbias = column_sums(array_namespace(dy).reshape(dy, rows)) if has_bias else None
    return dx, dkernel, dbias

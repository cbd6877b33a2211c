"""A convolution with what follows it, while its tile is in the cache: ReLU, and the maximum of 2 x 2 pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tinymed.kernels.cpu import buffers, threads, winograd
from tinymed.kernels.cpu.convolution import (
    forward_pass,
    geometry,
    gradients,
    gradients_in_one_pass,
    lines_fit,
    lines_per_tile,
    supported,
)
from tinymed.kernels.cpu.tiles import convolve_and_pool_tiles
from tinymed.ops.convolution import Size, check_shapes
from tinymed.ops.fused import (
    conv2d_relu,
    conv2d_relu_backward,
    conv2d_relu_max_pool,
    conv2d_relu_max_pool_backward,
)
from tinymed.ops.windows import Padding, Windows, plan_windows

Gradients = tuple[np.ndarray | None, np.ndarray, np.ndarray | None]


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
    y, cache = forward_pass(None, x, kernel, bias, strides, padding, dilation_rate, groups, relu=True)
    return y, (cache, y)


@conv2d_relu_backward.register(np.ndarray)
def _conv2d_relu_backward(dy: np.ndarray, cache: tuple, input_gradient: bool = True) -> Gradients:
    (x, kernel, has_bias, strides, padding, dilation_rate, groups), y = cache
    if groups != 1 or not supported(x, kernel, dy, y):
        return conv2d_relu_backward.textbook(dy, cache, input_gradient)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    dx, dkernel, dbias = gradients(x, kernel, dy, y, windows, input_gradient)
    return dx, dkernel, dbias if has_bias else None


class _Kept(NamedTuple):
    """What backward needs: no more of the convolution's output than the maxima and where they were."""

    x: np.ndarray
    kernel: np.ndarray
    has_bias: bool
    windows: Windows
    y: np.ndarray
    winner: np.ndarray


@conv2d_relu_max_pool.register(np.ndarray)
def _conv2d_relu_max_pool(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
    pool_size: Size = 2,
    pool_strides: Size | None = None,
    pool_padding: Padding = "valid",
) -> tuple[np.ndarray, Any]:
    check_shapes(x, kernel, groups, axes=2)
    options = (strides, padding, dilation_rate, groups, pool_size, pool_strides, pool_padding)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    twos = all(size in (2, (2, 2), [2, 2]) for size in (pool_size, pool_strides or pool_size))
    height, width = (count // 2 for count in windows.counts)
    usual = twos and pool_padding == "valid" and groups == 1 and height and width and supported(x, kernel, bias)
    if not usual or not lines_fit(x, kernel, windows, lines=2):
        return conv2d_relu_max_pool.textbook(x, kernel, bias, *options)
    windows = replace(windows, counts=(2 * height, 2 * width))  # what no window of the pooling reaches is left out
    found = winograd.convolve_and_pool(x, kernel, bias, windows) if winograd.fits(x, kernel, windows) else None
    if found is not None:
        return found[0], _Kept(x, kernel, bias is not None, windows, *found)
    filters = kernel.shape[-1]
    y = buffers.empty((x.shape[0], height, width, filters), x.dtype)
    winner = buffers.empty(y.shape, np.uint8)
    lines = x.shape[0] * height
    tile = lines_per_tile(kernel, 4 * width, height)
    with threads.one_blas_thread():
        threads.run(
            convolve_and_pool_tiles,
            -(-lines // tile),
            np.ascontiguousarray(x).reshape(-1),
            np.ascontiguousarray(kernel).reshape(-1, filters),
            np.zeros(filters, x.dtype) if bias is None else np.ascontiguousarray(bias),
            y.reshape(-1, filters),
            winner.reshape(-1, filters),
            lines,
            tile,
            geometry(windows, x.shape[-1]),
        )
    return y, _Kept(x, kernel, bias is not None, windows, y, winner)


@conv2d_relu_max_pool_backward.register(np.ndarray)
def _conv2d_relu_max_pool_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Kept):
        return conv2d_relu_max_pool_backward.textbook(dy, cache, input_gradient)
    x, kernel, has_bias, windows, y, winner = cache
    dy = np.ascontiguousarray(dy, y.dtype)
    dx, dkernel, dbias = gradients_in_one_pass(x, kernel, dy, y, winner, windows, input_gradient)
    return dx, dkernel, dbias if has_bias else None

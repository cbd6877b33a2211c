"""A convolution with what follows it, ReLU and the maximum of 2 x 2 outputs, in one launch on the GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from tinymed.backend import Array
from tinymed.kernels.gpu import columns
from tinymed.kernels.gpu.convolution import Gradients, convolve, fits, forward_pass, gradients
from tinymed.kernels.gpu.launching import on_gpu, supported
from tinymed.ops.convolution import Size, check_shapes
from tinymed.ops.fused import (
    conv2d_relu,
    conv2d_relu_backward,
    conv2d_relu_max_pool,
    conv2d_relu_max_pool_backward,
)
from tinymed.ops.windows import Padding, Windows, plan_windows


@on_gpu(conv2d_relu)
def _conv2d_relu(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
) -> tuple[Array, tuple]:
    check_shapes(x, kernel, groups, axes=2)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    if not fits(x, kernel, bias):
        return conv2d_relu.textbook(x, kernel, bias, strides, padding, dilation_rate, groups)
    y = forward_pass(x, kernel, bias, windows, groups, relu=True)
    return y, ((x, kernel, bias is not None, strides, padding, dilation_rate, groups), y)


@on_gpu(conv2d_relu_backward)
def _conv2d_relu_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> Gradients:
    (x, kernel, has_bias, strides, padding, dilation_rate, groups), y = cache
    if not supported(dy, x, kernel, y):
        return conv2d_relu_backward.textbook(dy, cache, input_gradient)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    return gradients(dy, x, kernel, has_bias, windows, groups, input_gradient, y)


class _Kept(NamedTuple):
    """What backward needs: no more of the convolution's output than the maxima and where they were."""

    x: Array
    kernel: Array
    has_bias: bool
    groups: int
    windows: Windows
    y: Array
    winner: Array


@on_gpu(conv2d_relu_max_pool)
def _conv2d_relu_max_pool(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
    pool_size: Size = 2,
    pool_strides: Size | None = None,
    pool_padding: Padding = "valid",
) -> tuple[Array, Any]:
    check_shapes(x, kernel, groups, axes=2)
    options = (strides, padding, dilation_rate, groups, pool_size, pool_strides, pool_padding)
    windows = plan_windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation_rate)
    twos = all(size in (2, (2, 2), [2, 2]) for size in (pool_size, pool_strides or pool_size))
    height, width = (count // 2 for count in windows.counts)
    usual = twos and pool_padding == "valid" and height and width and fits(x, kernel, bias)
    if not usual or columns.worth_it(kernel, groups):
        return conv2d_relu_max_pool.textbook(x, kernel, bias, *options)
    windows = replace(windows, counts=(2 * height, 2 * width))  # what no window of the pooling reaches is left out
    y, winner = convolve(x, kernel, bias, windows, groups, relu=True, pooled=True)
    return y, _Kept(x, kernel, bias is not None, groups, windows, y, winner)


@on_gpu(conv2d_relu_max_pool_backward)
def _conv2d_relu_max_pool_backward(dy: Array, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Kept):
        return conv2d_relu_max_pool_backward.textbook(dy, cache, input_gradient)
    x, kernel, has_bias, groups, windows, y, winner = cache
    if dy.dtype != y.dtype:
        dy = dy.astype(y.dtype)
    return gradients(dy, x, kernel, has_bias, windows, groups, input_gradient, y, winner)

"""The fully connected layer on the GPU: cuBLAS, and one launch for the bias."""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.activations import finish
from tinymed.kernels.gpu.launching import contiguous, on_gpu, supported
from tinymed.kernels.gpu.products import matmul
from tinymed.kernels.gpu.sums import column_sums
from tinymed.ops.dense import dense, dense_backward


@on_gpu(dense)
def _dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, tuple]:
    fits = x.ndim >= 2 and x.shape[-1] == kernel.shape[0] and (bias is None or bias.shape == kernel.shape[1:])
    if not fits or not supported(x, kernel, bias):
        return dense.textbook(x, kernel, bias)
    y = finish(contiguous(matmul(_rows(x), kernel)), bias)
    return array_namespace(y).reshape(y, (*x.shape[:-1], kernel.shape[1])), (x, kernel, bias is not None)


@on_gpu(dense_backward)
def _dense_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array, Array | None]:
    x, kernel, has_bias = cache
    if not supported(x, kernel, dy):
        return dense_backward.textbook(dy, cache, input_gradient)
    xp = array_namespace(dy)
    rows = _rows(dy)
    dx = xp.reshape(matmul(rows, kernel.T), x.shape) if input_gradient else None
    dkernel = matmul(_rows(x).T, rows)
    return dx, dkernel, column_sums(rows) if has_bias else None


def _rows(a: Array) -> Array:
    """Write an array (..., C) as a matrix."""
    return array_namespace(a).reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))

"""The fully connected layer for NumPy arrays: the same three matrix products, shared out over threads."""

from __future__ import annotations

import math

import numpy as np

from tinymed.kernels.cpu.convolution import supported
from tinymed.kernels.cpu.products import product
from tinymed.ops.dense import dense, dense_backward


@dense.register(np.ndarray)
def _dense(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray, tuple]:
    if x.ndim < 2 or x.shape[-1] != kernel.shape[0] or not supported(x, kernel, bias):
        return dense.textbook(x, kernel, bias)
    y = product(_rows(x), kernel)
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], kernel.shape[1]), (x, kernel, bias is not None)


@dense_backward.register(np.ndarray)
def _dense_backward(
    dy: np.ndarray, cache: tuple, input_gradient: bool = True
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    x, kernel, has_bias = cache
    if not supported(x, kernel, dy):
        return dense_backward.textbook(dy, cache, input_gradient)
    rows_dy = _rows(dy)
    dx = product(rows_dy, kernel.T).reshape(x.shape) if input_gradient else None
    dkernel = product(_rows(x).T, rows_dy)
    dbias = rows_dy.sum(axis=0) if has_bias else None
    return dx, dkernel, dbias


def _rows(a: np.ndarray) -> np.ndarray:
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])

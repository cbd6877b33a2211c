r"""Transposed convolution: the way back through a convolution, used as a forward to enlarge images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.windows import Windows, extent, im2col, im2col_backward, per_axis, plan_windows

Size = int | Sequence[int]


def transposed_size(
    size: int, window: int, stride: int, padding: str, output_padding: int | None, dilation: int = 1
) -> int:
    """Return the output's size along one axis.

    >>> transposed_size(16, 3, 2, "same", None), transposed_size(16, 3, 2, "valid", None)
    (32, 33)
    """
    span = extent(window, dilation)
    if padding == "valid":
        return (size - 1) * stride + span + (max(stride - span, 0) if output_padding is None else output_padding)
    return size * stride if output_padding is None else (size - 1) * stride + span % 2 + output_padding


@op
def conv2d_transpose(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = (1, 1),
    padding: str = "valid",
    output_padding: Size | None = None,
    dilation_rate: Size = (1, 1),
) -> tuple[Array, tuple]:
    r"""Print each filter onto the output, once per input pixel and as strongly as that pixel says.

    This is what :func:`~tinymed.ops.convolution.conv2d` does to ``dy`` to obtain ``dx``, with any strides:
    with stride 2 the image doubles its size.

    Forward:
        $y_{n,h,w,f} = b_f + \sum x_{n,i,j,c}\; W_{p,q,f,c}$ over all $(i,p)$ with $s i + d p - t = h$ and all
        $(j,q)$ with $s j + d q - l = w$; or $y = \mathrm{col2im}(x W^T) + b$

    Backward:
        with the windows of $dy$ as the rows of $dY$ (*im2col*):
        $dx = dY\, W, \quad dW = dY^T x, \quad db_f = \sum_{n,h,w} dy_{n,h,w,f}$

    Shapes:
        ========  ================  ==========================================================
        x         (N, H, W, C)
        kernel    (KH, KW, F, C)    $W$; F before C, as in Keras
        bias      (F,)              $b$; may be None
        y         (N, OH, OW, F)    "same": OH = H * stride; "valid": (H - 1) * stride + KH
        ========  ================  ==========================================================

    Arguments:
        x: Image.
        kernel: Weights.
        bias: Added to each channel of the output.
        strides: Step on the output from one input pixel to the next.
        padding: "valid" (the whole print) or "same" (cut to H * stride).
        output_padding: Rows and columns added to the smallest output that the padding allows, less than the
            strides; None for the usual size.
        dilation_rate: Distance between neighbouring weights on the output.

    Raises:
        ValueError: If the channels do not match or ``output_padding`` is not less than the strides.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
        >>> y, cache = conv2d_transpose(x, np.ones((2, 2, 1, 1)), strides=2)
        >>> y[0, :, :, 0]
        array([[1., 1., 2., 2.],
               [1., 1., 2., 2.],
               [3., 3., 4., 4.],
               [3., 3., 4., 4.]])
        >>> dx, dkernel, dbias = conv2d_transpose_backward(np.ones_like(y), cache)
        >>> dx[0, :, :, 0]
        array([[4., 4.],
               [4., 4.]])

    Source:
        The decoders and generators of D1 §3.2 and §3.3; Dumoulin and Visin, "A guide to convolution arithmetic
        for deep learning", arXiv:1603.07285, chapter 4.
    """
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[-1] != kernel.shape[-1]:
        raise ValueError(
            f"conv2d_transpose expects x (N, H, W, C) and kernel (KH, KW, F, C) but got {x.shape} and {kernel.shape}"
        )
    xp = array_namespace(x)
    windows = plan_output(x.shape[1:-1], kernel.shape[:-2], strides, padding, output_padding, dilation_rate)
    columns = xp.reshape(x, (-1, x.shape[-1])) @ _rows(kernel).T  # (N*H*W, C) @ (C, KH*KW*F)
    y = im2col_backward(xp.reshape(columns, (*x.shape[:-1], columns.shape[-1])), windows)  # (N, OH, OW, F)
    if bias is not None:
        y = y + bias
    return y, (x, kernel, bias is not None, windows)


@backward_of(conv2d_transpose)
def conv2d_transpose_backward(
    dy: Array, cache: tuple, input_gradient: bool = True
) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`conv2d_transpose`); ``dx`` is None if it is not asked for."""
    x, kernel, has_bias, windows = cache
    xp = array_namespace(dy)
    columns, _ = im2col(dy, windows.window, windows.strides, windows.pads, windows.dilation)  # (N, H, W, KH*KW*F)
    columns = xp.reshape(columns, (-1, columns.shape[-1]))
    dkernel = xp.reshape(columns.T @ xp.reshape(x, (-1, x.shape[-1])), kernel.shape)  # (KH*KW*F, N*H*W) @ (N*H*W, C)
    dx = xp.reshape(columns @ _rows(kernel), x.shape) if input_gradient else None  # (N*H*W, KH*KW*F) @ (KH*KW*F, C)
    dbias = xp.sum(dy, axis=(0, 1, 2)) if has_bias else None
    return dx, dkernel, dbias


def _rows(kernel: Array) -> Array:
    """Write a kernel (KH, KW, F, C) as a matrix (KH*KW*F, C)."""
    return array_namespace(kernel).reshape(kernel, (math.prod(kernel.shape[:-1]), kernel.shape[-1]))


def plan_output(
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: Size,
    padding: str,
    output_padding: Size | None,
    dilation_rate: Size,
) -> Windows:
    """Lay one window per input pixel on an output of the right size."""
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same' for a transposed convolution, got {padding!r}")
    axes = len(sizes)
    strides = per_axis(strides, axes, "strides")
    dilation = per_axis(dilation_rate, axes, "dilation_rate")
    extra = check_output_padding(output_padding, strides)
    image, pads = [], []
    for size, k, s, more, d in zip(sizes, window, strides, extra, dilation, strict=True):
        out = transposed_size(size, k, s, padding, more, d)
        cut = max((size - 1) * s + extent(k, d) - out, 0)  # what "same" cuts off, the odd one behind
        image.append(out)
        pads.append((cut // 2, cut - cut // 2))
    return plan_windows(image, window, strides, pads, dilation)


def check_output_padding(output_padding: Size | None, strides: tuple[int, ...]) -> tuple[int | None, ...]:
    """Return one value per axis, or raise ValueError unless each is less than its stride."""
    if output_padding is None:
        return (None,) * len(strides)
    given = (output_padding,) * len(strides) if isinstance(output_padding, int) else tuple(output_padding)
    if len(given) != len(strides) or any(not 0 <= p < s for p, s in zip(given, strides, strict=True)):
        raise ValueError(
            f"output_padding must be 0 or more and less than strides={strides} on every axis, got {output_padding!r}"
        )
    return given

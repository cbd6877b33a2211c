r"""Convolution over one, two or three spatial axes: im2col, then one matrix product.

What networks call convolution is cross-correlation: the kernel is not flipped (D2 §3.1 has the flipped form).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.windows import Padding, im2col, im2col_backward

Size = int | Sequence[int]


@op
def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = (1, 1),
    padding: Padding = "valid",
    dilation_rate: Size = (1, 1),
    groups: int = 1,
) -> tuple[Array, tuple]:
    r"""Slide F small images, the filters, over an image and measure at each place how well they match.

    Forward:
        $y_{n,i,j,f} = \sum_{p,q,c} x_{n,\,i+p,\,j+q,\,c}\; W_{p,q,c,f} + b_f$

        or, with the windows of $x$ as the rows of a matrix $X$ (*im2col*): $y = X W + b$.
        With strides $s$, dilation $d$ and padding $(t, l)$ the pixel is $x_{n,\,s i+d p-t,\,s j+d q-l,\,c}$.

    Backward:
        $dX = dy\, W^T, \quad dx = \mathrm{col2im}(dX), \quad dW = X^T dy, \quad db_f = \sum_{n,i,j} dy_{n,i,j,f}$

    Shapes:
        ========  ===================  =================================================
        x         (N, H, W, C)
        kernel    (KH, KW, C/G, F)     $W$; G groups see C/G channels each
        bias      (F,)                 $b$; may be None
        y         (N, OH, OW, F)       OH = H - KH + 1 for "valid" with stride 1
        ========  ===================  =================================================

    Arguments:
        x: Image.
        kernel: Weights.
        bias: Added to each channel of the output.
        strides: Step from window to window, one number or (rows, columns).
        padding: "valid" (none) or "same" (zeros all around: OH = ceil(H / stride)).
        dilation_rate: Distance between the pixels that neighbouring weights see.
        groups: Cuts the channels into G groups, each with its own F/G filters.

    Raises:
        ValueError: If the channels do not match or the kernel is larger than the image.

    Example:
        >>> import numpy as np
        >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> edge = np.array([[-1.0, 1.0]]).reshape(1, 2, 1, 1)  # a difference of neighbours
        >>> y, cache = conv2d(x, edge)
        >>> y[0, :, :, 0]
        array([[1., 1.],
               [1., 1.],
               [1., 1.]])
        >>> dx, dkernel, dbias = conv2d_backward(np.ones_like(y), cache)
        >>> dkernel[0, :, 0, 0]
        array([21., 27.])

    Source:
        D4 §3.1.1 (one channel, no bias, "valid"); D3 §4.1 (centred: "same"); D1 §3.1.1 (whose indices run
        backwards: the window must move with $+i, +j$).
    """
    check_shapes(x, kernel, groups, axes=2)
    columns, _ = im2col(x, kernel.shape[:-2], strides, padding, dilation_rate)  # X: (N, OH, OW, KH*KW*C)
    y = _product(columns, kernel, groups)  # (N*OH*OW, KH*KW*C) @ (KH*KW*C, F)
    if bias is not None:
        y = y + bias
    return y, (x, kernel, bias is not None, strides, padding, dilation_rate, groups)


@backward_of(conv2d)
def conv2d_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`conv2d`); ``dx`` is None if it is not asked for."""
    return _gradients(dy, cache, input_gradient)


def _gradients(dy: Array, cache: tuple, input_gradient: bool) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` for any number of spatial axes.

    The columns are KH*KW times as large as the image: they are made again rather than kept.
    """
    x, kernel, has_bias, strides, padding, dilation_rate, groups = cache
    xp = array_namespace(dy)
    columns, windows = im2col(x, kernel.shape[:-2], strides, padding, dilation_rate)  # X
    dkernel = _kernel_gradient(columns, dy, kernel, groups)  # (KH*KW*C, N*OH*OW) @ (N*OH*OW, F)
    dbias = xp.sum(dy, axis=tuple(range(dy.ndim - 1))) if has_bias else None
    dx = None
    if input_gradient:
        dcolumns = _column_gradient(dy, kernel, groups)  # (N*OH*OW, F) @ (F, KH*KW*C)
        dx = im2col_backward(dcolumns, windows)
    return dx, dkernel, dbias


@op
def conv1d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
) -> tuple[Array, tuple]:
    r"""Slide F short pieces of signal over a signal; :func:`conv2d` with one axis.

    Forward:
        $y_{n,i,f} = \sum_{p,c} x_{n,\,s i+d p-t,\,c}\; W_{p,c,f} + b_f$

    Backward:
        $dX = dy\, W^T, \quad dx = \mathrm{col2im}(dX), \quad dW = X^T dy, \quad db_f = \sum_{n,i} dy_{n,i,f}$

    Shapes:
        ========  ================  ================================
        x         (N, T, C)
        kernel    (K, C/G, F)       $W$
        bias      (F,)              $b$; may be None
        y         (N, OT, F)
        ========  ================  ================================

    Arguments:
        x: Signal.
        kernel: Weights.
        bias: Added to each channel of the output.
        strides: Step from window to window.
        padding: "valid", "same", or "causal" (zeros in front only: no output sees a later input).
        dilation_rate: Distance between the samples that neighbouring weights see.
        groups: Cuts the channels into G groups, each with its own F/G filters.

    Raises:
        ValueError: If the channels do not match or the kernel is longer than the signal.

    Example:
        >>> import numpy as np
        >>> y, cache = conv1d(np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1), np.ones((2, 1, 1)), padding="causal")
        >>> y[0, :, 0]
        array([1., 3., 6.])

    Source:
        D2 §3.1 (the discrete sum, there with the kernel flipped).
    """
    check_shapes(x, kernel, groups, axes=1)
    columns, _ = im2col(x, kernel.shape[:-2], strides, padding, dilation_rate)  # X: (N, OT, K*C)
    y = _product(columns, kernel, groups)  # (N*OT, K*C) @ (K*C, F)
    if bias is not None:
        y = y + bias
    return y, (x, kernel, bias is not None, strides, padding, dilation_rate, groups)


@backward_of(conv1d)
def conv1d_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`conv1d`); ``dx`` is None if it is not asked for."""
    return _gradients(dy, cache, input_gradient)


@op
def conv3d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = (1, 1, 1),
    padding: Padding = "valid",
    dilation_rate: Size = (1, 1, 1),
    groups: int = 1,
) -> tuple[Array, tuple]:
    r"""Slide F small volumes over a volume (a CT scan, say); :func:`conv2d` with three axes.

    Forward:
        $y_{n,i,j,k,f} = \sum_{p,q,r,c} x_{n,\,i+p,\,j+q,\,k+r,\,c}\; W_{p,q,r,c,f} + b_f$

    Backward:
        $dX = dy\, W^T, \quad dx = \mathrm{col2im}(dX), \quad dW = X^T dy, \quad db_f = \sum_{n,i,j,k} dy_{n,i,j,k,f}$

    Shapes:
        ========  ========================  ================================
        x         (N, D, H, W, C)
        kernel    (KD, KH, KW, C/G, F)      $W$
        bias      (F,)                      $b$; may be None
        y         (N, OD, OH, OW, F)
        ========  ========================  ================================

    Arguments:
        x: Volume.
        kernel: Weights.
        bias: Added to each channel of the output.
        strides: Step from window to window, one number or three.
        padding: "valid" or "same".
        dilation_rate: Distance between the voxels that neighbouring weights see.
        groups: Cuts the channels into G groups, each with its own F/G filters.

    Raises:
        ValueError: If the channels do not match or the kernel is larger than the volume.

    Example:
        >>> import numpy as np
        >>> y, cache = conv3d(np.ones((1, 3, 3, 3, 1)), np.ones((3, 3, 3, 1, 2)), np.array([0.0, 1.0]))
        >>> y.shape, y[0, 0, 0, 0]
        ((1, 1, 1, 1, 2), array([27., 28.]))

    Source:
        As :func:`conv2d`.
    """
    check_shapes(x, kernel, groups, axes=3)
    columns, _ = im2col(x, kernel.shape[:-2], strides, padding, dilation_rate)  # X: (N, OD, OH, OW, KD*KH*KW*C)
    y = _product(columns, kernel, groups)  # (N*OD*OH*OW, KD*KH*KW*C) @ (KD*KH*KW*C, F)
    if bias is not None:
        y = y + bias
    return y, (x, kernel, bias is not None, strides, padding, dilation_rate, groups)


@backward_of(conv3d)
def conv3d_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`conv3d`); ``dx`` is None if it is not asked for."""
    return _gradients(dy, cache, input_gradient)


def check_shapes(x: Array, kernel: Array, groups: int, axes: int) -> None:
    """Raise ValueError unless the axes and channels of ``x`` and ``kernel`` belong together."""
    name = f"conv{axes}d"
    if x.ndim != axes + 2 or kernel.ndim != axes + 2:
        raise ValueError(
            f"{name} expects x and kernel with {axes + 2} axes each but got shapes {x.shape} and {kernel.shape}"
        )
    channels, filters = kernel.shape[-2:]
    if x.shape[-1] != channels * groups:
        seen = f" in {groups} groups of {channels}" if groups > 1 else ""
        raise ValueError(f"{name} expects x with {channels * groups} channels{seen} last but got shape {x.shape}")
    if filters % groups:
        raise ValueError(f"{name} cannot divide {filters} filters into {groups} groups")


# --- the matrix product, also for groups: (G, M, K) @ (G, K, F/G), one product per group ---------------------------


def _product(columns: Array, kernel: Array, groups: int) -> Array:
    """Return $y = X W$, in the shape (N, OH, OW, F)."""
    xp = array_namespace(columns)
    if groups == 1:
        y = xp.reshape(columns, (-1, columns.shape[-1])) @ xp.reshape(kernel, (-1, kernel.shape[-1]))
    else:
        y = _by_group(columns, kernel, groups) @ _kernel_by_group(kernel, groups)  # (G, M, F/G)
        y = xp.permute_dims(y, (1, 0, 2))
    return xp.reshape(y, (*columns.shape[:-1], kernel.shape[-1]))


def _kernel_gradient(columns: Array, dy: Array, kernel: Array, groups: int) -> Array:
    """Return $dW = X^T dy$."""
    xp = array_namespace(columns)
    if groups == 1:
        dkernel = xp.reshape(columns, (-1, columns.shape[-1])).T @ xp.reshape(dy, (-1, dy.shape[-1]))
    else:
        rows = xp.matrix_transpose(_by_group(columns, kernel, groups))  # (G, K, M)
        dkernel = rows @ _filters_by_group(dy, groups)  # (G, K, M) @ (G, M, F/G)
        dkernel = xp.permute_dims(dkernel, (1, 0, 2))
    return xp.reshape(dkernel, kernel.shape)


def _column_gradient(dy: Array, kernel: Array, groups: int) -> Array:
    """Return $dX = dy W^T$, in the shape (N, OH, OW, KH*KW*C)."""
    xp = array_namespace(dy)
    if groups == 1:
        dcolumns = xp.reshape(dy, (-1, dy.shape[-1])) @ xp.reshape(kernel, (-1, kernel.shape[-1])).T
    else:
        dcolumns = _filters_by_group(dy, groups) @ xp.matrix_transpose(_kernel_by_group(kernel, groups))  # (G, M, K)
        channels = kernel.shape[-2]
        positions = math.prod(kernel.shape[:-2])
        dcolumns = xp.reshape(dcolumns, (groups, -1, positions, channels))  # (G, M, KH*KW, C/G)
        dcolumns = xp.permute_dims(dcolumns, (1, 2, 0, 3))
    return xp.reshape(dcolumns, (*dy.shape[:-1], math.prod(kernel.shape[:-1]) * groups))


def _by_group(columns: Array, kernel: Array, groups: int) -> Array:
    """Sort columns (N, OH, OW, KH*KW*C) into (G, N*OH*OW, KH*KW*C/G)."""
    xp = array_namespace(columns)
    channels = kernel.shape[-2]
    positions = columns.shape[-1] // (groups * channels)
    split = xp.reshape(columns, (-1, positions, groups, channels))
    return xp.reshape(xp.permute_dims(split, (2, 0, 1, 3)), (groups, -1, positions * channels))


def _kernel_by_group(kernel: Array, groups: int) -> Array:
    """Sort a kernel (KH, KW, C/G, F) into (G, KH*KW*C/G, F/G)."""
    return _filters_by_group(kernel, groups)


def _filters_by_group(a: Array, groups: int) -> Array:
    """Sort an array (..., F) into (G, M, F/G)."""
    xp = array_namespace(a)
    return xp.permute_dims(xp.reshape(a, (-1, groups, a.shape[-1] // groups)), (1, 0, 2))

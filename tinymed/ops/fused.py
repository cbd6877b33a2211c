r"""Several operations as one, where a kernel that knows both saves a trip through memory.

Nothing new is computed here: the bodies call the operations one after the other, and are what kernels are
checked against.
"""

from __future__ import annotations

from tinymed.backend import Array
from tinymed.ops.activations import relu, relu_backward
from tinymed.ops.convolution import Size, conv2d, conv2d_backward
from tinymed.ops.pooling import max_pool2d, max_pool2d_backward
from tinymed.ops.registry import backward_of, op
from tinymed.ops.windows import Padding


@op
def conv2d_relu(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = (1, 1),
    padding: Padding = "valid",
    dilation_rate: Size = (1, 1),
    groups: int = 1,
) -> tuple[Array, tuple]:
    r"""Convolve and keep what is positive: :func:`conv2d`, then :func:`relu`.

    Forward:
        $z = X W + b, \quad y = \max(0, z)$

    Backward:
        $dz = dy \cdot [y > 0]$, then as :func:`conv2d` with $dz$

    Shapes:
        As :func:`conv2d`: x (N, H, W, C), kernel (KH, KW, C/G, F), bias (F,), y (N, OH, OW, F).

    Arguments:
        x: Image.
        kernel: Weights.
        bias: Added to each channel of the output.
        strides: Step from window to window, one number or (rows, columns).
        padding: "valid" or "same".
        dilation_rate: Distance between the pixels that neighbouring weights see.
        groups: Cuts the channels into G groups, each with its own F/G filters.

    Raises:
        ValueError: As :func:`conv2d`.

    Example:
        >>> import numpy as np
        >>> x = np.array([1.0, 3.0, 2.0]).reshape(1, 1, 3, 1)
        >>> edge = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
        >>> y, cache = conv2d_relu(x, edge)
        >>> y[0, 0, :, 0]
        array([2., 0.])
        >>> dx, dkernel, dbias = conv2d_relu_backward(np.ones_like(y), cache)
        >>> dx[0, 0, :, 0]
        array([-1.,  1.,  0.])

    Source:
        D0 §5 and D2 §4, where every convolution has ``activation='relu'``.
    """
    z, convolution = conv2d(x, kernel, bias, strides, padding, dilation_rate, groups)
    y, _ = relu(z)
    return y, (convolution, y)  # y > 0 exactly where z > 0


@backward_of(conv2d_relu)
def conv2d_relu_backward(
    dy: Array, cache: tuple, input_gradient: bool = True
) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`conv2d_relu`); ``dx`` is None if it is not asked for."""
    convolution, y = cache
    dz = relu_backward(dy, (y, 0.0, None, 0.0))
    return conv2d_backward(dz, convolution, input_gradient)


@op
def conv2d_relu_max_pool(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Size = (1, 1),
    padding: Padding = "valid",
    dilation_rate: Size = (1, 1),
    groups: int = 1,
    pool_size: Size = (2, 2),
    pool_strides: Size | None = None,
    pool_padding: Padding = "valid",
) -> tuple[Array, tuple]:
    r"""Convolve, keep what is positive, and of that the largest of each window: :func:`max_pool2d` at the end.

    Forward:
        $z = X W + b, \quad a = \max(0, z), \quad y$ = the largest $a$ of each window of the pooling

    Backward:
        $da$ = $dy$ where the largest $a$ was, else 0; $dz = da \cdot [a > 0]$; then as :func:`conv2d` with $dz$

    Shapes:
        As :func:`conv2d_relu`, whose output (N, OH, OW, F) becomes y (N, OH // 2, OW // 2, F) by default.

    Arguments:
        x: Image.
        kernel: Weights.
        bias: Added to each channel of the output.
        strides: Step from window to window, one number or (rows, columns).
        padding: "valid" or "same".
        dilation_rate: Distance between the pixels that neighbouring weights see.
        groups: Cuts the channels into G groups, each with its own F/G filters.
        pool_size: Size of the pooling's window.
        pool_strides: Step of the pooling's window; as large as the window if None.
        pool_padding: "valid" or "same".

    Raises:
        ValueError: As :func:`conv2d` and :func:`max_pool2d`.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 3.0], [-2.0, 2.0]]).reshape(1, 2, 2, 1)
        >>> y, cache = conv2d_relu_max_pool(x, np.full((1, 1, 1, 1), 2.0))
        >>> y[0, :, :, 0]
        array([[6.]])
        >>> dx, dkernel, dbias = conv2d_relu_max_pool_backward(np.ones_like(y), cache)
        >>> dx[0, :, :, 0]
        array([[0., 2.],
               [0., 0.]])

    Source:
        D0 §5, D2 §4, D3 §5.1 and D4 §4.1, where each convolution is followed by a pooling.
    """
    a, convolution = conv2d_relu(x, kernel, bias, strides, padding, dilation_rate, groups)
    y, pooling = max_pool2d(a, pool_size, pool_strides, pool_padding)
    return y, (convolution, pooling)


@backward_of(conv2d_relu_max_pool)
def conv2d_relu_max_pool_backward(
    dy: Array, cache: tuple, input_gradient: bool = True
) -> tuple[Array | None, Array, Array | None]:
    """Return ``dx, dkernel, dbias`` (see :func:`conv2d_relu_max_pool`); ``dx`` is None if it is not asked for."""
    convolution, pooling = cache
    return conv2d_relu_backward(max_pool2d_backward(dy, pooling), convolution, input_gradient)

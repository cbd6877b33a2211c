r"""Pooling: one value, the largest or the mean, in place of each window of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op
from tinymed.ops.windows import Padding, Windows, plan_windows, sum_taps, taps

Size = int | Sequence[int]


@op
def max_pool2d(
    x: Array, pool_size: Size = (2, 2), strides: Size | None = None, padding: Padding = "valid"
) -> tuple[Array, tuple]:
    r"""Keep the largest value of each window, channel by channel.

    Forward:
        $y_{n,i,j,c} = \max_{p,q} x_{n,\,s i+p-t,\,s j+q-l,\,c}$ over the positions $(p, q)$ inside the image

    Backward:
        $dx_{n,h,w,c} = \sum dy_{n,i,j,c}$ over the windows $(i, j)$ whose maximum lies at $(h, w)$; of equal
        maxima the first one, in reading order, takes all

    Shapes:
        ========  =================  =================================================
        x         (N, H, W, C)
        y         (N, OH, OW, C)     OH = H // 2 for the default window and padding
        ========  =================  =================================================

    Arguments:
        x: Image. NaN in a window makes NaN.
        pool_size: Size of the window, one number or (rows, columns).
        strides: Step from window to window; as large as the window if None.
        padding: "valid" (whole windows only) or "same" (windows may reach over the edge, where nothing counts).

    Raises:
        ValueError: If a window does not fit into the image.

    Example:
        >>> import numpy as np
        >>> y, cache = max_pool2d(np.array([[1.0, 5.0], [7.0, 3.0]]).reshape(1, 2, 2, 1))
        >>> y[0, :, :, 0]
        array([[7.]])
        >>> max_pool2d_backward(np.full((1, 1, 1, 1), 2.0), cache)[0, :, :, 0]
        array([[0., 0.],
               [2., 0.]])

    Source:
        D4 §3.1.2; D1 §3.1.2 (which states neither the window nor the stride); D2 §3.3 in words.
    """
    return _max_pool(x, pool_size, strides, padding, axes=2)


@backward_of(max_pool2d)
def max_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`max_pool2d`)."""
    return _max_pool_backward(dy, cache)


@op
def max_pool1d(
    x: Array, pool_size: Size = 2, strides: Size | None = None, padding: Padding = "valid"
) -> tuple[Array, tuple]:
    r"""Keep the largest value of each stretch of a signal; :func:`max_pool2d` with one axis.

    Forward:
        $y_{n,i,c} = \max_p x_{n,\,s i+p-t,\,c}$

    Backward:
        $dx_{n,t,c} = \sum dy_{n,i,c}$ over the windows $i$ whose (first) maximum lies at $t$

    Shapes:
        ========  =============
        x         (N, T, C)
        y         (N, OT, C)
        ========  =============

    Arguments:
        x: Signal.
        pool_size: Length of the window.
        strides: Step from window to window; as large as the window if None.
        padding: "valid" or "same".

    Raises:
        ValueError: If a window does not fit into the signal.

    Example:
        >>> import numpy as np
        >>> max_pool1d(np.array([1.0, 5.0, 7.0, 3.0]).reshape(1, 4, 1))[0][0, :, 0]
        array([5., 7.])

    Source:
        As :func:`max_pool2d`.
    """
    return _max_pool(x, pool_size, strides, padding, axes=1)


@backward_of(max_pool1d)
def max_pool1d_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`max_pool1d`)."""
    return _max_pool_backward(dy, cache)


@op
def max_pool3d(
    x: Array, pool_size: Size = (2, 2, 2), strides: Size | None = None, padding: Padding = "valid"
) -> tuple[Array, tuple]:
    r"""Keep the largest value of each block of a volume; :func:`max_pool2d` with three axes.

    Forward:
        $y_{n,i,j,k,c} = \max_{p,q,r} x_{n,\,s i+p,\,s j+q,\,s k+r,\,c}$

    Backward:
        $dx_{n,d,h,w,c} = \sum dy_{n,i,j,k,c}$ over the windows whose (first) maximum lies at $(d, h, w)$

    Shapes:
        ========  =====================
        x         (N, D, H, W, C)
        y         (N, OD, OH, OW, C)
        ========  =====================

    Arguments:
        x: Volume.
        pool_size: Size of the window, one number or three.
        strides: Step from window to window; as large as the window if None.
        padding: "valid" or "same".

    Raises:
        ValueError: If a window does not fit into the volume.

    Example:
        >>> import numpy as np
        >>> max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2, 1))[0].item()
        7.0

    Source:
        As :func:`max_pool2d`.
    """
    return _max_pool(x, pool_size, strides, padding, axes=3)


@backward_of(max_pool3d)
def max_pool3d_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`max_pool3d`)."""
    return _max_pool_backward(dy, cache)


def plan_pool(x: Array, pool_size: Size, strides: Size | None, padding: Padding, axes: int) -> Windows:
    """Work out where the windows of a pooling lie on ``x``."""
    if x.ndim != axes + 2:
        raise ValueError(f"pooling over {axes} axes expects x with {axes + 2} axes but got shape {x.shape}")
    return plan_windows(x.shape[1:-1], pool_size, pool_size if strides is None else strides, padding)


def winner_dtype(windows: Windows) -> str:
    """Return the dtype name of the winning position in a window: a byte where that is enough."""
    return "uint8" if windows.size <= 256 else "int32"


def _max_pool(x: Array, pool_size: Size, strides: Size | None, padding: Padding, axes: int) -> tuple[Array, tuple]:
    xp = array_namespace(x)
    windows = plan_pool(x, pool_size, strides, padding, axes)
    largest: Any = None
    winner: Any = None
    seen: Any = None  # whether a position inside the image has been met
    for k, (value, inside) in enumerate(zip(taps(x, windows), taps(_ones(x), windows), strict=True)):
        if largest is None:
            largest, seen = value, inside
            winner = xp.zeros(value.shape, dtype=getattr(xp, winner_dtype(windows)), device=device_of(x))
            continue
        better = (value > largest) | (xp.isnan(value) & ~xp.isnan(largest)) | (seen == 0)  # a NaN wins, once
        better = better & (inside == 1)
        largest = xp.where(better, value, largest)
        winner = xp.where(better, k, winner)
        seen = xp.maximum(seen, inside)
    return largest, (winner, windows)


def _max_pool_backward(dy: Array, cache: tuple) -> Array:
    winner, windows = cache
    xp = array_namespace(dy)
    zero = xp.zeros((), dtype=dy.dtype, device=device_of(dy))
    return sum_taps((xp.where(winner == k, dy, zero) for k in range(windows.size)), windows)


def _ones(x: Array) -> Array:
    """Return an image of ones, (1, H, W, 1): padded with zeros it tells what lies inside the image."""
    return array_namespace(x).ones((1, *x.shape[1:-1], 1), dtype=x.dtype, device=device_of(x))


@op
def average_pool2d(
    x: Array, pool_size: Size = (2, 2), strides: Size | None = None, padding: Padding = "valid"
) -> tuple[Array, Windows]:
    r"""Take the mean of each window, channel by channel.

    Forward:
        $y_{n,i,j,c} = \frac{1}{M_{ij}} \sum_{p,q} x_{n,\,s i+p-t,\,s j+q-l,\,c}$ with $M_{ij}$ the number of
        positions inside the image (everywhere KH KW for "valid")

    Backward:
        $dx_{n,h,w,c} = \sum dy_{n,i,j,c} / M_{ij}$ over the windows $(i, j)$ that contain $(h, w)$

    Shapes:
        ========  =================  =================================================
        x         (N, H, W, C)
        y         (N, OH, OW, C)     OH = H // 2 for the default window and padding
        ========  =================  =================================================

    Arguments:
        x: Image.
        pool_size: Size of the window, one number or (rows, columns).
        strides: Step from window to window; as large as the window if None.
        padding: "valid" (whole windows only) or "same" (windows may reach over the edge, where nothing counts).

    Raises:
        ValueError: If a window does not fit into the image.

    Example:
        >>> import numpy as np
        >>> y, cache = average_pool2d(np.array([[1.0, 5.0], [7.0, 3.0]]).reshape(1, 2, 2, 1))
        >>> y[0, :, :, 0]
        array([[4.]])
        >>> average_pool2d_backward(np.full((1, 1, 1, 1), 2.0), cache)[0, :, :, 0]
        array([[0.5, 0.5],
               [0.5, 0.5]])

    Source:
        D4 §3.1.2; D2 §3.3 in words.
    """
    return _average_pool(x, pool_size, strides, padding, axes=2)


@backward_of(average_pool2d)
def average_pool2d_backward(dy: Array, cache: Windows) -> Array:
    """Return ``dx`` (see :func:`average_pool2d`)."""
    return _average_pool_backward(dy, cache)


@op
def average_pool1d(
    x: Array, pool_size: Size = 2, strides: Size | None = None, padding: Padding = "valid"
) -> tuple[Array, Windows]:
    r"""Take the mean of each stretch of a signal; :func:`average_pool2d` with one axis.

    Forward:
        $y_{n,i,c} = \frac{1}{M_i} \sum_p x_{n,\,s i+p-t,\,c}$

    Backward:
        $dx_{n,t,c} = \sum dy_{n,i,c} / M_i$ over the windows $i$ that contain $t$

    Shapes:
        ========  =============
        x         (N, T, C)
        y         (N, OT, C)
        ========  =============

    Arguments:
        x: Signal.
        pool_size: Length of the window.
        strides: Step from window to window; as large as the window if None.
        padding: "valid" or "same".

    Raises:
        ValueError: If a window does not fit into the signal.

    Example:
        >>> import numpy as np
        >>> average_pool1d(np.array([1.0, 5.0, 7.0]).reshape(1, 3, 1), padding="same")[0][0, :, 0]
        array([3., 7.])

    Source:
        As :func:`average_pool2d`.
    """
    return _average_pool(x, pool_size, strides, padding, axes=1)


@backward_of(average_pool1d)
def average_pool1d_backward(dy: Array, cache: Windows) -> Array:
    """Return ``dx`` (see :func:`average_pool1d`)."""
    return _average_pool_backward(dy, cache)


@op
def average_pool3d(
    x: Array, pool_size: Size = (2, 2, 2), strides: Size | None = None, padding: Padding = "valid"
) -> tuple[Array, Windows]:
    r"""Take the mean of each block of a volume; :func:`average_pool2d` with three axes.

    Forward:
        $y_{n,i,j,k,c} = \frac{1}{M_{ijk}} \sum_{p,q,r} x_{n,\,s i+p,\,s j+q,\,s k+r,\,c}$

    Backward:
        $dx_{n,d,h,w,c} = \sum dy_{n,i,j,k,c} / M_{ijk}$ over the windows that contain $(d, h, w)$

    Shapes:
        ========  =====================
        x         (N, D, H, W, C)
        y         (N, OD, OH, OW, C)
        ========  =====================

    Arguments:
        x: Volume.
        pool_size: Size of the window, one number or three.
        strides: Step from window to window; as large as the window if None.
        padding: "valid" or "same".

    Raises:
        ValueError: If a window does not fit into the volume.

    Example:
        >>> import numpy as np
        >>> average_pool3d(np.arange(8.0).reshape(1, 2, 2, 2, 1))[0].item()
        3.5

    Source:
        As :func:`average_pool2d`.
    """
    return _average_pool(x, pool_size, strides, padding, axes=3)


@backward_of(average_pool3d)
def average_pool3d_backward(dy: Array, cache: Windows) -> Array:
    """Return ``dx`` (see :func:`average_pool3d`)."""
    return _average_pool_backward(dy, cache)


def _average_pool(
    x: Array, pool_size: Size, strides: Size | None, padding: Padding, axes: int
) -> tuple[Array, Windows]:
    windows = plan_pool(x, pool_size, strides, padding, axes)
    return sum(taps(x, windows)) / _inside_count(x, windows), windows


def _average_pool_backward(dy: Array, cache: Windows) -> Array:
    share = dy / _inside_count(dy, cache)
    return sum_taps((share for _ in range(cache.size)), cache)


def _inside_count(like: Array, windows: Windows) -> Any:
    """Return how many positions of each window lie inside the image: one number, or (1, OH, OW, 1)."""
    if not windows.padded:
        return windows.size
    ones = array_namespace(like).ones((1, *windows.image, 1), dtype=like.dtype, device=device_of(like))
    return sum(taps(ones, windows))

"""Images and volumes brought to one size and one spacing, and back (floor 3).

Sizes may have any number of axes. Arrays may lie on the host or on a GPU and stay there: interpolation is that of
scipy.ndimage for NumPy arrays and of its twin in CuPy for CuPy arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array


def ndimage_for(x: Array) -> Any:
    """Return scipy.ndimage, or its twin on the GPU, by the kind of array.

    >>> ndimage_for(np.zeros(1)).__name__
    'scipy.ndimage'
    """
    if isinstance(x, np.ndarray):
        from scipy import ndimage

        return ndimage
    if type(x).__module__.partition(".")[0] == "cupy":
        from cupyx.scipy import ndimage

        return ndimage
    raise TypeError(
        f"interpolation takes NumPy and CuPy arrays, not {type(x).__module__}.{type(x).__name__}; "
        "resample before moving the data to that library"
    )


# --- size ------------------------------------------------------------------------------------------------------


def centre(x: Array, size: Sequence[int | None], value: float | str = 0.0) -> Array:
    """Cut or fill each axis at both ends until it has the wished size; the middle stays in the middle.

    The way back is the same function with the old size: ``centre(centre(x, size), x.shape)`` is ``x`` again, with
    ``value`` where something was cut away.

    Arguments:
        x: Any array.
        size: The new length of each axis; None leaves it as it is. Axes behind those named are left as they are.
        value: What is filled in, or ``"edge"`` to repeat the border.

    Raises:
        ValueError: If there are more sizes than axes, or a size is not positive.

    Example:
        >>> x = np.array([1, 2, 3, 4, 5])
        >>> centre(x, (2,)), centre(x, (8,))
        (array([2, 3]), array([0, 1, 2, 3, 4, 5, 0, 0]))
        >>> centre(centre(x, (8,)), x.shape), centre(centre(x, (2,)), x.shape)
        (array([1, 2, 3, 4, 5]), array([0, 2, 3, 0, 0]))
    """
    sizes = list(size)
    if len(sizes) > x.ndim or any(n is not None and n < 1 for n in sizes):
        raise ValueError(
            f"centre expects a positive size or None for each of {x.ndim} axes at most, got {tuple(sizes)}"
        )
    xp = backend.array_namespace(x)
    for axis, wished in enumerate(sizes):
        have = x.shape[axis]
        if wished is None or wished == have:
            continue
        if wished < have:
            start = (have - wished) // 2
            x = x[(slice(None),) * axis + (slice(start, start + wished), ...)]
            continue
        before = (wished - have) // 2
        filled = [
            _border(x, axis, count, end, value) for count, end in ((before, 0), (wished - have - before, have - 1))
        ]
        x = xp.concat([filled[0], x, filled[1]], axis=axis)
    return x


def _border(x: Array, axis: int, count: int, end: int, value: float | str) -> Array:
    """Return ``count`` entries to put at an end of an axis: a number, or the entry ``end`` repeated."""
    xp = backend.array_namespace(x)
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if value == "edge":
        return xp.broadcast_to(x[(slice(None),) * axis + (slice(end, end + 1), ...)], shape)
    if isinstance(value, str):
        raise ValueError(f"centre: value must be a number or 'edge', got {value!r}")
    return xp.full(shape, value, dtype=x.dtype, device=backend.device_of(x))


def next_multiple(n: int, of: int) -> int:
    """Return the least multiple from ``n`` on: a network that halves images three times takes multiples of 8.

    >>> next_multiple(35, 8), next_multiple(40, 8)
    (40, 40)
    """
    return -(-n // of) * of


# --- spacing ---------------------------------------------------------------------------------------------------


def resample(x: Array, spacing: Sequence[float], to: float | Sequence[float], nearest: bool = False) -> Array:
    """Return an image or volume with another distance between its pixels.

    The new pixels cover the same extent; as their number is whole, the new spacing is met to within half a pixel of
    the whole extent.

    Arguments:
        x: An array with an axis for each entry of ``spacing``.
        spacing: Its distance of neighbouring pixels along each axis, in mm.
        to: The wished distance, one number for all axes or one for each.
        nearest: For masks: takes the value of the nearest pixel, so that no label appears that was not there. Else
            the interpolation is linear, after a blur where there will be fewer pixels.

    Raises:
        ValueError: If a spacing is not positive, or does not fit the array.

    Example:
        >>> resample(np.array([0.0, 2.0, 4.0, 6.0]), [1.0], 2.0).shape
        (2,)
        >>> resample(np.array([[1, 2]]), (1.0, 1.0), (1.0, 0.5), nearest=True)
        array([[1, 1, 2, 2]])
    """
    old = tuple(float(s) for s in spacing)
    new = tuple(float(s) for s in np.ravel(to)) * (len(old) if np.ndim(to) == 0 else 1)
    if not len(old) == len(new) == x.ndim or not all(s > 0 for s in (*old, *new)):
        raise ValueError(
            f"resample expects a positive spacing for each of {x.ndim} axes, got {tuple(spacing)} and {to!r}"
        )
    size = [max(1, round(n * a / b)) for n, a, b in zip(x.shape, old, new, strict=True)]
    return resize(x, size, nearest)


def resize(x: Array, size: Sequence[int], nearest: bool = False) -> Array:
    """Return an image or volume with another number of pixels over the same extent.

    Arguments:
        x: Any array; whole numbers become float32 unless ``nearest``.
        size: The new length of each axis.
        nearest: For masks, see :func:`resample`.

    Raises:
        ValueError: If there is not one positive size for each axis.

    Example:
        >>> resize(np.array([0.0, 1.0]), [4])
        array([0.  , 0.25, 0.75, 1.  ])
    """
    if len(size) != x.ndim or any(n < 1 for n in size):
        raise ValueError(f"resize expects one positive size for each of {x.ndim} axes, got {tuple(size)}")
    xp = backend.array_namespace(x)
    if not nearest and x.dtype not in (xp.float32, xp.float64):
        x = xp.astype(x, xp.float32)
    if tuple(size) == tuple(x.shape):
        return xp.asarray(x, copy=True)
    ndimage = ndimage_for(x)
    if not nearest:
        blur = [max(0.0, (n / m - 1) / 2) for n, m in zip(x.shape, size, strict=True)]
        if any(blur):
            x = ndimage.gaussian_filter(x, blur, mode="nearest")
    zoom = [m / n for n, m in zip(x.shape, size, strict=True)]
    return ndimage.zoom(x, zoom, order=0 if nearest else 1, mode="nearest", prefilter=False, grid_mode=True)

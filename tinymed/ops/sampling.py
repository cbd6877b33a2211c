r"""Reading an image between its pixels, where a displacement field says: the step that registration learns through."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op

BORDERS = ("clamp", "zeros")


@op
def warp(x: Array, displacement: Array, border: str = "clamp") -> tuple[Array, tuple]:
    r"""Deform images: each pixel of the result looks up the image at its own place plus a displacement.

    The value between four pixels is interpolated bilinearly. A displacement of $(0, 1)$ everywhere moves the content
    one pixel to the *left*: pixel $(h, w)$ shows what was at $(h, w + 1)$.

    Forward:
        $y_{n,h,w,c} = \sum_{a,b \in \{0,1\}} \alpha_a\, \beta_b\; x_{n,\,i+a,\,j+b,\,c}$ with
        $p = h + u_{n,h,w,0}$, $i = \lfloor p \rfloor$, $s = p - i$, $\alpha_0 = 1 - s$, $\alpha_1 = s$ along the rows,
        and $q = w + u_{n,h,w,1}$, $j = \lfloor q \rfloor$, $t = q - j$, $\beta_0 = 1 - t$, $\beta_1 = t$ along the
        columns

    Backward:
        $dx_{n,k,l,c} = \sum \alpha_a \beta_b\, dy_{n,h,w,c}$ over all $(h, w, a, b)$ with $(i + a, j + b) = (k, l)$;

        $du_{n,h,w,0} = \sum_c dy_{n,h,w,c} \sum_b \beta_b\, (x_{n,i+1,j+b,c} - x_{n,i,j+b,c})$, and $du_{n,h,w,1}$
        alike: the slope of the image there. Where $p$ is a whole number the slope has a step, and the one towards
        larger $p$ is taken; where $p$ lies outside the image it is 0.

    Shapes:
        ============  ==============  ================================================
        x             (N, H, W, C)
        displacement  (N, H, W, 2)    $u$, in pixels: along the rows, along the columns
        y             (N, H, W, C)
        ============  ==============  ================================================

    Arguments:
        x: Images.
        displacement: Where to look, from each pixel's own place. NaN makes NaN.
        border: What lies outside the image: "clamp" (the outermost pixels go on) or "zeros" (nothing; the image fades
            over one pixel).

    Raises:
        ValueError: If the shapes do not belong together, or the border is unknown.

    Example:
        >>> import numpy as np
        >>> image = np.array([0.0, 10.0, 20.0]).reshape(1, 1, 3, 1)
        >>> y, cache = warp(image, np.array([[[[0.0, 0.5], [0.0, 0.25], [0.0, 4.0]]]]))
        >>> y[0, 0, :, 0]
        array([ 5. , 12.5, 20. ])
        >>> dx, du = warp_backward(np.ones((1, 1, 3, 1)), cache)
        >>> dx[0, 0, :, 0], du[0, 0, :, 1]
        (array([0.5 , 1.25, 1.25]), array([10., 10.,  0.]))

    Source:
        Jaderberg et al., Spatial Transformer Networks, 2015. D0 §6 names registration as an application.
    """
    check_warp(x, displacement, border)
    xp = array_namespace(x)
    flat = xp.reshape(x, (math.prod(x.shape[:3]), x.shape[3]))
    y = xp.zeros(x.shape, dtype=x.dtype, device=device_of(x))
    for index, alpha, beta, _ in _corners(places(displacement, border)):
        y = y + _seen(flat, index, x.shape) * (alpha * beta)[..., None]
    return y, (x, displacement, border)


@backward_of(warp)
def warp_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, Array]:
    """Return ``dx, ddisplacement`` (see :func:`warp`); ``dx`` is None if it is not asked for."""
    x, displacement, border = cache
    xp = array_namespace(dy)
    pixels, channels = math.prod(x.shape[:3]), x.shape[3]
    flat = xp.reshape(x, (pixels, channels))
    rows, columns = where = places(displacement, border)
    drow = xp.zeros(x.shape[:3], dtype=dy.dtype, device=device_of(dy))
    dcolumn = drow
    parts, targets = [], []
    for (index, alpha, beta, exists), (a, b) in zip(_corners(where), _CORNERS, strict=True):
        share = xp.sum(dy * _seen(flat, index, x.shape), axis=-1)  # (N, H, W)
        share = xp.where(exists, share, xp.zeros_like(share))
        drow = drow + (share * beta if a else -share * beta)
        dcolumn = dcolumn + (share * alpha if b else -share * alpha)
        if input_gradient:
            parts.append(xp.reshape(dy * (alpha * beta)[..., None], (pixels, channels)))
            targets.append(xp.reshape(index, (pixels,)))
    zero = xp.zeros_like(drow)
    drow, dcolumn = xp.where(rows.inside, drow, zero), xp.where(columns.inside, dcolumn, zero)
    dx = None
    if input_gradient:
        dx = xp.reshape(sum_by_index(xp.concat(parts), xp.concat(targets), pixels), x.shape)
    return dx, xp.stack([drow, dcolumn], axis=-1)


def check_warp(x: Array, displacement: Array, border: str) -> None:
    """Raise ValueError unless :func:`warp` can work on these."""
    if border not in BORDERS:
        raise ValueError(f"warp knows the borders 'clamp' and 'zeros' but got {border!r}")
    if x.ndim != 4 or tuple(displacement.shape) != (*x.shape[:3], 2):
        wanted = f"({', '.join(map(str, x.shape[:3]))}, 2)" if x.ndim == 4 else "(N, H, W, 2)"
        raise ValueError(
            f"warp expects images (N, H, W, C) and displacements {wanted} but got {tuple(x.shape)} and "
            f"{tuple(displacement.shape)}; each pixel needs one displacement along the rows and one along the columns"
        )


def sum_by_index(values: Array, index: Array, size: int) -> Array:
    r"""Add up the rows of ``values`` that share an index: row $k$ of the result is $\sum_{m:\, i_m = k} v_m$.

    No two writers meet at one place, so that the same bits come out every time: the rows are sorted by index, and
    each then adds what lies 1, 2, 4, 8 ... places before it, as long as that has the same index. After $\log_2 M$
    rounds the last row of each index holds its sum.

    Arguments:
        values: (M, C).
        index: (M,), whole numbers from 0 to ``size`` - 1.
        size: Rows of the result.

    Example:
        >>> import numpy as np
        >>> sum_by_index(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2]), 4)[:, 0]
        array([2., 0., 5., 0.])
    """
    xp = array_namespace(values)
    count = index.shape[0]
    order = xp.argsort(index, stable=True)
    index, total = xp.take(index, order), xp.take(values, order, axis=0)
    step = 1
    while step < count:
        same = (index[step:] == index[:-step])[:, None]
        earlier = total[:-step, ...]
        total = xp.concat([total[:step, ...], total[step:, ...] + xp.where(same, earlier, xp.zeros_like(earlier))])
        step *= 2
    wanted = xp.arange(size, dtype=index.dtype, device=device_of(values))
    if not count:
        return xp.zeros((size, values.shape[1]), dtype=values.dtype, device=device_of(values))
    last = xp.searchsorted(index, wanted, side="right")
    present = last > xp.searchsorted(index, wanted, side="left")
    sums = xp.take(total, xp.where(present, last - 1, xp.zeros_like(last)), axis=0)  # (size, C)
    return xp.where(present[:, None], sums, xp.zeros_like(sums))


# --- where the four corners lie --------------------------------------------------------------------------------

_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Places:
    """Along one axis: the pixel before each place, how far behind it the place lies, and whether that is inside."""

    first: Array
    fraction: Array
    inside: Array
    size: int

    def pixel(self, step: int) -> tuple[Array, Array, Array]:
        """Return number and weight of the first (0) or second (1) pixel, and whether it belongs to the image."""
        xp = array_namespace(self.first)
        number = self.first + step
        exists = (number >= 0) & (number < self.size)
        weight = self.fraction if step else 1 - self.fraction
        weight = xp.where(exists, weight, weight * 0)  # 0 outside; NaN stays NaN
        return xp.minimum(xp.maximum(number, 0), self.size - 1), weight, exists


def places(displacement: Array, border: str) -> tuple[Places, Places]:
    """Return where each pixel looks, along the rows and along the columns."""
    xp = array_namespace(displacement)
    found = []
    for axis in (0, 1):
        size = displacement.shape[1 + axis]
        grid = xp.arange(size, dtype=displacement.dtype, device=device_of(displacement))
        place = displacement[..., axis] + xp.reshape(grid, (1, size, 1) if axis == 0 else (1, 1, size))
        low, high = (0, size - 1) if border == "clamp" else (-1, size)
        inside = (place >= low) & (place < high)
        place = xp.minimum(xp.maximum(place, low), high)
        first = xp.astype(xp.floor(xp.where(xp.isnan(place), xp.zeros_like(place), place)), xp.int64)
        if border == "clamp":
            first = xp.minimum(first, max(size - 2, 0))
        found.append(Places(first, place - xp.astype(first, place.dtype), inside, size))
    return found[0], found[1]


def _corners(where: tuple[Places, Places]) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Yield, for each of the four pixels around each place: number in the batch, two weights, whether it exists."""
    rows, columns = where
    xp = array_namespace(rows.first)
    count = rows.first.shape[0]
    image = xp.reshape(xp.arange(count, dtype=rows.first.dtype, device=device_of(rows.first)), (count, 1, 1))
    for a, b in _CORNERS:
        row, alpha, in_height = rows.pixel(a)
        column, beta, in_width = columns.pixel(b)
        yield (image * rows.size + row) * columns.size + column, alpha, beta, in_height & in_width


def _seen(flat: Array, index: Array, shape: tuple[int, ...]) -> Array:
    """Return the pixels with these numbers, (N, H, W, C)."""
    xp = array_namespace(flat)
    return xp.reshape(xp.take(flat, xp.reshape(index, (math.prod(shape[:3]),)), axis=0), shape)

r"""Windows that slide over an image: how many there are, what they contain, and back again.

Convolution and pooling are the same journey. A window of KH x KW positions visits every place of the image; *im2col*
writes what it sees at each place into one row of a matrix, and all that is left to do is a matrix product
(convolution) or a maximum over the row (pooling)::

    image, 3 x 3        windows, 2 x 2         columns, one row per window
    +---+---+---+       +---+---+
    | a | b | c |       | a | b |  c           a b d e     (oh, ow) = (0, 0)
    +---+---+---+       +---+---+
    | d | e | f |       | d | e |  f    -->    b c e f                (0, 1)
    +---+---+---+       +---+---+              d e g h                (1, 0)
    | g | h | i |         g   h    i           e f h i                (1, 1)
    +---+---+---+

*col2im*, its adjoint, carries gradients the other way: each pixel sums what arrives from all windows that saw it.
Everything here works for one, two or three spatial axes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op

Padding = str | Sequence[tuple[int, int]]
"""``"valid"``, ``"same"``, ``"causal"``, or the numbers of zeros before and after each spatial axis."""


@dataclass(frozen=True)
class Windows:
    """Where the windows lie, one number (or pair) per spatial axis.

    Arguments:
        image: Size of the image (H, W).
        window: Size of the window (KH, KW).
        strides: Step from one window to the next.
        dilation: Distance between neighbouring positions of a window, 1 for a window without gaps.
        pads: Positions added before and after the image.
        counts: How many windows there are (OH, OW).
    """

    image: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]

    @property
    def padded(self) -> bool:
        """Whether any position was added around the image."""
        return any(before or after for before, after in self.pads)

    @property
    def size(self) -> int:
        """Number of positions in one window (KH * KW)."""
        return math.prod(self.window)


def per_axis(value: int | Sequence[int], axes: int, name: str) -> tuple[int, ...]:
    """Return one whole number per spatial axis: a single number counts for every axis.

    >>> per_axis(3, 2, "kernel_size")
    (3, 3)
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if isinstance(value, str) or len(values) != axes or not all(int(v) == v and v >= 1 for v in values):
        raise ValueError(f"{name} needs a positive whole number, or {axes} of them, but got {value!r}")
    return tuple(int(v) for v in values)


def extent(window: int, dilation: int) -> int:
    """Return how many positions a window spans, its gaps included: $(K - 1) d + 1$."""
    return (window - 1) * dilation + 1


def count_windows(size: int, window: int, stride: int, dilation: int, padding: str) -> int:
    """Return how many windows fit along one axis: the output's size, zero or less if none does.

    >>> count_windows(64, 3, 1, 1, "valid"), count_windows(5, 3, 2, 1, "same")
    (62, 3)
    """
    if padding == "valid":
        size = size - extent(window, dilation) + 1
    return -(-size // stride)  # rounded up


def plan_windows(
    image: Sequence[int],
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation_rate: int | Sequence[int] = 1,
) -> Windows:
    """Work out where the windows lie on an image of the given size.

    ``"valid"`` keeps every window inside the image. ``"same"`` pads until the output has
    ``ceil(size / stride)`` values, the odd one behind, as Keras does. ``"causal"`` pads only in front, so that
    no window looks ahead (one axis only).

    Raises:
        ValueError: If the padding is unknown or the window is larger than the (padded) image.
    """
    pads = padding if isinstance(padding, str) else tuple((int(before), int(after)) for before, after in padding)
    return _planned(tuple(image), _hashable(window), _hashable(strides), pads, _hashable(dilation_rate))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@functools.lru_cache(maxsize=1024)  # a network plans the same windows at every step
def _planned(image: tuple[int, ...], window: Any, strides: Any, padding: Padding, dilation_rate: Any) -> Windows:
    axes = len(image)
    window = per_axis(window, axes, "the window size")
    strides = per_axis(strides, axes, "strides")
    dilation = per_axis(dilation_rate, axes, "dilation_rate")
    spans = tuple(map(extent, window, dilation))
    if isinstance(padding, str):
        if padding not in ("valid", "same", "causal") or (padding == "causal" and axes != 1):
            allowed = "'valid', 'same' or 'causal'" if axes == 1 else "'valid' or 'same'"
            raise ValueError(f"padding must be {allowed} for {axes} spatial axes, got {padding!r}")
        counts = tuple(count_windows(*sizes, padding) for sizes in zip(image, window, strides, dilation, strict=True))
        missing = [max((n - 1) * s + k - size, 0) for n, s, k, size in zip(counts, strides, spans, image, strict=True)]
        if padding == "valid":
            missing = [0] * axes
        pads = tuple((m // 2, m - m // 2) for m in missing) if padding != "causal" else ((spans[0] - 1, 0),)
    else:
        pads = tuple(padding)
        counts = tuple(
            (size + sum(pad) - k) // s + 1 for size, pad, k, s in zip(image, pads, spans, strides, strict=True)
        )
    if min(counts, default=1) < 1:
        grown = f" ({spans} with its dilation)" if spans != window else ""
        raise ValueError(
            f"a window of {window}{grown} does not fit into an image of {image} with padding={padding!r}; "
            "use padding='same', a smaller window, or a larger image"
        )
    return Windows(image, window, strides, dilation, pads, counts)


def pad_image(x: Array, windows: Windows, value: float = 0) -> Array:
    """Return ``x`` with the planned padding around its spatial axes; ``x`` itself if there is none."""
    if not windows.padded:
        return x
    xp = array_namespace(x)
    sizes = [before + size + after for size, (before, after) in zip(windows.image, windows.pads, strict=True)]
    padded = xp.full((x.shape[0], *sizes, x.shape[-1]), value, dtype=x.dtype, device=device_of(x))
    padded[_inside(windows)] = x
    return padded


def taps(x: Array, windows: Windows, value: float = 0) -> Iterator[Array]:
    """Yield, for each position (i, j) of the window, what lies there in every window: KH*KW arrays (N, OH, OW, C)."""
    padded = pad_image(x, windows, value)
    for where in _tap_slices(windows):
        yield padded[where]


def sum_taps(parts: Iterable[Array], windows: Windows) -> Array:
    """Add KH*KW arrays (N, OH, OW, C) where :func:`taps` read them: its adjoint, an image (N, H, W, C)."""
    padded = None
    for where, part in zip(_tap_slices(windows), parts, strict=True):
        if padded is None:
            sizes = [before + size + after for size, (before, after) in zip(windows.image, windows.pads, strict=True)]
            shape = (part.shape[0], *sizes, part.shape[-1])
            padded = array_namespace(part).zeros(shape, dtype=part.dtype, device=device_of(part))
        padded[where] = padded[where] + part
    if padded is None:
        raise ValueError("a window has at least one position")
    return array_namespace(padded).asarray(padded[_inside(windows)], copy=True) if windows.padded else padded


def _inside(windows: Windows) -> tuple[slice, ...]:
    """Index the image within its padding."""
    spatial = [slice(before, before + size) for size, (before, _) in zip(windows.image, windows.pads, strict=True)]
    return (slice(None), *spatial, slice(None))


def _tap_slices(windows: Windows) -> Iterator[tuple[slice, ...]]:
    """Index the padded image at each position of the window in turn, for all windows at once."""
    for position in product(*map(range, windows.window)):
        spatial = []
        for i, stride, gap, count in zip(position, windows.strides, windows.dilation, windows.counts, strict=True):
            first = i * gap
            spatial.append(slice(first, first + (count - 1) * stride + 1, stride))
        yield (slice(None), *spatial, slice(None))


@op
def im2col(
    x: Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation_rate: int | Sequence[int] = 1,
) -> tuple[Array, Windows]:
    r"""Write what each window sees into one row.

    Forward:
        $\mathrm{col}_{n,i,j,(p,q,c)} = x_{n,\; s i + d p - t,\; s j + d q - l,\; c}$, zero outside the image,
        with the strides $s$, the dilation $d$ and the padding $(t, l)$ before each axis

    Backward:
        $dx_{n,h,w,c} = \sum d\mathrm{col}_{n,i,j,(p,q,c)}$ over all $(i,p)$ with $s i + d p - t = h$ and all
        $(j,q)$ with $s j + d q - l = w$ (*col2im*)

    Shapes:
        ========  ======================  ===================================================
        x         (N, H, W, C)            or (N, T, C), or (N, D, H, W, C)
        y         (N, OH, OW, KH*KW*C)    in the order of a kernel's axes (KH, KW, C)
        ========  ======================  ===================================================

    Arguments:
        x: Image.
        window: Size of the window (KH, KW), or one number for every axis.
        strides: Step from window to window.
        padding: "valid", "same", "causal" (one axis), or pairs (before, after).
        dilation_rate: Distance between neighbouring positions of a window.

    Raises:
        ValueError: If the window does not fit into the image.

    Example:
        >>> import numpy as np
        >>> image = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
        >>> columns, cache = im2col(image, 2)
        >>> columns
        array([[[1., 2.],
                [2., 3.],
                [3., 4.]]])
        >>> im2col_backward(np.ones((1, 3, 2)), cache)[0, :, 0]
        array([1., 2., 2., 1.])

    Source:
        The sums of D1 §3.1.1, D3 §4.1 and D4 §3.1.1, with their terms written out.
    """
    xp = array_namespace(x)
    windows = plan_windows(x.shape[1:-1], window, strides, padding, dilation_rate)
    columns = xp.stack(list(taps(x, windows)), axis=-2)  # (N, OH, OW, KH*KW, C)
    return xp.reshape(columns, (*columns.shape[:-2], windows.size * x.shape[-1])), windows


@backward_of(im2col)
def im2col_backward(dy: Array, cache: Windows) -> Array:
    """Return ``dx``: every pixel sums what reaches it from the windows that saw it (see :func:`im2col`)."""
    channels = dy.shape[-1] // cache.size
    return sum_taps((dy[..., k * channels : (k + 1) * channels] for k in range(cache.size)), cache)

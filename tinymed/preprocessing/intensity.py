"""Intensities brought to one scale: CT windows, percentiles, standardisation (floor 3).

The arrays may lie on any device and stay there; what comes out is float32 (float64 for float64). Every function
looks only at the array that it is given, so nothing leaks from test cases into training.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinymed import backend
from tinymed.backend import Array
from tinymed.configurable import resolve


class Window(NamedTuple):
    """The part of the CT scale that is shown, in Hounsfield units (air -1000, water 0).

    Attributes:
        level: The value in the middle, shown as mid-grey.
        width: From black to white.
    """

    level: float
    width: float

    @property
    def limits(self) -> tuple[float, float]:
        """What is shown as black and as white."""
        return self.level - self.width / 2, self.level + self.width / 2


WINDOWS = {
    "lung": Window(-600, 1500),
    "mediastinum": Window(50, 350),
    "soft tissue": Window(50, 400),
    "abdomen": Window(50, 400),
    "liver": Window(30, 150),
    "bone": Window(400, 1800),
    "spine": Window(50, 250),
    "brain": Window(40, 80),
    "subdural": Window(75, 215),
    "stroke": Window(40, 40),
    "temporal bone": Window(600, 2800),
    "angiography": Window(300, 600),
}
"""The usual windows of radiology by name; hospitals differ by a few tens of units."""


def window(x: Any, which: str | tuple[float, float] | Window) -> Array:
    """Map a window of CT values to [0, 1]; what lies outside becomes 0 or 1.

    Arguments:
        x: Hounsfield units, any shape.
        which: A name of :data:`WINDOWS`, or level and width.

    Raises:
        ValueError: If the name is unknown (the nearest is named), or the width is not positive.

    Example:
        >>> window([-1350.0, -600.0, 150.0, 900.0], "lung")
        array([0. , 0.5, 1. , 1. ])
        >>> window([-40.0, 60.0], (60, 400))
        array([0.25, 0.5 ])
        >>> window([0.0], "lungs")
        Traceback (most recent call last):
        ...
        ValueError: unknown CT window 'lungs'; did you mean 'lung'?
    """
    level, width = resolve(which, WINDOWS, "CT window") if isinstance(which, str) else which
    if not width > 0:
        raise ValueError(f"a CT window's width must be positive, got {width!r}")
    return _between(_floating(x), level - width / 2, width)


def percentile(x: Any, percents: float | tuple[float, ...]) -> Array:
    """Return percentiles of all values of an array, as ``numpy.percentile`` does, on the device of the array.

    >>> percentile([4.0, 1.0, 2.0, 3.0], (0, 50))
    array([1. , 2.5])
    """
    x = _floating(x)
    xp = backend.array_namespace(x)
    ordered = xp.sort(xp.reshape(x, (-1,)))
    last = ordered.shape[0] - 1
    if last < 0:
        raise ValueError("percentile needs at least one value")
    found = []
    for percent in [percents] if isinstance(percents, int | float) else percents:
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile lies between 0 and 100, got {percent!r}")
        place = percent / 100 * last
        below = min(int(place), max(last - 1, 0))
        above = min(below + 1, last)
        found.append(ordered[below] + (ordered[above] - ordered[below]) * (place - below))
    return found[0] if isinstance(percents, int | float) else xp.stack(found)


def scale_percentiles(x: Any, low: float = 1.0, high: float = 99.0) -> Array:
    """Map the range between two percentiles to [0, 1]; what lies outside becomes 0 or 1.

    For images without a scale of their own, such as MR: bright vessels and noise do not decide.

    Arguments:
        x: Intensities of one image or volume.
        low: Percentile that becomes 0.
        high: Percentile that becomes 1.

    Returns:
        An array of the same shape; zeros if all values are equal.

    Raises:
        ValueError: Unless ``0 <= low < high <= 100``.

    Example:
        >>> scale_percentiles([0.0, 10.0, 20.0, 1000.0], 0, 200 / 3).tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must be 0 <= low < high <= 100, got {low!r} and {high!r}")
    x = _floating(x)
    bottom, top = percentile(x, float(low)), percentile(x, float(high))
    return _between(x, bottom, backend.array_namespace(x).where(top > bottom, top - bottom, 1.0))


def standardize(x: Any, mask: Any = None, epsilon: float = 1e-8) -> Array:
    """Subtract the mean and divide by the standard deviation.

    Arguments:
        x: Intensities of one image or volume.
        mask: Where mean and deviation are taken from, such as the body without the air around it; everywhere if None.
        epsilon: The least deviation that is divided by; below it the array is only shifted.

    Raises:
        ValueError: If the mask has another shape or is empty.

    Example:
        >>> standardize([1.0, 3.0, 5.0]).round(3)
        array([-1.225,  0.   ,  1.225])
        >>> standardize([0.0, 1.0, 3.0], mask=[False, True, True])
        array([-2., -1.,  1.])
    """
    x = _floating(x)
    xp = backend.array_namespace(x)
    if mask is None:
        mean, deviation = xp.mean(x), xp.std(x)
    else:
        mask = mask if hasattr(mask, "dtype") else backend.asarray(mask)
        if tuple(mask.shape) != tuple(x.shape):
            raise ValueError(f"a mask of shape {tuple(mask.shape)} does not fit an image of shape {tuple(x.shape)}")
        weight = xp.astype(xp.astype(mask, xp.bool), x.dtype)
        count = xp.sum(weight)
        if float(count) == 0:
            raise ValueError("the mask is empty: there is nothing to take the mean of")
        mean = xp.sum(weight * x) / count
        deviation = xp.sqrt(xp.sum(weight * (x - mean) ** 2) / count)
    return (x - mean) / xp.where(deviation > epsilon, deviation, 1.0)


def _between(x: Array, low: Any, width: Any) -> Array:
    """Map [low, low + width] to [0, 1] and cut what lies outside."""
    xp = backend.array_namespace(x)
    return xp.minimum(xp.maximum((x - low) / width, 0.0), 1.0)


def _floating(x: Any) -> Array:
    """Return an array of float32 or float64."""
    x = x if hasattr(x, "dtype") else backend.asarray(x)
    xp = backend.array_namespace(x)
    return x if x.dtype in (xp.float32, xp.float64) else xp.astype(x, xp.float32)

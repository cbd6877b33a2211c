r"""Derivatives without formulas: differences of function values, and the complex step.

A derivative is the limit of $(f(x+s) - f(x-s)) / 2s$. On a computer the limit cannot be taken: a large step
leaves the curve (error $\propto s^2$), a small one drowns in rounding (error $\propto 1/s$). Five points do better,

$$f'(x) \approx \frac{f(x-2s) - 8 f(x-s) + 8 f(x+s) - f(x+2s)}{12 s},$$

with an error $\propto s^4$, and they also tell whether $f$ has a kink nearby, where no derivative exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]
"""Takes one tensor (host, float64), returns all outputs as one flat vector."""

EXHAUSTIVE = 100
"""Tensors with at most so many elements are checked element by element, larger ones along directions."""

DIRECTIONS = 3
"""Random directions for a large tensor."""

_STEPS = (1e-2, 2e-3, 4e-4, 8e-5, 1.6e-5)
_COMPLEX_STEP = 1e-30


class KinkError(ValueError):
    """The function has a kink, a jump or an undefined value within the step; another point must be drawn."""


@dataclass
class Slopes:
    """Derivatives of the weighted outputs along some directions, and the largest error of rounding to expect."""

    directions: np.ndarray
    """(K, *x.shape)."""
    values: np.ndarray
    """(K,)."""


def size_of(x: np.ndarray) -> float:
    """Return how far a tensor's elements typically lie apart; their size if they are alike, 1 for zeros."""
    size = float(np.sqrt(np.mean(x**2))) if x.size else 0.0
    spread = float(np.std(x)) if x.size else 0.0
    size = spread if spread > 1e-6 * size else size
    return size if np.isfinite(size) and size > 1e-12 else 1.0


def directions(x: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the directions along which ``x`` is varied: its axes if it is small, else random ones.

    A random direction has components of at least 0.1, so that no element hides from it.
    """
    if x.size <= EXHAUSTIVE:
        for index in range(x.size):
            unit = np.zeros(x.size)
            unit[index] = 1.0
            yield unit.reshape(x.shape)
        return
    for _ in range(DIRECTIONS):
        v = rng.standard_normal(x.shape)
        yield np.where(v < 0, -1.0, 1.0) * np.maximum(np.abs(v), 0.1)


def five_points(f: Function, x: np.ndarray, v: np.ndarray, step: float, y0: np.ndarray) -> np.ndarray:
    """Return the derivative of every output along ``v``.

    Raises:
        KinkError: If the slopes on the two sides, at two distances, do not fit a smooth curve.
    """
    far_left, left, right, far_right = (f(x + k * step * v) for k in (-2.0, -1.0, 1.0, 2.0))
    slopes = (far_left - 8 * left + 8 * right - far_right) / (12 * step)
    # The second difference of a smooth curve is four times as large at twice the distance. At a kink it is not.
    bend = (4 * (left + right - 2 * y0) - (far_left + far_right - 2 * y0)) / (2 * step)
    if not np.all(np.isfinite(slopes)):
        raise KinkError("the values around the point are not finite")
    noise = 64 * np.finfo(np.float64).eps * max(1e-300, float(np.max(np.abs(y0), initial=0.0))) / step
    limit = 3e-8 * float(np.max(np.abs(slopes), initial=0.0)) + noise
    if np.any(np.abs(bend) > limit):
        raise KinkError("the slopes left and right of the point differ")
    return slopes


def choose_step(f: Function, x: np.ndarray, v: np.ndarray, y0: np.ndarray) -> float:
    """Return the step at which the derivative along ``v`` changes least when the step changes.

    Steps are in proportion to the tensor's size. The analytic gradient plays no part in the choice.

    Raises:
        KinkError: If there is a kink at every step.
    """
    scale = size_of(x)
    before: np.ndarray | None = None
    best, least = 0.0, np.inf
    for relative in _STEPS:
        step = relative * scale
        try:
            slopes = five_points(f, x, v, step, y0)
        except KinkError:
            before = None
            continue
        change = np.inf if before is None else float(np.max(np.abs(slopes - before), initial=0.0))
        if best == 0.0 or change < least:
            best, least = step, change
        before = slopes
    if best == 0.0:
        raise KinkError("there is a kink, or no finite value, at every step")
    return best


def slopes_along(f: Function, x: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Slopes:
    """Return the derivatives of ``sum(weights * f)`` along the tensor's directions, by central differences.

    Raises:
        KinkError: If a kink is within reach of a step.
    """
    y0 = f(x)
    step = 0.0
    found, values = [], []
    for v in directions(x, rng):
        if step == 0.0:
            step = choose_step(f, x, v if x.size > EXHAUSTIVE else rng.standard_normal(x.shape), y0)
        found.append(v)
        values.append(float(weights @ five_points(f, x, v, step, y0)))
    return Slopes(np.array(found), np.array(values))


def complex_slopes(f: Function, x: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Slopes:
    r"""Return the same derivatives by the complex step, $f'(x) = \mathrm{Im}\, f(x + is) / s$.

    Nothing is subtracted, so nothing cancels, and the step can be so small that the curve does not matter.
    """
    found, values = [], []
    for v in directions(x, rng):
        found.append(v)
        values.append(float(weights @ (f(x + 1j * _COMPLEX_STEP * v).imag / _COMPLEX_STEP)))
    return Slopes(np.array(found), np.array(values))


def step_curve(f: Function, x: np.ndarray, v: np.ndarray, weights: np.ndarray, slope: float) -> list[tuple]:
    """Return (step, relative error) of the plain central difference against ``slope``, for many steps.

    Falling from the right (the curve matters less and less) and rising again to the left (rounding takes over), it
    is a V; a wrong gradient makes a flat line at the size of its mistake instead.
    """
    scale = size_of(x)
    curve = []
    for exponent in np.arange(-12.0, -0.4, 0.5):
        step = float(10.0**exponent * scale)
        difference = float(weights @ (f(x + step * v) - f(x - step * v))) / (2 * step)
        error = abs(difference - slope) / max(abs(difference), abs(slope), 1e-300)
        if np.isfinite(error):
            curve.append((float(10.0**exponent), max(error, 1e-17)))
    return curve

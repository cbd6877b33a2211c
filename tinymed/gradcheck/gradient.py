"""The gradient itself: against differences, against the complex step, and at kinks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinymed.backend import get_backend
from tinymed.gradcheck.numerical import (
    KinkError,
    Slopes,
    choose_step,
    complex_slopes,
    size_of,
    slopes_along,
    step_curve,
)
from tinymed.gradcheck.report import Curve, Row
from tinymed.gradcheck.subject import Point, Subject, flat, largest, like, upstream

TOLERANCE = 1e-7
"""Largest relative error against central differences in float64."""

COMPLEX_TOLERANCE = 1e-9
"""Largest relative error against the complex step."""

WEIGHTS = ("kernel", "recurrent_kernel", "bias", "gamma", "beta", "alpha", "h0", "c0")
"""Names of weights and of initial states, which meet weights at every step; they are not put on kinks."""

KINKS = 24
"""Elements of each tensor that are looked at on a kink."""

KINK_TOLERANCE = 1e-4
"""Largest distance of a gradient from the range between its one-sided slopes."""

ATTEMPTS = 40
"""Points that are drawn before a check gives up finding one away from every kink."""


def check_gradient(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Compare each tensor's gradient with central differences, for a random upstream gradient."""
    problem = ""
    for _ in range(ATTEMPTS):
        point = subject.draw(rng, "float64")
        y, cache = subject.run(point)
        dy = upstream(y, rng)
        gradients = subject.gradients(dy, cache)
        missing = [name for name in subject.tensors if name not in gradients or gradients[name] is None]
        if missing:
            yield subject.row("gradient", missing[0], np.inf, TOLERANCE, "backward returned no gradient")
            return
        try:
            weights = flat(dy)
            slopes = {
                name: slopes_along(subject.along(point, name), point[name], weights, rng) for name in subject.tensors
            }
        except KinkError as error:
            problem = str(error)
            continue
        yield from _rows(subject, "gradient", point, flat(y), weights, gradients, slopes, TOLERANCE)
        return
    yield subject.row("gradient", "all", np.inf, TOLERANCE, f"no smooth point in {ATTEMPTS} draws: {problem}")


def check_complex_step(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Compare each tensor's gradient with the complex step, where the formula accepts complex numbers."""
    if not subject.analytic or not subject.textbook_only or get_backend() != "numpy":
        return  # the array API standard does not order complex numbers, which softmax's shift needs
    point = subject.draw(rng, "float64")
    y, cache = subject.run(point)
    dy = upstream(y, rng)
    gradients = subject.gradients(dy, cache)
    as_complex = {
        name: value.astype(np.complex128) if value.dtype.kind == "f" else value for name, value in point.items()
    }
    slopes = {
        name: complex_slopes(subject.along(as_complex, name), point[name], flat(dy), rng) for name in subject.tensors
    }
    yield from _rows(subject, "complex step", point, flat(y), flat(dy), gradients, slopes, COMPLEX_TOLERANCE)


def _rows(
    subject: Subject,
    check: str,
    point: Point,
    y: np.ndarray,
    dy: np.ndarray,
    gradients: dict,
    slopes: dict[str, Slopes],
    tolerance: float,
) -> Iterator[Row]:
    for name, wanted in slopes.items():
        gradient = flat(gradients[name])
        if gradient.size != point[name].size:
            note = f"the gradient has {gradient.size} elements, the tensor {point[name].size}"
            yield subject.row(check, name, np.inf, tolerance, note)
            continue
        if tuple(gradients[name].shape) != point[name].shape:
            note = f"the gradient has shape {tuple(gradients[name].shape)}, the tensor {point[name].shape}"
            yield subject.row(check, name, np.inf, tolerance, note)
            continue
        lines = wanted.directions.reshape(len(wanted.directions), -1)
        found = lines @ gradient
        # A gradient far smaller than the outputs allow is compared with a thousandth of what they allow.
        floor = 1e-3 * largest(dy) * largest(y) / size_of(point[name])
        floor = max(floor, float(np.sqrt(np.mean(gradient**2))) if gradient.size else 0.0)
        yield subject.compare(check, name, found, wanted.values, tolerance, floor)


def curves_of(subject: Subject, rng: np.random.Generator) -> list[Curve]:
    """Return, for each tensor, the error of a central difference against its step size, at a smooth point."""
    for _ in range(ATTEMPTS):
        point = subject.draw(rng, "float64")
        y, cache = subject.run(point)
        dy = upstream(y, rng)
        weights, gradients = flat(dy), subject.gradients(dy, cache)
        curves = []
        try:
            for name in subject.tensors:
                f, v = subject.along(point, name), rng.standard_normal(point[name].shape)
                choose_step(f, point[name], v, flat(y))
                slope = float(np.sum(flat(gradients[name]) * v.ravel()))
                with np.errstate(all="ignore"):
                    curves.append(Curve(subject.item, name, step_curve(f, point[name], v, weights, slope)))
        except KinkError:
            continue
        return curves
    return []


def check_kinks(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Put the inputs on kinks and ties (whole numbers), where no derivative exists but slopes on both sides do.

    Weights and states stay as they are: with whole numbers for all, several gates could bend at once, and then the
    chain rule does not promise a slope between the two sides.

    There a gradient must lie between the two slopes, element by element, and along a direction in which the function
    is smooth all the same (all inputs moved together), it must give that slope.
    """
    names = subject.ordinary
    if not names:
        return
    point = subject.draw(rng, "float64")
    point.update({name: np.round(point[name]) for name in names if name not in WEIGHTS})
    y, cache = subject.run(point)
    y0, dy = flat(y), upstream(y, rng)
    weights, gradients = flat(dy), subject.gradients(dy, cache)
    step = 1e-6
    scale = max(largest(weights) * largest(y0), max(largest(flat(g)) for g in gradients.values()), 1e-300)
    if not np.all(np.isfinite(y0)):
        return
    for name in (name for name in names if point[name].size):
        gradient = flat(gradients[name])
        worst, note = 0.0, ""
        for index in rng.permutation(gradient.size)[:KINKS]:
            v = {name: _unit(point[name], index)}
            left, right = (_one_sided(subject, point, v, size, y0) for size in (-step, step))
            low, high = (np.sum(side(weights * left, weights * right)) for side in (np.minimum, np.maximum))
            outside = max(low - gradient[index], gradient[index] - high, 0.0) / scale
            if outside > 1e-2 * KINK_TOLERANCE and not np.all(_clear(subject, point, v, step, y0, left, right)):
                continue
            if outside > worst:
                worst, note = outside, f"at element {index}: {gradient[index]:.6g} outside [{low:.6g}, {high:.6g}]"
        yield subject.row("kinks", name, worst, KINK_TOLERANCE, note if worst > KINK_TOLERANCE else "")
    together = {name: np.ones_like(point[name]) for name in names}
    left, right = (_one_sided(subject, point, together, size, y0) for size in (-step, step))
    clear = _clear(subject, point, together, step, y0, left, right)
    smooth = np.abs(right - left) <= 1e-5 * max(largest(left), largest(right), 1e-300)
    weights = weights * (smooth & clear)  # only outputs that are smooth along this direction are asked for
    gradients = subject.gradients(like(weights, y), cache)
    found = sum(float(np.sum(flat(gradients[name]))) for name in names)
    wanted = float(weights @ ((left + right) / 2))
    yield subject.compare("kinks", "all moved together", np.array([found]), np.array([wanted]), KINK_TOLERANCE, scale)


def _unit(x: np.ndarray, index: int) -> np.ndarray:
    unit = np.zeros(x.size)
    unit[index] = 1.0
    return unit.reshape(x.shape)


def _one_sided(subject: Subject, point: Point, v: Point, step: float, y0: np.ndarray) -> np.ndarray:
    """Return the slopes of all outputs to the right, or with a negative step to the left."""
    return (subject.outputs({**point, **{name: point[name] + step * v[name] for name in v}}) - y0) / step


def _clear(
    subject: Subject, point: Point, v: Point, step: float, y0: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Tell which outputs have clear slopes to the left and to the right.

    They are not clear where a quarter of the step gives other slopes: the curve has features smaller than the step.
    """
    scale = 1e-4 * max(largest(left), largest(right), 1e-300)
    nearer = (_one_sided(subject, point, v, size / 4, y0) for size in (-step, step))
    return np.all([np.abs(near - far) <= scale for near, far in zip(nearer, (left, right), strict=True)], axis=0)

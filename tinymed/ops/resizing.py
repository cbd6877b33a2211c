r"""Enlarging images, sequences and volumes by whole factors: nearest neighbour and bilinear."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op


@op
def upsampling_nearest(x: Array, size: Sequence[int]) -> tuple[Array, tuple]:
    r"""Repeat each pixel ``size`` times along each axis.

    Forward:
        $y_{n,i,j,c} = x_{n,\,\lfloor i/s \rfloor,\,\lfloor j/r \rfloor,\,c}$ with ``size`` $= (s, r)$

    Backward:
        $dx_{n,h,w,c} = \sum_{a=0}^{s-1} \sum_{b=0}^{r-1} dy_{n,\,sh + a,\,rw + b,\,c}$

    Shapes:
        ========  ====================  =====================================
        x         (N, H, W, C)          one, two or three axes between N and C
        y         (N, s\*H, r\*W, C)
        ========  ====================  =====================================

    Arguments:
        x: Input.
        size: Factor for each middle axis.

    Raises:
        ValueError: If there are not as many factors as axes, or one is below 1.

    Example:
        >>> import numpy as np
        >>> y, cache = upsampling_nearest(np.array([[[1.0], [2.0]]]), (2,))
        >>> y[0, :, 0]
        array([1., 1., 2., 2.])
        >>> upsampling_nearest_backward(np.array([[[1.0], [2.0], [3.0], [4.0]]]), cache)[0, :, 0]
        array([3., 7.])
    """
    _check_size("upsampling_nearest", x, size)
    xp = array_namespace(x)
    y = x
    for axis, factor in enumerate(size, start=1):
        y = xp.repeat(y, factor, axis=axis)
    return y, (x.shape, tuple(size))


@backward_of(upsampling_nearest)
def upsampling_nearest_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`upsampling_nearest`)."""
    shape, size = cache
    xp = array_namespace(dy)
    repeated = [n for pair in zip(shape[1:-1], size, strict=True) for n in pair]
    blocks = xp.reshape(dy, (shape[0], *repeated, shape[-1]))  # (N, H, s, W, r, C)
    return xp.sum(blocks, axis=tuple(range(2, 2 + 2 * len(size), 2)))


@op
def upsampling_bilinear(x: Array, size: Sequence[int]) -> tuple[Array, tuple]:
    r"""Enlarge images, interpolating linearly between the centres of the pixels.

    Pixels are squares: pixel $i$ has its centre at $i + \frac12$, and outside the image the outermost pixels go on.

    Forward:
        along each axis $y_{si+p} = (1 - |t_p|)\, x_i + |t_p|\, x_{i \pm 1}$ for the $s$ phases $p = 0, \dots, s-1$,
        where $t_p = \frac{p + 1/2}{s} - \frac12$ is how far the new centre lies from the centre of pixel $i$;
        the neighbour is $i + 1$ where $t_p > 0$ and $i - 1$ where $t_p < 0$, or $i$ itself at the border

    Backward:
        along each axis $dx_i = \sum_p (1 - |t_p|)\, dy_{si+p} + \sum_p |t_p|\, dy_{s(i \mp 1)+p}$,
        and the outermost pixels also get back what they gave as their own neighbours

    Shapes:
        ========  ====================  ==========================
        x         (N, H, W, C)          one, two or three axes between N and C
        y         (N, s\*H, r\*W, C)    ``size`` $= (s, r)$
        ========  ====================  ==========================

    Arguments:
        x: Input.
        size: Factor for each middle axis.

    Raises:
        ValueError: If there are not as many factors as axes, or one is below 1.

    Example:
        >>> import numpy as np
        >>> y, cache = upsampling_bilinear(np.array([[[[0.0], [4.0]]]]), (1, 2))
        >>> y[0, 0, :, 0]
        array([0., 1., 3., 4.])
        >>> upsampling_bilinear_backward(np.ones((1, 1, 4, 1)), cache)[0, 0, :, 0]
        array([2., 2.])
    """
    _check_size("upsampling_bilinear", x, size)
    xp = array_namespace(x)
    y = x
    for axis, factor in enumerate(size, start=1):
        phases = [
            (1 - abs(t)) * y + abs(t) * _neighbour(y, axis, 1 if t > 0 else -1) if t else y for t in _offsets(factor)
        ]
        shape = (*y.shape[:axis], y.shape[axis] * factor, *y.shape[axis + 1 :])
        y = xp.reshape(xp.stack(phases, axis=axis + 1), shape)  # (N, H, s, W, C) -> (N, s*H, W, C)
    return y, (x.shape, tuple(size))


@backward_of(upsampling_bilinear)
def upsampling_bilinear_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`upsampling_bilinear`)."""
    shape, size = cache
    xp = array_namespace(dy)
    dx = dy
    for axis, factor in reversed(list(enumerate(size, start=1))):
        phases = xp.reshape(dx, (*dx.shape[:axis], shape[axis], factor, *dx.shape[axis + 1 :]))
        terms = []
        for p, t in enumerate(_offsets(factor)):
            dphase = phases[(slice(None),) * (axis + 1) + (p, ...)]  # (N, H, W, C)
            terms.append((1 - abs(t)) * dphase)
            if t:
                terms.append(abs(t) * _neighbour_adjoint(dphase, axis, 1 if t > 0 else -1))
        dx = functools.reduce(operator.add, terms)
    return dx


def _offsets(factor: int) -> list[float]:
    """Return $t_p$ for each phase, in pixels of the input."""
    return [(p + 0.5) / factor - 0.5 for p in range(factor)]


def _part(x: Array, axis: int, start: int | None, stop: int | None) -> Array:
    return x[(slice(None),) * axis + (slice(start, stop), ...)]


def _neighbour(x: Array, axis: int, step: int) -> Array:
    """Return $x_{i + step}$ for each $i$, the outermost pixel going on at the border."""
    xp = array_namespace(x)
    if step > 0:
        return xp.concat([_part(x, axis, 1, None), _part(x, axis, -1, None)], axis=axis)
    return xp.concat([_part(x, axis, None, 1), _part(x, axis, None, -1)], axis=axis)


def _neighbour_adjoint(dy: Array, axis: int, step: int) -> Array:
    """Return the adjoint of :func:`_neighbour`: what each pixel gave, summed."""
    xp = array_namespace(dy)
    if dy.shape[axis] == 1:
        return dy
    if step > 0:
        nothing = xp.zeros_like(_part(dy, axis, None, 1))
        last = _part(dy, axis, -2, -1) + _part(dy, axis, -1, None)
        return xp.concat([nothing, _part(dy, axis, None, -2), last], axis=axis)
    nothing = xp.zeros_like(_part(dy, axis, -1, None))
    first = _part(dy, axis, None, 1) + _part(dy, axis, 1, 2)
    return xp.concat([first, _part(dy, axis, 2, None), nothing], axis=axis)


def _check_size(name: str, x: Array, size: Sequence[int]) -> None:
    if len(size) != x.ndim - 2:
        raise ValueError(f"{name} expects a factor for each of {x.ndim - 2} axes but got {tuple(size)}")
    if any(factor < 1 for factor in size):
        raise ValueError(f"{name} expects factors of at least 1 but got {tuple(size)}")

r"""Several arrays into one: add, subtract, multiply, average, maximum, minimum, concatenate.

The arrays broadcast as the merge layers of Keras do: axes of length 1 are repeated, and an array with fewer axes gets
axes of length 1 after the batch axis, so that (N, C) goes with (N, H, W, C). The backward of a repetition is a sum.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op


def broadcast_sizes(sizes: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return the shapes with as many axes as the longest: ones are put in after the batch axis.

    >>> broadcast_sizes([(8, 5), (8, 4, 4, 5)])
    [(8, 1, 1, 5), (8, 4, 4, 5)]
    """
    rank = max(map(len, sizes))
    return [(*shape[:1], *[1] * (rank - len(shape)), *shape[1:]) for shape in sizes]


def _aligned(name: str, xs: Sequence[Array]) -> list[Array]:
    """Return the arrays with equally many axes, after a look at their shapes."""
    if len(xs) < 2:
        raise ValueError(f"{name} expects at least two arrays but got {len(xs)}")
    shapes = broadcast_sizes([x.shape for x in xs])
    for axis, sizes in enumerate(zip(*shapes, strict=True)):
        if len(set(sizes) - {1}) > 1:
            raise ValueError(f"{name} cannot join shapes {[x.shape for x in xs]}: sizes {sizes} in axis {axis}")
    xp = array_namespace(*xs)
    return [x if x.shape == shape else xp.reshape(x, shape) for x, shape in zip(xs, shapes, strict=True)]


def _unbroadcast(dx: Array, shape: tuple[int, ...]) -> Array:
    """Sum ``dx`` over the axes along which an input of ``shape`` was repeated."""
    xp = array_namespace(dx)
    aligned = broadcast_sizes([shape, dx.shape])[0]
    repeated = tuple(axis for axis, size in enumerate(aligned) if size == 1 and dx.shape[axis] != 1)
    if repeated:
        dx = xp.sum(dx, axis=repeated, keepdims=True)
    return dx if dx.shape == shape else xp.reshape(dx, shape)


def _copy(x: Array) -> Array:
    return array_namespace(x).asarray(x, copy=True)


def _shapes(xs: Sequence[Array]) -> tuple[tuple[int, ...], ...]:
    return tuple(x.shape for x in xs)


@op
def add(*xs: Array) -> tuple[Array, tuple]:
    r"""Add arrays.

    Forward:
        $y = x_1 + x_2 + \dots$

    Backward:
        $dx_i = dy$

    Shapes:
        ========  ====================  =============================================
        xs        (N, ...)              two or more, equal or broadcast to each other
        y         (N, ...)
        ========  ====================  =============================================

    Arguments:
        *xs: Inputs in the same unit.

    Raises:
        ValueError: If there are fewer than two, or the shapes do not go together.

    Example:
        >>> import numpy as np
        >>> y, cache = add(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
        >>> y
        array([[11., 22.]])
        >>> add_backward(np.array([[3.0, 4.0]]), cache)
        (array([[3., 4.]]), array([[3., 4.]]))

    Source:
        D2 §8 (residual networks: the skip connection is this sum).
    """
    return functools.reduce(operator.add, _aligned("add", xs)), _shapes(xs)


@backward_of(add)
def add_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    """Return a gradient for each of ``xs`` (see :func:`add`)."""
    return tuple(_unbroadcast(_copy(dy), shape) for shape in cache)


@op
def subtract(a: Array, b: Array) -> tuple[Array, tuple]:
    r"""Subtract one array from another.

    Forward:
        $y = a - b$

    Backward:
        $da = dy, \quad db = -dy$

    Shapes:
        ========  ====================  ====================================
        a, b      (N, ...)              equal or broadcast to each other
        y         (N, ...)
        ========  ====================  ====================================

    Arguments:
        a: What is subtracted from.
        b: What is subtracted.

    Raises:
        ValueError: If the shapes do not go together.

    Example:
        >>> import numpy as np
        >>> y, cache = subtract(np.array([[5.0]]), np.array([[2.0]]))
        >>> y
        array([[3.]])
        >>> subtract_backward(np.array([[1.5]]), cache)
        (array([[1.5]]), array([[-1.5]]))
    """
    return functools.reduce(operator.sub, _aligned("subtract", (a, b))), _shapes((a, b))


@backward_of(subtract)
def subtract_backward(dy: Array, cache: tuple) -> tuple[Array, Array]:
    """Return ``da, db`` (see :func:`subtract`)."""
    return _unbroadcast(_copy(dy), cache[0]), _unbroadcast(-dy, cache[1])


@op
def multiply(*xs: Array) -> tuple[Array, tuple]:
    r"""Multiply arrays, element by element.

    Forward:
        $y = x_1 x_2 \cdots$

    Backward:
        $dx_i = dy \prod_{j \ne i} x_j$ (as products of what stands before and after $i$: a division
        $y / x_i$ would fail at zeros)

    Shapes:
        ========  ====================  =============================================
        xs        (N, ...)              two or more, equal or broadcast to each other
        y         (N, ...)
        ========  ====================  =============================================

    Arguments:
        *xs: Inputs.

    Raises:
        ValueError: If there are fewer than two, or the shapes do not go together.

    Example:
        >>> import numpy as np
        >>> y, cache = multiply(np.array([[0.0, 2.0]]), np.array([[3.0, 4.0]]))
        >>> y
        array([[0., 8.]])
        >>> multiply_backward(np.array([[1.0, 10.0]]), cache)
        (array([[ 3., 40.]]), array([[ 0., 20.]]))
    """
    aligned = _aligned("multiply", xs)
    return functools.reduce(operator.mul, aligned), (aligned, _shapes(xs))


@backward_of(multiply)
def multiply_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    """Return a gradient for each of ``xs`` (see :func:`multiply`)."""
    xs, shapes = cache
    before, after = [dy], list[Array]()  # before[i] = dy x_1 ... x_{i-1}, after[i] = x_{i+1} x_{i+2} ...
    for x in xs[:-1]:
        before.append(before[-1] * x)
    for x in reversed(xs[1:]):
        after.append(x if not after else after[-1] * x)
    gradients = [b * a for b, a in zip(before, reversed(after), strict=False)] + [before[-1]]
    return tuple(_unbroadcast(dx, shape) for dx, shape in zip(gradients, shapes, strict=True))


@op
def average(*xs: Array) -> tuple[Array, tuple]:
    r"""Take the mean of arrays, element by element.

    Forward:
        $y = \frac1k (x_1 + \dots + x_k)$

    Backward:
        $dx_i = \frac1k dy$

    Shapes:
        ========  ====================  =============================================
        xs        (N, ...)              two or more, equal or broadcast to each other
        y         (N, ...)
        ========  ====================  =============================================

    Arguments:
        *xs: Inputs in the same unit.

    Raises:
        ValueError: If there are fewer than two, or the shapes do not go together.

    Example:
        >>> import numpy as np
        >>> y, cache = average(np.array([[1.0]]), np.array([[4.0]]))
        >>> y
        array([[2.5]])
        >>> average_backward(np.array([[3.0]]), cache)
        (array([[1.5]]), array([[1.5]]))
    """
    return functools.reduce(operator.add, _aligned("average", xs)) / len(xs), _shapes(xs)


@backward_of(average)
def average_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    """Return a gradient for each of ``xs`` (see :func:`average`)."""
    return tuple(_unbroadcast(dy / len(cache), shape) for shape in cache)


@op
def maximum(*xs: Array) -> tuple[Array, tuple]:
    r"""Take the largest of several arrays, element by element.

    Forward:
        $y = \max(x_1, x_2, \dots)$

    Backward:
        $dx_i = dy$ where $x_i$ is the largest, and 0 elsewhere; of equal ones the first gets all of it,
        so that the gradients still sum to $dy$

    Shapes:
        ========  ====================  =============================================
        xs        (N, ...)              two or more, equal or broadcast to each other
        y         (N, ...)
        ========  ====================  =============================================

    Arguments:
        *xs: Inputs in the same unit.

    Raises:
        ValueError: If there are fewer than two, or the shapes do not go together.

    Example:
        >>> import numpy as np
        >>> y, cache = maximum(np.array([[1.0, 5.0, 7.0]]), np.array([[4.0, 2.0, 7.0]]))
        >>> y
        array([[4., 5., 7.]])
        >>> maximum_backward(np.array([[1.0, 2.0, 3.0]]), cache)
        (array([[0., 2., 3.]]), array([[1., 0., 0.]]))
    """
    y, keeps = _select(_aligned("maximum", xs), array_namespace(*xs).maximum, operator.ge)
    return y, (keeps, _shapes(xs))


@backward_of(maximum)
def maximum_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    """Return a gradient for each of ``xs`` (see :func:`maximum`)."""
    return _select_backward(dy, cache)


@op
def minimum(*xs: Array) -> tuple[Array, tuple]:
    r"""Take the smallest of several arrays, element by element.

    Forward:
        $y = \min(x_1, x_2, \dots)$

    Backward:
        $dx_i = dy$ where $x_i$ is the smallest, and 0 elsewhere; of equal ones the first gets all of it,
        so that the gradients still sum to $dy$

    Shapes:
        ========  ====================  =============================================
        xs        (N, ...)              two or more, equal or broadcast to each other
        y         (N, ...)
        ========  ====================  =============================================

    Arguments:
        *xs: Inputs in the same unit.

    Raises:
        ValueError: If there are fewer than two, or the shapes do not go together.

    Example:
        >>> import numpy as np
        >>> y, cache = minimum(np.array([[1.0, 5.0, 7.0]]), np.array([[4.0, 2.0, 7.0]]))
        >>> y
        array([[1., 2., 7.]])
        >>> minimum_backward(np.array([[1.0, 2.0, 3.0]]), cache)
        (array([[1., 0., 3.]]), array([[0., 2., 0.]]))
    """
    y, keeps = _select(_aligned("minimum", xs), array_namespace(*xs).minimum, operator.le)
    return y, (keeps, _shapes(xs))


@backward_of(minimum)
def minimum_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    """Return a gradient for each of ``xs`` (see :func:`minimum`)."""
    return _select_backward(dy, cache)


def _select(xs: Sequence[Array], choose: Callable, before: Callable) -> tuple[Array, list[Array]]:
    """Choose among the arrays one after another, and note at each step where the former choice was kept."""
    y, keeps = xs[0], []
    for x in xs[1:]:
        keeps.append(before(y, x))
        y = choose(y, x)
    return y, keeps


def _select_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    keeps, shapes = cache
    xp = array_namespace(dy)
    zeros = xp.zeros_like(dy)
    gradients = []
    for keep in reversed(keeps):  # the last array's share is what the former choice did not keep
        gradients.append(xp.where(keep, zeros, dy))
        dy = xp.where(keep, dy, zeros)
    gradients.append(dy)
    return tuple(_unbroadcast(dx, shape) for dx, shape in zip(reversed(gradients), shapes, strict=True))


@op
def concatenate(*xs: Array, axis: int = -1) -> tuple[Array, tuple]:
    r"""Put arrays one after another along an axis.

    Forward:
        $y = [x_1, x_2, \dots]$

    Backward:
        $[dx_1, dx_2, \dots] = dy$, cut where the arrays meet

    Shapes:
        ========  ====================  =============================================
        xs        (N, ..., C_i)         equal in all axes but ``axis``
        y         (N, ..., sum of C_i)
        ========  ====================  =============================================

    Arguments:
        *xs: Inputs.
        axis: The axis along which they are put together.

    Raises:
        ValueError: If the shapes differ in another axis.

    Example:
        >>> import numpy as np
        >>> y, cache = concatenate(np.array([[1.0]]), np.array([[2.0, 3.0]]))
        >>> y
        array([[1., 2., 3.]])
        >>> concatenate_backward(np.array([[4.0, 5.0, 6.0]]), cache)
        (array([[4.]]), array([[5., 6.]]))

    Source:
        D0 §6 (segmentation networks join the encoder's features to the decoder's this way).
    """
    rank = xs[0].ndim
    if not -rank <= axis < rank or any(x.ndim != rank for x in xs):
        raise ValueError(f"concatenate expects equally many axes, and axis {axis} one of them, but got {_shapes(xs)}")
    axis = axis % rank
    for other in range(rank):
        if other != axis and len({x.shape[other] for x in xs}) > 1:
            raise ValueError(f"concatenate along axis {axis} expects equal sizes in axis {other} but got {_shapes(xs)}")
    return array_namespace(*xs).concat(xs, axis=axis), (axis, tuple(x.shape[axis] for x in xs))


@backward_of(concatenate)
def concatenate_backward(dy: Array, cache: tuple) -> tuple[Array, ...]:
    """Return a gradient for each of ``xs`` (see :func:`concatenate`)."""
    axis, sizes = cache
    gradients, start = [], 0
    for size in sizes:
        gradients.append(_copy(dy[(slice(None),) * axis + (slice(start, start + size), ...)]))
        start += size
    return tuple(gradients)

"""What the loops of the recurrent kernels share: sixteen samples side by side, step by step, in the cache.

What a step multiplies by the weights is one column for each sample: its input, 1 (for the bias) and the state before
the step. So one product gives all sums of a step, one product takes their gradients back to input and state, and one
product over several steps gives the gradients of all weights and biases.
Slopes are computed from outputs: that of tanh is $1 - y^2$, that of the logistic function $y (1 - y)$.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from tinymed.kernels.cpu.compiling import jit

LANES = 16
"""Samples that one thread takes through all steps, side by side."""

STEPS = 8
"""Steps whose gradients are collected before they are multiplied into the weights' gradient."""

CODES = {"linear": 0, "tanh": 1, "sigmoid": 2, "relu": 3}
"""Numbers of the activations that the loops know."""

# --- exponential and tanh ------------------------------------------------------------------------------------------
#
# The processor's vector instructions have no exponential, and calling a function for each number would take longer
# than all products together. In single precision both are polynomials here, right to about a unit in the last place;
# in double precision they are the C library's.

_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
_LOG2_E = np.float32(1 / math.log(2))
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(math.log(2) - 0.693359375)
_E2, _E3, _E4, _E5, _E6, _E7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))
_T3, _T5, _T7, _T9, _T11, _T13 = map(  # tanh(x) = x + T3 x^3 + ..., fitted on |x| < 0.63
    np.float32,
    (-0.33333334, 0.13333301, -0.053958625, 0.021763636, -0.008326406, 0.0022727081),
)
_SMALL, _LARGE = np.float32(0.625), np.float32(87)


@jit
def exp_single(x: Any) -> Any:
    """Return the exponential in single precision: 2 to a whole number, times a polynomial of what is left."""
    x = _LARGE if x > _LARGE else x  # NaN stays NaN
    x = -_LARGE if x < -_LARGE else x
    whole = np.floor(x * _LOG2_E + _HALF)
    r = x - whole * _LN2_HIGH - whole * _LN2_LOW
    p = ((((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2) * r + _ONE) * r + _ONE
    return p * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@jit
def tanh_single(x: Any) -> Any:
    """Return tanh in single precision: a polynomial near zero, from the exponential elsewhere."""
    z = x * x
    near = x + x * z * (_T3 + z * (_T5 + z * (_T7 + z * (_T9 + z * (_T11 + z * _T13)))))
    size = abs(x)
    far = _ONE - _TWO / (exp_single(_TWO * size) + _ONE)
    return near if size < _SMALL else (-far if x < 0 else far)


@jit
def sigmoid_single(x: Any) -> Any:
    """Return the logistic function in single precision."""
    return _ONE / (_ONE + exp_single(-x))


def _tanh(x: Any) -> Any:
    """Return tanh; compiled code takes what :func:`_choose_tanh` returns for the type of ``x``."""
    return x.dtype.type(math.tanh(x))


def _sigmoid(x: Any) -> Any:
    """Return the logistic function; compiled code takes what :func:`_choose_sigmoid` returns."""
    return x.dtype.type(1 / (1 + math.exp(min(-float(x), 700.0)))) if x == x else x


@overload(_tanh)
def _choose_tanh(x: Any) -> Any:
    def single(x: Any) -> Any:
        return tanh_single(x)

    def double(x: Any) -> Any:
        return math.tanh(x)

    return single if x == types.float32 else double


@overload(_sigmoid)
def _choose_sigmoid(x: Any) -> Any:
    def single(x: Any) -> Any:
        return sigmoid_single(x)

    def double(x: Any) -> Any:
        return 1 / (1 + math.exp(-x))

    return single if x == types.float32 else double


# --- lanes ---------------------------------------------------------------------------------------------------------
#
# Sixteen samples stand side by side: value j of sample r of a block is at j * LANES + r. A line of lanes fills one
# vector register, whatever the number of units, and all units of a gate are one loop without a remainder.
# Arrays are flat, and a part is where it begins. A slice would count references to its array, which all threads share:
# they would wait for each other at that counter. Indices without sign let the compiler use vectors.


@jit
def activate(code: int, z: Any, at: int, count: int) -> None:
    """Replace ``count`` values by their activation.

    With a second array for the results the compiler would suspect that both are one, and take the values one by one.
    """
    a = np.uint64(at)
    if code == 1:
        for j in range(np.uint64(count)):
            z[a + j] = _tanh(z[a + j])
    elif code == 2:
        for j in range(np.uint64(count)):
            z[a + j] = _sigmoid(z[a + j])
    elif code == 3:
        for j in range(np.uint64(count)):
            z[a + j] = 0 if z[a + j] < 0 else z[a + j]  # NaN stays NaN


@jit
def slopes(code: int, y: Any, at: int, out: Any, to: int, count: int) -> None:
    """Write the activation's slope where it gave the values of ``y``."""
    a, b = np.uint64(at), np.uint64(to)
    one, zero = y.dtype.type(1), y.dtype.type(0)
    if code == 1:
        for j in range(np.uint64(count)):
            out[b + j] = one - y[a + j] * y[a + j]
    elif code == 2:
        for j in range(np.uint64(count)):
            out[b + j] = y[a + j] * (one - y[a + j])
    elif code == 3:
        for j in range(np.uint64(count)):
            out[b + j] = one if y[a + j] > 0 else zero
    else:
        for j in range(np.uint64(count)):
            out[b + j] = one


@jit
def copy(x: Any, at: int, y: Any, to: int, count: int) -> None:
    """Copy ``count`` values."""
    a, b = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] = x[a + j]


@jit
def add(x: Any, at: int, y: Any, to: int, count: int) -> None:
    """Add ``count`` values of ``x`` to those of ``y``."""
    a, b = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] += x[a + j]


@jit
def multiply(x: Any, at: int, y: Any, to: int, count: int) -> None:
    """Multiply ``count`` values of ``y`` by those of ``x``."""
    a, b = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] *= x[a + j]


@jit
def fill(y: Any, to: int, count: int, value: float) -> None:
    """Write ``value`` into ``count`` places."""
    b, v = np.uint64(to), y.dtype.type(value)
    for j in range(np.uint64(count)):
        y[b + j] = v


@jit
def product_of_three(x: Any, x_at: int, y: Any, y_at: int, w: Any, w_at: int, out: Any, to: int, count: int) -> None:
    """Write the products of three parts (few arrays in a loop: the compiler checks each pair for overlap)."""
    a, b, c, d = np.uint64(x_at), np.uint64(y_at), np.uint64(w_at), np.uint64(to)
    for j in range(np.uint64(count)):
        out[d + j] = x[a + j] * y[b + j] * w[c + j]


@jit
def gather(x: Any, row: int, stride: int, rows: int, width: int, out: Any, to: int, pitch: int) -> None:
    """Put rows ``row``, ``row + stride``, ... of ``x`` side by side; a line of ``out`` is ``pitch`` values long."""
    w, p = np.uint64(width), np.uint64(pitch)
    for r in range(np.uint64(rows)):
        a, b = np.uint64(row + r * stride) * w, np.uint64(to) + np.uint64(r)
        for j in range(w):
            out[b + j * p] = x[a + j]


@jit
def begin(x: Any, start: int, rows: int, units: int, out: Any) -> None:
    """Write the initial values of a block, 0 where there are none."""
    fill(out, 0, units * LANES, 0.0)
    if x.size:
        gather(x, start, 1, rows, units, out, 0, LANES)


@jit
def scatter(lanes: Any, at: int, x: Any, row: int, stride: int, rows: int, width: int) -> None:
    """Write lanes as rows ``row``, ``row + stride``, ... of ``x``."""
    w = np.uint64(width)
    for r in range(np.uint64(rows)):
        a, b = np.uint64(at) + np.uint64(r), np.uint64(row + r * stride) * w
        for j in range(w):
            x[b + j] = lanes[a + j * np.uint64(LANES)]


@jit
def awake(mask: Any, row: int, stride: int, rows: int, on: Any) -> bool:
    """Write which samples take this step, and return whether all sixteen do; what fills up a block never does."""
    every = rows == LANES
    for r in range(LANES):
        on[r] = r < rows and (not mask.size or mask[row + r * stride])
        every = every and on[r]
    return every


@jit
def hold(on: Any, former: Any, at: int, now: Any, units: int) -> None:
    """Take back what a step did to the samples that do not take it."""
    for j in range(units):
        for r in range(LANES):
            if not on[r]:
                now[j * LANES + r] = former[at + j * LANES + r]


@jit
def silence(on: Any, dz: Any, units: int) -> None:
    """Clear the gradients of samples that did not take the step."""
    for j in range(units):
        for r in range(LANES):
            if not on[r]:
                dz[j * LANES + r] = 0


@jit
def write_column(
    x: Any, h0: Any, h: Any, scale: Any, start: int, rows: int, t: int, shape: tuple, out: Any, to: int, pitch: int
) -> None:
    """Write a step's input and the (scaled) state before it as lines of ``out``; the line of the bias lies between."""
    _, T, D, U = shape
    gather(x, start * T + t, T, rows, D, out, to, pitch)
    below = to + (D + 1) * pitch
    if t > 0:
        gather(h, start * T + t - 1, T, rows, U, out, below, pitch)
    elif h0.size:
        gather(h0, start, 1, rows, U, out, below, pitch)
    else:
        for j in range(U):
            fill(out, below + j * pitch, LANES, 0.0)
    if scale.size:
        for r in range(rows):
            for j in range(U):
                out[below + j * pitch + r] *= scale[(start + r) * U + j]


@jit
def collect(dz: Any, lines: int, out: Any, at: int) -> None:
    """Keep a step's gradients beside those of other steps."""
    flat, pitch = out.reshape(-1), out.shape[1]
    for j in range(lines):
        copy(dz, j * LANES, flat, at + j * pitch, LANES)


@jit
def clear_steps(gradients: Any, columns: Any, inputs: int) -> None:
    """Begin a block: no gradients, no columns but for the 1 of the bias."""
    pitch = columns.shape[1]
    fill(gradients.reshape(-1), 0, gradients.size, 0.0)
    fill(columns.reshape(-1), 0, columns.size, 0.0)
    fill(columns.reshape(-1), inputs * pitch, pitch, 1.0)

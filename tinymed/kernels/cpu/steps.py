"""The loops of the recurrent kernels: blocks of samples, step by step, with gates and memory in the cache.

All arrays are laid out as the operations have them, (N, T, features), and flat: row ``n * T + t`` is a sample's step.
Slopes are computed from outputs: that of tanh is $1 - y^2$, that of the logistic function $y (1 - y)$.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from tinymed.kernels.cpu.compiling import jit

ROWS = 16
"""Samples that one thread takes through all steps."""

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


# In these loops arrays are flat, and a row is where it begins. A slice would count references to its array, which all
# threads share: they would wait for each other at that counter. Indices without sign let the compiler use vectors.


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
def _copy(x: Any, at: int, y: Any, to: int, count: int) -> None:
    a, b = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] = x[a + j]


@jit
def _add(x: Any, at: int, y: Any, to: int, count: int) -> None:
    a, b = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] += x[a + j]


@jit
def _multiply(x: Any, at: int, y: Any, to: int, count: int) -> None:
    a, b = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] *= x[a + j]


@jit
def _clear(y: Any, to: int, count: int) -> None:
    b = np.uint64(to)
    for j in range(np.uint64(count)):
        y[b + j] = 0


@jit
def _gather(x: Any, first_row: int, stride: int, out: Any, rows: int, count: int) -> None:
    """Copy ``rows`` rows of ``count`` values, ``stride`` rows apart, one after the other into ``out``."""
    for r in range(rows):
        _copy(x, (first_row + r * stride) * count, out, r * count, count)


@jit
def _product(x: Any, x_at: int, y: Any, y_at: int, w: Any, w_at: int, out: Any, to: int, count: int) -> None:
    """Write the products of three rows (few arrays in a loop: the compiler checks each pair for overlap)."""
    a, b, c, d = np.uint64(x_at), np.uint64(y_at), np.uint64(w_at), np.uint64(to)
    for j in range(np.uint64(count)):
        out[d + j] = x[a + j] * y[b + j] * w[c + j]


# --- LSTM ----------------------------------------------------------------------------------------------------------


@jit
def lstm_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    x: Any,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    h0: Any,
    c0: Any,
    mask: Any,
    scale: Any,
    gates: Any,
    h: Any,
    c: Any,
    a: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks ``first`` to ``last`` of samples: write the gates i, f, g, o, the states, memories and their tanh."""
    N, T, D, U = shape
    state, memory, seen = np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype)
    inputs, own, other = np.empty(ROWS * D, h.dtype), np.empty(ROWS * 4 * U, h.dtype), np.empty(ROWS * 4 * U, h.dtype)
    for block in range(first, last):
        start = block * ROWS
        rows = min(ROWS, N - start)
        _copy(h0, start * U, state, 0, rows * U)
        _copy(c0, start * U, memory, 0, rows * U)
        x_t, h_t = inputs[: rows * D].reshape(rows, D), seen[: rows * U].reshape(rows, U)
        of_x, of_h = own[: rows * 4 * U].reshape(rows, 4 * U), other[: rows * 4 * U].reshape(rows, 4 * U)
        for t in range(T):
            _gather(x, start * T + t, T, inputs, rows, D)
            _copy(state, 0, seen, 0, rows * U)
            if scale.size:
                _multiply(scale, start * U, seen, 0, rows * U)
            np.dot(x_t, kernel, of_x)  # (rows, D) @ (D, 4U)
            np.dot(h_t, recurrent, of_h)  # (rows, U) @ (U, 4U)
            _add(other, 0, own, 0, rows * 4 * U)
            for r in range(rows):
                step = (start + r) * T + t
                if not mask.size or mask[step]:
                    _copy(own, r * 4 * U, gates, step * 4 * U, 4 * U)
                    _add(bias, 0, gates, step * 4 * U, bias.size)
                    _lstm_row(gates, step * 4 * U, memory, r * U, a, step * U, state, U, phi, sigma)
                _copy(state, r * U, h, step * U, U)
                _copy(memory, r * U, c, step * U, U)


@jit
def _lstm_row(
    z: Any, z_at: int, c: Any, c_at: int, a: Any, a_at: int, h: Any, units: int, phi: int, sigma: int
) -> None:
    """Take one sample one step on: sums become gates, ``c`` the new memory, ``h`` (beside it) the new state."""
    activate(sigma, z, z_at, 2 * units)
    activate(phi, z, z_at + 2 * units, units)
    activate(sigma, z, z_at + 3 * units, units)
    U, i, m = np.uint64(units), np.uint64(z_at), np.uint64(c_at)
    f, g, o = i + U, i + U + U, i + U + U + U
    for j in range(U):
        c[m + j] = z[f + j] * c[m + j] + z[i + j] * z[g + j]
    _copy(c, c_at, a, a_at, units)
    activate(phi, a, a_at, units)
    tanh = np.uint64(a_at)
    for j in range(U):
        h[m + j] = z[o + j] * a[tanh + j]


@jit
def lstm_backward_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    transposed: Any,
    dh: Any,
    c0: Any,
    mask: Any,
    scale: Any,
    gates: Any,
    c: Any,
    a: Any,
    dz: Any,
    dbias: Any,
    dh0: Any,
    dc0: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks of samples backwards; each sums its own ``dbias``.

    ``dc0`` holds the last memory's gradient, and in the end the first's.
    """
    N, T, _, U = shape
    dstate, dmemory, back = np.empty(ROWS * U, c.dtype), np.empty(ROWS * U, c.dtype), np.empty(ROWS * U, c.dtype)
    sums, slope, former = np.empty(ROWS * 4 * U, c.dtype), np.empty(5 * U, c.dtype), np.empty(U, c.dtype)
    for block in range(first, last):
        start = block * ROWS
        rows = min(ROWS, N - start)
        _clear(dstate, 0, rows * U)
        _copy(dc0, start * U, dmemory, 0, rows * U)
        product_of = sums[: rows * 4 * U].reshape(rows, 4 * U)
        product_to = back[: rows * U].reshape(rows, U)
        for t in range(T - 1, -1, -1):
            for r in range(rows):
                step = (start + r) * T + t
                if dh.size:
                    _add(dh, step * U, dstate, r * U, U)
                if mask.size and not mask[step]:
                    _clear(sums, r * 4 * U, 4 * U)
                else:
                    slopes(phi, a, step * U, slope, 4 * U, U)
                    slopes(sigma, gates, step * 4 * U, slope, 0, 2 * U)
                    slopes(phi, gates, step * 4 * U + 2 * U, slope, 2 * U, U)
                    slopes(sigma, gates, step * 4 * U + 3 * U, slope, 3 * U, U)
                    if t > 0:
                        _copy(c, (step - 1) * U, former, 0, U)
                    else:
                        _copy(c0, (start + r) * U, former, 0, U)
                    _lstm_row_backward(dstate, dmemory, r * U, gates, step * 4 * U, former, a, step * U, slope, sums, U)
                _copy(sums, r * 4 * U, dz, step * 4 * U, 4 * U)
                _add(sums, r * 4 * U, dbias, block * 4 * U, 4 * U)
            np.dot(product_of, transposed, product_to)  # (rows, 4U) @ (4U, U)
            if scale.size:
                _multiply(scale, start * U, back, 0, rows * U)
            for r in range(rows):
                if not mask.size or mask[(start + r) * T + t]:
                    _copy(back, r * U, dstate, r * U, U)
        _copy(dstate, 0, dh0, start * U, rows * U)
        _copy(dmemory, 0, dc0, start * U, rows * U)


@jit
def _lstm_row_backward(
    dh: Any,
    dc: Any,
    at: int,
    z: Any,
    z_at: int,
    former: Any,
    a: Any,
    a_at: int,
    slope: Any,
    dz: Any,
    units: int,
) -> None:
    """Take one sample one step back: ``dc`` becomes the gradient of the memory before, ``dz`` that of the sums."""
    U, to = units, 4 * at
    m, o = np.uint64(at), np.uint64(z_at + 3 * U)
    curve = np.uint64(4 * U)
    for j in range(np.uint64(U)):
        dc[m + j] += dh[m + j] * z[o + j] * slope[curve + j]
    _product(dc, at, z, z_at + 2 * U, slope, 0, dz, to, U)
    _product(dc, at, former, 0, slope, U, dz, to + U, U)
    _product(dc, at, z, z_at, slope, 2 * U, dz, to + 2 * U, U)
    _product(dh, at, a, a_at, slope, 3 * U, dz, to + 3 * U, U)
    _multiply(z, z_at + U, dc, at, U)


# --- simple recurrent network --------------------------------------------------------------------------------------


@jit
def rnn_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    x: Any,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    z: Any,
    h: Any,
    phi: int,
) -> None:
    """Run blocks of samples: write the new states, before the mask into ``z``."""
    N, T, D, U = shape
    state, seen = np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype)
    inputs, own, other = np.empty(ROWS * D, h.dtype), np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype)
    for block in range(first, last):
        start = block * ROWS
        rows = min(ROWS, N - start)
        _copy(h0, start * U, state, 0, rows * U)
        x_t, h_t = inputs[: rows * D].reshape(rows, D), seen[: rows * U].reshape(rows, U)
        of_x, of_h = own[: rows * U].reshape(rows, U), other[: rows * U].reshape(rows, U)
        for t in range(T):
            _gather(x, start * T + t, T, inputs, rows, D)
            _copy(state, 0, seen, 0, rows * U)
            if scale.size:
                _multiply(scale, start * U, seen, 0, rows * U)
            np.dot(x_t, kernel, of_x)  # (rows, D) @ (D, U)
            np.dot(h_t, recurrent, of_h)  # (rows, U) @ (U, U)
            _add(other, 0, own, 0, rows * U)
            for r in range(rows):
                step = (start + r) * T + t
                if not mask.size or mask[step]:
                    _add(bias, 0, own, r * U, bias.size)
                    activate(phi, own, r * U, U)
                    _copy(own, r * U, z, step * U, U)
                    _copy(own, r * U, state, r * U, U)
                _copy(state, r * U, h, step * U, U)


@jit
def rnn_backward_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    transposed: Any,
    dh: Any,
    mask: Any,
    scale: Any,
    z: Any,
    dz: Any,
    dbias: Any,
    dh0: Any,
    phi: int,
) -> None:
    """Run blocks of samples backwards; each sums its own ``dbias``."""
    N, T, _, U = shape
    dstate, back, sums = np.empty(ROWS * U, z.dtype), np.empty(ROWS * U, z.dtype), np.empty(ROWS * U, z.dtype)
    for block in range(first, last):
        start = block * ROWS
        rows = min(ROWS, N - start)
        _clear(dstate, 0, rows * U)
        product_of = sums[: rows * U].reshape(rows, U)
        product_to = back[: rows * U].reshape(rows, U)
        for t in range(T - 1, -1, -1):
            for r in range(rows):
                step = (start + r) * T + t
                _add(dh, step * U, dstate, r * U, U)
                if mask.size and not mask[step]:
                    _clear(sums, r * U, U)
                else:
                    slopes(phi, z, step * U, sums, r * U, U)
                    _multiply(dstate, r * U, sums, r * U, U)
                _copy(sums, r * U, dz, step * U, U)
                _add(sums, r * U, dbias, block * U, U)
            np.dot(product_of, transposed, product_to)  # (rows, U) @ (U, U)
            if scale.size:
                _multiply(scale, start * U, back, 0, rows * U)
            for r in range(rows):
                if not mask.size or mask[(start + r) * T + t]:
                    _copy(back, r * U, dstate, r * U, U)
        _copy(dstate, 0, dh0, start * U, rows * U)


# --- GRU, reset after the product ----------------------------------------------------------------------------------


@jit
def gru_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    x: Any,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    gates: Any,
    inner: Any,
    h: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks of samples: write the gates z, r, g, what r is multiplied by (``inner``), and the states."""
    N, T, D, U = shape
    state, seen = np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype)
    inputs, own, other = np.empty(ROWS * D, h.dtype), np.empty(ROWS * 3 * U, h.dtype), np.empty(ROWS * 3 * U, h.dtype)
    for block in range(first, last):
        start = block * ROWS
        rows = min(ROWS, N - start)
        _copy(h0, start * U, state, 0, rows * U)
        x_t, h_t = inputs[: rows * D].reshape(rows, D), seen[: rows * U].reshape(rows, U)
        of_x, of_h = own[: rows * 3 * U].reshape(rows, 3 * U), other[: rows * 3 * U].reshape(rows, 3 * U)
        for t in range(T):
            _gather(x, start * T + t, T, inputs, rows, D)
            _copy(state, 0, seen, 0, rows * U)
            if scale.size:
                _multiply(scale, start * U, seen, 0, rows * U)
            np.dot(x_t, kernel, of_x)  # (rows, D) @ (D, 3U)
            np.dot(h_t, recurrent, of_h)  # (rows, U) @ (U, 3U)
            for r in range(rows):
                step = (start + r) * T + t
                if not mask.size or mask[step]:
                    if bias.size:
                        _add(bias, 0, own, r * 3 * U, 3 * U)
                        _add(bias, 3 * U, other, r * 3 * U, 3 * U)
                    _copy(own, r * 3 * U, gates, step * 3 * U, 3 * U)
                    _add(other, r * 3 * U, gates, step * 3 * U, 2 * U)
                    _copy(other, (r * 3 + 2) * U, inner, step * U, U)
                    activate(sigma, gates, step * 3 * U, 2 * U)
                    _gru_candidate(gates, step * 3 * U, inner, step * U, U)
                    activate(phi, gates, (step * 3 + 2) * U, U)
                    _gru_mix(gates, step * 3 * U, state, r * U, U)
                _copy(state, r * U, h, step * U, U)


@jit
def _gru_candidate(z: Any, at: int, inner: Any, inner_at: int, units: int) -> None:
    """Add the reset state's part to the candidate's sum."""
    r, g, s = np.uint64(at + units), np.uint64(at + 2 * units), np.uint64(inner_at)
    for j in range(np.uint64(units)):
        z[g + j] += z[r + j] * inner[s + j]


@jit
def _gru_mix(z: Any, at: int, h: Any, to: int, units: int) -> None:
    """Mix the state with the candidate."""
    a, g, m = np.uint64(at), np.uint64(at + 2 * units), np.uint64(to)
    one = h.dtype.type(1)
    for j in range(np.uint64(units)):
        h[m + j] = z[a + j] * h[m + j] + (one - z[a + j]) * z[g + j]


@jit
def gru_backward_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    transposed: Any,
    dh: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    gates: Any,
    inner: Any,
    h: Any,
    du: Any,
    ds: Any,
    dbias: Any,
    dh0: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks of samples backwards; each sums its own ``dbias``.

    ``du`` and the bias's first row belong to the input's sums, ``ds`` and its second row to the state's.
    """
    N, T, _, U = shape
    dstate, back, former = np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype), np.empty(ROWS * U, h.dtype)
    sums, slope = np.empty(ROWS * 3 * U, h.dtype), np.empty(3 * U, h.dtype)
    for block in range(first, last):
        start = block * ROWS
        rows = min(ROWS, N - start)
        _clear(dstate, 0, rows * U)
        product_of = sums[: rows * 3 * U].reshape(rows, 3 * U)
        product_to = back[: rows * U].reshape(rows, U)
        for t in range(T - 1, -1, -1):
            if t > 0:
                _gather(h, start * T + t - 1, T, former, rows, U)
            else:
                _copy(h0, start * U, former, 0, rows * U)
            for r in range(rows):
                step = (start + r) * T + t
                _add(dh, step * U, dstate, r * U, U)
                if mask.size and not mask[step]:
                    _clear(du, step * 3 * U, 3 * U)
                    _clear(sums, r * 3 * U, 3 * U)
                else:
                    slopes(sigma, gates, step * 3 * U, slope, 0, 2 * U)
                    slopes(phi, gates, (step * 3 + 2) * U, slope, 2 * U, U)
                    _gru_row_backward(dstate, former, r * U, gates, step * 3 * U, slope, du, U)
                    _product(du, (step * 3 + 2) * U, inner, step * U, slope, U, sums, (r * 3 + 1) * U, U)
                    _copy(sums, (r * 3 + 1) * U, du, (step * 3 + 1) * U, U)
                    _copy(du, step * 3 * U, sums, r * 3 * U, U)
                    _copy(du, (step * 3 + 2) * U, sums, (r * 3 + 2) * U, U)
                    _multiply(gates, (step * 3 + 1) * U, sums, (r * 3 + 2) * U, U)
                _copy(sums, r * 3 * U, ds, step * 3 * U, 3 * U)
                _add(du, step * 3 * U, dbias, block * 6 * U, 3 * U)
                _add(sums, r * 3 * U, dbias, (block * 2 + 1) * 3 * U, 3 * U)
            np.dot(product_of, transposed, product_to)  # (rows, 3U) @ (3U, U)
            if scale.size:
                _multiply(scale, start * U, back, 0, rows * U)
            for r in range(rows):
                step = (start + r) * T + t
                if not mask.size or mask[step]:
                    _multiply(gates, step * 3 * U, dstate, r * U, U)
                    _add(back, r * U, dstate, r * U, U)
        _copy(dstate, 0, dh0, start * U, rows * U)


@jit
def _gru_row_backward(dh: Any, former: Any, at: int, z: Any, z_at: int, slope: Any, du: Any, units: int) -> None:
    """Write the gradients of the update gate's and the candidate's sums; ``du`` lies as ``z`` does."""
    m, a, g = np.uint64(at), np.uint64(z_at), np.uint64(z_at + 2 * units)
    curve = np.uint64(2 * units)
    one = dh.dtype.type(1)
    for j in range(np.uint64(units)):
        du[a + j] = dh[m + j] * (former[m + j] - z[g + j]) * slope[j]
        du[g + j] = dh[m + j] * (one - z[a + j]) * slope[curve + j]

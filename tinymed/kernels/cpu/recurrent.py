"""Recurrent operations for NumPy arrays: all steps of a sequence in compiled code.

The input's product comes first, for all steps at once. Then each thread takes blocks of samples and runs all their
steps: the product with the state by BLAS, gates and memory while they are in the cache. Backward does the same from
the last step to the first, and the weights' gradients are one product over all steps at the end. Blocks have a fixed
size, so that the bits do not depend on the number of threads. Inside, time is the first axis: what one step of a
block needs lies together.

Slopes are computed from outputs: that of tanh is $1 - y^2$, that of the logistic function $y (1 - y)$.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.convolution import supported
from tinymed.kernels.cpu.products import product
from tinymed.ops.lstm import lstm, lstm_backward
from tinymed.ops.recurrent import check_sequence

_ROWS = 16  # samples that one thread takes through all steps

_CODES = {"linear": 0, "tanh": 1, "sigmoid": 2, "relu": 3}

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
    shape: tuple[int, int, int],
    recurrent: Any,
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
    """Run blocks ``first`` to ``last`` of samples: ``gates`` holds the input's product, then i, f, g, o."""
    N, T, U = shape
    state, memory, seen = np.empty(_ROWS * U, h.dtype), np.empty(_ROWS * U, h.dtype), np.empty(_ROWS * U, h.dtype)
    sums = np.empty(_ROWS * 4 * U, h.dtype)
    for block in range(first, last):
        start = block * _ROWS
        rows = min(_ROWS, N - start)
        _copy(h0, start * U, state, 0, rows * U)
        _copy(c0, start * U, memory, 0, rows * U)
        product_of = state[: rows * U].reshape(rows, U)
        product_to = sums[: rows * 4 * U].reshape(rows, 4 * U)
        if scale.size:
            product_of = seen[: rows * U].reshape(rows, U)
        for t in range(T):
            if scale.size:
                _copy(state, 0, seen, 0, rows * U)
                _multiply(scale, start * U, seen, 0, rows * U)
            np.dot(product_of, recurrent, product_to)  # (rows, U) @ (U, 4U)
            for r in range(rows):
                step = t * N + start + r
                if not mask.size or mask[step]:
                    _add(sums, r * 4 * U, gates, step * 4 * U, 4 * U)
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
    shape: tuple[int, int, int],
    transposed: Any,
    dh: Any,
    c0: Any,
    mask: Any,
    scale: Any,
    gates: Any,
    c: Any,
    a: Any,
    dz: Any,
    dh0: Any,
    dc0: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks of samples backwards; ``dc0`` holds the last memory's gradient, and in the end the first's."""
    N, T, U = shape
    dstate, dmemory, back = np.empty(_ROWS * U, c.dtype), np.empty(_ROWS * U, c.dtype), np.empty(_ROWS * U, c.dtype)
    sums, slope = np.empty(_ROWS * 4 * U, c.dtype), np.empty(5 * U, c.dtype)
    for block in range(first, last):
        start = block * _ROWS
        rows = min(_ROWS, N - start)
        _clear(dstate, 0, rows * U)
        _copy(dc0, start * U, dmemory, 0, rows * U)
        product_of = sums[: rows * 4 * U].reshape(rows, 4 * U)
        product_to = back[: rows * U].reshape(rows, U)
        for t in range(T - 1, -1, -1):
            for r in range(rows):
                step = t * N + start + r
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
                        _lstm_row_backward(
                            dstate, dmemory, r * U, gates, step * 4 * U, c, (step - N) * U, a, step * U, slope, sums, U
                        )
                    else:
                        _lstm_row_backward(
                            dstate,
                            dmemory,
                            r * U,
                            gates,
                            step * 4 * U,
                            c0,
                            (start + r) * U,
                            a,
                            step * U,
                            slope,
                            sums,
                            U,
                        )
                _copy(sums, r * 4 * U, dz, step * 4 * U, 4 * U)
            np.dot(product_of, transposed, product_to)  # (rows, 4U) @ (4U, U)
            if scale.size:
                _multiply(scale, start * U, back, 0, rows * U)
            for r in range(rows):
                if not mask.size or mask[t * N + start + r]:
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
    former_at: int,
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
    _product(dc, at, former, former_at, slope, U, dz, to + U, U)
    _product(dc, at, z, z_at, slope, 2 * U, dz, to + 2 * U, U)
    _product(dh, at, a, a_at, slope, 3 * U, dz, to + 3 * U, U)
    _multiply(z, z_at + U, dc, at, U)


class _Run(NamedTuple):
    """What backward needs of a kernel's forward."""

    x: np.ndarray
    kernel: np.ndarray
    recurrent: np.ndarray
    given: tuple[bool, ...]
    h0: np.ndarray
    c0: np.ndarray
    mask: np.ndarray
    scale: np.ndarray
    h: np.ndarray
    c: np.ndarray
    a: np.ndarray
    gates: np.ndarray
    codes: tuple[int, int]


@lstm.register(np.ndarray)
def _lstm(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    recurrent_scale: np.ndarray | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
) -> tuple[list[np.ndarray], tuple]:
    known = activation in _CODES and recurrent_activation in _CODES
    if not known or not supported(x, kernel, recurrent_kernel, bias, h0, c0, recurrent_scale):
        arrays = (x, kernel, recurrent_kernel, bias, h0, c0, mask, recurrent_scale)
        return lstm.textbook(*arrays, activation, recurrent_activation)
    check_sequence("lstm", x, kernel, recurrent_kernel, 4, {"h0": h0, "c0": c0})
    (N, T, _), U = x.shape, len(recurrent_kernel)
    x = _time_first(x)
    h, c, a = (buffers.empty((T, N, U), x.dtype) for _ in range(3))
    first, memory = _state(h0, N, U, x.dtype), _state(c0, N, U, x.dtype)
    steps = np.empty((0, 0), bool) if mask is None else np.ascontiguousarray(mask.T, dtype=bool)
    scale = np.empty((0, 0), x.dtype) if recurrent_scale is None else np.ascontiguousarray(recurrent_scale)
    gates = _input_product(x, kernel, bias)
    codes = _CODES[activation], _CODES[recurrent_activation]
    recurrent = np.ascontiguousarray(recurrent_kernel)
    with threads.one_blas_thread():
        threads.run(
            lstm_blocks,
            -(-N // _ROWS),
            (N, T, U),
            recurrent,
            *_flat(first, memory, steps, scale, gates, h, c, a),
            *codes,
        )
    given = bias is not None, h0 is not None, c0 is not None
    cache = _Run(x, kernel, recurrent_kernel, given, first, memory, steps, scale, h, c, a, gates, codes)
    return [_time_first(h), c[-1].copy()], cache


@lstm_backward.register(np.ndarray)
def _lstm_backward(
    dy: list[np.ndarray | None], cache: Any, input_gradient: bool = True
) -> tuple[np.ndarray | None, ...]:
    if not isinstance(cache, _Run):
        return lstm_backward.textbook(dy, cache, input_gradient)
    recurrent, c = cache.recurrent, cache.c
    T, N, U = c.shape
    dh = np.empty((0, 0, 0), c.dtype) if dy[0] is None else _time_first(dy[0])
    dc = np.zeros((N, U), c.dtype) if dy[1] is None else np.array(dy[1], order="C")
    dh0, dz = np.empty((N, U), c.dtype), buffers.empty((T, N, 4 * U), c.dtype)
    transposed = np.ascontiguousarray(recurrent.T)
    with threads.one_blas_thread():
        threads.run(
            lstm_backward_blocks,
            -(-N // _ROWS),
            (N, T, U),
            transposed,
            *_flat(dh, cache.c0, cache.mask, cache.scale, cache.gates, c, cache.a, dz, dh0, dc),
            *cache.codes,
        )
    dx, dkernel, drecurrent, dbias = _gradients(cache, dz, input_gradient)
    has_bias, has_h0, has_c0 = cache.given
    return dx, dkernel, drecurrent, dbias if has_bias else None, dh0 if has_h0 else None, dc if has_c0 else None


# --- what the operations share -------------------------------------------------------------------------------------


def _flat(*arrays: np.ndarray) -> list[np.ndarray]:
    return [array.reshape(-1) for array in arrays]


def _state(given: np.ndarray | None, N: int, U: int, dtype: Any) -> np.ndarray:
    return np.zeros((N, U), dtype) if given is None else np.ascontiguousarray(given)


def _time_first(x: np.ndarray) -> np.ndarray:
    """Exchange samples and time; twice gives the same again."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def _input_product(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return ``x W + b`` for all steps at once."""
    z = product(_rows(x), kernel)
    if bias is not None:
        z += bias
    return z


def _gradients(
    run: _Run, dz: np.ndarray, input_gradient: bool
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of the input and the weights: one product each, over all samples and steps."""
    T, N, D = run.x.shape
    rows = _rows(dz)
    seen = np.concatenate([run.h0[None], run.h[:-1]])
    if run.scale.size:
        seen *= run.scale
    dx = _time_first(product(rows, run.kernel.T).reshape(T, N, D)) if input_gradient else None
    return dx, product(_rows(run.x).T, rows), product(_rows(seen).T, rows), rows.sum(axis=0)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])

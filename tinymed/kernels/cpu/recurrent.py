"""Recurrent operations for NumPy arrays: all steps of a sequence in compiled code.

The input's product comes first, for all steps at once. Then each thread takes blocks of samples and runs all their
steps: the product with the state by BLAS, then what one step does with it. Backward does the same from the last step
to the first, and the weights' gradients are one product over all steps at the end. Blocks have a fixed size, so that
the bits do not depend on the number of threads. The loops are in :mod:`tinymed.kernels.cpu.steps`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.convolution import supported
from tinymed.kernels.cpu.products import product
from tinymed.kernels.cpu.steps import (
    CODES,
    ROWS,
    gru_backward_blocks,
    gru_blocks,
    lstm_backward_blocks,
    lstm_blocks,
    rnn_backward_blocks,
    rnn_blocks,
)
from tinymed.ops.gru import gru, gru_backward
from tinymed.ops.lstm import lstm, lstm_backward
from tinymed.ops.recurrent import check_sequence
from tinymed.ops.simple_rnn import simple_rnn, simple_rnn_backward

Gradients = tuple[np.ndarray | None, ...]


class _Run(NamedTuple):
    """What backward needs of a kernel's forward; time is the first axis, as everywhere here."""

    x: np.ndarray
    kernel: np.ndarray
    recurrent: np.ndarray
    given: tuple[bool, ...]
    h0: np.ndarray
    mask: np.ndarray
    scale: np.ndarray
    h: np.ndarray
    kept: tuple[np.ndarray, ...]
    codes: tuple[int, ...]


def _start(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None,
    given: tuple[bool, ...],
    h0: np.ndarray | None,
    mask: np.ndarray | None,
    scale: np.ndarray | None,
    codes: tuple[int, ...],
) -> tuple[_Run, np.ndarray]:
    """Return what every forward needs, and the input's product ``x W + b`` for all steps."""
    (N, T, _), U = x.shape, len(recurrent)
    x = np.ascontiguousarray(x.swapaxes(0, 1))
    z = product(_rows(x), kernel)
    if bias is not None:
        z += bias
    run = _Run(
        x,
        kernel,
        np.ascontiguousarray(recurrent),
        given,
        _state(h0, N, U, x.dtype),
        np.empty((0, 0), bool) if mask is None else np.ascontiguousarray(mask.T, dtype=bool),
        np.empty((0, 0), x.dtype) if scale is None else np.ascontiguousarray(scale),
        buffers.empty((T, N, U), x.dtype),
        (),
        codes,
    )
    return run, z


def _state(given: np.ndarray | None, N: int, U: int, dtype: Any) -> np.ndarray:
    return np.zeros((N, U), dtype) if given is None else np.ascontiguousarray(given)


def _loop(body: Any, run: _Run, weights: np.ndarray, *arrays: np.ndarray) -> None:
    """Share the blocks of samples out over the threads."""
    T, N, U = run.h.shape
    flat = [array.reshape(-1) for array in arrays]
    with threads.one_blas_thread():
        threads.run(body, -(-N // ROWS), (N, T, U), weights, *flat, *run.codes)


def _time_first(x: np.ndarray) -> np.ndarray:
    """Exchange samples and time; twice gives the same again."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def _gradients(run: _Run, dz: np.ndarray, input_gradient: bool, ds: np.ndarray | None = None) -> Gradients:
    """Return ``dx, dkernel, drecurrent, dbias``: one product each, over all samples and steps.

    Arguments:
        run: The forward.
        dz: Gradient of the sums of the input.
        input_gradient: Whether dx is wanted.
        ds: Gradient of the sums of the state, where it is another.
    """
    T, N, D = run.x.shape
    rows = _rows(dz)
    seen = np.concatenate([run.h0[None], run.h[:-1]])
    if run.scale.size:
        seen *= run.scale
    dx = _time_first(product(rows, run.kernel.T).reshape(T, N, D)) if input_gradient else None
    drecurrent = product(_rows(seen).T, rows if ds is None else _rows(ds))
    return dx, product(_rows(run.x).T, rows), drecurrent, rows.sum(axis=0) if run.given[0] else None


def _like_states(run: _Run, gates: int = 1) -> np.ndarray:
    T, N, U = run.h.shape
    return buffers.empty((T, N, gates * U), run.h.dtype)


# --- simple recurrent network --------------------------------------------------------------------------------------


@simple_rnn.register(np.ndarray)
def _simple_rnn(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    recurrent_scale: np.ndarray | None = None,
    activation: str = "tanh",
) -> tuple[np.ndarray, tuple]:
    if activation not in CODES or not supported(x, kernel, recurrent_kernel, bias, h0, recurrent_scale):
        return simple_rnn.textbook(x, kernel, recurrent_kernel, bias, h0, mask, recurrent_scale, activation)
    check_sequence("simple_rnn", x, kernel, recurrent_kernel, 1, {"h0": h0})
    given = bias is not None, h0 is not None
    codes = (CODES[activation],)
    run, z = _start(x, kernel, recurrent_kernel, bias, given, h0, mask, recurrent_scale, codes)
    _loop(rnn_blocks, run, run.recurrent, run.h0, run.mask, run.scale, z, run.h)
    return _time_first(run.h), run._replace(kept=(z,))


@simple_rnn_backward.register(np.ndarray)
def _simple_rnn_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return simple_rnn_backward.textbook(dy, cache, input_gradient)
    dz, dh0 = _like_states(cache), np.empty_like(cache.h0)
    transposed = np.ascontiguousarray(cache.recurrent.T)
    _loop(rnn_backward_blocks, cache, transposed, _time_first(dy), cache.mask, cache.scale, *cache.kept, dz, dh0)
    return (*_gradients(cache, dz, input_gradient), dh0 if cache.given[1] else None)


# --- LSTM ----------------------------------------------------------------------------------------------------------


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
    known = activation in CODES and recurrent_activation in CODES
    if not known or not supported(x, kernel, recurrent_kernel, bias, h0, c0, recurrent_scale):
        arrays = (x, kernel, recurrent_kernel, bias, h0, c0, mask, recurrent_scale)
        return lstm.textbook(*arrays, activation, recurrent_activation)
    check_sequence("lstm", x, kernel, recurrent_kernel, 4, {"h0": h0, "c0": c0})
    given = bias is not None, h0 is not None, c0 is not None
    codes = CODES[activation], CODES[recurrent_activation]
    run, gates = _start(x, kernel, recurrent_kernel, bias, given, h0, mask, recurrent_scale, codes)
    memory = _state(c0, run.h.shape[1], run.h.shape[2], x.dtype)
    c, a = _like_states(run), _like_states(run)
    _loop(lstm_blocks, run, run.recurrent, run.h0, memory, run.mask, run.scale, gates, run.h, c, a)
    return [_time_first(run.h), c[-1].copy()], run._replace(kept=(memory, gates, c, a))


@lstm_backward.register(np.ndarray)
def _lstm_backward(dy: list[np.ndarray | None], cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return lstm_backward.textbook(dy, cache, input_gradient)
    memory, gates, c, a = cache.kept
    dh = np.empty((0, 0, 0), c.dtype) if dy[0] is None else _time_first(dy[0])
    dc0 = np.zeros(c.shape[1:], c.dtype) if dy[1] is None else np.array(dy[1], order="C")
    dz, dh0 = _like_states(cache, 4), np.empty_like(cache.h0)
    transposed = np.ascontiguousarray(cache.recurrent.T)
    arrays = (dh, memory, cache.mask, cache.scale, gates, c, a, dz, dh0, dc0)
    _loop(lstm_backward_blocks, cache, transposed, *arrays)
    _, has_h0, has_c0 = cache.given
    return (*_gradients(cache, dz, input_gradient), dh0 if has_h0 else None, dc0 if has_c0 else None)


# --- GRU -----------------------------------------------------------------------------------------------------------


@gru.register(np.ndarray)
def _gru(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    h0: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    recurrent_scale: np.ndarray | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reset_after: bool = True,
) -> tuple[np.ndarray, tuple]:
    known = reset_after and activation in CODES and recurrent_activation in CODES
    fits = bias is None or bias.shape == (2, recurrent_kernel.shape[1])
    if not known or not fits or not supported(x, kernel, recurrent_kernel, bias, h0, recurrent_scale):
        arrays = (x, kernel, recurrent_kernel, bias, h0, mask, recurrent_scale)
        return gru.textbook(*arrays, activation, recurrent_activation, reset_after)
    check_sequence("gru", x, kernel, recurrent_kernel, 3, {"h0": h0})
    given = bias is not None, h0 is not None
    codes = CODES[activation], CODES[recurrent_activation]
    own = None if bias is None else bias[0]
    run, gates = _start(x, kernel, recurrent_kernel, own, given, h0, mask, recurrent_scale, codes)
    other = np.empty(0, x.dtype) if bias is None else np.ascontiguousarray(bias[1])
    inner = _like_states(run)
    _loop(gru_blocks, run, run.recurrent, run.h0, other, run.mask, run.scale, gates, inner, run.h)
    return _time_first(run.h), run._replace(kept=(gates, inner))


@gru_backward.register(np.ndarray)
def _gru_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return gru_backward.textbook(dy, cache, input_gradient)
    du, ds, dh0 = _like_states(cache, 3), _like_states(cache, 3), np.empty_like(cache.h0)
    transposed = np.ascontiguousarray(cache.recurrent.T)
    arrays = (_time_first(dy), cache.h0, cache.mask, cache.scale, *cache.kept, cache.h, du, ds, dh0)
    _loop(gru_backward_blocks, cache, transposed, *arrays)
    dx, dkernel, drecurrent, dbias = _gradients(cache, du, input_gradient, ds)
    if dbias is not None:
        dbias = np.stack([dbias, _rows(ds).sum(axis=0)])
    return dx, dkernel, drecurrent, dbias, dh0 if cache.given[1] else None

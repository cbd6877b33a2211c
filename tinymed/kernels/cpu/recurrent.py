"""Recurrent operations for NumPy arrays: all steps of a sequence in compiled code.

Each thread takes blocks of samples and runs all their steps: the products with the input and the state by BLAS, then
what one step does with them, while it is in the cache. Backward does the same from the last step to the first, and
the gradients of weights and input are one product each over all steps at the end. Blocks have a fixed size, so that
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
    """What backward needs of a kernel's forward."""

    x: np.ndarray
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    h0: np.ndarray
    mask: np.ndarray
    scale: np.ndarray
    h: np.ndarray
    codes: tuple[int, ...]
    given: tuple[bool, ...]
    kept: tuple[np.ndarray, ...] = ()

    def forward(self, body: Any, states: tuple[np.ndarray, ...], *results: np.ndarray) -> None:
        """Share the blocks of samples out over the threads; the initial states are ``states``."""
        flat = _flat(self.bias, *states, self.mask, self.scale, *results)
        self._loop(body, self.x.reshape(-1), self.kernel, self.recurrent, *flat)

    def backward(self, body: Any, *arrays: np.ndarray) -> None:
        """Share the blocks of samples out over the threads."""
        self._loop(body, np.ascontiguousarray(self.recurrent.T), *_flat(*arrays))

    def _loop(self, body: Any, *arrays: np.ndarray) -> None:
        N, T, U = self.h.shape
        with threads.one_blas_thread():
            threads.run(body, -(-N // ROWS), (N, T, self.x.shape[2], U), *arrays, *self.codes)

    def like_states(self, gates: int = 1) -> np.ndarray:
        """Return an array (N, T, gates * U) to write to."""
        N, T, U = self.h.shape
        return buffers.empty((N, T, gates * U), self.h.dtype)

    def like_bias(self, *shape: int) -> np.ndarray:
        """Return zeros in the bias's shape for each block of samples."""
        return np.zeros((-(-len(self.h) // ROWS), *shape), self.h.dtype)


def _start(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None,
    h0: np.ndarray | None,
    mask: np.ndarray | None,
    scale: np.ndarray | None,
    codes: tuple[int, ...],
    given: tuple[bool, ...],
) -> _Run:
    (N, T, _), U = x.shape, len(recurrent)
    return _Run(
        np.ascontiguousarray(x),
        np.ascontiguousarray(kernel),
        np.ascontiguousarray(recurrent),
        np.empty(0, x.dtype) if bias is None else np.ascontiguousarray(bias),
        _state(h0, N, U, x.dtype),
        np.empty((0, 0), bool) if mask is None else np.ascontiguousarray(mask, dtype=bool),
        np.empty((0, 0), x.dtype) if scale is None else np.ascontiguousarray(scale),
        buffers.empty((N, T, U), x.dtype),
        codes,
        given,
    )


def _state(given: np.ndarray | None, N: int, U: int, dtype: Any) -> np.ndarray:
    return np.zeros((N, U), dtype) if given is None else np.ascontiguousarray(given)


def _flat(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array.reshape(-1) for array in arrays)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def _gradients(
    run: _Run, dz: np.ndarray, dbias: np.ndarray, input_gradient: bool, ds: np.ndarray | None = None
) -> Gradients:
    """Return ``dx, dkernel, drecurrent, dbias``: one product each, over all samples and steps.

    Arguments:
        run: The forward.
        dz: Gradient of the sums of the input.
        dbias: That of the bias, block by block.
        input_gradient: Whether dx is wanted.
        ds: Gradient of the sums of the state, where it is another.
    """
    rows = _rows(dz)
    seen = np.concatenate([run.h0[:, None], run.h[:, :-1]], axis=1)
    if run.scale.size:
        seen *= run.scale[:, None]
    dx = product(rows, run.kernel.T).reshape(run.x.shape) if input_gradient else None
    drecurrent = product(_rows(seen).T, rows if ds is None else _rows(ds))
    return dx, product(_rows(run.x).T, rows), drecurrent, dbias.sum(axis=0) if run.bias.size else None


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
    of_state = {"h0": h0, "recurrent_scale": recurrent_scale}
    check_sequence("simple_rnn", x, kernel, recurrent_kernel, 1, of_state, bias, mask)
    codes, given = (CODES[activation],), (h0 is not None,)
    run = _start(x, kernel, recurrent_kernel, bias, h0, mask, recurrent_scale, codes, given)
    z = run.like_states()
    run.forward(rnn_blocks, (run.h0,), z, run.h)
    return run.h, run._replace(kept=(z,))


@simple_rnn_backward.register(np.ndarray)
def _simple_rnn_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return simple_rnn_backward.textbook(dy, cache, input_gradient)
    U = cache.h.shape[2]
    dz, dbias, dh0 = cache.like_states(), cache.like_bias(U), np.empty_like(cache.h0)
    arrays = (np.ascontiguousarray(dy), cache.mask, cache.scale, *cache.kept, dz, dbias, dh0)
    cache.backward(rnn_backward_blocks, *arrays)
    return (*_gradients(cache, dz, dbias, input_gradient), dh0 if cache.given[0] else None)


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
    of_state = {"h0": h0, "c0": c0, "recurrent_scale": recurrent_scale}
    check_sequence("lstm", x, kernel, recurrent_kernel, 4, of_state, bias, mask)
    codes, given = (CODES[activation], CODES[recurrent_activation]), (h0 is not None, c0 is not None)
    run = _start(x, kernel, recurrent_kernel, bias, h0, mask, recurrent_scale, codes, given)
    memory = _state(c0, len(x), len(recurrent_kernel), x.dtype)
    gates, c, a = run.like_states(4), run.like_states(), run.like_states()
    run.forward(lstm_blocks, (run.h0, memory), gates, run.h, c, a)
    return [run.h, c[:, -1].copy()], run._replace(kept=(memory, gates, c, a))


@lstm_backward.register(np.ndarray)
def _lstm_backward(dy: list[np.ndarray | None], cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return lstm_backward.textbook(dy, cache, input_gradient)
    memory, gates, c, a = cache.kept
    dh = np.empty((0, 0, 0), c.dtype) if dy[0] is None else np.ascontiguousarray(dy[0])
    dc0 = np.zeros(memory.shape, c.dtype) if dy[1] is None else np.array(dy[1], order="C")
    dz, dbias, dh0 = cache.like_states(4), cache.like_bias(4 * c.shape[2]), np.empty_like(cache.h0)
    cache.backward(lstm_backward_blocks, dh, memory, cache.mask, cache.scale, gates, c, a, dz, dbias, dh0, dc0)
    has_h0, has_c0 = cache.given
    return (*_gradients(cache, dz, dbias, input_gradient), dh0 if has_h0 else None, dc0 if has_c0 else None)


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
    check_sequence("gru", x, kernel, recurrent_kernel, 3, {"h0": h0, "recurrent_scale": recurrent_scale}, mask=mask)
    codes, given = (CODES[activation], CODES[recurrent_activation]), (h0 is not None,)
    run = _start(x, kernel, recurrent_kernel, bias, h0, mask, recurrent_scale, codes, given)
    gates, inner = run.like_states(3), run.like_states()
    run.forward(gru_blocks, (run.h0,), gates, inner, run.h)
    return run.h, run._replace(kept=(gates, inner))


@gru_backward.register(np.ndarray)
def _gru_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return gru_backward.textbook(dy, cache, input_gradient)
    du, ds, dh0 = cache.like_states(3), cache.like_states(3), np.empty_like(cache.h0)
    dbias = cache.like_bias(2, 3 * cache.h.shape[2])
    arrays = (np.ascontiguousarray(dy), cache.h0, cache.mask, cache.scale, *cache.kept, cache.h, du, ds, dbias, dh0)
    cache.backward(gru_backward_blocks, *arrays)
    return (*_gradients(cache, du, dbias, input_gradient, ds), dh0 if cache.given[0] else None)

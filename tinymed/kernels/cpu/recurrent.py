"""Recurrent operations for NumPy arrays: all steps of a sequence in compiled code.

Each thread takes blocks of sixteen samples and runs all their steps; backward does the same from the last step to the
first, and sums the gradients of the weights as it goes. Blocks have a fixed size, so that the bits do not depend on
the number of threads. The loops are in :mod:`tinymed.kernels.cpu.lanes` and in a file for each operation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.convolution import supported
from tinymed.kernels.cpu.gru_loops import gru_backward_blocks, gru_blocks
from tinymed.kernels.cpu.lanes import CODES, LANES
from tinymed.kernels.cpu.lstm_loops import lstm_backward_blocks, lstm_blocks
from tinymed.kernels.cpu.simple_rnn_loops import rnn_backward_blocks, rnn_blocks
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
    bias: np.ndarray | None
    states: tuple[np.ndarray, ...]
    mask: np.ndarray
    scale: np.ndarray
    h: np.ndarray
    tape: np.ndarray
    codes: tuple[int, ...]
    given: tuple[bool, ...]

    @property
    def blocks(self) -> int:
        """Number of blocks of samples."""
        return -(-len(self.x) // LANES)

    def forward(self, body: Any, weights: tuple[np.ndarray, ...], *results: np.ndarray) -> None:
        """Share the blocks of samples out over the threads."""
        flat = _flat(*self.states, self.mask, self.scale, self.tape, self.h, *results)
        self._loop(body, self.x.reshape(-1), *weights, *flat)

    def backward(self, body: Any, weights: tuple[np.ndarray, ...], *arrays: np.ndarray) -> None:
        """Share the blocks of samples out over the threads; ``arrays`` follow those of the forward."""
        flat = _flat(self.x, *self.states, self.mask, self.scale, self.tape, self.h, *arrays)
        self._loop(body, *weights, *flat)

    def _loop(self, body: Any, *arrays: np.ndarray) -> None:
        N, T, U = self.h.shape
        with threads.one_blas_thread():
            threads.run(body, self.blocks, (N, T, self.x.shape[2], U), *arrays, *self.codes)

    def zeros(self, *shape: int) -> np.ndarray:
        """Return zeros to which each block of samples adds its part."""
        return np.zeros((self.blocks, *shape), self.h.dtype)

    def like_input(self, wanted: bool) -> np.ndarray:
        """Return an array for the gradient of the input, an empty one if it is not wanted."""
        return buffers.empty(self.x.shape, self.x.dtype) if wanted else np.empty(0, self.x.dtype)


def _start(
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None,
    states: tuple[np.ndarray | None, ...],
    mask: np.ndarray | None,
    scale: np.ndarray | None,
    codes: tuple[int, ...],
    parts: int,
) -> _Run:
    """Gather what the loops need; the tape has ``parts`` lanes for each block, step and unit."""
    (N, T, _), U = x.shape, len(recurrent)
    return _Run(
        np.ascontiguousarray(x),
        kernel,
        recurrent,
        bias,
        tuple(np.empty((0, U), x.dtype) if state is None else np.ascontiguousarray(state) for state in states),
        np.empty((0, 0), bool) if mask is None else np.ascontiguousarray(mask, dtype=bool),
        np.empty((0, 0), x.dtype) if scale is None else np.ascontiguousarray(scale),
        buffers.empty((N, T, U), x.dtype),
        buffers.empty((-(-N // LANES), T, parts, U, LANES), x.dtype),
        codes,
        tuple(state is not None for state in states),
    )


def _flat(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array.reshape(-1) for array in arrays)


def _weights(first: np.ndarray | None, *others: np.ndarray | None) -> np.ndarray:
    """Return the rows by which a step's column is multiplied; None stands for a bias that is not there."""
    like = next(part for part in (first, *others) if part is not None)
    no_bias = np.zeros((1, like.shape[-1]), like.dtype)
    rows = [no_bias if part is None else np.atleast_2d(part) for part in (first, *others)]
    return np.ascontiguousarray(np.concatenate(rows).T)


def _both(run: _Run, input_gradient: bool) -> np.ndarray:
    """Return the weights that take the gradient of the sums back, to the input only where it is wanted."""
    parts = (run.kernel, run.recurrent) if input_gradient else (run.recurrent,)
    return np.ascontiguousarray(np.concatenate(parts))


def _parted(run: _Run, dweights: np.ndarray) -> Gradients:
    """Return ``dkernel, drecurrent, dbias`` from the blocks' parts of (columns, D + 1 + U)."""
    D = run.x.shape[2]
    total = np.ascontiguousarray(dweights.sum(axis=0).T)
    return total[:D].copy(), total[D + 1 :].copy(), None if run.bias is None else total[D].copy()


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
    run = _start(x, kernel, recurrent_kernel, bias, (h0,), mask, recurrent_scale, (CODES[activation],), 1)
    run.forward(rnn_blocks, (_weights(kernel, bias, recurrent_kernel),))
    return run.h, run


@simple_rnn_backward.register(np.ndarray)
def _simple_rnn_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return simple_rnn_backward.textbook(dy, cache, input_gradient)
    (N, _, D), U = cache.x.shape, cache.h.shape[2]
    dx, dweights, dh0 = cache.like_input(input_gradient), cache.zeros(U, D + 1 + U), np.empty((N, U), dy.dtype)
    weights = (_both(cache, input_gradient),)
    cache.backward(rnn_backward_blocks, weights, np.ascontiguousarray(dy), dx, dweights, dh0)
    return dx if input_gradient else None, *_parted(cache, dweights), dh0 if cache.given[0] else None


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
    codes = CODES[activation], CODES[recurrent_activation]
    run = _start(x, kernel, recurrent_kernel, bias, (h0, c0), mask, recurrent_scale, codes, 6)
    c = np.zeros((len(x), len(recurrent_kernel)), x.dtype)
    run.forward(lstm_blocks, (_weights(kernel, bias, recurrent_kernel),), c)
    return [run.h, c], run


@lstm_backward.register(np.ndarray)
def _lstm_backward(dy: list[np.ndarray | None], cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return lstm_backward.textbook(dy, cache, input_gradient)
    (N, _, D), U, dtype = cache.x.shape, cache.h.shape[2], cache.h.dtype
    dh = np.empty(0, dtype) if dy[0] is None else np.ascontiguousarray(dy[0])
    dc0 = np.zeros((N, U), dtype) if dy[1] is None else np.array(dy[1], order="C")
    dx, dweights, dh0 = cache.like_input(input_gradient), cache.zeros(4 * U, D + 1 + U), np.empty((N, U), dtype)
    cache.backward(lstm_backward_blocks, (_both(cache, input_gradient),), dh, dx, dweights, dh0, dc0)
    has_h0, has_c0 = cache.given
    gradients = dx if input_gradient else None, *_parted(cache, dweights)
    return *gradients, dh0 if has_h0 else None, dc0 if has_c0 else None


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
    codes = CODES[activation], CODES[recurrent_activation]
    run = _start(x, kernel, recurrent_kernel, bias, (h0,), mask, recurrent_scale, codes, 4)
    of_input, of_state = (None, None) if bias is None else bias
    run.forward(gru_blocks, (_weights(kernel, of_input), _weights(of_state, recurrent_kernel)))
    return run.h, run


@gru_backward.register(np.ndarray)
def _gru_backward(dy: np.ndarray, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return gru_backward.textbook(dy, cache, input_gradient)
    (N, _, D), U = cache.x.shape, cache.h.shape[2]
    dx, dh0 = cache.like_input(input_gradient), np.empty((N, U), dy.dtype)
    dinput, dstate = cache.zeros(3 * U, D + 1), cache.zeros(3 * U, 1 + U)
    weights = np.ascontiguousarray(cache.kernel), np.ascontiguousarray(cache.recurrent)
    cache.backward(gru_backward_blocks, weights, np.ascontiguousarray(dy), dx, dinput, dstate, dh0)
    of_input, of_state = (np.ascontiguousarray(part.sum(axis=0).T) for part in (dinput, dstate))
    dbias = None if cache.bias is None else np.stack([of_input[D], of_state[0]])
    gradients = dx if input_gradient else None, of_input[:D].copy(), of_state[1:].copy(), dbias
    return *gradients, dh0 if cache.given[0] else None

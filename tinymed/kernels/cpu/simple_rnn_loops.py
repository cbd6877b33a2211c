"""The loops of the simple recurrent network's kernel; what they share is in :mod:`tinymed.kernels.cpu.lanes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.kernels.cpu import compiling, lanes
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.lanes import (
    LANES,
    STEPS,
    activate,
    add,
    awake,
    begin,
    clear_steps,
    collect,
    copy,
    fill,
    gather,
    hold,
    multiply,
    scatter,
    silence,
    slopes,
    write_column,
)


@jit
def rnn_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    x: Any,
    weights: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    tape: Any,
    h: Any,
    phi: int,
) -> None:
    """Run blocks of samples: write the states ``h``, and before the mask, in lanes, into the ``tape``."""
    N, T, D, U = shape
    L, below = U * LANES, (D + 1) * LANES
    columns, sums = np.empty((D + 1 + U, LANES), h.dtype), np.empty((U, LANES), h.dtype)
    column, z = columns.reshape(-1), sums.reshape(-1)
    state, scales, on = np.empty(L, h.dtype), np.empty(L, h.dtype), np.empty(LANES, np.bool_)
    for block in range(first, last):
        start = block * LANES
        rows = min(LANES, N - start)
        begin(h0, start, rows, U, state)
        begin(scale, start, rows, U, scales)
        fill(column, 0, column.size, 0.0)
        fill(column, D * LANES, LANES, 1.0)
        for t in range(T):
            gather(x, start * T + t, T, rows, D, column, 0, LANES)
            copy(state, 0, column, below, L)
            if scale.size:
                multiply(scales, 0, column, below, L)
            np.dot(weights, columns, sums)  # (U, D + 1 + U) @ (D + 1 + U, LANES)
            activate(phi, z, 0, L)
            copy(z, 0, tape, (block * T + t) * L, L)
            if not awake(mask, start * T + t, T, rows, on):
                hold(on, state, 0, z, U)
            copy(z, 0, state, 0, L)
            scatter(state, 0, h, start * T + t, T, rows, U)


@jit
def rnn_backward_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    weights: Any,
    x: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    tape: Any,
    h: Any,
    dh: Any,
    dx: Any,
    dweights: Any,
    dh0: Any,
    phi: int,
) -> None:
    """Run blocks backwards, with arguments as :func:`lstm_backward_blocks` has them."""
    N, T, D, U = shape
    L, K, pitch, above = U * LANES, D + 1 + U, STEPS * LANES, len(weights) - U
    dsums, back = np.empty((U, LANES), h.dtype), np.empty((above + U, LANES), h.dtype)
    dz, dcolumn = dsums.reshape(-1), back.reshape(-1)
    gradients, columns, part = np.empty((U, pitch), h.dtype), np.empty((K, pitch), h.dtype), np.empty((U, K), h.dtype)
    dstate, scales, given = np.empty(L, h.dtype), np.empty(L, h.dtype), np.zeros(L, h.dtype)
    held, on = np.empty(L, h.dtype), np.empty(LANES, np.bool_)
    for block in range(first, last):
        start = block * LANES
        rows = min(LANES, N - start)
        fill(dstate, 0, L, 0.0)
        begin(scale, start, rows, U, scales)
        clear_steps(gradients, columns, D)
        for t in range(T - 1, -1, -1):
            gather(dh, start * T + t, T, rows, U, given, 0, LANES)
            add(given, 0, dstate, 0, L)
            slopes(phi, tape, (block * T + t) * L, dz, 0, L)
            multiply(dstate, 0, dz, 0, L)
            every = awake(mask, start * T + t, T, rows, on)
            if not every:
                copy(dstate, 0, held, 0, L)
                silence(on, dz, U)
            np.dot(weights, dsums, back)  # (D + U, U) @ (U, LANES)
            scatter(dcolumn, 0, dx, start * T + t, T, rows, above)
            copy(dcolumn, above * LANES, dstate, 0, L)
            if scale.size:
                multiply(scales, 0, dstate, 0, L)
            if not every:
                hold(on, held, 0, dstate, U)
            at = t % STEPS * LANES
            collect(dz, U, gradients, at)
            write_column(x, h0, h, scale, start, rows, t, shape, columns.reshape(-1), at, pitch)
            if t % STEPS == 0:
                np.dot(gradients, columns.T, part)  # (U, STEPS * LANES) @ (STEPS * LANES, D + 1 + U)
                add(part.reshape(-1), 0, dweights, block * U * K, U * K)
        scatter(dstate, 0, dh0, start, 1, rows, U)


compiling.contains(rnn_blocks, lanes.__file__)

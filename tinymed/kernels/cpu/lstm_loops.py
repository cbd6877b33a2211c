"""The loops of the LSTM's kernel; what they share is in :mod:`tinymed.kernels.cpu.lanes`."""

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
    product_of_three,
    scatter,
    silence,
    slopes,
    write_column,
)


@jit
def lstm_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    x: Any,
    weights: Any,
    h0: Any,
    c0: Any,
    mask: Any,
    scale: Any,
    tape: Any,
    h: Any,
    c: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks ``first`` to ``last``: write the states ``h``, the last memories ``c``, and for backward the ``tape``.

    The tape has the lanes of i, f, g, o, the memory and its activation, for each block and step.
    """
    N, T, D, U = shape
    L, below = U * LANES, (D + 1) * LANES
    columns, sums = np.empty((D + 1 + U, LANES), h.dtype), np.empty((4 * U, LANES), h.dtype)
    column, z = columns.reshape(-1), sums.reshape(-1)
    state, memory, scales = np.empty(L, h.dtype), np.empty(L, h.dtype), np.empty(L, h.dtype)
    former, on = np.empty(2 * L, h.dtype), np.empty(LANES, np.bool_)
    for block in range(first, last):
        start = block * LANES
        rows = min(LANES, N - start)
        begin(h0, start, rows, U, state)
        begin(c0, start, rows, U, memory)
        begin(scale, start, rows, U, scales)
        fill(column, 0, column.size, 0.0)
        fill(column, D * LANES, LANES, 1.0)
        for t in range(T):
            gather(x, start * T + t, T, rows, D, column, 0, LANES)
            copy(state, 0, column, below, L)
            if scale.size:
                multiply(scales, 0, column, below, L)
            np.dot(weights, columns, sums)  # (4U, D + 1 + U) @ (D + 1 + U, LANES)
            every = awake(mask, start * T + t, T, rows, on)
            if not every:
                copy(state, 0, former, 0, L)
                copy(memory, 0, former, L, L)
            activate(sigma, z, 0, 2 * L)
            activate(phi, z, 2 * L, L)
            activate(sigma, z, 3 * L, L)
            here = (block * T + t) * 6 * L
            copy(z, 0, tape, here, 4 * L)
            _remember(z, memory, L)
            copy(memory, 0, state, 0, L)
            activate(phi, state, 0, L)
            copy(state, 0, tape, here + 5 * L, L)
            multiply(z, 3 * L, state, 0, L)
            if not every:
                hold(on, former, 0, state, U)
                hold(on, former, L, memory, U)
            copy(memory, 0, tape, here + 4 * L, L)
            scatter(state, 0, h, start * T + t, T, rows, U)
        scatter(memory, 0, c, start, 1, rows, U)


@jit
def _remember(z: Any, memory: Any, count: int) -> None:
    """Forget a part of the memory and add a part of the candidate."""
    f, g = np.uint64(count), np.uint64(2 * count)
    for j in range(np.uint64(count)):
        memory[j] = z[f + j] * memory[j] + z[j] * z[g + j]


@jit
def lstm_backward_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    weights: Any,
    x: Any,
    h0: Any,
    c0: Any,
    mask: Any,
    scale: Any,
    tape: Any,
    h: Any,
    dh: Any,
    dx: Any,
    dweights: Any,
    dh0: Any,
    dc0: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks backwards; each writes its part of the gradient of the weights.

    ``dc0`` holds the last memory's gradient, and in the end the first's. ``weights`` has the rows of the state, and
    above them those of the input where its gradient ``dx`` is wanted.
    """
    N, T, D, U = shape
    L, K, pitch, above = U * LANES, D + 1 + U, STEPS * LANES, len(weights) - U
    dsums, back = np.empty((4 * U, LANES), h.dtype), np.empty((above + U, LANES), h.dtype)
    dz, dcolumn = dsums.reshape(-1), back.reshape(-1)
    gradients, columns = np.empty((4 * U, pitch), h.dtype), np.empty((K, pitch), h.dtype)
    part = np.empty((4 * U, K), h.dtype)
    dstate, dmemory, scales = np.empty(L, h.dtype), np.empty(L, h.dtype), np.empty(L, h.dtype)
    slope, former, held = np.empty(5 * L, h.dtype), np.empty(L, h.dtype), np.empty(2 * L, h.dtype)
    given, on = np.zeros(L, h.dtype), np.empty(LANES, np.bool_)
    for block in range(first, last):
        start = block * LANES
        rows = min(LANES, N - start)
        fill(dstate, 0, L, 0.0)
        begin(dc0, start, rows, U, dmemory)
        begin(scale, start, rows, U, scales)
        clear_steps(gradients, columns, D)
        for t in range(T - 1, -1, -1):
            here = (block * T + t) * 6 * L
            if dh.size:
                gather(dh, start * T + t, T, rows, U, given, 0, LANES)
                add(given, 0, dstate, 0, L)
            if t > 0:
                copy(tape, here - 2 * L, former, 0, L)
            else:
                begin(c0, start, rows, U, former)
            every = awake(mask, start * T + t, T, rows, on)
            if not every:
                copy(dstate, 0, held, 0, L)
                copy(dmemory, 0, held, L, L)
            slopes(sigma, tape, here, slope, 0, 2 * L)
            slopes(phi, tape, here + 2 * L, slope, 2 * L, L)
            slopes(sigma, tape, here + 3 * L, slope, 3 * L, L)
            slopes(phi, tape, here + 5 * L, slope, 4 * L, L)
            _lstm_gradients(dstate, dmemory, tape, here, former, slope, dz, L)
            if not every:
                hold(on, held, L, dmemory, U)
                silence(on, dz, 4 * U)
            np.dot(weights, dsums, back)  # (D + U, 4U) @ (4U, LANES)
            scatter(dcolumn, 0, dx, start * T + t, T, rows, above)
            copy(dcolumn, above * LANES, dstate, 0, L)
            if scale.size:
                multiply(scales, 0, dstate, 0, L)
            if not every:
                hold(on, held, 0, dstate, U)
            at = t % STEPS * LANES
            collect(dz, 4 * U, gradients, at)
            write_column(x, h0, h, scale, start, rows, t, shape, columns.reshape(-1), at, pitch)
            if t % STEPS == 0:
                np.dot(gradients, columns.T, part)  # (4U, STEPS * LANES) @ (STEPS * LANES, D + 1 + U)
                add(part.reshape(-1), 0, dweights, block * 4 * U * K, 4 * U * K)
        scatter(dstate, 0, dh0, start, 1, rows, U)
        scatter(dmemory, 0, dc0, start, 1, rows, U)


@jit
def _lstm_gradients(dh: Any, dc: Any, tape: Any, here: int, former: Any, slope: Any, dz: Any, count: int) -> None:
    """Write the gradients of the sums; ``dc`` becomes the gradient of the memory before the step."""
    L = count
    o, curve = np.uint64(here + 3 * L), np.uint64(4 * L)
    for j in range(np.uint64(L)):
        dc[j] += dh[j] * tape[o + j] * slope[curve + j]
    product_of_three(dc, 0, tape, here + 2 * L, slope, 0, dz, 0, L)
    product_of_three(dc, 0, former, 0, slope, L, dz, L, L)
    product_of_three(dc, 0, tape, here, slope, 2 * L, dz, 2 * L, L)
    product_of_three(dh, 0, tape, here + 5 * L, slope, 3 * L, dz, 3 * L, L)
    multiply(tape, here + L, dc, 0, L)


compiling.contains(lstm_blocks, lanes.__file__)

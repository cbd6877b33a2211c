"""The loops of the GRU's kernel (reset after the product); what they share is in :mod:`tinymed.kernels.cpu.lanes`.

The candidate needs the sums of the input and those of the state apart: two products, of [x, 1] and of [1, h].
"""

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
def gru_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    x: Any,
    of_input: Any,
    of_state: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    tape: Any,
    h: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks of samples: write the states, and on the ``tape`` z, r, g and what r is multiplied by."""
    N, T, D, U = shape
    L, below = U * LANES, (D + 1) * LANES
    columns = np.empty((D + 1 + U, LANES), h.dtype)
    column, x_and_1, h_and_1 = columns.reshape(-1), columns[: D + 1], columns[D:]
    sums, others = np.empty((3 * U, LANES), h.dtype), np.empty((3 * U, LANES), h.dtype)
    z, inner = sums.reshape(-1), others.reshape(-1)
    state, scales = np.empty(L, h.dtype), np.empty(L, h.dtype)
    former, on = np.empty(L, h.dtype), np.empty(LANES, np.bool_)
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
            np.dot(of_input, x_and_1, sums)  # (3U, D + 1) @ (D + 1, LANES)
            np.dot(of_state, h_and_1, others)  # (3U, 1 + U) @ (1 + U, LANES)
            add(inner, 0, z, 0, 2 * L)
            activate(sigma, z, 0, 2 * L)
            _candidate(z, inner, L)
            activate(phi, z, 2 * L, L)
            here = (block * T + t) * 4 * L
            copy(z, 0, tape, here, 3 * L)
            copy(inner, 2 * L, tape, here + 3 * L, L)
            every = awake(mask, start * T + t, T, rows, on)
            if not every:
                copy(state, 0, former, 0, L)
            _mix(z, state, L)
            if not every:
                hold(on, former, 0, state, U)
            scatter(state, 0, h, start * T + t, T, rows, U)


@jit
def _candidate(z: Any, inner: Any, count: int) -> None:
    """Add the reset state's part to the candidate's sum."""
    r, g = np.uint64(count), np.uint64(2 * count)
    for j in range(np.uint64(count)):
        z[g + j] += z[r + j] * inner[g + j]


@jit
def _mix(z: Any, h: Any, count: int) -> None:
    """Mix the state with the candidate."""
    g, one = np.uint64(2 * count), h.dtype.type(1)
    for j in range(np.uint64(count)):
        h[j] = z[j] * h[j] + (one - z[j]) * z[g + j]


@jit
def gru_backward_blocks(
    first: int,
    last: int,
    shape: tuple[int, ...],
    of_input: Any,
    of_state: Any,
    x: Any,
    h0: Any,
    mask: Any,
    scale: Any,
    tape: Any,
    h: Any,
    dh: Any,
    dx: Any,
    dinput: Any,
    dweights: Any,
    dh0: Any,
    phi: int,
    sigma: int,
) -> None:
    """Run blocks backwards, with arguments as :func:`lstm_backward_blocks` has them.

    ``dinput`` is the gradient of the weights and biases of the input, ``dweights`` that of the state's.
    """
    N, T, D, U = shape
    L, K, pitch = U * LANES, D + 1 + U, STEPS * LANES
    du, ds = np.empty((3 * U, LANES), h.dtype), np.empty((3 * U, LANES), h.dtype)
    to_input, back = np.empty((len(of_input), LANES), h.dtype), np.empty((U, LANES), h.dtype)
    dz, dinner = du.reshape(-1), ds.reshape(-1)
    inputs, states = np.empty((3 * U, pitch), h.dtype), np.empty((3 * U, pitch), h.dtype)
    columns = np.empty((K, pitch), h.dtype)
    x_and_1, h_and_1 = columns[: D + 1], columns[D:]
    part, other = np.empty((3 * U, D + 1), h.dtype), np.empty((3 * U, 1 + U), h.dtype)
    dstate, scales, former = np.empty(L, h.dtype), np.empty(L, h.dtype), np.empty(L, h.dtype)
    slope, given = np.empty(3 * L, h.dtype), np.zeros(L, h.dtype)
    held, on = np.empty(L, h.dtype), np.empty(LANES, np.bool_)
    for block in range(first, last):
        start = block * LANES
        rows = min(LANES, N - start)
        fill(dstate, 0, L, 0.0)
        fill(former, 0, L, 0.0)
        begin(scale, start, rows, U, scales)
        clear_steps(inputs, columns, D)
        fill(states.reshape(-1), 0, states.size, 0.0)
        for t in range(T - 1, -1, -1):
            here = (block * T + t) * 4 * L
            gather(dh, start * T + t, T, rows, U, given, 0, LANES)
            add(given, 0, dstate, 0, L)
            if t > 0:
                gather(h, start * T + t - 1, T, rows, U, former, 0, LANES)
            else:
                begin(h0, start, rows, U, former)
            every = awake(mask, start * T + t, T, rows, on)
            if not every:
                copy(dstate, 0, held, 0, L)
            slopes(sigma, tape, here, slope, 0, 2 * L)
            slopes(phi, tape, here + 2 * L, slope, 2 * L, L)
            _gru_gradients(dstate, former, tape, here, slope, dz, L)
            product_of_three(dz, 2 * L, tape, here + 3 * L, slope, L, dz, L, L)
            if not every:
                silence(on, dz, 3 * U)
            copy(dz, 0, dinner, 0, 3 * L)
            multiply(tape, here + L, dinner, 2 * L, L)
            if not every:
                silence(on, dinner, 3 * U)  # a gate that is not a number times zero is none either
            np.dot(of_state, ds, back)  # (U, 3U) @ (3U, LANES)
            if dx.size:
                np.dot(of_input, du, to_input)  # (D, 3U) @ (3U, LANES)
                scatter(to_input.reshape(-1), 0, dx, start * T + t, T, rows, D)
            multiply(tape, here, dstate, 0, L)
            if scale.size:
                multiply(scales, 0, back.reshape(-1), 0, L)
            add(back.reshape(-1), 0, dstate, 0, L)
            if not every:
                hold(on, held, 0, dstate, U)
            at = t % STEPS * LANES
            collect(dz, 3 * U, inputs, at)
            collect(dinner, 3 * U, states, at)
            write_column(x, h0, h, scale, start, rows, t, shape, columns.reshape(-1), at, pitch)
            if t % STEPS == 0:
                np.dot(inputs, x_and_1.T, part)  # (3U, STEPS * LANES) @ (STEPS * LANES, D + 1)
                np.dot(states, h_and_1.T, other)
                add(part.reshape(-1), 0, dinput, block * part.size, part.size)
                add(other.reshape(-1), 0, dweights, block * other.size, other.size)
        scatter(dstate, 0, dh0, start, 1, rows, U)


@jit
def _gru_gradients(dh: Any, former: Any, tape: Any, here: int, slope: Any, dz: Any, count: int) -> None:
    """Write the gradients of the update gate's and the candidate's sums; ``dz`` lies as the tape does."""
    a, g, curve = np.uint64(here), np.uint64(here + 2 * count), np.uint64(2 * count)
    one = dh.dtype.type(1)
    for j in range(np.uint64(count)):
        dz[j] = dh[j] * (former[j] - tape[g + j]) * slope[j]
    for j in range(np.uint64(count)):
        dz[curve + j] = dh[j] * (one - tape[a + j]) * slope[curve + j]


compiling.contains(gru_blocks, lanes.__file__)

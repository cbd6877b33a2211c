"""The loops of the LSTM, called by themselves: they touch their own block, and what fills it up stays out."""

import numpy as np
import pytest
from scipy.special import expit

from tinymed.kernels.cpu.lanes import CODES, LANES, STEPS
from tinymed.kernels.cpu.lstm_loops import lstm_backward_blocks, lstm_blocks

N, D, U = LANES + 3, 2, 5


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def flat(*arrays):
    return [array.reshape(-1) for array in arrays]


def test_one_step_of_the_second_block_only(rng):
    x, weights = rng.standard_normal((N, 1, D)), rng.standard_normal((4 * U, D + 1 + U))
    h0, c0 = rng.standard_normal((N, U)), rng.standard_normal((N, U))
    tape, h, c = (np.full(shape, -7.0) for shape in ((2, 1, 6, U, LANES), (N, 1, U), (N, U)))
    none = np.empty(0)
    arrays = flat(h0, c0, np.empty(0, bool), none, tape, h, c)
    lstm_blocks(1, 2, (N, 1, D, U), x.reshape(-1), weights, *arrays, CODES["tanh"], CODES["sigmoid"])
    z = np.concatenate([x[:, 0], np.ones((N, 1)), h0], axis=1) @ weights.T
    i, f, g, o = np.split(z, 4, axis=1)
    memory = expit(f) * c0 + expit(i) * np.tanh(g)
    np.testing.assert_allclose(c[LANES:], memory[LANES:], rtol=1e-12)
    np.testing.assert_allclose(h[LANES:, 0], (expit(o) * np.tanh(memory))[LANES:], rtol=1e-12)
    assert (h[:LANES] == -7).all() and (c[:LANES] == -7).all() and (tape[0] == -7).all()


def test_samples_that_fill_up_a_block_leave_no_trace_even_where_they_would_overflow(rng):
    T = 3 * STEPS
    weights = np.full((4 * U, D + 1 + U), 30.0, "float32")  # with relu a state grows past all limits unless x holds it
    states = [np.zeros((1, U), "float32")] * 2
    x = np.full((1, T, D), -20.0, "float32")
    none, mask = np.empty(0, "float32"), np.empty(0, bool)
    tape, h, c = np.empty((1, T, 6, U, LANES), "float32"), np.empty((1, T, U), "float32"), np.empty((1, U), "float32")
    codes = CODES["relu"], CODES["sigmoid"]
    lstm_blocks(0, 1, (1, T, D, U), x.reshape(-1), weights, *flat(*states, mask, none, tape, h, c), *codes)
    dweights = np.zeros((1, 4 * U, D + 1 + U), "float32")
    dx, dh, dh0, dc0 = np.empty_like(x), np.ones_like(h), np.empty_like(c), np.zeros_like(c)
    both = np.ascontiguousarray(np.delete(weights, D, axis=1).T)
    given = flat(x, *states, mask, none, tape, h, dh, dx, dweights, dh0, dc0)
    lstm_backward_blocks(0, 1, (1, T, D, U), both, *given, *codes)
    for result in (h, c, dx, dweights, dh0, dc0):
        assert np.isfinite(result).all()

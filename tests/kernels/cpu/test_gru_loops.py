"""The loops of the GRU, called by themselves."""

import numpy as np
from scipy.special import expit

from tinymed.kernels.cpu.gru_loops import gru_backward_blocks, gru_blocks
from tinymed.kernels.cpu.lanes import CODES, LANES

N, D, U = LANES + 2, 3, 4


def test_one_step_of_the_second_block_by_hand_forward_and_backward():
    rng = np.random.default_rng(0)
    x, h0 = rng.standard_normal((N, 1, D)), rng.standard_normal((N, U))
    of_input, of_state = rng.standard_normal((3 * U, D + 1)), rng.standard_normal((3 * U, 1 + U))
    none, mask = np.empty(0), np.empty(0, bool)
    tape, h = np.full((2, 1, 4, U, LANES), -7.0), np.full((N, 1, U), -7.0)
    shape, codes = (N, 1, D, U), (CODES["tanh"], CODES["sigmoid"])
    flat = [a.reshape(-1) for a in (h0, mask, none, tape, h)]
    gru_blocks(1, 2, shape, x.ravel(), of_input, of_state, *flat, *codes)
    ones = np.ones((N, 1))
    u, s = np.concatenate([x[:, 0], ones], axis=1) @ of_input.T, np.concatenate([ones, h0], axis=1) @ of_state.T
    z, r = expit(u[:, :U] + s[:, :U]), expit(u[:, U : 2 * U] + s[:, U : 2 * U])
    g = np.tanh(u[:, 2 * U :] + r * s[:, 2 * U :])
    np.testing.assert_allclose(h[LANES:, 0], (z * h0 + (1 - z) * g)[LANES:], rtol=1e-12, atol=1e-14)
    assert (h[:LANES] == -7).all() and (tape[0] == -7).all()

    dh, dx, dh0 = rng.standard_normal((N, 1, U)), np.full((N, 1, D), -7.0), np.zeros((N, U))
    dinput, dstate = np.zeros((2, 3 * U, D + 1)), np.zeros((2, 3 * U, 1 + U))
    given = [a.reshape(-1) for a in (x, h0, mask, none, tape, h, dh, dx, dinput, dstate, dh0)]
    weights = [np.ascontiguousarray(of_input[:, :D].T), np.ascontiguousarray(of_state[:, 1:].T)]
    gru_backward_blocks(1, 2, shape, *weights, *given, *codes)
    dg = dh[:, 0] * (1 - z) * (1 - g**2)
    du = np.concatenate([dh[:, 0] * (h0 - g) * z * (1 - z), dg * s[:, 2 * U :] * r * (1 - r), dg], axis=1)
    ds = np.concatenate([du[:, : 2 * U], dg * r], axis=1)
    mine = slice(LANES, None)
    np.testing.assert_allclose(dx[mine, 0], (du @ of_input[:, :D])[mine], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dh0[mine], (dh[:, 0] * z + ds @ of_state[:, 1:])[mine], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        dinput[1], du[mine].T @ np.concatenate([x[:, 0], ones], axis=1)[mine], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(dstate[1], ds[mine].T @ np.concatenate([ones, h0], axis=1)[mine], rtol=1e-12, atol=1e-14)
    assert not dinput[0].any() and (dx[:LANES] == -7).all()

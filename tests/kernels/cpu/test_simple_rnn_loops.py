"""The loops of the simple recurrent network, called by themselves."""

import numpy as np

from tinymed.kernels.cpu.lanes import CODES, LANES
from tinymed.kernels.cpu.simple_rnn_loops import rnn_backward_blocks, rnn_blocks

N, T, D, U = LANES + 1, 3, 2, 4


def test_the_second_block_by_hand_forward_and_backward():
    rng = np.random.default_rng(0)
    x, weights, h0 = (rng.standard_normal(shape) for shape in ((N, T, D), (U, D + 1 + U), (N, U)))
    none, mask = np.empty(0), np.empty(0, bool)
    tape, h = np.full((2, T, U, LANES), -7.0), np.full((N, T, U), -7.0)
    shape, tanh = (N, T, D, U), CODES["tanh"]
    rnn_blocks(1, 2, shape, x.ravel(), weights, h0.ravel(), mask, none, tape.reshape(-1), h.reshape(-1), tanh)
    wanted = [h0[-1]]
    for t in range(T):
        wanted.append(np.tanh(weights @ np.concatenate([x[-1, t], [1.0], wanted[-1]])))
    np.testing.assert_allclose(h[-1], wanted[1:], rtol=1e-12)
    assert (h[:-1] == -7).all() and (tape[0] == -7).all()

    dh, dx, dweights, dh0 = np.ones((N, T, U)), np.full((N, T, D), -7.0), np.zeros((2, U, D + 1 + U)), np.zeros((N, U))
    both = np.ascontiguousarray(np.delete(weights, D, axis=1).T)
    given = [a.reshape(-1) for a in (x, h0, mask, none, tape, h, dh, dx, dweights, dh0)]
    rnn_backward_blocks(1, 2, shape, both, *given, tanh)
    dstate, total = np.zeros(U), np.zeros((U, D + 1 + U))
    for t in range(T - 1, -1, -1):
        dz = (dstate + 1) * (1 - wanted[t + 1] ** 2)
        total += np.outer(dz, np.concatenate([x[-1, t], [1.0], wanted[t]]))
        np.testing.assert_allclose(dx[-1, t], weights[:, :D].T @ dz, rtol=1e-12)
        dstate = weights[:, D + 1 :].T @ dz
    np.testing.assert_allclose(dweights[1], total, rtol=1e-12)
    np.testing.assert_allclose(dh0[-1], dstate, rtol=1e-12)
    assert not dweights[0].any() and (dx[:-1] == -7).all()

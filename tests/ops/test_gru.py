import numpy as np
import pytest
from scipy.special import expit

from tinymed.ops import gru, gru_backward

rng = np.random.default_rng(0)
X, W, R, B = (rng.standard_normal(shape) for shape in ((2, 4, 3), (3, 15), (5, 15), (2, 15)))
H = rng.standard_normal((2, 5))


def by_hand(h, reset_after):
    for t in range(4):
        u_z, u_r, u_g = np.split(X[:, t] @ W + B[0], 3, axis=1)
        if reset_after:
            s_z, s_r, s_g = np.split(h @ R + B[1], 3, axis=1)
            g = np.tanh(u_g + expit(u_r + s_r) * s_g)
        else:
            s_z, s_r = np.split(h @ R[:, :10], 2, axis=1)
            g = np.tanh(u_g + (expit(u_r + s_r) * h) @ R[:, 10:])
        z = expit(u_z + s_z)
        h = z * h + (1 - z) * g
        yield h


@pytest.mark.parametrize("reset_after", [True, False])
def test_it_is_the_formula_step_by_step(reset_after):
    y, _ = gru(X, W, R, B if reset_after else B[0], H, reset_after=reset_after)
    for t, h in enumerate(by_hand(H, reset_after)):
        np.testing.assert_allclose(y[:, t], h, rtol=1e-12)


def test_a_step_that_is_left_out_keeps_the_state():
    mask = np.array([[False, True, False, False]] * 2)
    y, cache = gru(X, W, R, B, H, mask)
    np.testing.assert_array_equal(y[:, 0], H)
    np.testing.assert_array_equal(y[:, 3], y[:, 1])
    assert not gru_backward(np.ones_like(y), cache)[0][:, [0, 2, 3]].any()


def test_the_shape_of_the_bias_says_where_the_reset_is():
    with pytest.raises(ValueError, match=r"bias of shape \(2, 15\) but got \(15,\); it is \(2, 3U\) with reset_after"):
        gru(X, W, R, B[0])
    with pytest.raises(ValueError, match=r"bias of shape \(15,\) but got \(2, 15\)"):
        gru(X, W, R, B, reset_after=False)

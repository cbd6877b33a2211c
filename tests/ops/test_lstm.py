import numpy as np
import pytest
from scipy.special import expit

from tinymed.ops import lstm, lstm_backward, textbook
from tinymed.ops.lstm import lstm_step, lstm_step_backward
from tinymed.ops.registry import REGISTRY

rng = np.random.default_rng(0)
X, W, R, B = (rng.standard_normal(shape) for shape in ((2, 4, 3), (3, 20), (5, 20), (20,)))
H, C = rng.standard_normal((2, 2, 5))


def by_hand(h, c, scale=1.0):
    for t in range(4):
        i, f, g, o = np.split(X[:, t] @ W + (h * scale) @ R + B, 4, axis=1)
        c = expit(f) * c + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(c)
        yield h, c


def test_it_is_the_formula_step_by_step():
    (y, last), _ = lstm(X, W, R, B, H, C)
    wanted = list(by_hand(H, C))
    np.testing.assert_allclose(y, np.stack([h for h, _ in wanted], axis=1), rtol=1e-12)
    np.testing.assert_allclose(last, wanted[-1][1], rtol=1e-12)


def test_dropout_scales_the_state_inside_the_product_only():
    scale = 2.0 * (rng.random((2, 5)) < 0.5)
    (y, _), _ = lstm(X, W, R, B, H, C, None, scale)
    np.testing.assert_allclose(y[:, -1], list(by_hand(H, C, scale))[-1][0], rtol=1e-12)


def test_a_sequence_that_is_wholly_masked_changes_nothing():
    (y, last), cache = lstm(X, W, R, B, H, C, np.array([[False] * 4, [True] * 4]))
    np.testing.assert_array_equal(y[0], np.tile(H[0], (4, 1)))
    np.testing.assert_array_equal(last[0], C[0])
    dy, dlast = rng.standard_normal(y.shape), rng.standard_normal(last.shape)
    dx, _, _, _, dh0, dc0 = lstm_backward([dy, dlast], cache)
    assert not dx[0].any() and dx[1].all()
    np.testing.assert_allclose(dh0[0], dy[0].sum(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(dc0[0], dlast[0])


def test_the_forget_gate_keeps_a_memory_over_many_steps():
    kernel, bias = np.zeros((1, 4)), np.array([-50.0, 50.0, 0.0, 50.0])
    (y, _), _ = lstm(np.zeros((1, 300, 1)), kernel, np.zeros((1, 4)), bias, np.zeros((1, 1)), np.full((1, 1), 0.5))
    np.testing.assert_allclose(y[0, :, 0], np.tanh(0.5))


@pytest.mark.parametrize("body", ["textbook", "kernel"])
def test_either_gradient_may_be_left_out(body):
    with textbook() if body == "textbook" else np.errstate():
        (y, last), cache = lstm(X, W, R, B, H, C)
        zeros, ones = np.zeros_like(y), np.ones_like(last)
        for given, filled in (([None, ones], [zeros, ones]), ([y, None], [y, np.zeros_like(last)])):
            for got, wanted in zip(lstm_backward(given, cache), lstm_backward(filled, cache), strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)


def test_half_precision_comes_back_in_both_outputs_and_all_gradients():
    half = [a.astype("float16") for a in (X, W, R, B)]
    y, cache = lstm(*half)
    assert [part.dtype for part in y] == ["float16", "float16"]
    assert {g.dtype.name for g in lstm_backward(y, cache) if g is not None} == {"float16"}


def test_one_step_and_its_way_back():
    z, c = rng.standard_normal((3, 8)), rng.standard_normal((3, 2))
    phi, sigma = REGISTRY["tanh"], REGISTRY["sigmoid"]
    dh, dc = rng.standard_normal((2, 3, 2))
    dz, _ = lstm_step_backward(dh, dc, lstm_step(z, c, phi, sigma)[2])

    def value(z):
        h, new, _ = lstm_step(z, c, phi, sigma)
        return np.sum(h * dh) + np.sum(new * dc)

    v = rng.standard_normal(z.shape)
    assert np.sum(dz * v) == pytest.approx((value(z + 1e-6 * v) - value(z - 1e-6 * v)) / 2e-6, rel=1e-7)


def test_weights_of_another_cell_are_refused():
    with pytest.raises(ValueError, match="lstm expects recurrent_kernel with 4 x 5 columns"):
        lstm(X, W, R[:, :15])

import numpy as np
import pytest

from tinymed.ops import simple_rnn, simple_rnn_backward

rng = np.random.default_rng(0)
X, W, R, B = (rng.standard_normal(shape) for shape in ((2, 4, 3), (3, 5), (5, 5), (5,)))


def test_it_is_the_formula_step_by_step():
    y, _ = simple_rnn(X, W, R, B)
    h = np.zeros((2, 5))
    for t in range(4):
        h = np.tanh(X[:, t] @ W + h @ R + B)
        np.testing.assert_allclose(y[:, t], h, rtol=1e-13)


def test_it_goes_on_where_it_stopped():
    whole, _ = simple_rnn(X, W, R, B)
    head, _ = simple_rnn(X[:, :2], W, R, B)
    tail, _ = simple_rnn(X[:, 2:], W, R, B, head[:, -1])
    np.testing.assert_allclose(np.concatenate([head, tail], axis=1), whole, rtol=1e-13)


def test_a_step_that_is_left_out_keeps_the_state():
    mask = np.array([[False, True, False, True]] * 2)
    h0 = rng.standard_normal((2, 5))
    y, cache = simple_rnn(X, W, R, B, h0, mask)
    np.testing.assert_array_equal(y[:, 0], h0)
    np.testing.assert_array_equal(y[:, 2], y[:, 1])
    only, _ = simple_rnn(X[:, [1, 3]], W, R, B, h0)
    np.testing.assert_allclose(y[:, [1, 3]], only, rtol=1e-13)
    dx = simple_rnn_backward(np.ones_like(y), cache)[0]
    assert not dx[:, [0, 2]].any() and dx[:, [1, 3]].all()


def test_what_was_not_given_gets_no_gradient():
    y, cache = simple_rnn(X, W, R)
    gradients = simple_rnn_backward(y, cache, input_gradient=False)
    assert [g is None for g in gradients] == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[0], W, R), r"simple_rnn expects x of shape \(N, T, 3\) but got \(4, 3\)"),
        ((X[:, :0], W, R), "simple_rnn got sequences of length 0"),
        ((X, W[:, :4], R), "expects kernel with 1 x 5 columns"),
        ((X, W, R, B, np.zeros((1, 5))), r"expects h0 of shape \(2, 5\) but got \(1, 5\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        simple_rnn(*arguments)

import numpy as np
import pytest

from tinymed.ops import dense, dense_backward, textbook

X = np.array([[1.0, 2.0], [3.0, -1.0]])
KERNEL = np.array([[1.0, 0.0, 2.0], [-1.0, 4.0, 0.5]])
BIAS = np.array([10.0, 20.0, 30.0])
DY = np.array([[1.0, 0.0, -1.0], [2.0, 3.0, 0.0]])


def test_by_hand():
    y, _ = dense(X, KERNEL, BIAS)
    np.testing.assert_array_equal(y, [[9, 28, 33], [14, 16, 35.5]])


def test_gradients_by_hand():
    dx, dkernel, dbias = dense_backward(DY, dense(X, KERNEL, BIAS)[1])
    np.testing.assert_array_equal(dx, [[-1, -1.5], [2, 10]])
    np.testing.assert_array_equal(dkernel, [[7, 9, -1], [0, -3, -2]])
    np.testing.assert_array_equal(dbias, [3, 3, -1])


def test_without_bias_there_is_no_gradient_of_it():
    y, cache = dense(X, KERNEL)
    np.testing.assert_array_equal(y, X @ KERNEL)
    assert dense_backward(DY, cache)[2] is None


def test_dx_may_be_left_out():
    dx, dkernel, _ = dense_backward(DY, dense(X, KERNEL, BIAS)[1], input_gradient=False)
    assert dx is None and dkernel.shape == (2, 3)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (2, 3, 4)])
def test_any_number_of_leading_axes(lead):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*lead, 2))
    y, cache = dense(x, KERNEL, BIAS)
    np.testing.assert_allclose(y, np.einsum("...d,du->...u", x, KERNEL) + BIAS)
    dy = rng.standard_normal(y.shape)
    dx, dkernel, dbias = dense_backward(dy, cache)
    np.testing.assert_allclose(dx, np.einsum("...u,du->...d", dy, KERNEL))
    np.testing.assert_allclose(dkernel, np.einsum("nd,nu->du", x.reshape(-1, 2), dy.reshape(-1, 3)))
    np.testing.assert_allclose(dbias, dy.reshape(-1, 3).sum(axis=0))


@pytest.mark.parametrize("shape", [(0, 2), (1, 2)])
def test_empty_and_single_batches(shape):
    x = np.ones(shape)
    y, cache = dense(x, KERNEL, BIAS)
    dx, dkernel, dbias = dense_backward(np.ones_like(y), cache)
    assert y.shape == (shape[0], 3) and dx.shape == shape
    np.testing.assert_array_equal(dbias, np.full(3, shape[0]))
    np.testing.assert_array_equal(dkernel, np.full((2, 3), shape[0]))


@pytest.mark.parametrize("which", ["textbook", "fast"])
def test_the_last_axis_must_fit(which):
    with pytest.raises(ValueError, match=r"dense expects x with 2 values in its last axis but got shape \(4, 3\)"):
        if which == "textbook":
            with textbook():
                dense(np.ones((4, 3)), KERNEL)
        else:
            dense(np.ones((4, 3)), KERNEL)

"""The straight activations."""

import numpy as np
import pytest

from tinymed.ops.activations import (
    hard_sigmoid,
    hard_sigmoid_backward,
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    prelu,
    prelu_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
)

X = np.array([-4.0, -1.0, 0.0, 0.5, 1.0, 3.0, 6.0, 8.0])
DY = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])


def test_linear_copies():
    y, cache = linear(X)
    dx = linear_backward(DY, cache)
    np.testing.assert_array_equal(y, X)
    np.testing.assert_array_equal(dx, DY)
    assert not np.shares_memory(y, X) and not np.shares_memory(dx, DY)


@pytest.mark.parametrize(
    "options, y, slope",
    [
        ({}, [0, 0, 0, 0.5, 1, 3, 6, 8], [0, 0, 0, 1, 1, 1, 1, 1]),
        ({"negative_slope": 0.5}, [-2, -0.5, 0, 0.5, 1, 3, 6, 8], [0.5, 0.5, 0.5, 1, 1, 1, 1, 1]),
        ({"max_value": 3}, [0, 0, 0, 0.5, 1, 3, 3, 3], [0, 0, 0, 1, 1, 0, 0, 0]),
        ({"threshold": 1.0}, [0, 0, 0, 0, 0, 3, 6, 8], [0, 0, 0, 0, 0, 1, 1, 1]),
        (
            {"threshold": 1.0, "negative_slope": 0.5, "max_value": 6.0},
            [-2.5, -1, -0.5, -0.25, 0, 3, 6, 6],
            [0.5, 0.5, 0.5, 0.5, 0.5, 1, 0, 0],
        ),
    ],
)
def test_relu(options, y, slope):
    found, cache = relu(X, **options)
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(relu_backward(DY, cache), DY * slope)


def test_relu_refuses_a_negative_limit():
    with pytest.raises(ValueError, match="max_value of 0 or more but got -1"):
        relu(X, max_value=-1)


def test_relu6():
    y, cache = relu6(X)
    np.testing.assert_array_equal(y, [0, 0, 0, 0.5, 1, 3, 6, 6])
    np.testing.assert_array_equal(relu6_backward(DY, cache), DY * [0, 0, 0, 1, 1, 1, 0, 0])


def test_leaky_relu_shrinks_by_a_fifth_unless_told():
    y, cache = leaky_relu(X)
    np.testing.assert_allclose(y, [-0.8, -0.2, 0, 0.5, 1, 3, 6, 8])
    np.testing.assert_allclose(leaky_relu_backward(DY, cache), DY * [0.2, 0.2, 0.2, 1, 1, 1, 1, 1])


def test_prelu_sums_the_slopes_gradient_over_samples_and_shared_axes():
    x = np.array([[[-1.0, 2.0], [-3.0, -4.0]], [[5.0, -6.0], [-7.0, 8.0]]])  # (N, 2, 2)
    dy = np.arange(1.0, 9.0).reshape(2, 2, 2)
    y, cache = prelu(x, np.array([[0.5, 0.25]]))
    np.testing.assert_array_equal(y, [[[-0.5, 2.0], [-1.5, -1.0]], [[5.0, -1.5], [-3.5, 8.0]]])
    dx, dalpha = prelu_backward(dy, cache)
    np.testing.assert_array_equal(dx, dy * [[[0.5, 1.0], [0.5, 0.25]], [[1.0, 0.25], [0.5, 1.0]]])
    np.testing.assert_array_equal(dalpha, [[-1.0 - 9.0 - 49.0, -16.0 - 36.0]])


def test_prelu_names_the_shape_that_it_wants():
    with pytest.raises(ValueError, match=r"alpha of the shape \(3, 4\) .* but got \(3,\)"):
        prelu(np.zeros((2, 3, 4)), np.zeros(3))


def test_hard_sigmoid():
    y, cache = hard_sigmoid(np.array([-3.0, -1.5, 0.0, 3.0]))
    np.testing.assert_allclose(y, [0, 0.25, 0.5, 1])
    np.testing.assert_allclose(hard_sigmoid_backward(np.full(4, 6.0), cache), [0, 1, 1, 0])


@pytest.mark.parametrize("function", [linear, relu, relu6, leaky_relu, hard_sigmoid])
def test_nan_stays_nan_and_single_precision_single(function):
    y, _ = function(np.array([np.nan, 1e4, -1e4], dtype=np.float32))
    assert y.dtype == np.float32
    assert np.isnan(y).tolist() == [True, False, False]

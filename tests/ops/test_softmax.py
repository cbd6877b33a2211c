"""Softmax and its logarithm."""

import numpy as np
import pytest
from scipy import special

from tinymed.ops.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward


@pytest.mark.parametrize("axis", [-1, 0, 1, (1, 2)])
def test_agree_with_scipy(axis):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_allclose(softmax(x, axis=axis)[0], special.softmax(x, axis=axis), rtol=1e-13)
    np.testing.assert_allclose(log_softmax(x, axis=axis)[0], special.log_softmax(x, axis=axis), rtol=1e-13)


def test_backward_is_the_product_with_the_jacobian():
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal(5), rng.standard_normal(5)
    p, cache = softmax(x)
    jacobian = np.diag(p) - np.outer(p, p)
    np.testing.assert_allclose(softmax_backward(dy, cache), jacobian @ dy, rtol=1e-12)
    _, cache = log_softmax(x)
    log_jacobian = np.eye(5) - p  # row c: [c = k] - p_k
    np.testing.assert_allclose(log_softmax_backward(dy, cache), log_jacobian.T @ dy, rtol=1e-12)


def test_equal_upstream_gradients_give_zero():
    _, cache = softmax(np.array([[0.3, -1.0, 2.0]]))
    np.testing.assert_allclose(softmax_backward(np.full((1, 3), 7.0), cache), 0.0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_neither_overflow_nor_warn(dtype):
    x = np.array([[1e4, -1e4, 1e4 - 1]], dtype=dtype)
    y, cache = softmax(x)
    np.testing.assert_allclose(y, [[1 / (1 + np.exp(-1)), 0.0, np.exp(-1) / (1 + np.exp(-1))]], rtol=1e-6)
    assert np.isfinite(softmax_backward(np.ones_like(x), cache)).all()
    log_y, _ = log_softmax(x)
    np.testing.assert_allclose(log_y, [[-0.3132617, -20000.313, -1.3132617]], rtol=1e-6)
    assert y.dtype == log_y.dtype == dtype


def test_nan_spreads_over_its_row_only():
    y, _ = softmax(np.array([[np.nan, 0.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(y, [[np.nan, np.nan], [0.5, 0.5]])

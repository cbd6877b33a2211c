"""Convolution and ReLU as one operation are the two operations, one after the other."""

import numpy as np
import pytest

from tinymed.ops import (
    conv2d,
    conv2d_backward,
    conv2d_relu,
    conv2d_relu_backward,
    conv2d_relu_max_pool,
    conv2d_relu_max_pool_backward,
    max_pool2d,
    max_pool2d_backward,
    relu,
    relu_backward,
    textbook,
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_one_operation_is_two(dtype, input_gradient, bias):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((3, 9, 8, 4)).astype(dtype), rng.standard_normal((3, 2, 4, 5)).astype(dtype)
    offset = rng.standard_normal(5).astype(dtype) if bias else None
    y, cache = conv2d_relu(x, kernel, offset)
    dy = rng.standard_normal(y.shape).astype(dtype)
    got = conv2d_relu_backward(dy, cache, input_gradient)
    with textbook():
        z, tape = conv2d(x, kernel, offset)
        expected, relu_tape = relu(z)
        wanted = conv2d_backward(relu_backward(dy, relu_tape), tape, input_gradient)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    assert (y == 0).any()
    for a, b in zip(got, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=10 * tolerance)


def test_nan_stays_nan():
    x = np.zeros((1, 4, 4, 1), dtype="float32")
    x[0, 1, 1] = np.nan
    y, _ = conv2d_relu(x, np.ones((2, 2, 1, 3), dtype="float32"))
    assert np.isnan(y[0, :2, :2]).all()
    assert (y[0, 2:] == 0).all()


@pytest.mark.parametrize("options", [{}, {"padding": "same"}, {"pool_size": 3, "pool_strides": 1}])
def test_one_operation_is_three(options):
    rng = np.random.default_rng(0)
    x, kernel, offset = rng.standard_normal((8, 9, 8, 4)), rng.standard_normal((3, 2, 4, 5)), rng.standard_normal(5)
    y, cache = conv2d_relu_max_pool(x, kernel, offset, **options)
    dy = rng.standard_normal(y.shape)
    got = conv2d_relu_max_pool_backward(dy, cache)
    with textbook():
        a, tape = conv2d_relu(x, kernel, offset, padding=options.get("padding", "valid"))
        expected, pool_tape = max_pool2d(a, options.get("pool_size", 2), options.get("pool_strides"))
        wanted = conv2d_relu_backward(max_pool2d_backward(dy, pool_tape), tape)
    for found, right in zip((y, *got), (expected, *wanted), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)

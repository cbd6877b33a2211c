"""The convolution's bodies: what the kernels may not take, shapes of blocks, parts of the kernel's gradient."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY, assert_same
from tinymed.kernels.gpu import convolution
from tinymed.ops import REGISTRY
from tinymed.ops.windows import plan_windows

pytestmark = pytest.mark.usefixtures("on_host")


def test_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    y, cache = BODY["conv2d"](x, np.array([-1.0, 1.0]).reshape(1, 2, 1, 1), np.array([10.0]))
    np.testing.assert_array_equal(y[0, :, :, 0], [[11, 11], [11, 11], [11, 11]])
    dx, dkernel, dbias = BODY["conv2d_backward"](np.ones_like(y), cache)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[-1, 0, 1]] * 3)
    np.testing.assert_array_equal(dkernel[0, :, 0, 0], [21, 27])
    np.testing.assert_array_equal(dbias, [6])
    assert BODY["conv2d_backward"](np.ones_like(y), cache, input_gradient=False)[0] is None


def test_the_way_back_of_a_transposed_convolution_without_the_input():
    x, kernel = np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1))
    y, cache = BODY["conv2d_transpose"](x, kernel, None, 2)
    np.testing.assert_array_equal(y, np.ones((1, 4, 4, 1)))
    dx, dkernel, dbias = BODY["conv2d_transpose_backward"](y, cache, input_gradient=False)
    assert dx is None and dbias is None
    np.testing.assert_array_equal(dkernel, np.full((2, 2, 1, 1), 4.0))


def test_a_bias_to_be_repeated_goes_to_the_textbook():
    """No kernel may read beyond its end."""
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.standard_normal((2, 5, 5, 3)), rng.standard_normal((2, 2, 3, 4)), np.ones(1)
    convolutions = [(op, kernel) for op in ("conv2d", "conv2d_relu", "conv2d_relu_max_pool")]
    for op, weights in (*convolutions, ("conv2d_transpose", np.moveaxis(kernel, 2, 3)), ("dense", kernel[0, 0])):
        found, wanted = BODY[op](x, weights, bias)[0], REGISTRY[op].forward.textbook(x, weights, bias)[0]
        assert_same({"y": found}, {"y": wanted})


def test_blocks_suit_the_size():
    assert convolution.tile_for(10**6, 64, 1) == ("64", (7813, 1, 1))
    assert convolution.tile_for(10**6, 32, 1)[0] == "32"
    assert convolution.tile_for(10**6, 3, 1) == ("16", (3907, 1, 1))
    assert convolution.tile_for(400, 64, 1) == ("small", (13, 2, 1))


def test_parts_of_the_kernel_gradient_are_bounded_and_add_up(monkeypatch):
    """Thousands of windows in two parts: the same sums, in an order that the sizes alone decide."""
    monkeypatch.setattr(convolution, "_PART", 700)
    x, dy = np.random.default_rng(0).standard_normal((2, 1, 1300, 2)).astype("float32")
    dkernel, dbias = convolution.kernel_gradient(x, dy, (1, 2, 2), True, plan_windows((1300,), 1))
    np.testing.assert_allclose(dkernel[0], x[0].T @ dy[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(dbias, dy[0].sum(axis=0), rtol=1e-4, atol=1e-3)
    again = convolution.kernel_gradient(x, dy, (1, 2, 2), True, plan_windows((1300,), 1))
    assert again[0].tobytes() == dkernel.tobytes() and again[1].tobytes() == dbias.tobytes()

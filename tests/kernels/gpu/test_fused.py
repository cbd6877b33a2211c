"""Convolution, ReLU and pooling in one launch: what is kept, and what is left to the textbook."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY, assert_agrees
from tests.properties.strategies import Call

pytestmark = pytest.mark.usefixtures("on_host")


def problem(height=6, width=7):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in ((2, height, width, 2), (3, 3, 2, 5), (5,))]


def test_one_launch_keeps_maxima_and_a_byte_each(host_driver):
    host_driver.launches.clear()
    y, cache = BODY["conv2d_relu_max_pool"](*problem())
    assert dict(host_driver.launches) == {"convolve_small": 1}
    assert y.shape == (2, 2, 2, 5) and cache.winner.dtype == np.uint8 and cache.winner.shape == y.shape
    assert cache.windows.counts == (4, 4)  # the fifth column of outputs is in no window of the pooling


def test_groups_are_fused_too(host_driver):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 6, 6, 4)), rng.standard_normal((2, 2, 2, 6))
    before = host_driver.launches["max_pool"]
    assert_agrees(Call("conv2d_relu_max_pool", [x, kernel, None], {"groups": 2, "padding": "same"}))
    assert host_driver.launches["max_pool"] == before


@pytest.mark.parametrize("options", [{"pool_size": 3}, {"pool_strides": 1}, {"pool_padding": "same"}])
def test_other_poolings_go_to_the_textbook(options):
    _, cache = BODY["conv2d_relu_max_pool"](*problem(), **options)
    assert not hasattr(cache, "winner")
    assert_agrees(Call("conv2d_relu_max_pool", problem(), options))


def test_ties_go_to_the_first_and_shut_outputs_get_nothing():
    x = np.array([[1.0, 1.0], [-1.0, -1.0]]).reshape(1, 2, 2, 1)
    y, cache = BODY["conv2d_relu_max_pool"](x, np.ones((1, 1, 1, 1)))
    dx, dkernel, _ = BODY["conv2d_relu_max_pool_backward"](np.full((1, 1, 1, 1), 3.0), cache)
    assert y.item() == 1 and dkernel.item() == 3
    np.testing.assert_array_equal(dx[0, :, :, 0], [[3, 0], [0, 0]])
    _, cache = BODY["conv2d_relu_max_pool"](-np.abs(x), np.ones((1, 1, 1, 1)))
    assert not BODY["conv2d_relu_max_pool_backward"](np.ones((1, 1, 1, 1)), cache)[0].any()


def test_a_gradient_of_another_dtype_is_cast():
    x, kernel, bias = (a.astype("float32") for a in problem())
    y, cache = BODY["conv2d_relu_max_pool"](x, kernel, bias)
    for gradient in BODY["conv2d_relu_max_pool_backward"](np.ones(y.shape), cache):
        assert gradient.dtype == np.float32

"""The fully connected layer: a product, and one launch for the bias."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY

pytestmark = pytest.mark.usefixtures("on_host")


def test_by_hand(host_driver):
    x, kernel, bias = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 1.0]]), np.ones(3)
    before = host_driver.launches["finish"]
    y, cache = BODY["dense"](x, kernel, bias)
    np.testing.assert_array_equal(y, [[2, 5, 2], [4, 9, 2]])
    dx, dkernel, dbias = BODY["dense_backward"](np.ones((2, 3)), cache)
    np.testing.assert_array_equal(dx, [[0, 3], [0, 3]])
    np.testing.assert_array_equal(dkernel, [[4, 4, 4], [6, 6, 6]])
    np.testing.assert_array_equal(dbias, [2, 2, 2])
    assert host_driver.launches["finish"] == before + 1
    BODY["dense"](x, kernel)
    assert host_driver.launches["finish"] == before + 1  # no bias, nothing to add


def test_without_the_input():
    y, cache = BODY["dense"](np.ones((2, 3, 4)), np.ones((4, 5)))
    dx, dkernel, dbias = BODY["dense_backward"](y, cache, input_gradient=False)
    assert dx is None and dkernel.shape == (4, 5) and dbias is None


def test_mistakes_are_the_textbooks():
    with pytest.raises(ValueError, match="dense expects"):
        BODY["dense"](np.ones((2, 3)), np.ones((4, 5)))

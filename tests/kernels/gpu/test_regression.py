"""Mean squared and absolute errors: numbers by hand."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY

pytestmark = pytest.mark.usefixtures("on_host")


def test_by_hand():
    t, y = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 4.0], [-3.0, np.nan]])
    loss, cache = BODY["mean_squared_error"](t, y)
    np.testing.assert_array_equal(loss, [2, np.nan])
    np.testing.assert_array_equal(
        BODY["mean_squared_error_backward"](np.array([3.0, 1.0]), cache), [[0, 6], [-3, np.nan]]
    )
    loss, cache = BODY["mean_absolute_error"](t, y)
    np.testing.assert_array_equal(loss, [1, np.nan])
    np.testing.assert_array_equal(
        BODY["mean_absolute_error_backward"](np.array([3.0, 1.0]), cache), [[0, 1.5], [-0.5, np.nan]]
    )


def test_one_value_for_all_is_the_textbooks():
    loss, cache = BODY["mean_squared_error"](np.zeros(3), np.ones(3))
    assert loss == 1
    np.testing.assert_allclose(BODY["mean_squared_error_backward"](np.asarray(3.0), cache), [2, 2, 2])


def test_shapes_that_differ_are_the_textbooks_error():
    with pytest.raises(ValueError, match="one shape"):
        BODY["mean_absolute_error"](np.ones((2, 3)), np.ones((2, 4)))

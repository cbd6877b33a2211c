"""Pooling: ties, NaN, windows of many positions, images of one place."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY

pytestmark = pytest.mark.usefixtures("on_host")


def test_ties_and_nan():
    x = np.array([[5.0, 5.0, 1.0, np.nan], [7.0, 7.0, np.nan, 9.0]]).reshape(1, 2, 4, 1)
    y, (winner, _) = BODY["max_pool2d"](x)
    np.testing.assert_array_equal(y[0, 0, :, 0], [7, np.nan])
    np.testing.assert_array_equal(winner[0, 0, :, 0], [2, 1])
    dx = BODY["max_pool2d_backward"](np.ones_like(y), (winner, _))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0, 0, 1], [1, 0, 0, 0]])


def test_minus_infinity_at_the_edge():
    """What lies outside the image is no maximum, not even where all inside is -inf."""
    x = np.full((1, 3, 1), -np.inf)
    y, (winner, _) = BODY["max_pool1d"](x, 2, 2, "same")
    assert (y == -np.inf).all() and (winner == 0).all()


def test_a_window_of_more_positions_than_a_byte_counts(host_driver):
    before = host_driver.launches["max_pool"]
    y, cache = BODY["max_pool2d"](np.arange(400.0).reshape(1, 20, 20, 1), 17)
    assert y.item() == 336 and cache[0].dtype == np.int32
    assert BODY["max_pool2d_backward"](np.ones((1, 1, 1, 1)), cache)[0, 16, 16, 0] == 1
    assert host_driver.launches["max_pool"] == before


def test_means_count_what_is_inside():
    y, cache = BODY["average_pool1d"](np.array([1.0, 2.0, 6.0]).reshape(1, 3, 1), 2, 2, "same")
    np.testing.assert_array_equal(y[0, :, 0], [1.5, 6])
    np.testing.assert_array_equal(BODY["average_pool1d_backward"](np.ones((1, 2, 1)), cache)[0, :, 0], [0.5, 0.5, 1])


@pytest.mark.parametrize("channels", [1, 3, 33])
def test_global_maxima_lie_at_the_first_of_equals(channels):
    x = np.zeros((2, 300, channels))
    x[:, [40, 41, 299]] = 7
    x[1, [100, 50], 0] = np.nan
    y, (winner, _) = BODY["global_max_pool"](x)
    assert winner[0].tolist() == [40] * channels and winner[1, 0] == 50
    assert np.isnan(y[1, 0]) and (y[0] == 7).all()


def test_mistakes_are_the_textbooks():
    with pytest.raises(ValueError, match="global pooling expects"):
        BODY["global_average_pool"](np.ones((2, 3)))
    with pytest.raises(ValueError, match="does not fit"):
        BODY["max_pool2d"](np.ones((1, 2, 2, 1)), 3)

"""Dropout under a given mask."""

import array_api_strict
import numpy as np
import pytest

from tinymed.ops.dropout import dropout, dropout_backward


def test_values_by_hand():
    x = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    mask = np.array([[True, False], [False, True]])
    y, cache = dropout(x, mask, 0.75)
    np.testing.assert_array_equal(y, [[4, 0], [0, 16]])
    dx = dropout_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(dx, [[4, 0], [0, 4]])
    assert y.dtype == dx.dtype == np.float32


def test_rate_zero_and_rates_near_one():
    x = np.array([1.0, -2.0])
    everything = np.array([True, True])
    y, cache = dropout(x, everything, 0)
    dy = np.array([3.0, 4.0])
    dx = dropout_backward(dy, cache)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dx, dy)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(dx, dy)
    np.testing.assert_allclose(dropout(x, everything, 1 - 2.0**-20)[0], x * 2.0**20)
    np.testing.assert_array_equal(dropout(x, ~everything, 0.999)[0], 0)


def test_a_mask_of_channels_is_repeated():
    x = np.ones((2, 3, 2))
    mask = np.array([[[True, False]], [[False, True]]])
    np.testing.assert_array_equal(dropout(x, mask, 0.5)[0], 2.0 * np.broadcast_to(mask, x.shape))


def test_what_is_left_out_is_zero_even_if_infinite():
    y, _ = dropout(np.array([np.inf, np.nan, 1.0]), np.array([False, False, True]), 0.5)
    np.testing.assert_array_equal(y, [0, 0, 2])


def test_other_array_libraries_and_devices_give_the_same():
    device = array_api_strict.Device("device1")
    x = array_api_strict.asarray([1.0, 2.0], dtype=array_api_strict.float32, device=device)
    y, cache = dropout(x, array_api_strict.asarray([True, False], device=device), 0.5)
    dx = dropout_backward(x, cache)
    assert y.device == dx.device == device
    assert y.dtype == dx.dtype == array_api_strict.float32
    assert [float(v) for v in y] == [2, 0]


@pytest.mark.parametrize("rate", [-0.1, 1.0, 50])
def test_errors(rate):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        dropout(np.ones(2), np.array([True, True]), rate)

"""Limits on the size of gradients."""

import array_api_strict
import numpy as np
import pytest

from tinymed import backend
from tinymed.ops import clipping


def test_by_value():
    x = np.array([-3.0, -1.0, 0.5, np.nan, np.inf], dtype=np.float32)
    clipped = clipping.clip_by_value(x, 1.0)
    np.testing.assert_array_equal(clipped, np.array([-1, -1, 0.5, np.nan, 1], dtype=np.float32))
    assert clipped.dtype == np.float32


def test_by_norm():
    x = np.array([[3.0, 0.0], [0.0, -4.0]])
    np.testing.assert_allclose(clipping.clip_by_norm(x, 2.5), x / 2, rtol=1e-15)
    np.testing.assert_array_equal(clipping.clip_by_norm(x, 5.0), x)
    np.testing.assert_array_equal(clipping.clip_by_norm(x, 50.0), x)
    np.testing.assert_array_equal(clipping.clip_by_norm(0 * x, 1.0), 0 * x)


def test_by_global_norm():
    arrays = [np.array([2.0, 3.0]), np.array([[6.0]])]
    assert float(clipping.global_norm(arrays)) == 7
    for clipped, x in zip(clipping.clip_by_global_norm(arrays, 3.5), arrays, strict=True):
        np.testing.assert_allclose(clipped, x / 2, rtol=1e-15)
    for clipped, x in zip(clipping.clip_by_global_norm(arrays, 7.0), arrays, strict=True):
        np.testing.assert_array_equal(clipped, x)
    assert clipping.clip_by_global_norm([], 1.0) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    arrays = [np.array([bad, 1.0]), np.array([2.0])]
    assert all(np.isnan(x).all() for x in clipping.clip_by_global_norm(arrays, 1.0))
    assert np.isnan(clipping.clip_by_norm(arrays[0], 1.0)).all()


def test_dtypes_stay():
    arrays = [np.ones(3, np.float64), np.ones(3, np.float32)]
    assert [x.dtype for x in clipping.clip_by_global_norm(arrays, 0.1)] == [np.float64, np.float32]
    assert clipping.clip_by_norm(np.ones(3, np.float32), 0.1).dtype == np.float32


def test_on_another_device():
    device = array_api_strict.Device("device1")
    x = array_api_strict.asarray(np.array([3.0, 4.0], dtype=np.float32), device=device)
    for clipped in (
        clipping.clip_by_norm(x, 1.0),
        clipping.clip_by_value(x, 1.0),
        *clipping.clip_by_global_norm([x], 1.0),
    ):
        assert clipped.device == device
        assert clipped.dtype == array_api_strict.float32
    np.testing.assert_allclose(backend.to_host(clipping.clip_by_norm(x, 1.0)), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e15, 1e19, 1e25, 3e37])
def test_squares_do_not_overflow(size):
    """A gradient that is finite is shortened, however long; its squares alone would be infinite in float32."""
    x = np.array([3.0, -4.0], dtype=np.float32) * np.float32(size)
    assert float(clipping.global_norm([x])) == pytest.approx(5 * size, rel=1e-6)
    clipped = clipping.clip_by_norm(x, 1e-31)
    assert clipped == pytest.approx(np.array([0.6, -0.8]) * 1e-31, rel=1e-5)

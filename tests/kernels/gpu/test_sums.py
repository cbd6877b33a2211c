"""Sums over rows: any number of rows and columns, in an order that the shape decides."""

import numpy as np
import pytest

from tinymed.kernels.gpu.sums import BUSY, column_sums, lanes, parts_of, sum_parts

pytestmark = pytest.mark.usefixtures("on_host")


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1000, 1), (130, 33), (3, 300), (0, 4)])
def test_column_sums(shape):
    x = np.random.default_rng(0).integers(-9, 9, shape).astype("float32")
    found = column_sums(x)
    np.testing.assert_array_equal(found, x.sum(axis=0))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(column_sums(x.T.copy().T), x.sum(axis=0))


def test_small_values_are_not_lost_beside_a_large_one():
    x = np.full((4096, 1), 1e-4, np.float32)
    x[0] = 1e4
    assert abs(column_sums(x).item() - (1e4 + 0.4095)) < 2e-3


def test_how_a_sum_is_shared_out():
    assert lanes(1) == (1, 256) and lanes(3) == (4, 64) and lanes(100) == (32, 8)
    block, across, parts, step = parts_of(10**6, 64)
    assert block == (32, 8) and across == 2 and parts * across <= BUSY and parts * step >= 10**6
    assert parts_of(5, 4)[2:] == (1, 5)


def test_parts_go_to_two_arrays():
    parts = np.arange(12.0).reshape(3, 4)
    first, second = np.zeros(3), np.zeros(1)
    sum_parts(parts, first, second)
    np.testing.assert_array_equal(first, [12, 15, 18])
    np.testing.assert_array_equal(second, [21])

"""The error function."""

import math

import numpy as np
import pytest

from tinymed.ops import textbook
from tinymed.ops.special import erf, erf_backward


@pytest.mark.parametrize("size", [7.0, 2.6, 0.1, 1e-3])
def test_series_and_continued_fraction_agree_with_the_standard_library(size):
    x = np.linspace(-size, size, 1001)
    with textbook():
        y, _ = erf(x)
    np.testing.assert_allclose(y, [math.erf(v) for v in x], rtol=3e-15, atol=0)


def test_limits_and_nan():
    with textbook():
        y, _ = erf(np.array([-np.inf, -1e300, 0.0, np.inf, np.nan]))
    np.testing.assert_array_equal(y, [-1.0, -1.0, 0.0, 1.0, np.nan])


def test_slope_is_the_gaussian():
    x = np.array([-1.5, 0.0, 0.25])
    _, cache = erf(x)
    dy = np.array([2.0, 3.0, -1.0])
    np.testing.assert_allclose(erf_backward(dy, cache), dy * 2 / np.sqrt(np.pi) * np.exp(-(x**2)))


def test_single_precision_stays():
    with textbook():
        y, cache = erf(np.array([0.5, 3.0], dtype=np.float32))
    assert y.dtype == np.float32
    assert erf_backward(y, cache).dtype == np.float32

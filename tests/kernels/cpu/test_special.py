"""The error function for NumPy arrays."""

import numpy as np
import pytest

from tinymed.kernels.cpu.special import erf_numpy
from tinymed.ops import erf, textbook


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_same_as_the_textbook(dtype, tolerance):
    x = np.linspace(-7, 7, 999, dtype=dtype)
    with textbook():
        wanted, _ = erf(x)
    y, cache = erf_numpy(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, wanted, rtol=tolerance)
    np.testing.assert_array_equal(cache, x)


def test_numpy_arrays_get_it():
    assert erf.bodies[np.ndarray] is erf_numpy

"""The pieces of the recurrent loops; the loops themselves run in test_recurrent.py."""

import numpy as np
import pytest
from scipy.special import expit

from tinymed.kernels.cpu import lanes
from tinymed.ops import REGISTRY


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_activations_are_exact_to_rounding(dtype):
    x = np.concatenate([np.linspace(-30, 30, 40001), np.geomspace(1e-30, 1, 301), [0.0]]).astype(dtype)
    for code, wanted in ((1, np.tanh), (2, expit)):
        y = x.copy()
        lanes.activate(code, y, 0, len(y))
        np.testing.assert_allclose(y, wanted(x.astype("float64")), rtol=2 * 2 * np.finfo(dtype).eps)


def test_nan_and_infinity_stay_what_they_are():
    x = np.array([np.nan, np.inf, -np.inf, -500.0, 500.0], "float32")
    for code, wanted in (
        (0, x),
        (1, [np.nan, 1, -1, -1, 1]),
        (2, [np.nan, 1, 0, 0, 1]),
        (3, [np.nan, np.inf, 0, 0, 500]),
    ):
        y = x.copy()
        lanes.activate(code, y, 0, len(y))
        np.testing.assert_allclose(y, wanted, atol=1e-30)


@pytest.mark.parametrize("name", lanes.CODES)
def test_slopes_come_from_the_outputs(name):
    x = np.linspace(-3, 3, 30)
    operation = REGISTRY[name]
    _, cache = operation.forward(x)
    y, out = x.copy(), np.zeros(32)
    lanes.activate(lanes.CODES[name], y, 0, len(y))
    lanes.slopes(lanes.CODES[name], y, 1, out, 2, 29)
    np.testing.assert_allclose(out[2:31], operation.backward(np.ones_like(x), cache)[1:], rtol=1e-12)
    assert not out[[0, 1, 31]].any()


def test_only_the_values_asked_for_change():
    x = np.ones(6, "float32")
    lanes.activate(1, x, 2, 3)
    np.testing.assert_array_equal(x == 1, [True, True, False, False, False, True])

"""The curved activations, against formulas as one would write them down."""

import math

import numpy as np
import pytest

from tinymed.ops import REGISTRY, textbook
from tinymed.ops.activations_smooth import elu, elu_backward, gelu, selu, selu_backward, sigmoid, softplus

PLAIN = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "exponential": math.exp,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))),
}


@pytest.mark.parametrize("name", PLAIN)
def test_formula_and_slope(name):
    x = np.array([-3.0, -1.1, -0.4, 0.2, 0.9, 2.5])
    dy = np.array([1.0, -2.0, 3.0, 0.5, -1.5, 2.0])
    y, cache = REGISTRY[name].forward(x)
    np.testing.assert_allclose(y, [PLAIN[name](v) for v in x], rtol=1e-12)
    h = 1e-5
    slope = [(PLAIN[name](v + h) - PLAIN[name](v - h)) / (2 * h) for v in x]
    np.testing.assert_allclose(REGISTRY[name].backward(dy, cache), dy * slope, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(PLAIN.keys() - {"exponential"}))
def test_large_inputs_neither_overflow_nor_warn(name, dtype):
    x = np.array([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype)
    for only_textbook in (False, True):
        if only_textbook:
            with textbook():
                y, cache = REGISTRY[name].forward(x)
        else:
            y, cache = REGISTRY[name].forward(x)
        dx = REGISTRY[name].backward(np.ones_like(x), cache)
        assert y.dtype == dx.dtype == dtype
        assert np.isfinite(y).all() and np.isfinite(dx).all()


@pytest.mark.parametrize("name", PLAIN)
def test_nan_stays_nan(name):
    y, cache = REGISTRY[name].forward(np.array([np.nan, 0.5]))
    assert np.isnan(y).tolist() == [True, False]
    assert np.isfinite(REGISTRY[name].backward(np.ones(2), cache)[1])


def test_small_probabilities_keep_their_digits():
    np.testing.assert_allclose(sigmoid(np.array([-40.0, -700.0]))[0], np.exp([-40.0, -700.0]), rtol=1e-15)
    np.testing.assert_allclose(softplus(np.array([-40.0]))[0], np.exp([-40.0]), rtol=1e-15)


def test_slopes_at_the_kinks():
    zero, one = np.zeros(1), np.ones(1)
    assert elu_backward(one, elu(zero, alpha=0.3)[1]) == 0.3
    np.testing.assert_allclose(selu_backward(one, selu(zero)[1]), 1.0507009873554805)


def test_the_approximation_of_gelu_is_close():
    x = np.linspace(-4, 4, 81)
    np.testing.assert_allclose(gelu(x, approximate=True)[0], gelu(x)[0], atol=5e-4)
    assert np.abs(gelu(x, approximate=True)[0] - gelu(x)[0]).max() > 1e-5

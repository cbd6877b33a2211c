"""Losses of regression, against formulas as one would write them down."""

import numpy as np
import pytest

from tinymed.ops import REGISTRY
from tinymed.ops.losses import huber, log_cosh, log_cosh_backward, mean_absolute_error, mean_absolute_error_backward

RNG = np.random.default_rng(6)
Y, P = RNG.uniform(0.5, 3, (4, 3)), RNG.uniform(0.5, 3, (4, 3))
DY = RNG.standard_normal(4)

# value, and its derivative with respect to one prediction, for one element
PLAIN = {
    "mean_squared_error": (lambda y, p: (p - y) ** 2, lambda y, p: 2 * (p - y)),
    "mean_absolute_error": (lambda y, p: abs(p - y), lambda y, p: np.sign(p - y)),
    "mean_absolute_percentage_error": (lambda y, p: 100 * abs(p - y) / y, lambda y, p: 100 * np.sign(p - y) / y),
    "mean_squared_logarithmic_error": (
        lambda y, p: (np.log(1 + p) - np.log(1 + y)) ** 2,
        lambda y, p: 2 * (np.log(1 + p) - np.log(1 + y)) / (1 + p),
    ),
    "huber": (
        lambda y, p: np.where(abs(p - y) <= 1, (p - y) ** 2 / 2, abs(p - y) - 0.5),
        lambda y, p: np.clip(p - y, -1, 1),
    ),
    "log_cosh": (lambda y, p: np.log(np.cosh(p - y)), lambda y, p: np.tanh(p - y)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_formula_and_gradient(name):
    value, slope = PLAIN[name]
    loss, cache = REGISTRY[name].forward(Y, P)
    np.testing.assert_allclose(loss, np.mean(value(Y, P), axis=-1), rtol=1e-12)
    np.testing.assert_allclose(REGISTRY[name].backward(DY, cache), DY[:, None] / 3 * slope(Y, P), rtol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_images_keep_their_axes_and_single_precision(name):
    shape = (2, 4, 3, 1)
    y, p = np.ones(shape, np.float32), np.full(shape, 2, np.float32)
    loss, cache = REGISTRY[name].forward(y, p)
    gradient = REGISTRY[name].backward(np.ones_like(loss), cache)
    assert loss.shape == shape[:-1] and gradient.shape == shape
    assert loss.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("name", PLAIN)
def test_targets_of_another_shape_are_refused(name):
    with pytest.raises(ValueError, match=r"one shape but got \(4, 1\) and \(4, 3\)"):
        REGISTRY[name].forward(Y[:, :1], P)


def test_huber_is_linear_beyond_delta():
    loss, _ = huber(np.zeros((3, 1)), np.array([[0.5], [2.0], [4.0]]), delta=2.0)
    np.testing.assert_allclose(loss, [0.125, 2.0, 6.0])


def test_log_cosh_does_not_overflow():
    loss, cache = log_cosh(np.zeros((1, 2), np.float32), np.array([[1e4, -1e4]], np.float32))
    np.testing.assert_allclose(loss, 1e4 - np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(log_cosh_backward(np.ones(1, np.float32), cache), [[0.5, -0.5]])


def test_no_error_has_no_slope():
    _, cache = mean_absolute_error(Y, Y)
    np.testing.assert_array_equal(mean_absolute_error_backward(DY, cache), 0.0)

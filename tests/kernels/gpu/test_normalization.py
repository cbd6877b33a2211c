"""Normalisation: moments of CT values, long sums, axes that are left to the textbook."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY, assert_agrees
from tests.properties.strategies import Call

pytestmark = pytest.mark.usefixtures("on_host")


def test_values_near_minus_thousand_keep_their_digits():
    """A float32 mean near -1000 is known to 6e-5 only, a third of a thousandth of the deviation."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((40, 30, 3)) * 0.2 - 1000).astype("float32")
    y, cache = BODY["batch_norm"](x, epsilon=0.0)
    exact = x.astype("float64")
    mean, deviation = exact.mean(axis=(0, 1)), exact.std(axis=(0, 1))
    np.testing.assert_allclose(y, (exact - mean) / deviation, atol=2e-5)
    np.testing.assert_allclose(cache.mean, mean, rtol=1e-7)
    np.testing.assert_allclose(cache.variance, deviation**2, rtol=1e-5)


def test_one_value_far_from_all_others_and_first():
    x = np.ones((2000, 1), np.float32)
    x[0], x[1::2] = 1e6, 3
    y, _ = BODY["batch_norm"](x)
    exact = x.astype("float64")
    np.testing.assert_allclose(y, (exact - exact.mean()) / exact.std(), rtol=1e-5, atol=1e-6)


def test_two_values():
    y, cache = BODY["batch_norm"](np.array([[1.0], [3.0]]), np.array([10.0]), np.array([5.0]), epsilon=0.0)
    np.testing.assert_array_equal(y, [[-5], [15]])
    assert cache.mean.item() == 2 and cache.variance.item() == 1 and cache.scale.shape == (1, 1)
    y, cache = BODY["layer_norm"](np.array([[1.0, 3.0], [10.0, 30.0]]), epsilon=0.0)
    np.testing.assert_array_equal(y, [[-1, 1], [-1, 1]])


@pytest.mark.parametrize(
    ("op", "shapes", "options"),
    [
        ("batch_norm", [(3, 4, 5), (4,), (4,)], {"axis": 1}),
        ("layer_norm", [(3, 4, 5), (4,), (4,)], {"axis": 1}),
        ("layer_norm", [(3, 4, 5), (3, 5), (3, 5)], {"axis": (0, 2)}),
    ],
)
def test_other_axes_go_to_the_textbook(op, shapes, options, host_driver):
    before = host_driver.launches.total()
    rng = np.random.default_rng(0)
    assert_agrees(Call(op, [rng.standard_normal(shape) for shape in shapes], options))
    assert host_driver.launches.total() == before


def test_the_same_bits_again():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 700, 33)).astype("float32")
    found = []
    for _ in range(2):
        y, cache = BODY["batch_norm"](x, np.ones(33, np.float32), None)
        found.append([a.tobytes() for a in (y, *BODY["batch_norm_backward"](dy, cache)[:2])])
    assert found[0] == found[1]


def test_mistakes_are_the_textbooks():
    with pytest.raises(ValueError, match=r"expects weights of shape \(3,\)"):
        BODY["batch_norm"](np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="at least one value"):
        BODY["batch_norm"](np.ones((0, 3)))

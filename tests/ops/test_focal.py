"""Focal cross-entropy."""

import numpy as np
import pytest
from scipy import special

from tinymed.ops.cross_entropy import (
    binary_crossentropy,
    categorical_crossentropy,
    sigmoid_crossentropy,
    softmax_crossentropy,
)
from tinymed.ops.focal import (
    binary_focal_crossentropy,
    binary_focal_crossentropy_backward,
    categorical_focal_crossentropy,
    categorical_focal_crossentropy_backward,
    sigmoid_focal_crossentropy,
    sigmoid_focal_crossentropy_backward,
    softmax_focal_crossentropy,
    softmax_focal_crossentropy_backward,
)

RNG = np.random.default_rng(4)
Z = RNG.standard_normal((5, 3))
HOT = np.eye(3)[[0, 2, 1, 1, 0]]


def test_gamma_zero_is_plain_cross_entropy():
    p, q = special.expit(Z), special.softmax(Z, axis=-1)
    np.testing.assert_allclose(sigmoid_focal_crossentropy(HOT, Z, gamma=0)[0], sigmoid_crossentropy(HOT, Z)[0])
    np.testing.assert_allclose(binary_focal_crossentropy(HOT, p, gamma=0)[0], binary_crossentropy(HOT, p)[0])
    for forward, plain, x in (
        (softmax_focal_crossentropy, softmax_crossentropy, Z),
        (categorical_focal_crossentropy, categorical_crossentropy, q),
    ):
        np.testing.assert_allclose(forward(HOT, x, alpha=1.0, gamma=0)[0], plain(HOT, x)[0])


def test_logits_and_probabilities_agree():
    options = {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1}
    on_p = binary_focal_crossentropy(HOT, special.expit(Z), **options)[0]
    np.testing.assert_allclose(sigmoid_focal_crossentropy(HOT, Z, **options)[0], on_p, rtol=1e-9)
    options = {"alpha": [0.2, 0.3, 0.5], "gamma": 1.5, "label_smoothing": 0.1}
    on_p = categorical_focal_crossentropy(HOT, special.softmax(Z, axis=-1), **options)[0]
    np.testing.assert_allclose(softmax_focal_crossentropy(HOT, Z, **options)[0], on_p, rtol=1e-9)


def test_by_hand():
    y, p = np.array([[1.0], [0.0]]), np.array([[0.75], [0.75]])
    loss, _ = binary_focal_crossentropy(y, p, apply_class_balancing=True, alpha=0.25, gamma=2)
    np.testing.assert_allclose(loss, [-0.25 * 0.25**2 * np.log(0.75), -0.75 * 0.75**2 * np.log(0.25)], rtol=1e-12)
    loss, _ = categorical_focal_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.75, 0.25]]))
    np.testing.assert_allclose(loss, [-0.25 * 0.25**2 * np.log(0.75)], rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_are_finite_and_silent(dtype, gamma):
    z, y = np.array([[1e4], [-1e4], [1e4]], dtype=dtype), np.array([[0.0], [1.0], [1.0]], dtype=dtype)
    dy = np.ones(3, dtype)
    loss, cache = sigmoid_focal_crossentropy(y, z, gamma=gamma)
    np.testing.assert_allclose(loss, [1e4, 1e4, 0.0])
    np.testing.assert_allclose(sigmoid_focal_crossentropy_backward(dy, cache), [[1.0], [-1.0], [0.0]])
    _, cache = binary_focal_crossentropy(y, special.expit(z), gamma=gamma)
    assert np.isfinite(binary_focal_crossentropy_backward(dy, cache)).all()

    z, y = np.array([[1e4, -1e4, 0.0]] * 2, dtype=dtype), np.array([[0, 1, 0], [1, 0, 0]], dtype=dtype)
    loss, cache = softmax_focal_crossentropy(y, z, alpha=1.0, gamma=gamma)
    np.testing.assert_allclose(loss, [2e4, 0.0])
    np.testing.assert_allclose(softmax_focal_crossentropy_backward(dy[:2], cache), [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    _, cache = categorical_focal_crossentropy(y, special.softmax(z, axis=-1).astype(dtype), gamma=gamma)
    dp = categorical_focal_crossentropy_backward(dy[:2], cache)
    assert np.isfinite(dp).all() and dp.dtype == dtype


def test_one_weight_for_each_class():
    with pytest.raises(ValueError, match="alpha has 2 weights but y_pred has 3 classes"):
        softmax_focal_crossentropy(HOT, Z, alpha=[0.5, 0.5])

"""Cross-entropy on logits and on probabilities."""

import numpy as np
import pytest
from scipy import special

from tinymed.ops.cross_entropy import (
    binary_crossentropy,
    binary_crossentropy_backward,
    categorical_crossentropy,
    categorical_crossentropy_backward,
    sigmoid_crossentropy,
    sigmoid_crossentropy_backward,
    softmax_crossentropy,
    softmax_crossentropy_backward,
    sparse_categorical_crossentropy,
    sparse_categorical_crossentropy_backward,
    sparse_softmax_crossentropy,
    sparse_softmax_crossentropy_backward,
)

RNG = np.random.default_rng(3)
Z = RNG.standard_normal((5, 4))
P = special.softmax(Z, axis=-1)
LABELS = np.array([0, 3, 1, 1, 2])
HOT = np.eye(4)[LABELS]
DY = RNG.standard_normal(5)


def test_binary_on_both_scales_is_the_definition():
    y, p = (RNG.uniform(size=(5, 4)) > 0.5).astype(float), special.expit(Z)
    wanted = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p), axis=-1)
    np.testing.assert_allclose(sigmoid_crossentropy(y, Z)[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(binary_crossentropy(y, p)[0], wanted, rtol=1e-12)


def test_categorical_on_both_scales_is_the_definition():
    wanted = -np.log(P[np.arange(5), LABELS])
    np.testing.assert_allclose(softmax_crossentropy(HOT, Z)[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(categorical_crossentropy(HOT, P)[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(categorical_crossentropy(HOT, 7 * P)[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(sparse_softmax_crossentropy(LABELS, Z)[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(sparse_categorical_crossentropy(LABELS, P)[0], wanted, rtol=1e-12)


def test_the_gradient_on_logits_is_p_minus_y():
    wanted = DY[:, None] * (P - HOT)
    np.testing.assert_allclose(softmax_crossentropy_backward(DY, softmax_crossentropy(HOT, Z)[1]), wanted, rtol=1e-12)
    _, cache = sparse_softmax_crossentropy(LABELS, Z)
    np.testing.assert_allclose(sparse_softmax_crossentropy_backward(DY, cache), wanted, rtol=1e-12)
    _, cache = sigmoid_crossentropy(HOT, Z)
    wanted = DY[:, None] / 4 * (special.expit(Z) - HOT)
    np.testing.assert_allclose(sigmoid_crossentropy_backward(DY, cache), wanted, rtol=1e-12)


def test_through_probabilities_the_chain_rule_leads_to_the_same_gradient():
    from tinymed.ops import sigmoid, sigmoid_backward, softmax, softmax_backward

    p, tape = softmax(Z)
    for forward, backward, y in (
        (categorical_crossentropy, categorical_crossentropy_backward, HOT),
        (sparse_categorical_crossentropy, sparse_categorical_crossentropy_backward, LABELS),
    ):
        dz = softmax_backward(backward(DY, forward(y, p)[1]), tape)
        np.testing.assert_allclose(dz, DY[:, None] * (P - HOT), rtol=1e-9, atol=1e-12)
    p, tape = sigmoid(Z)
    dz = sigmoid_backward(binary_crossentropy_backward(DY, binary_crossentropy(HOT, p)[1]), tape)
    np.testing.assert_allclose(dz, DY[:, None] / 4 * (p - HOT), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_are_exact_where_probabilities_have_lost_the_gradient(dtype):
    z, y = np.array([[1e4], [-1e4]], dtype=dtype), np.array([[0.0], [1.0]], dtype=dtype)
    loss, cache = sigmoid_crossentropy(y, z)
    np.testing.assert_array_equal(loss, [1e4, 1e4])
    np.testing.assert_array_equal(sigmoid_crossentropy_backward(np.ones(2, dtype), cache), [[1.0], [-1.0]])
    _, cache = binary_crossentropy(y, 1 - y)
    np.testing.assert_array_equal(binary_crossentropy_backward(np.ones(2, dtype), cache), 0.0)

    z, y = np.array([[1e4, -1e4, 0.0]], dtype=dtype), np.array([[0.0, 1.0, 0.0]], dtype=dtype)
    for forward, backward, target in (
        (softmax_crossentropy, softmax_crossentropy_backward, y),
        (sparse_softmax_crossentropy, sparse_softmax_crossentropy_backward, np.array([1])),
    ):
        loss, cache = forward(target, z)
        dz = backward(np.ones(1, dtype), cache)
        np.testing.assert_array_equal(loss, [2e4])
        np.testing.assert_array_equal(dz, [[1.0, -1.0, 0.0]])
        assert loss.dtype == dz.dtype == dtype


def test_zero_and_one_as_probabilities_are_finite():
    y = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(binary_crossentropy(y, 1 - y)[0], -np.log(1e-7), rtol=1e-6)
    np.testing.assert_allclose(categorical_crossentropy(y, 1 - y)[0], -np.log(1e-7), rtol=1e-6)
    np.testing.assert_allclose(sparse_categorical_crossentropy(np.array([0]), 1 - y)[0], -np.log(1e-7), rtol=1e-6)


def test_label_smoothing_is_a_change_of_targets():
    np.testing.assert_allclose(
        sigmoid_crossentropy(HOT, Z, label_smoothing=0.2)[0], sigmoid_crossentropy(0.8 * HOT + 0.1, Z)[0], rtol=1e-12
    )
    for forward, x in ((softmax_crossentropy, Z), (categorical_crossentropy, P)):
        np.testing.assert_allclose(forward(HOT, x, label_smoothing=0.2)[0], forward(0.8 * HOT + 0.05, x)[0], rtol=1e-12)


@pytest.mark.parametrize(
    "forward, backward, x",
    [
        (sparse_softmax_crossentropy, sparse_softmax_crossentropy_backward, Z),
        (sparse_categorical_crossentropy, sparse_categorical_crossentropy_backward, P),
    ],
)
def test_ignored_class_gives_nothing_and_other_strangers_give_nan(forward, backward, x):
    labels = np.array([255, 3, 1, 1, 2])
    loss, cache = forward(labels, x, ignore_class=255)
    gradient = backward(DY, cache)
    assert loss[0] == 0 and np.all(gradient[0] == 0)
    np.testing.assert_allclose(loss[1:], forward(LABELS, x)[0][1:])
    np.testing.assert_allclose(gradient[1:], backward(DY, forward(LABELS, x)[1])[1:])
    assert np.isnan(forward(np.array([255, 3, -1, 1, 4]), x)[0]).tolist() == [True, False, True, False, True]


@pytest.mark.parametrize("forward", [sigmoid_crossentropy, binary_crossentropy, softmax_crossentropy])
def test_shapes_must_agree(forward):
    with pytest.raises(ValueError, match=r"one shape but got \(5,\) and \(5, 4\)"):
        forward(np.zeros(5), P)


def test_on_probabilities_of_any_scale_the_gradient_stands_at_right_angles_to_them():
    from tinymed.ops.focal import categorical_focal_crossentropy, categorical_focal_crossentropy_backward

    for forward, backward in (
        (categorical_crossentropy, categorical_crossentropy_backward),
        (categorical_focal_crossentropy, categorical_focal_crossentropy_backward),
    ):
        _, cache = forward(HOT, 3 * P)
        gradient = backward(DY, cache)
        np.testing.assert_allclose(np.sum(gradient * P, axis=-1), 0.0, atol=1e-14)
        np.testing.assert_allclose(gradient, backward(DY, forward(HOT, P)[1]) / 3, rtol=1e-12)

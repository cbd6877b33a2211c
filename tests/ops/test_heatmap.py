"""The focal loss of heat maps."""

import numpy as np
import pytest
from scipy import special

from tinymed.ops.focal import sigmoid_focal_crossentropy
from tinymed.ops.heatmap import (
    heatmap_focal_crossentropy,
    heatmap_focal_crossentropy_backward,
    sigmoid_heatmap_focal_crossentropy,
    sigmoid_heatmap_focal_crossentropy_backward,
)

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((2, 4, 5, 1))
HEAT = RNG.uniform(0, 0.9, Z.shape)
HEAT[0, 1, 2], HEAT[0, 3, 3], HEAT[1, 0, 0] = 1.0, 1.0, 0.0


def naive(y_true, p, alpha=2.0, beta=4.0):
    total, centres = 0.0, 0
    for y, q in zip(y_true.reshape(-1), p.reshape(-1), strict=True):
        if y == 1:
            centres += 1
            total -= (1 - q) ** alpha * np.log(q)
        else:
            total -= (1 - y) ** beta * q**alpha * np.log(1 - q)
    return total / max(1, centres)


@pytest.mark.parametrize("options", [{}, {"alpha": 1.0, "beta": 2.0}])
def test_is_what_a_loop_gives_on_logits_and_on_probabilities(options):
    p = special.expit(Z)
    wanted = naive(HEAT, p, **options)
    np.testing.assert_allclose(heatmap_focal_crossentropy(HEAT, p, **options)[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(sigmoid_heatmap_focal_crossentropy(HEAT, Z, **options)[0], wanted, rtol=1e-12)


def test_maps_of_0_and_1_give_the_plain_focal_loss():
    hard = (HEAT == 1).astype(float)
    plain = sigmoid_focal_crossentropy(hard, Z, gamma=2.0)[0]
    np.testing.assert_allclose(sigmoid_heatmap_focal_crossentropy(hard, Z)[0], plain.sum() / hard.sum(), rtol=1e-12)


def test_without_a_centre_the_sum_is_divided_by_one():
    none = np.minimum(HEAT, 0.5)
    np.testing.assert_allclose(sigmoid_heatmap_focal_crossentropy(none, Z)[0], naive(none, special.expit(Z)))


def test_near_a_centre_an_answer_costs_little():
    z = np.full((1, 2), 2.0)
    _, cache = sigmoid_heatmap_focal_crossentropy(np.array([[0.9, 0.0]]), z)
    near, far = sigmoid_heatmap_focal_crossentropy_backward(np.array(1.0), cache)[0]
    np.testing.assert_allclose(near / far, 0.1**4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_are_finite_and_silent(dtype):
    y = np.array([[1.0, 0.0, 1.0, 0.0, 0.5]], dtype)
    for forward, backward, x in (
        (
            sigmoid_heatmap_focal_crossentropy,
            sigmoid_heatmap_focal_crossentropy_backward,
            np.array([[1e4, 1e4, -1e4, -1e4, 0.0]], dtype),
        ),
        (heatmap_focal_crossentropy, heatmap_focal_crossentropy_backward, np.array([[1.0, 1, 0, 0, 0.5]], dtype)),
    ):
        loss, cache = forward(y, x)
        dx = backward(np.ones((), dtype), cache)
        assert loss.dtype == dx.dtype == dtype and loss.shape == ()
        assert np.isfinite(loss) and np.isfinite(dx).all()


def test_surely_wrong_logits_still_learn():
    """On probabilities they would be clipped and have no slope."""
    _, cache = sigmoid_heatmap_focal_crossentropy(np.array([[1.0, 0.0]]), np.array([[-50.0, 50.0]]))
    np.testing.assert_allclose(sigmoid_heatmap_focal_crossentropy_backward(np.array(1.0), cache), [[-1.0, 1.0]])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="one shape"):
        heatmap_focal_crossentropy(HEAT[..., 0], Z)
    with pytest.raises(ValueError, match=r"alpha of at least 1 but got 0\.5"):
        sigmoid_heatmap_focal_crossentropy(HEAT, Z, alpha=0.5)

"""Dice and Tversky losses."""

import numpy as np
import pytest

from tinymed.ops.overlap import dice_loss, dice_loss_backward, tversky_loss, tversky_loss_backward

RNG = np.random.default_rng(5)
MASK = (RNG.uniform(size=(2, 4, 3, 1)) > 0.5).astype(float)
P = RNG.uniform(size=MASK.shape)


def test_dice_of_sets():
    found, true = np.array([1.0, 1, 1, 0, 0]), np.array([0.0, 1, 1, 1, 0])
    np.testing.assert_allclose(dice_loss(true, found)[0], 1 - 2 * 2 / (3 + 3), rtol=1e-6)
    np.testing.assert_allclose(dice_loss(true, true)[0], 0, atol=1e-7)


def test_one_value_per_image_or_one_for_all():
    per_image, cache = dice_loss(MASK, P, axis=(1, 2, 3))
    assert per_image.shape == (2,)
    for i in range(2):
        one, one_cache = dice_loss(MASK[i], P[i])
        assert np.shape(one) == ()
        np.testing.assert_allclose(per_image[i], one, rtol=1e-12)
        np.testing.assert_allclose(
            dice_loss_backward(np.array([2.0, 3.0]), cache)[i],
            dice_loss_backward(np.array([2.0, 3.0])[i], one_cache),
            rtol=1e-12,
        )


def test_equal_weights_make_tversky_dice():
    np.testing.assert_allclose(tversky_loss(MASK, P)[0], dice_loss(MASK, P)[0], rtol=1e-6)


def test_alpha_weighs_what_was_missed_and_beta_what_was_invented():
    true, half = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(tversky_loss(true, half, alpha=1, beta=0)[0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(tversky_loss(true, half, alpha=0, beta=1)[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(tversky_loss(half, true, alpha=0, beta=1)[0], 0.5, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.5, 1.0])
@pytest.mark.parametrize("forward, backward", [(dice_loss, dice_loss_backward), (tversky_loss, tversky_loss_backward)])
def test_empty_masks_give_a_loss_of_one_and_a_finite_gradient(forward, backward, p, dtype):
    empty = np.zeros((2, 4, 4, 1), dtype)
    loss, cache = forward(empty, np.full_like(empty, p), axis=(1, 2, 3))
    dp = backward(np.ones(2, dtype), cache)
    np.testing.assert_array_equal(loss, [1.0, 1.0])
    assert np.isfinite(dp).all() and loss.dtype == dp.dtype == dtype


def test_masks_without_channels_are_not_broadcast():
    with pytest.raises(ValueError, match="one shape"):
        dice_loss(MASK[..., 0], P)

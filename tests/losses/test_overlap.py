"""Dice and Tversky as objects."""

import numpy as np
import pytest

from tinymed import losses

RNG = np.random.default_rng(0)
MASK = (RNG.uniform(size=(3, 4, 4, 1)) > 0.5).astype(np.float32)
P = RNG.uniform(size=MASK.shape).astype(np.float32)


@pytest.mark.parametrize("make", [losses.Dice, losses.Tversky])
def test_masks_with_and_without_channel(make):
    for axis in (None, (1, 2, 3), [1, 2, 3]):
        loss = make(axis=axis)
        value, cache = loss.forward(MASK, P)
        np.testing.assert_allclose(loss(MASK[..., 0], P), value)
        assert value.shape == () and loss.backward(cache).shape == P.shape
        without, cache = loss.forward(MASK, P[..., 0])
        np.testing.assert_allclose(without, value)
        assert loss.backward(cache).shape == P.shape[:-1]


def test_weights_of_images():
    loss, w = losses.Dice(axis=(1, 2, 3)), np.array([1.0, 0.0, 2.0])
    value, cache = loss.forward(MASK, P, w)
    np.testing.assert_allclose(value, np.mean(w * losses.dice(MASK, P, axis=(1, 2, 3))), rtol=1e-6)
    gradient = loss.backward(cache)
    assert np.all(gradient[1] == 0) and np.abs(gradient[2]).max() > 0


def test_one_value_for_the_batch_is_multiplied_by_the_mean_weight():
    value, cache = (loss := losses.Dice()).forward(MASK, P, np.array([1.0, 2.0, 6.0]))
    np.testing.assert_allclose(value, 3 * loss(MASK, P), rtol=1e-6)
    np.testing.assert_allclose(loss.backward(cache), 3 * loss.backward(loss.forward(MASK, P)[1]), rtol=1e-6)


def test_targets_are_masks():
    with pytest.raises(
        ValueError, match=r"dice expects targets between 0 and 1 but got the values 0, 255; .*\(y > 127\)"
    ):
        losses.Dice().check_targets((MASK * 255).astype(np.uint8), (None, 4, 4, 1))
    with pytest.raises(ValueError, match=r"tversky expects targets of shape \(N, 8, 8, 1\) .* same height, width"):
        losses.Tversky().check_targets(MASK, (None, 8, 8, 1))

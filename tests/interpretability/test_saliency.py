"""Saliency is the size of the gradient; noise makes it smoother, and the same for the same seed."""

import numpy as np
import pytest

from tests.interpretability.networks import plain, squares, trained
from tinymed.interpretability import pointing_game, saliency, smooth_grad
from tinymed.interpretability.probe import Probe
from tinymed.layers import Dense, Flatten
from tinymed.models import Sequential


def test_largest_channel_by_hand():
    model = Sequential([Flatten(input_shape=(2, 1, 2)), Dense(2, activation="softmax")])
    model.set_weights([np.array([[1.0, 5], [-2, 0], [3, 0], [0.5, -7]]), np.zeros(2)])
    x = np.ones((1, 2, 1, 2))
    np.testing.assert_allclose(saliency(model, x, target=0)[0], [[2], [3]])
    np.testing.assert_allclose(saliency(model, x, target=1)[0], [[5], [7]])


def test_batches_make_no_difference():
    model = plain()
    x = np.random.default_rng(0).random((40, 12, 12, 1), dtype=np.float32)
    together = saliency(model, x, target=1)
    np.testing.assert_allclose(together[33], saliency(model, x[33:34], target=1)[0], rtol=1e-4, atol=1e-7)


def test_smooth_grad_is_the_mean_gradient_over_noise():
    model = plain()
    x = np.random.default_rng(0).random((2, 12, 12, 1), dtype=np.float32)
    np.testing.assert_allclose(smooth_grad(model, x, samples=3, noise=0), saliency(model, x), rtol=1e-5)
    first, again, other = (smooth_grad(model, x, samples=4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    scale = 0.1 * (x.max() - x.min())
    rng = np.random.default_rng(1)
    probe = Probe(model)
    targets = probe.targets(x)
    gradients = [probe.gradient(x + scale * rng.standard_normal(x.shape), targets) for _ in range(4)]
    np.testing.assert_allclose(first, np.abs(np.mean(gradients, axis=0))[..., 0], rtol=1e-4)


def test_the_map_points_at_the_squares():
    x, y, masks = squares(40, seed=2)
    maps = smooth_grad(trained(), x[y == 1], target=1, samples=10)
    hit, chance = pointing_game(maps, masks[y == 1], tolerance=1)
    assert chance < 0.16
    assert hit > 0.8


def test_what_cannot_be_done_is_said():
    with pytest.raises(ValueError, match="at least one sample and no negative noise, got samples=0"):
        smooth_grad(plain(), np.zeros((1, 12, 12, 1)), samples=0)

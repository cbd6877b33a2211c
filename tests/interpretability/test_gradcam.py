"""Grad-CAM by its formula; the layer that is taken; and that it finds what is there."""

import numpy as np
import pytest

from tests.interpretability.networks import plain, residual, squares, trained
from tinymed.interpretability import grad_cam, last_spatial_layer, pointing_game
from tinymed.interpretability.probe import Probe
from tinymed.layers import Conv1D, Dense, Flatten
from tinymed.models import Sequential


def test_by_the_formula():
    model = plain(classes=3)
    x = np.random.default_rng(0).random((2, 12, 12, 1), dtype=np.float32)
    values, gradients = Probe(model, "second").inside(x, np.array([2, 2]))
    expected = np.zeros((2, 3, 3))
    for n in range(2):
        for k in range(5):
            expected[n] += gradients[n, :, :, k].mean() * values[n, :, :, k]
    expected = np.maximum(expected, 0)
    found = grad_cam(model, x, "second", target=2, resize=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    larger = grad_cam(model, x, "second", target=2)
    assert larger.shape == (2, 12, 12)
    np.testing.assert_allclose(larger.mean(axis=(1, 2)), expected.mean(axis=(1, 2)), rtol=0.3)
    assert larger.max() <= expected.max() + 1e-6


def test_with_global_pooling_it_is_the_class_activation_map():
    """Behind a mean over all places the weights of the head are the weights of the map (Zhou et al. 2016)."""
    inner = residual()
    weights = inner.get_layer("head").get_weights()[0]
    sample = np.random.default_rng(1).random((1, 12, 12, 2), dtype=np.float32)
    values, _ = Probe(inner, "tanh").inside(sample, np.array([1]))
    expected = np.maximum(0, values[0] @ weights[:, 1]) / 144
    np.testing.assert_allclose(grad_cam(inner, sample, "tanh", target=1)[0], expected, rtol=1e-4, atol=1e-7)


def test_the_layer_that_is_taken():
    assert last_spatial_layer(plain()) == "second"
    assert last_spatial_layer(residual()) == "tanh"
    assert last_spatial_layer(Sequential([residual(), Dense(2)])) == "tanh"
    with pytest.raises(ValueError, match="which has no places; take a layer before it"):
        grad_cam(plain(), np.zeros((1, 12, 12, 1)), "flat")
    with pytest.raises(ValueError, match="has no convolution; Grad-CAM needs one"):
        grad_cam(Sequential([Dense(1, input_shape=(4,))]), np.zeros((1, 4)))


def test_signals():
    model = Sequential(
        [Conv1D(3, 3, activation="relu", input_shape=(20, 2)), Flatten(), Dense(1, activation="sigmoid")]
    )
    assert grad_cam(model, np.random.default_rng(0).random((2, 20, 2)), target=1).shape == (2, 20)


def test_the_map_points_at_the_squares():
    x, y, masks = squares(40, seed=2)
    hit, chance = pointing_game(grad_cam(trained(), x[y == 1], "first", target=1), masks[y == 1])
    assert hit > 0.8 > 4 * chance

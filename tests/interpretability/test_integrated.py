"""Integrated gradients: complete, exact for linear networks, and zero where image and baseline agree."""

import numpy as np
import pytest

from tests.interpretability.networks import residual, squares, trained
from tinymed import backend
from tinymed.interpretability import integrated_gradients, pointing_game
from tinymed.interpretability.probe import Probe
from tinymed.layers import Dense, Flatten
from tinymed.models import Sequential


@pytest.mark.parametrize("target", [None, 0, 2])
def test_completeness(target):
    """The parts add up to the change of the score."""
    backend.set_floatx("float64")
    model = residual()
    head = model.get_layer("head")
    head.set_weights([10 * weight for weight in head.get_weights()])
    rng = np.random.default_rng(0)
    x, baseline = rng.standard_normal((2, 3, 12, 12, 2))
    parts = integrated_gradients(model, x, target, baseline, steps=100)
    probe = Probe(model)
    targets = probe.targets(x, target)
    change = probe.scores(x, targets) - probe.scores(baseline, targets)
    np.testing.assert_allclose(parts.sum(axis=(1, 2, 3)), change, rtol=0.02, atol=0.003)
    # A rule that reads the gradient at the image only does not add up:
    gradient_only = (x - baseline) * probe.gradient(x, targets)
    assert np.abs(gradient_only.sum(axis=(1, 2, 3)) / change - 1).max() > 0.2


def test_the_error_falls_with_the_steps():
    backend.set_floatx("float64")
    model = residual()
    x = np.random.default_rng(1).standard_normal((1, 12, 12, 2))
    probe = Probe(model)
    one = np.array([1])
    change = probe.scores(x, one) - probe.scores(0 * x, one)
    errors = [abs(integrated_gradients(model, x, 1, steps=steps).sum() - change[0]) for steps in (2, 16, 128)]
    assert errors[2] < errors[1] < errors[0]


def test_a_linear_network_is_exact_in_one_step():
    model = Sequential([Flatten(input_shape=(1, 2, 1)), Dense(1, activation="sigmoid")])
    model.set_weights([np.array([[3.0], [-4.0]]), np.array([9.0])])
    x = np.array([0.5, 2.0]).reshape(1, 1, 2, 1)
    found = integrated_gradients(model, x, target=1, baseline=1.0, steps=1)
    np.testing.assert_allclose(found.reshape(-1), [3 * -0.5, -4 * 1.0])


def test_where_nothing_differs_nothing_is_added():
    x = squares(2)[0]
    baseline = x.copy()
    baseline[:, :6] = 0
    parts = integrated_gradients(trained(), x, target=1, baseline=baseline, steps=5)
    assert np.all(parts[:, 6:] == 0)
    assert np.abs(parts[:, :6]).max() > 0


def test_the_map_points_at_the_squares():
    x, y, masks = squares(40, seed=2)
    parts = integrated_gradients(trained(), x[y == 1], target=1, steps=10).sum(axis=-1)
    hit, _ = pointing_game(parts, masks[y == 1])
    assert hit > 0.8


def test_what_cannot_be_done_is_said():
    with pytest.raises(ValueError, match="at least one step, got 0"):
        integrated_gradients(trained(), squares(1)[0], steps=0)

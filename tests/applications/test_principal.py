"""Principal components against the eigenvectors of the covariance, and angles between known spaces."""

import numpy as np
import pytest

from tinymed.applications import principal
from tinymed.layers import Dense
from tinymed.models import Sequential


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 6)) * [5, 4, 3, 2, 1, 0.5] @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    return x - x.mean(axis=0)


def linear(decoder):
    model = Sequential([Dense(len(decoder), input_shape=(decoder.shape[1],)), Dense(decoder.shape[1], name="decoder")])
    model.layers[1].set_weights([decoder, np.zeros(decoder.shape[1])])
    return model


def test_components_are_eigenvectors_of_the_covariance(x):
    rows, variances = principal.components(x)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    np.testing.assert_allclose(variances, values[::-1], rtol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(rows * vectors.T[::-1], axis=1)), 1, rtol=1e-10)


def test_errors_are_those_of_projections(x):
    rows, _ = principal.components(x)
    found = principal.errors(rows, x)
    for k in range(7):
        np.testing.assert_allclose(found[k], np.mean((x - x @ rows[:k].T @ rows[:k]) ** 2), atol=1e-12)


def test_angle_does_not_depend_on_the_basis_of_the_space(x):
    rows, _ = principal.components(x)
    mixed = np.array([[2.0, 1.0], [-1.0, 0.5]]) @ rows[:2]
    assert principal.angle(linear(mixed), rows) < 1e-3
    tilted = np.stack([rows[0], np.cos(np.radians(30)) * rows[1] + np.sin(np.radians(30)) * rows[4]])
    assert principal.angle(linear(tilted), rows) == pytest.approx(30, abs=1e-3)
    assert np.isnan(principal.angle(linear(np.full((2, 6), np.nan)), rows))


def test_shadows_of_the_right_space_are_the_components(x):
    rows, _ = principal.components(x)
    mixed = np.array([[2.0, 1.0], [-1.0, 0.5]]) @ rows[:2]
    np.testing.assert_allclose(principal.shadows(mixed, rows), rows[:2], atol=1e-12)
    assert np.abs(principal.shadows(rows[3:5], rows)).max() < 1e-12

"""The measures of generated images on sets whose likeness is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from tinymed.applications import realism


def images(n, seed, mean=0.5):
    rng = np.random.default_rng(seed)
    return (mean + 0.1 * rng.standard_normal((n, 12, 12, 1))).astype(np.float32)


def test_a_judge_is_lost_where_there_is_no_difference_and_sure_where_there_is():
    assert 0.3 < realism.halves(images(200, 0), images(200, 1)) < 0.7
    marked = images(200, 1)
    marked[:, 4:8, 4:8] += 0.15
    assert realism.halves(images(200, 0), marked) > 0.95


def test_a_judge_is_tested_on_images_that_it_has_not_seen():
    """Trained to the end on pure noise it knows its own images by heart, and no others."""
    x, y = images(40, 0), images(40, 1)
    assert realism.judge((x, y), (x, y), epochs=60) > 0.9
    assert realism.judge((x, y), (images(200, 2), images(200, 3)), epochs=60) < 0.7


def test_frechet_distance_is_the_formula():
    rng = np.random.default_rng(0)
    real, other = rng.standard_normal((300, 6)), rng.standard_normal((250, 6)) * 1.5 + 0.3
    a, b = np.cov(real.T), np.cov(other.T)
    shift = np.sum((real.mean(axis=0) - other.mean(axis=0)) ** 2)
    expected = (shift + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))) / np.trace(a)
    found = realism.frechet(real.reshape(-1, 6, 1, 1), other.reshape(-1, 6, 1, 1))
    assert found == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_a_collapsed_generator():
    """All its variance is missing: the distance is the real images' variance, 1 part of itself, and the shift."""
    real = images(300, 0)
    same = np.repeat(real.mean(axis=0, keepdims=True), 300, axis=0)
    assert realism.frechet(real, same) == pytest.approx(1, abs=0.01)
    assert realism.frechet(real, real) == pytest.approx(0, abs=1e-6)


def test_diversity():
    real = images(100, 0)
    assert realism.diversity(real, images(100, 1)) == pytest.approx(1, abs=0.05)
    assert realism.diversity(real, np.repeat(real[:1], 100, axis=0)) == 0
    assert realism.diversity(real, 0.5 * real) == pytest.approx(0.5, rel=1e-5)

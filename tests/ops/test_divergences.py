"""Kullback-Leibler, Poisson and cosine losses."""

import numpy as np
from scipy import special, stats

from tinymed.ops.divergences import (
    cosine_similarity,
    cosine_similarity_backward,
    kl_divergence,
    kl_divergence_backward,
    poisson,
    poisson_backward,
)

RNG = np.random.default_rng(7)


def test_kl_divergence_agrees_with_scipy():
    y, p = special.softmax(RNG.standard_normal((2, 5, 4)), axis=-1)
    loss, cache = kl_divergence(y, p)
    np.testing.assert_allclose(loss, stats.entropy(y, p, axis=-1), rtol=1e-9)
    np.testing.assert_allclose(kl_divergence_backward(np.full(5, 2.0), cache), -2 * y / p, rtol=1e-9)


def test_kl_divergence_of_zeros_is_finite_and_without_slope():
    loss, cache = kl_divergence(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(loss, 1e-7 * np.log(1e-7) - np.log(1e-7))
    np.testing.assert_allclose(kl_divergence_backward(np.ones(1), cache), [[-1e-7, 0.0]])


def test_poisson_is_least_where_the_expectation_is_right():
    counts = np.array([[3.0]])
    loss = [float(poisson(counts, np.array([[rate]]))[0][0]) for rate in (2.0, 3.0, 4.0)]
    assert loss[1] < loss[0] and loss[1] < loss[2]
    wanted = -stats.poisson.logpmf(3, [2, 3, 4]) - special.gammaln(4)
    np.testing.assert_allclose(loss, wanted, atol=2e-7)
    _, cache = poisson(counts, counts)
    np.testing.assert_allclose(poisson_backward(np.ones(1), cache), 0.0, atol=1e-7)


def test_cosine_of_known_angles():
    y, p = np.array([[1.0, 0.0]] * 3), np.array([[5.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])
    np.testing.assert_allclose(cosine_similarity(y, p)[0], [-1.0, 0.0, np.sqrt(0.5)], atol=1e-15)
    np.testing.assert_allclose(cosine_similarity(y.T, p.T, axis=0)[0], [-1.0, 0.0, np.sqrt(0.5)], atol=1e-15)


def test_cosine_gradient_stands_at_right_angles_to_the_prediction():
    y, p = RNG.standard_normal((2, 4, 3))
    _, cache = cosine_similarity(y, p)
    gradient = cosine_similarity_backward(np.ones(4), cache)
    np.testing.assert_allclose(np.sum(gradient * p, axis=-1), 0.0, atol=1e-14)
    assert np.abs(gradient).max() > 0.01


def test_cosine_of_nothing_is_finite():
    loss, cache = cosine_similarity(np.ones((1, 3)), np.zeros((1, 3)))
    assert loss == 0 and np.isfinite(cosine_similarity_backward(np.ones(1), cache)).all()

"""Losses of numbers as objects."""

import numpy as np
import pytest

from tinymed import losses, ops

RNG = np.random.default_rng(0)
Y, P = RNG.uniform(0.1, 0.9, (2, 5, 3))


@pytest.mark.parametrize(
    "loss, operation, options",
    [
        (losses.MeanSquaredError(), ops.mean_squared_error, {}),
        (losses.MeanAbsoluteError(), ops.mean_absolute_error, {}),
        (losses.MeanAbsolutePercentageError(), ops.mean_absolute_percentage_error, {}),
        (losses.MeanSquaredLogarithmicError(), ops.mean_squared_logarithmic_error, {}),
        (losses.Huber(delta=0.2), ops.huber, {"delta": 0.2}),
        (losses.LogCosh(), ops.log_cosh, {}),
        (losses.Hinge(), ops.hinge, {}),
        (losses.SquaredHinge(), ops.squared_hinge, {}),
        (losses.CategoricalHinge(), ops.categorical_hinge, {}),
        (losses.KLDivergence(), ops.kl_divergence, {}),
        (losses.Poisson(), ops.poisson, {}),
        (losses.CosineSimilarity(axis=0), ops.cosine_similarity, {"axis": 0}),
    ],
)
def test_each_is_the_mean_of_its_operation(loss, operation, options):
    np.testing.assert_allclose(loss(Y, P), np.mean(operation(Y, P, **options)[0]), rtol=1e-12)
    assert loss.name in ("huber_loss", operation.__name__)


def test_huber_needs_a_positive_delta():
    with pytest.raises(ValueError, match="huber_loss needs a delta above 0 but got 0"):
        losses.Huber(delta=0)


def test_targets_that_have_no_meaning():
    with pytest.raises(ValueError, match="poisson expects counts, 0 or more, but got targets down to -1"):
        losses.Poisson().check_targets(np.array([[-1.0]]), (None, 1))
    with pytest.raises(ValueError, match="kl_divergence expects targets between 0 and 1"):
        losses.KLDivergence().check_targets(np.array([[2.0, 0.0]]), (None, 2))
    with pytest.raises(ValueError, match=r"categorical_hinge.*seem to be class numbers"):
        losses.CategoricalHinge().check_targets(np.array([0, 1]), (None, 3))

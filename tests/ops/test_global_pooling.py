"""Global pooling."""

import numpy as np
import pytest

from tinymed.ops import (
    global_average_pool,
    global_average_pool_backward,
    global_max_pool,
    global_max_pool_backward,
)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 4, 3, 1), (1, 2, 3, 4, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_values_and_gradients(shape, keepdims):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    axes = tuple(range(1, x.ndim - 1))
    y, cache = global_average_pool(x, keepdims)
    np.testing.assert_allclose(y, x.mean(axis=axes, keepdims=keepdims))
    dy = rng.standard_normal(y.shape)
    spread = np.broadcast_to(dy if keepdims else np.expand_dims(dy, axes), shape)
    np.testing.assert_allclose(global_average_pool_backward(dy, cache), spread / np.prod(shape[1:-1]))
    y, cache = global_max_pool(x, keepdims)
    largest = x.max(axis=axes, keepdims=True)
    np.testing.assert_array_equal(y, largest if keepdims else np.squeeze(largest, axes))
    np.testing.assert_array_equal(global_max_pool_backward(dy, cache), np.where(x == largest, spread, 0))


def test_the_first_of_equal_maxima_takes_all():
    _, cache = global_max_pool(np.array([[[1.0], [2.0], [2.0]]]))
    np.testing.assert_array_equal(global_max_pool_backward(np.array([[3.0]]), cache)[0, :, 0], [0, 3, 0])


def test_nan_stays_nan_and_takes_the_gradient():
    y, cache = global_max_pool(np.array([[[1.0], [np.nan], [2.0]]]))
    assert np.isnan(y).all()
    np.testing.assert_array_equal(global_max_pool_backward(np.array([[3.0]]), cache)[0, :, 0], [0, 3, 0])


@pytest.mark.parametrize("forward", [global_max_pool, global_average_pool])
@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 3)])
def test_nothing_to_pool_over(forward, shape):
    with pytest.raises(ValueError, match="at least one place"):
        forward(np.ones(shape))

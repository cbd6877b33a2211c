"""Dropout, spatial dropout and noise."""

import numpy as np
import pytest

from tinymed import backend
from tinymed.layers import (
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)

X = np.random.default_rng(0).uniform(1, 2, (200, 50)).astype(np.float32)


def test_a_part_is_left_out_and_the_rest_is_scaled():
    layer = Dropout(0.25, seed=1)
    y, cache = layer.forward(X, training=True)
    kept = y != 0
    assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / X.size)
    np.testing.assert_allclose(y[kept], X[kept] / 0.75, rtol=1e-6)
    dx, grads = layer.backward(X, cache)
    np.testing.assert_array_equal(dx, y)
    assert y.dtype == np.float32
    assert grads == {}


@pytest.mark.parametrize("make", [lambda: Dropout(0.5), lambda: GaussianNoise(1.0), lambda: GaussianDropout(0.5)])
def test_inference_changes_nothing(make):
    layer = make()
    y, cache = layer.forward(X)
    np.testing.assert_array_equal(y, X)
    dx, _ = layer.backward(X, cache)
    np.testing.assert_array_equal(dx, X)
    assert not np.shares_memory(dx, X)
    assert layer.calls == 0


@pytest.mark.parametrize("make", [lambda: Dropout(0), lambda: GaussianNoise(0.0), lambda: GaussianDropout(0.0)])
def test_without_noise_training_changes_nothing(make):
    np.testing.assert_array_equal(make().forward(X, training=True)[0], X)


def test_masks_differ_between_calls_and_layers_and_repeat_with_the_seed():
    backend.set_seed(3)
    first, second = Dropout(0.5), Dropout(0.5)
    masks = [layer.forward(X, training=True)[0] != 0 for layer in (first, first, second)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert 0.45 < (masks[i] == masks[j]).mean() < 0.55
    backend.set_seed(3)
    np.testing.assert_array_equal(Dropout(0.5).forward(X, training=True)[0] != 0, masks[0])
    first.calls = 0
    np.testing.assert_array_equal(first.forward(X, training=True)[0] != 0, masks[0])
    own = [Dropout(0.5, seed=5).forward(X, training=True)[0] for _ in range(2)]
    np.testing.assert_array_equal(*own)


def test_the_same_mask_for_another_dtype_and_another_library():
    single = Dropout(0.5, seed=5).forward(X, training=True)[0]
    double = Dropout(0.5, seed=5).forward(X.astype(np.float64), training=True)[0]
    np.testing.assert_array_equal(single != 0, double != 0)
    with backend.use_backend("array_api_strict"):
        strict = backend.to_host(Dropout(0.5, seed=5).forward(backend.asarray(X), training=True)[0])
    np.testing.assert_array_equal(strict, single)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: SpatialDropout1D(0.5, seed=1), (8, 4, 9)),
        (lambda: SpatialDropout2D(0.5, seed=1), (8, 3, 4, 9)),
        (lambda: SpatialDropout3D(0.5, seed=1), (8, 2, 3, 2, 9)),
        (lambda: Dropout(0.5, noise_shape=(None, *[1] * 2, 9), seed=1), (8, 3, 4, 9)),
    ],
)
def test_whole_channels_are_left_out(make, shape):
    layer = make()
    y, cache = layer.forward(np.ones(shape), training=True)
    channels = y.reshape(8, -1, 9)
    np.testing.assert_array_equal(channels, np.broadcast_to(channels[:, :1], channels.shape))
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer.backward(np.ones(shape), cache)[0], y)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:])
    np.testing.assert_array_equal(type(layer).from_config(layer.get_config()).forward(np.ones(shape), True)[0], y)


def test_noise_has_its_variance():
    y, cache = GaussianNoise(0.3, seed=2).forward(X, training=True)
    assert abs((y - X).mean()) < 0.015
    assert abs((y - X).std() - 0.3) < 0.01
    layer = GaussianNoise(0.3, seed=2)
    np.testing.assert_array_equal(layer.backward(X, cache)[0], X)
    layer = GaussianDropout(0.2, seed=2)
    y, cache = layer.forward(X, training=True)
    assert abs((y / X).std() - 0.5) < 0.02
    np.testing.assert_array_equal(layer.backward(X, cache)[0], y)


def test_errors_name_the_layer_and_the_fix():
    with pytest.raises(ValueError, match=r"d needs a rate from 0 to below 1.* but got 25; 25 percent is 0\.25"):
        Dropout(25, name="d")
    for rate in (1.0, -0.1, "half"):
        with pytest.raises(ValueError, match="d needs a rate"):
            Dropout(rate, name="d")
    with pytest.raises(ValueError, match=r"d has noise_shape=\(1, 3\), which does not fit .* \(2, 4\)"):
        Dropout(0.5, noise_shape=(1, 3), name="d")(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"d has noise_shape=\(1, 3\), which does not fit .* \(2, 3, 3\)"):
        Dropout(0.5, noise_shape=(1, 3), name="d")(np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"s expects \(N, H, W, C\)"):
        SpatialDropout2D(0.5, name="s")(np.ones((2, 4)))
    with pytest.raises(ValueError, match="channels-last arrays only"):
        SpatialDropout2D(0.5, data_format="channels_first")
    with pytest.raises(ValueError, match="n needs stddev, a number of at least 0, but got -1"):
        GaussianNoise(-1, name="n")

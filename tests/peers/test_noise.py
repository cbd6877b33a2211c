"""Layers that add noise, against Keras: other random numbers, the same distribution, and the gradient that fits it."""

import numpy as np
import pytest

from tests.peers.compare import Row, generator, host
from tinymed import layers


def row(cls, **kwargs):
    return Row(cls, kwargs)


ROWS = [
    (row("Dropout", rate=0.3), (50, 40, 10)),
    (row("Dropout", rate=0.8), (50, 40, 10)),
    (row("Dropout", rate=0.3, noise_shape=(None, 1, 10)), (500, 4, 10)),
    (row("GaussianDropout", rate=0.3), (50, 40, 10)),
    (row("GaussianNoise", stddev=0.7), (50, 40, 10)),
    (row("SpatialDropout1D", rate=0.3), (200, 4, 30)),
    (row("SpatialDropout2D", rate=0.3), (200, 2, 3, 30)),
    (row("SpatialDropout3D", rate=0.3), (200, 2, 2, 2, 30)),
]


def moments(noise, axes):
    """Return mean and spread, the share of zeros, and how much values differ along ``axes``."""
    return noise.mean(), noise.std(), (noise == 0).mean(), np.ptp(noise, axis=axes).mean() if axes else 0.0


@pytest.mark.parametrize(("row", "shape"), ROWS, ids=str)
def test_noise_is_distributed_as_keras_s(row, shape, keras):
    x = np.ones(shape, dtype="float32")
    ours = getattr(layers, row.cls)(**row.kwargs, seed=1)
    theirs = getattr(keras.layers, row.cls)(**row.kwargs, seed=1)
    y, cache = ours.forward(x, training=True)
    expected = host(theirs(x, training=True))
    axes = tuple(range(1, len(shape) - 1)) if "Spatial" in row.cls or "noise_shape" in row.kwargs else ()
    # Five standard errors for the fewest independent draws in the table (6000), of which 0.8 are zeros at most.
    got, wanted = moments(y, axes), moments(expected, axes)
    assert got == pytest.approx(wanted, abs=5 * 2 * np.sqrt(2 / 5000))
    assert np.array_equal(np.unique(y == 0), np.unique(expected == 0))
    if "Dropout" in row.cls and "Gaussian" not in row.cls:
        assert np.unique(y) == pytest.approx(np.unique(expected))

    dy = generator(row).standard_normal(shape).astype("float32")
    dx, grads = ours.backward(dy, cache)
    assert grads == {}
    assert dx == pytest.approx(dy if row.cls == "GaussianNoise" else dy * y, abs=1e-6)


def test_every_noisy_layer_is_here():
    noisy = {name for name in layers.__all__ if "Dropout" in name or "Noise" in name}
    assert noisy == {row.cls for row, _ in ROWS}

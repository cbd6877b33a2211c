"""Upsampling by nearest neighbour and bilinear interpolation."""

import array_api_strict
import numpy as np
import pytest

from tinymed.ops.resizing import (
    upsampling_bilinear,
    upsampling_bilinear_backward,
    upsampling_nearest,
    upsampling_nearest_backward,
)

PAIRS = {
    "nearest": (upsampling_nearest, upsampling_nearest_backward),
    "bilinear": (upsampling_bilinear, upsampling_bilinear_backward),
}
SIZES = [
    ((2, 3, 4, 2), (2, 2)),
    ((1, 1, 1, 1), (2, 3)),
    ((2, 2, 5, 3), (3, 1)),
    ((1, 4, 3, 1), (1, 1)),
    ((1, 2, 3, 2), (4, 5)),
]


def bilinear_loop(x, size):
    """Interpolate pixel by pixel, with half-pixel centres and clamped borders."""
    n, height, width, channels = x.shape
    y = np.empty((n, height * size[0], width * size[1], channels))
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            h = min(max((i + 0.5) / size[0] - 0.5, 0), height - 1)
            w = min(max((j + 0.5) / size[1] - 0.5, 0), width - 1)
            top, left = int(h), int(w)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = x[:, top, left] * (1 - (w - left)) + x[:, top, right] * (w - left)
            lower = x[:, bottom, left] * (1 - (w - left)) + x[:, bottom, right] * (w - left)
            y[:, i, j] = upper * (1 - (h - top)) + lower * (h - top)
    return y


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_values(shape, size):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(upsampling_nearest(x, size)[0], x.repeat(size[0], axis=1).repeat(size[1], axis=2))
    np.testing.assert_allclose(upsampling_bilinear(x, size)[0], bilinear_loop(x, size), rtol=1e-12, atol=1e-12)


def test_values_by_hand():
    row = np.array([[[0.0], [4.0], [8.0]]])
    y, cache = upsampling_bilinear(row, (2,))
    np.testing.assert_array_equal(y[0, :, 0], [0, 1, 3, 5, 7, 8])
    dx = upsampling_bilinear_backward(np.array([[[1.0], [0], [0], [0], [4.0], [0]]]), cache)
    np.testing.assert_array_equal(dx[0, :, 0], [1, 1, 3])
    volume = np.arange(8.0).reshape(1, 2, 2, 2, 1)
    assert upsampling_nearest(volume, (1, 2, 3))[0].shape == (1, 2, 4, 6, 1)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_backward_is_the_adjoint(kind, shape, size):
    forward, backward = PAIRS[kind]
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    y, cache = forward(x, size)
    dy = rng.standard_normal(y.shape)
    dx = backward(dy, cache)
    assert dx.shape == x.shape
    assert not np.shares_memory(dx, dy)
    assert not np.shares_memory(y, x)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, dx), rel=1e-10, abs=1e-12)
    assert forward(x.astype(np.float32), size)[0].dtype == np.float32
    assert backward(dy.astype(np.float32), cache).dtype == np.float32


@pytest.mark.parametrize("kind", PAIRS)
def test_other_array_libraries_and_devices_give_the_same(kind):
    forward, backward = PAIRS[kind]
    x = np.random.default_rng(2).standard_normal((2, 3, 4, 2)).astype(np.float32)
    y, cache = forward(x, (2, 3))
    device = array_api_strict.Device("device1")
    strict_y, strict_cache = forward(array_api_strict.asarray(x, device=device), (2, 3))
    strict_dx = backward(strict_y, strict_cache)
    assert strict_dx.device == device
    host = array_api_strict.Device("CPU_DEVICE")
    np.testing.assert_array_equal(np.asarray(array_api_strict.asarray(strict_y, device=host)), y)
    np.testing.assert_array_equal(np.asarray(array_api_strict.asarray(strict_dx, device=host)), backward(y, cache))


def test_infinity_reaches_only_its_neighbours():
    x = np.zeros((1, 5, 1))
    x[0, 2, 0] = np.inf
    np.testing.assert_array_equal(np.isinf(upsampling_bilinear(x, (2,))[0][0, :, 0]).nonzero()[0], [3, 4, 5, 6])


@pytest.mark.parametrize("kind", PAIRS)
def test_errors(kind):
    forward, _ = PAIRS[kind]
    with pytest.raises(ValueError, match=r"a factor for each of 2 axes but got \(2,\)"):
        forward(np.zeros((1, 2, 2, 1)), (2,))
    with pytest.raises(ValueError, match=r"at least 1 but got \(0, 2\)"):
        forward(np.zeros((1, 2, 2, 1)), (0, 2))

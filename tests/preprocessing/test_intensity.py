"""CT windows, percentiles and standardisation, on the host and on a library that refuses all but the standard."""

import array_api_strict as strict
import numpy as np
import pytest

from tinymed import backend
from tinymed.preprocessing import intensity

RNG = np.random.default_rng(0)
VOLUME = RNG.normal(40, 300, (5, 6, 7)).astype(np.float32)


def test_windows_by_name_and_by_numbers():
    low, high = intensity.WINDOWS["brain"].limits
    assert (low, high) == (0, 80)
    found = intensity.window(np.array([-1000, 0, 20, 40, 80, 3000], np.int16), "brain")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0, 0, 0.25, 0.5, 1, 1])
    np.testing.assert_array_equal(found, intensity.window([-1000, 0, 20, 40, 80, 3000], (40, 80)))
    assert intensity.window(VOLUME.astype("float64"), "bone").dtype == np.float64
    assert {"lung", "mediastinum", "soft tissue", "bone", "brain"} <= set(intensity.WINDOWS)
    with pytest.raises(ValueError, match="did you mean 'mediastinum'"):
        intensity.window(VOLUME, "mediastinal")
    with pytest.raises(ValueError, match="width must be positive, got 0"):
        intensity.window(VOLUME, (40, 0))


@pytest.mark.parametrize("percent", [0, 0.5, 25, 33.3, 99, 100])
def test_percentiles_are_numpy_s(percent):
    assert intensity.percentile(VOLUME, percent) == pytest.approx(np.percentile(VOLUME, percent), rel=1e-5)
    assert intensity.percentile([7.0], percent) == 7


def test_percentiles_are_checked():
    with pytest.raises(ValueError, match="between 0 and 100, got 101"):
        intensity.percentile(VOLUME, 101)
    with pytest.raises(ValueError, match="at least one value"):
        intensity.percentile(np.zeros(0), 50)
    with pytest.raises(ValueError, match="low < high"):
        intensity.scale_percentiles(VOLUME, 60, 40)


def test_scaling_does_not_depend_on_the_unit_of_the_intensities():
    scaled = intensity.scale_percentiles(VOLUME)
    assert (scaled.min(), scaled.max()) == (0, 1)
    low, high = np.percentile(VOLUME, (1, 99))
    np.testing.assert_allclose(scaled, np.clip((VOLUME - low) / (high - low), 0, 1), atol=1e-6)
    np.testing.assert_allclose(intensity.scale_percentiles(VOLUME * 1000 + 5000), scaled, atol=1e-5)
    np.testing.assert_array_equal(intensity.scale_percentiles(np.full((2, 2), 3.0)), np.zeros((2, 2)))


def test_standardizing():
    found = intensity.standardize(VOLUME)
    assert found.mean() == pytest.approx(0, abs=1e-6) and found.std() == pytest.approx(1, rel=1e-5)
    mask = VOLUME > 0
    inside = intensity.standardize(VOLUME, mask)[mask]
    assert inside.mean() == pytest.approx(0, abs=1e-6) and inside.std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(intensity.standardize(np.full(4, 7.0)), np.zeros(4))
    far = intensity.standardize((VOLUME * 1e-3 - 1000).astype("float64"))  # mean far from zero: no digits lost
    np.testing.assert_allclose(far, found, atol=1e-3)
    with pytest.raises(ValueError, match=r"a mask of shape \(2,\) does not fit an image of shape \(5, 6, 7\)"):
        intensity.standardize(VOLUME, [True, False])
    with pytest.raises(ValueError, match="the mask is empty"):
        intensity.standardize(VOLUME, np.zeros_like(VOLUME))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: intensity.window(x, "lung"),
        intensity.scale_percentiles,
        intensity.standardize,
        lambda x: intensity.standardize(x, x > 0),
    ],
)
def test_on_the_device(function):
    wanted = function(VOLUME)
    device = strict.Device("device1")
    with backend.use_backend("array_api_strict", device):
        found = function(strict.asarray(VOLUME, device=device))
    assert backend.device_of(found) == device
    np.testing.assert_allclose(backend.to_host(found), wanted, atol=1e-5)

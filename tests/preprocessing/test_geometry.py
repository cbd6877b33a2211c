"""Cropping, filling and resampling, and the way back."""

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed import backend
from tinymed.preprocessing import geometry

RNG = np.random.default_rng(0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=3))
def test_the_middle_stays_in_the_middle_and_the_way_back_is_the_same_function(axes):
    shape, size = zip(*axes, strict=True)
    x = np.arange(1, np.prod(shape) + 1).reshape(shape)
    fitted = geometry.centre(x, size)
    assert fitted.shape == size
    back = geometry.centre(fitted, shape)
    kept = back != 0
    np.testing.assert_array_equal(back[kept], x[kept])
    assert kept.sum() == np.prod([min(a, b) for a, b in axes])
    for axis, (have, wished) in enumerate(axes):
        where = np.flatnonzero((fitted if wished > have else back).any(axis=tuple(set(range(x.ndim)) - {axis})))
        length = max(have, wished)
        assert abs(where[0] - (length - 1 - where[-1])) <= 1


def test_filling():
    x = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(geometry.centre(x, (4, None), -1), [[-1, -1], [1, 2], [3, 4], [-1, -1]])
    np.testing.assert_array_equal(geometry.centre(x, (3,), "edge"), [[1, 2], [3, 4], [3, 4]])
    np.testing.assert_array_equal(geometry.centre(x, (None, 4), "edge"), [[1, 1, 2, 2], [3, 3, 4, 4]])
    assert geometry.centre(x.astype(np.uint8), (3, 3)).dtype == np.uint8
    for size in ((1, 1, 1), (0, 1)):
        with pytest.raises(ValueError, match="centre expects a positive size or None for each of 2 axes"):
            geometry.centre(x, size)
    with pytest.raises(ValueError, match="a number or 'edge', got 'mirror'"):
        geometry.centre(x, (3, 3), "mirror")


def test_cropping_and_filling_on_the_device():
    x, device = RNG.standard_normal((3, 5)), strict.Device("device1")
    found = geometry.centre(strict.asarray(x, device=device), (5, 2), "edge")
    assert backend.device_of(found) == device
    np.testing.assert_array_equal(backend.to_host(found), geometry.centre(x, (5, 2), "edge"))


def test_a_ramp_stays_the_same_ramp_in_millimetres():
    spacing, to = (1.0, 2.5, 4.0), 2.0
    shape = (40, 16, 12)
    axes = [(np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)]
    ramp = sum(k * axis for k, axis in zip((1, 2, 3), np.meshgrid(*axes, indexing="ij"), strict=True))
    found = geometry.resample(ramp, spacing, to)
    assert found.shape == (20, 20, 24)
    axes = [(np.arange(n) + 0.5) * to for n in found.shape]
    wanted = sum(k * axis for k, axis in zip((1, 2, 3), np.meshgrid(*axes, indexing="ij"), strict=True))
    inner = (slice(3, -3),) * 3  # at the border the last value is repeated
    np.testing.assert_allclose(found[inner], wanted[inner])


def test_masks_keep_their_labels_and_their_size():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[5:15, 5:15, 5:15] = 3
    fine = geometry.resample(mask, (2, 2, 2), (1, 1, 4), nearest=True)
    assert fine.shape == (40, 40, 10) and fine.dtype == np.uint8
    assert set(np.unique(fine)) == {0, 3}
    assert (fine == 3).sum() * 4 == pytest.approx((mask == 3).sum() * 8, rel=0.25)
    np.testing.assert_array_equal(geometry.resize(fine, mask.shape, nearest=True)[:, :, 6:14], mask[:, :, 6:14])


def test_fewer_pixels_are_means_not_samples():
    noise = RNG.standard_normal((64, 64)).astype(np.float32)
    found = geometry.resample(noise, (1, 1), 4)
    assert found.shape == (16, 16) and found.dtype == np.float32
    assert found.std() < 0.4
    assert geometry.resample(np.ones((9, 9), np.int16), (1, 1), (2, 0.5)) == pytest.approx(1)


def test_nothing_to_do_gives_a_copy():
    x = RNG.standard_normal((3, 4))
    found = geometry.resample(x, (1, 2), (1, 2))
    np.testing.assert_array_equal(found, x)
    assert not np.shares_memory(found, x)


@pytest.mark.parametrize("spacing, to", [((1,), 1), ((1, 0), 1), ((1, 1), (1, -1)), ((1, 1), np.ones((2, 2)))])
def test_spacings_are_checked(spacing, to):
    with pytest.raises(ValueError, match="a positive spacing for each of 2 axes"):
        geometry.resample(np.ones((2, 2)), spacing, to)


def test_sizes_and_libraries_are_checked():
    with pytest.raises(ValueError, match="one positive size for each of 2 axes"):
        geometry.resize(np.ones((2, 2)), (3,))
    with pytest.raises(TypeError, match="takes NumPy and CuPy arrays"):
        geometry.resize(strict.asarray([1.0, 2.0]), (3,))


def test_cupy_arrays_use_cupy_s_twin(monkeypatch):
    import sys
    import types

    twin = types.ModuleType("cupyx.scipy.ndimage")
    scipy = types.ModuleType("cupyx.scipy")
    scipy.ndimage = twin
    for name, module in (("cupyx", types.ModuleType("cupyx")), ("cupyx.scipy", scipy), ("cupyx.scipy.ndimage", twin)):
        monkeypatch.setitem(sys.modules, name, module)
    array = type("ndarray", (), {"__module__": "cupy"})()
    assert geometry.ndimage_for(array) is twin

"""Grey values: formulas, limits, and that nothing moves."""

import array_api_strict as strict
import numpy as np
import pytest

from tinymed.preprocessing.augmentation import Brightness, Contrast, Gamma, Noise

X = np.random.default_rng(0).uniform(0.3, 0.7, (300, 6, 5, 2)).astype(np.float32)
STEPS = [Brightness(), Contrast(), Gamma(), Noise()]


def test_brightness_adds():
    by = Brightness(0.2)(X, rng=0) - X
    assert np.allclose(by, by[:, :1, :1, :1], atol=1e-6)
    assert -0.2 <= by.min() < -0.18 and 0.18 < by.max() <= 0.2 + 1e-6


def test_contrast_keeps_the_mean():
    changed = Contrast(0.5, 2, limits=None)(X, rng=0)
    assert np.allclose(changed.mean(axis=(1, 2, 3)), X.mean(axis=(1, 2, 3)), atol=1e-6)
    factor = changed.std(axis=(1, 2, 3)) / X.std(axis=(1, 2, 3))
    assert 0.5 <= factor.min() < 0.55 and 1.85 < factor.max() <= 2.001


def test_gamma_keeps_black_and_white():
    images = np.array([[[0.0, 0.25, 1.0]]], np.float32)
    changed = np.concatenate([Gamma(0.5, 2)(images, rng=seed) for seed in range(50)])[:, 0]
    assert (changed[:, 0] == 0).all() and (changed[:, 2] == 1).all()
    assert 0.0625 <= changed[:, 1].min() < 0.08 and 0.42 < changed[:, 1].max() <= 0.5
    hounsfield = Gamma(2, 2, limits=(-1000, 400))(np.array([[[-300.0]]]))
    assert hounsfield.item() == pytest.approx(-1000 + 1400 * 0.25)


def test_noise_has_a_strength_for_each_image():
    added = Noise(0.1, limits=None)(np.zeros((300, 30, 30), np.float32), rng=0)
    deviation = added.std(axis=(1, 2))
    assert deviation.min() < 0.01 and 0.09 < deviation.max() < 0.11
    assert np.abs(added.mean(axis=(1, 2))).max() < 0.02


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_values_stay_in_their_limits(step):
    extreme = np.random.default_rng(1).integers(0, 2, (50, 8, 8)).astype(np.float32)
    changed = step(extreme, rng=0)
    assert changed.min() >= 0 and changed.max() <= 1 and changed.dtype == np.float32


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_masks_and_boxes_stay(step):
    masks, boxes = np.ones((300, 6, 5), np.int8), [np.array([[1.0, 1, 3, 3]])] * 300
    images, same, where = step(X, masks, boxes, rng=0)
    assert same is masks and not np.array_equal(images, X)
    assert np.array_equal(np.stack(where), np.stack(boxes))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_on_another_device(step):
    device = strict.Device("device1")
    changed = step(strict.asarray(X, device=device), rng=7)
    assert changed.device == device and changed.dtype == strict.float32
    host = np.array(np.from_dlpack(strict.asarray(changed, device=strict.Device("CPU_DEVICE"))))
    assert np.allclose(host, step(X, rng=7), atol=1e-6)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_whole_numbers_are_refused(step):
    with pytest.raises(TypeError, match=rf"{type(step).__name__} changes images of a floating type, not uint8.*/ 255"):
        step(np.zeros((1, 4, 4), np.uint8))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Brightness(-1), "most must not be negative"),
        (lambda: Contrast(0, 1), "0 < least <= most, got 0 and 1"),
        (lambda: Gamma(2, 1), "0 < least <= most, got 2 and 1"),
        (lambda: Gamma(limits=None), "limits must be a pair"),
        (lambda: Noise(-0.1), "standard deviation"),
        (lambda: Noise(limits=(1, 0)), "limits must be a pair"),
    ],
)
def test_wrong_numbers(make, words):
    with pytest.raises(ValueError, match=words):
        make()

"""Each move by itself, against what it should do to an image that is easy to follow."""

import numpy as np
import pytest

from tinymed.preprocessing.augmentation import Elastic, Flip, Rotation, Shift, Zoom

X = np.random.default_rng(0).random((300, 11, 9), dtype=np.float32)


def test_flips():
    both = Flip(horizontal=True, vertical=True, probability=1)(X)
    assert np.array_equal(both, X[:, ::-1, ::-1])
    found = Flip(vertical=True)(X, rng=0)
    kinds = [X, X[:, ::-1], X[:, :, ::-1], X[:, ::-1, ::-1]]
    matches = np.array([[np.array_equal(image, kind[n]) for kind in kinds] for n, image in enumerate(found)])
    assert (matches.sum(axis=1) == 1).all()
    assert (matches.mean(axis=0) > 0.15).all()


def test_whole_shifts_change_no_value():
    moved = Shift((2, 1))(X, rng=0)
    wider = np.pad(X, ((0, 0), (2, 2), (1, 1)), mode="edge")
    seen = set()
    for image, wide in zip(moved, wider, strict=True):
        places = [(i, j) for i in range(5) for j in range(3) if np.array_equal(wide[i : i + 11, j : j + 9], image)]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 15  # every shift occurs


def test_shifts_by_parts_of_pixels():
    ramp = np.broadcast_to(np.arange(20.0), (200, 5, 20)).copy()
    moved = Shift((0, 3), whole=False)(ramp, rng=0)
    by = moved[:, 2, 10] - 10
    assert np.allclose(moved[:, 2, 5:15] - ramp[:, 2, 5:15], by[:, None])
    assert -3 <= by.min() < -2.5 and 2.5 < by.max() <= 3
    assert np.ptp(by % 1) > 0.5


def test_rotations_turn_about_the_middle_by_at_most_the_angle():
    y, x = np.arange(31) - 15.0, np.arange(31)[:, None] - 15.0
    ramp = np.broadcast_to(x + 0 * y, (300, 31, 31)).copy()  # grows downwards
    turned = Rotation(30, border="reflect")(ramp, rng=0)
    assert np.allclose(turned[:, 15, 15], 0, atol=1e-9)
    slope_down, slope_right = turned[:, 16, 15] - turned[:, 14, 15], turned[:, 15, 16] - turned[:, 15, 14]
    angle = np.degrees(np.arctan2(slope_right, slope_down))
    assert np.allclose(np.hypot(slope_down, slope_right), 2)
    assert -30 <= angle.min() < -27 and 27 < angle.max() <= 30


def test_zooms_by_factors_between_the_limits():
    ramp = np.broadcast_to(np.arange(31.0), (300, 31, 31)).copy()
    slope = 2 / (Zoom(0.5, 2)(ramp, rng=0)[:, 15, 16] - Zoom(0.5, 2)(ramp, rng=0)[:, 15, 14])
    assert 0.5 <= slope.min() < 0.55 and 1.85 < slope.max() <= 2
    assert 0.9 < np.median(slope) < 1.1  # twice as large is as likely as half as large


def test_elastic_moves_smoothly_and_not_too_far():
    ramp = np.broadcast_to(np.arange(40.0), (50, 40, 40)).copy()
    by = Elastic(3, 10)(ramp, rng=0) - ramp
    inner = by[:, 5:-5, 5:-5]
    assert np.abs(inner).max() <= 3
    assert inner.std() > 0.5
    assert np.abs(np.diff(inner, n=2, axis=1)).max() < 0.3
    assert by.std(axis=(1, 2)).min() > 0.1  # not the same shift everywhere


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Shift(-1), "Shift: most must be a number of pixels from 0, or two of them, got -1"),
        (lambda: Shift((1, 2, 3)), "Shift: most"),
        (lambda: Rotation(200), "degrees must lie between 0 and 180, got 200"),
        (lambda: Zoom(1.2, 0.9), "0 < least <= most, got 1.2 and 0.9"),
        (lambda: Elastic(5, 8), r"most=5 pixels with spacing=8 could fold the image.*0\.48 times the spacing"),
    ],
)
def test_wrong_numbers(make, words):
    with pytest.raises(ValueError, match=words):
        make()

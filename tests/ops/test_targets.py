"""Shapes of targets, smoothing and clipping."""

import numpy as np
import pytest

from tinymed.ops.targets import check_same_shape, clipped, one_hot, smoothed


def test_different_shapes_are_never_broadcast():
    with pytest.raises(
        ValueError, match=r"some loss expects y_true and y_pred of one shape but got \(3,\) and \(3, 1\)"
    ):
        check_same_shape("some loss", np.zeros(3), np.zeros((3, 1)))


def test_smoothing_moves_targets_towards_chance():
    np.testing.assert_allclose(smoothed(np.array([0.0, 1.0]), 0.2, 4), [0.05, 0.85])
    y = np.array([0.0, 1.0])
    assert smoothed(y, 0.0, 4) is y


def test_clipping_says_what_it_left_alone():
    p, inside = clipped(np.array([-1.0, 0.0, 1e-7, 0.5, 1.0, np.nan]))
    np.testing.assert_array_equal(p, [1e-7, 1e-7, 1e-7, 0.5, 1 - 1e-7, np.nan])
    assert inside.tolist() == [False, False, True, True, False, False]


def test_one_hot_marks_the_right_class():
    labels, hot = one_hot("some loss", np.array([2, 0], dtype=np.uint8), np.zeros((2, 3)))
    assert labels.dtype == np.int64
    assert hot.tolist() == [[False, False, True], [True, False, False]]
    with pytest.raises(
        ValueError, match=r"some loss expects one class number for each row .* \(2,\), but got \(2, 3\)"
    ):
        one_hot("some loss", np.zeros((2, 3)), np.zeros((2, 3)))

"""Hinge losses."""

import numpy as np

from tinymed.ops.margins import (
    categorical_hinge,
    categorical_hinge_backward,
    hinge,
    hinge_backward,
    squared_hinge,
    squared_hinge_backward,
)

SIGNS = np.array([[1.0, -1.0], [-1.0, 1.0]])
SCORES = np.array([[0.25, 0.5], [-2.0, 1.0]])


def test_hinge():
    loss, cache = hinge(SIGNS, SCORES)
    np.testing.assert_array_equal(loss, [(0.75 + 1.5) / 2, 0.0])
    # at the kink of the last one the margin is just reached: TensorFlow takes the slope of the active side
    np.testing.assert_array_equal(hinge_backward(np.array([2.0, 4.0]), cache), [[-1.0, 1.0], [0.0, -2.0]])


def test_squared_hinge():
    loss, cache = squared_hinge(SIGNS, SCORES)
    np.testing.assert_array_equal(loss, [(0.5625 + 2.25) / 2, 0.0])
    np.testing.assert_array_equal(squared_hinge_backward(np.array([2.0, 4.0]), cache), [[-1.5, 3.0], [0.0, 0.0]])


def test_zeros_and_ones_become_signs_but_only_if_there_is_nothing_else():
    np.testing.assert_array_equal(hinge((SIGNS + 1) / 2, SCORES)[0], hinge(SIGNS, SCORES)[0])
    np.testing.assert_array_equal(squared_hinge((SIGNS + 1) / 2, SCORES)[0], squared_hinge(SIGNS, SCORES)[0])
    np.testing.assert_array_equal(hinge(np.array([[0.0, 1.0, -1.0]]), np.ones((1, 3)))[0], [1.0])


def test_categorical_hinge():
    y = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    loss, cache = categorical_hinge(y, np.array([[0.5, 1.0, 0.5], [3.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(loss, [0.5, 0.0])
    # the two wrong classes of the first row tie and share the slope
    np.testing.assert_array_equal(
        categorical_hinge_backward(np.array([2.0, 1.0]), cache), [[1.0, -2.0, 1.0], [0.0, 0.0, 0.0]]
    )

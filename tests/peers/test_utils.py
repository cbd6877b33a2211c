"""Helpers against Keras."""

import numpy as np
import pytest

from tinymed import utils


@pytest.mark.parametrize(
    ("x", "classes"),
    [([0, 2, 1], None), ([0, 2, 1], 5), ([[1], [0]], None), ([[0, 1], [2, 2]], 4), ([], 3), ([[[1, 2]]], None)],
    ids=str,
)
def test_one_hot_rows_are_keras_s(x, classes, keras):
    x = np.asarray(x, dtype="int64")
    got, expected = utils.to_categorical(x, classes), np.asarray(keras.utils.to_categorical(x, classes))
    assert got.shape == expected.shape
    assert np.array_equal(got, expected)

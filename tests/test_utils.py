"""Helpers under Keras's names."""

import numpy as np
import pytest

from tinymed import backend, utils


def test_to_categorical():
    np.testing.assert_array_equal(utils.to_categorical([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(utils.to_categorical([[1], [0]]), [[0, 1], [1, 0]])
    assert utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="does not fit num_classes=2"):
        utils.to_categorical([2], 2)
    with pytest.raises(ValueError, match="whole and not negative"):
        utils.to_categorical([0.5])


def test_set_random_seed():
    utils.set_random_seed(4)
    first = backend.new_generator().random()
    utils.set_random_seed(4)
    assert backend.new_generator().random() == first

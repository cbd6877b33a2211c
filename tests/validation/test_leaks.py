"""Samples and patients on both sides, and copies of images, are found."""

import numpy as np
import pytest

from tinymed.validation import check_apart, repeated


def test_apart_is_silent():
    check_apart([0, 2], [1, 3])
    check_apart([0, 1], [2, 3], groups=["a", "a", "b", "c"])


def test_the_same_sample_twice():
    with pytest.raises(ValueError, match="sample 2 is to train on and to test on"):
        check_apart([0, 2], [1, 2])


def test_the_same_patient_twice():
    with pytest.raises(ValueError, match=r"'b' \(and 1 others\) has samples"):
        check_apart([0, 1, 2], [3, 4], groups=np.array(["a", "b", "c", "b", "c"]))
    with pytest.raises(ValueError, match="leaks: 7 has"):
        check_apart([0], [1], groups=[7, 7])


def test_copies_have_one_number():
    x = np.random.default_rng(0).random((5, 4, 4, 1))
    x[3] = x[1]
    assert repeated(x).tolist() == [0, 1, 2, 1, 3]
    assert repeated(np.moveaxis(x, 0, -1).T).shape == (5,)

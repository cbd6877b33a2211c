"""Cutting out and turning by given numbers."""

import numpy as np
import pytest

from tinymed.preprocessing.framing import crop, crop_middle, rotate

X = np.random.default_rng(0).random((3, 9, 9, 2), dtype=np.float32)


def test_crop_is_a_copy_of_the_part():
    part = crop(X, 2, 3, 4, 5)
    assert np.array_equal(part, X[:, 2:6, 3:8]) and not np.shares_memory(part, X)
    assert crop(X[..., 0], 0, 0, 9, 9).shape == (3, 9, 9)


def test_crop_middle_and_fill_up():
    assert np.array_equal(crop_middle(X, (5, 3)), X[:, 2:7, 3:6])
    wider = crop_middle(X, (11, 9))
    assert np.array_equal(wider[:, 1:-1], X) and not wider[:, 0].any()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4])
def test_quarter_turns_are_exact(turns):
    assert np.array_equal(rotate(X, 90 * turns), np.rot90(X, turns, axes=(1, 2)))


def test_other_angles():
    there_and_back = rotate(rotate(X, 20), -20)
    smooth = np.add.outer(np.arange(21.0), np.arange(21.0))[None] / 40
    assert np.abs(rotate(rotate(smooth, 20), -20) - smooth)[:, 6:15, 6:15].max() < 0.01
    assert there_and_back.shape == X.shape
    assert (rotate(np.ones((1, 9, 9)), 45, border=0.0)[0, 0, 0], rotate(np.ones((1, 9, 9)), 45)[0, 0, 0]) == (0, 1)
    mask = rotate((X[..., 0] * 3).astype(np.int8), 33, nearest=True)
    assert mask.dtype == np.int8 and set(np.unique(mask)) <= {0, 1, 2}


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: crop(X, 6, 0, 4, 4), "rows 6 to 10 and columns 0 to 4 reach out of images of 9 x 9 pixels"),
        (lambda: crop(X, 0, -1, 4, 4), "reach out"),
        (lambda: crop(X, 0, 0, 0, 4), "or are none"),
        (lambda: rotate(X[0, ..., 0], 5), "rotate takes images"),
    ],
)
def test_wrong_parts(call, words):
    with pytest.raises(ValueError, match=words):
        call()

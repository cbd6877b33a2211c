import numpy as np
import pytest

import tinymed
from tinymed.preprocessing.sequence import pad_sequences

RAGGED = [[1], [2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
        ({"maxlen": 4, "value": 9, "padding": "post"}, [[1, 9, 9, 9], [2, 3, 9, 9], [4, 5, 6, 9]]),
        ({"maxlen": 0}, [[], [], []]),
    ],
)
def test_lengths_are_made_equal(options, wanted):
    padded = pad_sequences(RAGGED, **options)
    assert padded.dtype == np.int32
    np.testing.assert_array_equal(padded, wanted)


def test_signals_of_several_channels():
    records = [np.full((length, 2), 0.5) for length in (3, 1, 4)]
    padded = pad_sequences(records, dtype="float32", padding="post", value=-1.0)
    assert padded.shape == (3, 4, 2) and padded.dtype == np.float32
    np.testing.assert_array_equal((padded == 0.5).sum(axis=1)[:, 0], [3, 1, 4])
    assert set(np.unique(padded)) == {-1.0, 0.5}


def test_whole_numbers_by_default():
    np.testing.assert_array_equal(pad_sequences([[0.7, 1.2], [3.9]]), [[0, 1], [0, 3]])


def test_text_and_empty_sequences():
    np.testing.assert_array_equal(pad_sequences([["a"], []], dtype=object, value="-"), [["a"], ["-"]])
    assert pad_sequences([]).shape == (0, 0)
    assert pad_sequences([[], []], maxlen=2).tolist() == [[0, 0], [0, 0]]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="entry 1 is 3"):
        pad_sequences([[1], 3])
    with pytest.raises(ValueError, match=r"steps of sequence 1 have shape \(3,\) but those before it have \(2,\)"):
        pad_sequences([np.ones((1, 2)), np.ones((1, 3))])
    with pytest.raises(ValueError, match="padding must be 'pre' or 'post', got 'left'"):
        pad_sequences(RAGGED, padding="left")
    with pytest.raises(ValueError, match="maxlen must be a whole number"):
        pad_sequences(RAGGED, maxlen=-1)
    with pytest.raises(ValueError, match="value 'x' is text"):
        pad_sequences(RAGGED, value="x")


def test_it_is_where_programs_look_for_it():
    assert tinymed.keras.preprocessing.sequence.pad_sequences is tinymed.preprocessing.sequence.pad_sequences

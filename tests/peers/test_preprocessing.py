"""Preparation of data against Keras."""

import itertools

import numpy as np
import pytest

from tinymed.preprocessing.sequence import pad_sequences

OPTIONS = list(itertools.product((None, 2, 5), ("pre", "post"), ("pre", "post"), ("int32", "float32"), (0.0, -7)))


@pytest.mark.parametrize(("maxlen", "padding", "truncating", "dtype", "value"), OPTIONS)
def test_padding(maxlen, padding, truncating, dtype, value, keras):
    rng = np.random.default_rng(0)
    for steps in ((), (2,)):
        sequences = [rng.standard_normal((length, *steps)) * 9 for length in (3, 1, 4, 2)]
        options = {"maxlen": maxlen, "padding": padding, "truncating": truncating, "dtype": dtype, "value": value}
        wanted = keras.utils.pad_sequences(sequences, **options)
        found = pad_sequences(sequences, **options)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)

"""The precision of matrix products on a GPU is chosen by name, and stays float32 until somebody asks."""

import pytest

import tinymed
from tinymed.precision import get_precision, set_precision


def test_tf32_only_on_request():
    assert get_precision() == "float32"
    tinymed.set_precision("tf32")
    assert get_precision() == "tf32"
    set_precision("float32")
    assert get_precision() == "float32"


def test_other_names_are_an_error():
    with pytest.raises(ValueError, match="'float32' or 'tf32', got 'half'"):
        set_precision("half")
    assert get_precision() == "float32"

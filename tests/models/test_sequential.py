"""One layer after another: wired as soon as the shape of the input is known."""

import numpy as np
import pytest

from tinymed.layers import Dense, Input
from tinymed.models import Sequential


def test_sequential_add_and_pop():
    model = Sequential()
    model.add(Input((3,)))
    model.add(Dense(4))
    model.add(Dense(1))
    assert model.compute_output_shape((None, 3)) == (None, 1)
    assert isinstance(model.pop(), Dense)
    assert model.predict(np.ones((2, 3)), verbose=0).shape == (2, 4)
    unbuilt = Sequential([Dense(4), Dense(2)])
    assert not unbuilt.built
    assert unbuilt.predict(np.ones((2, 3)), verbose=0).shape == (2, 2)
    assert unbuilt.built


def test_a_model_may_stand_first_and_names_must_differ():
    inner = Sequential([Dense(2, input_shape=(3,))])
    assert Sequential([inner, Dense(1)]).predict(np.ones((2, 3)), verbose=0).shape == (2, 1)
    with pytest.raises(ValueError, match="a layer named 'same' already"):
        Sequential([Dense(1, name="same"), Dense(1, name="same")])
    with pytest.raises(ValueError, match="an Input can only stand first"):
        Sequential([Dense(1), Input((3,))])
    with pytest.raises(ValueError, match="no layer to take away"):
        Sequential().pop()
    with pytest.raises(ValueError, match="has no layers"):
        Sequential().predict(np.ones((2, 3)))

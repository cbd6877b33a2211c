"""Shapes without numbers, and the nodes that wire layers."""

import numpy as np
import pytest

from tinymed.layers import Add, Dense, Input, InputLayer
from tinymed.layers.symbolic import SymbolicTensor


def test_an_input_is_a_symbolic_tensor_with_a_free_batch_axis():
    x = Input((64, 64, 3), name="image")
    assert isinstance(x, SymbolicTensor)
    assert x.shape == (None, 64, 64, 3)
    assert x.producer.layer.name == "image"
    assert isinstance(x.producer.layer, InputLayer)
    assert Input((3,), batch_size=5).shape == (5, 3)
    assert Input((3,), dtype="int32").dtype == "int32"
    with pytest.raises(ValueError, match=r"write \(3,\) instead of 3"):
        Input(3)


def test_a_layer_called_twice_has_two_nodes_and_one_set_of_weights():
    shared = Dense(4)
    a, b = Input((3,)), Input((3,))
    first, second = shared(a), shared(b)
    assert first.producer is not second.producer
    assert first.producer.layer is second.producer.layer
    assert first.shape == (None, 4)
    with pytest.raises(ValueError, match=r"expects \(N, ..., 3\) but got \(None, 5\)"):
        shared(Input((5,)))


def test_symbols_and_arrays_do_not_mix():
    with pytest.raises(TypeError, match="arrays go to the finished model"):
        Add()([Input((3,)), np.ones((1, 3))])


def test_an_input_layer_hands_its_data_on():
    layer = Input((3,)).producer.layer
    x = np.ones((2, 3))
    assert layer.forward(x)[0] is x
    assert layer.backward(x, None) == (x, {})


def test_a_layer_knows_its_first_input_and_output():
    x = Input((4,))
    layer = Dense(3)
    with pytest.raises(ValueError, match="has not been called on a symbolic tensor"):
        _ = layer.output
    first = layer(x)
    layer(Input((4,)))
    assert layer.output is first
    assert layer.input is x

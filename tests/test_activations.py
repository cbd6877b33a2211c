"""Activations by name."""

import functools

import numpy as np
import pytest

from tinymed import activations, layers, ops
from tinymed.ops.registry import REGISTRY, backward_of, op

NAMES = sorted(activations._FUNCTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_functions_return_only_y(name):
    x = np.array([[-1.0, 0.5, 2.0]], dtype=np.float32)
    function = getattr(activations, name)
    np.testing.assert_array_equal(function(x), getattr(ops, name)(x)[0])
    assert function.__name__ == name and "tinymed.ops." in function.__doc__
    assert activations.get(name) is function
    assert activations.pair(name) is activations.pair(function) is REGISTRY[name]


def test_arguments_pass_through():
    x = np.array([-1.0, 0.5, 2.0])
    np.testing.assert_array_equal(activations.relu(x, 0.5, max_value=1.0), [-0.5, 0.5, 1.0])
    np.testing.assert_allclose(activations.softmax(np.ones((2, 3)), axis=0), 0.5)


def test_lists_and_whole_numbers_are_floating_afterwards():
    assert activations.sigmoid([0]).dtype == np.float32
    np.testing.assert_array_equal(activations.relu(np.array([-1, 2])), np.array([0.0, 2.0], dtype=np.float32))
    assert activations.tanh(np.array([1.0])).dtype == np.float64


def test_aliases_and_none():
    assert activations.get("swish") is activations.silu is activations.swish
    assert activations.pair("swish").name == "silu"
    assert activations.get(None) is activations.linear
    assert activations.pair(None).name == "linear"
    assert activations.get(ops.relu) is activations.relu
    assert activations.pair(activations.pair("tanh")).name == "tanh"
    assert activations.get(abs) is abs


def test_an_operation_of_ones_own():
    @op
    def cube(x):
        return x**3, x

    try:

        @backward_of(cube)
        def cube_backward(dy, cache):
            return 3 * dy * cache**2

        layer = layers.Activation(cube)
        y, tape = layer.forward(np.array([[2.0]]))
        assert y == 8 and layer.backward(np.array([[1.0]]), tape)[0] == 12
        assert layer.get_config()["activation"] == "cube"
        assert activations.get(cube)(np.array([2.0])) == 8
    finally:
        del REGISTRY["cube"]


@pytest.mark.parametrize(
    "identifier, error, message",
    [
        ("rellu", ValueError, "unknown activation 'rellu'; did you mean 'relu'"),
        ("dense", ValueError, "unknown activation 'dense'"),
        (lambda x: x, TypeError, "has no backward.*under @tinymed.ops.op and @tinymed.ops.backward_of"),
        (functools.partial(activations.relu, max_value=6), TypeError, "has no backward"),
        (3, TypeError, "is no name or function"),
        (layers.ReLU(), TypeError, "is a layer; leave activation out and add the layer after this one"),
    ],
)
def test_mistakes_are_explained(identifier, error, message):
    with pytest.raises(error, match=message):
        activations.pair(identifier)

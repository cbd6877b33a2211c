"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, and their functions."""

import numpy as np
import pytest

from tinymed import layers
from tinymed.layers import Add, Concatenate, Subtract

MERGES = {
    "Add": lambda a, b: a + b,
    "Subtract": lambda a, b: a - b,
    "Multiply": lambda a, b: a * b,
    "Average": lambda a, b: (a + b) / 2,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Concatenate": lambda a, b: np.concatenate([a, b], axis=-1),
}


@pytest.mark.parametrize("name", MERGES)
def test_classes_and_functions(name):
    a, b = np.random.default_rng(0).standard_normal((2, 4, 3, 2)).astype(np.float32)
    layer = getattr(layers, name)()
    y, cache = layer.forward([a, b], training=True)
    np.testing.assert_allclose(y, MERGES[name](a, b), rtol=1e-6)
    np.testing.assert_array_equal(getattr(layers, name.lower())([a, b], name="join"), y)
    gradients, weights = layer.backward(y, cache)
    assert isinstance(gradients, list)
    assert [dx.shape for dx in gradients] == [a.shape, b.shape]
    assert weights == {}
    assert layer.compute_output_shape([(None, 3, 2), (None, 3, 2)]) == (None, *y.shape[1:])
    assert layer.flops([a.shape, b.shape]) == (0 if name == "Concatenate" else 6)


def test_shapes_that_broadcast():
    assert Add().compute_output_shape([(None, 4, 1, 5), (None, 1, 6, 5), (None, 5)]) == (None, 4, 6, 5)
    assert Add().compute_output_shape([(None, None, 5), (8, 1, 5)]) == (8, None, 5)
    assert Add().compute_output_shape([(None, 1, 5), (None, 1, 5)]) == (None, 1, 5)
    assert Add()([np.ones((2, 3, 4, 5)), np.ones((2, 5))]).shape == (2, 3, 4, 5)
    shapes = [(None, None, 5), (8, 3, 5)]
    assert Concatenate().compute_output_shape(shapes) == (8, 3, 10)
    assert Concatenate(axis=1).compute_output_shape(shapes) == (8, None, 5)
    assert layers.concatenate([np.ones((2, 3)), np.ones((1, 3))], axis=0).shape == (3, 3)


def test_errors_name_the_layer_the_axis_and_the_fix():
    with pytest.raises(ValueError, match=r"sum expects .* \(2, 3\) and \(2, 4\): they differ in axis 1 \(3 and 4\)"):
        Add(name="sum")([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match="same number of samples"):
        Add(name="sum")([np.zeros((1, 3)), np.zeros((2, 3))])
    with pytest.raises(ValueError, match=r"sum expects a list of at least two inputs.* one array of shape \(2, 3\)"):
        Add(name="sum")(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"difference expects a list of exactly 2 inputs.* but got 3"):
        Subtract(name="difference")([np.zeros((2, 3))] * 3)
    with pytest.raises(ValueError, match=r"join joins along axis 2 .* they differ in axis 1; pad, crop or resize"):
        Concatenate(name="join")([np.zeros((2, 3, 1)), np.zeros((2, 4, 1))])
    with pytest.raises(ValueError, match=r"equally many axes, axis -1 among them.* Reshape layer"):
        Concatenate(name="join")([np.zeros((2, 3, 1)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match="needs axis, a whole number, but got 'channels'"):
        Concatenate(axis="channels")

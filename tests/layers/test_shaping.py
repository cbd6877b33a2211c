"""Flatten, Reshape, Permute and RepeatVector."""

import numpy as np
import pytest

from tinymed.layers import Flatten, Permute, RepeatVector, Reshape
from tinymed.layers.shaping import channels_last

LAYERS = [
    pytest.param(lambda: Flatten(), (2, 3, 4), (2, 12), id="flatten"),
    pytest.param(lambda: Flatten(), (2,), (2, 1), id="flatten numbers"),
    pytest.param(lambda: Reshape((6, 2)), (2, 3, 4), (2, 6, 2), id="reshape"),
    pytest.param(lambda: Reshape((-1, 2, 1)), (2, 3, 4), (2, 6, 2, 1), id="reshape -1"),
    pytest.param(lambda: Reshape(12), (2, 3, 4), (2, 12), id="reshape to a row"),
    pytest.param(lambda: Permute((2, 1)), (2, 3, 4), (2, 4, 3), id="permute"),
    pytest.param(lambda: RepeatVector(3), (2, 4), (2, 3, 4), id="repeat"),
]


@pytest.mark.parametrize(("make", "shape", "expected"), LAYERS)
def test_shapes_and_backward(make, shape, expected):
    layer = make()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y, cache = layer.forward(x, training=True)
    dx, grads = layer.backward(y, cache)
    assert y.shape == layer.compute_output_shape(shape) == expected
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *expected[1:])
    assert dx.shape == shape
    assert grads == {}
    assert layer.flops(shape) == 0
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(x), y)


def test_sizes_that_are_not_fixed_stay_none():
    assert Flatten().compute_output_shape((None, None, 3)) == (None, None)
    assert Reshape((-1, 3)).compute_output_shape((None, None, 3)) == (None, None, 3)
    assert Permute((2, 1)).compute_output_shape((None, None, 3)) == (None, 3, None)


def test_errors_name_the_layer_and_the_fix():
    with pytest.raises(ValueError, match=r"a: samples of shape .*12 values, which cannot become"):
        Reshape((5, 2), name="a").compute_output_shape((None, 3, 4))
    with pytest.raises(ValueError, match="a: samples of shape"):
        Reshape((5, 2), name="a")(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"p needs dims with each axis from 1 to 2 once .* but got \(0, 1\)"):
        Permute((0, 1), name="p")
    with pytest.raises(ValueError, match=r"p permutes 2 axes after the batch axis but got .* \(2, 3\)"):
        Permute((2, 1), name="p")(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="r needs n, a positive whole number, but got 0"):
        RepeatVector(0, name="r")
    with pytest.raises(ValueError, match=r"r expects \(N, D\)"):
        RepeatVector(2, name="r")(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"f works on channels-last .* np\.moveaxis"):
        Flatten(data_format="channels_first", name="f")
    assert channels_last(Flatten(), None) == "channels_last"

"""Pooling layers: shapes, arguments and errors."""

import numpy as np
import pytest

from tinymed import layers
from tinymed.layers import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (MaxPooling1D(), (None, 9, 2), (None, 4, 2)),
        (MaxPooling2D((2, 2)), (None, 62, None, 32), (None, 31, None, 32)),
        (MaxPooling2D(3, strides=2, padding="same"), (2, 7, 8, 3), (2, 4, 4, 3)),
        (MaxPooling3D(), (1, 2, 4, 5, 1), (1, 1, 2, 2, 1)),
        (AveragePooling1D(3, 1, "same"), (1, 7, 2), (1, 7, 2)),
        (AveragePooling2D((1, 3)), (1, 7, 7, 2), (1, 7, 2, 2)),
        (AveragePooling3D(1), (1, 2, 3, 4, 2), (1, 2, 3, 4, 2)),
        (GlobalMaxPooling2D(), (None, None, None, 5), (None, 5)),
        (GlobalMaxPooling3D(keepdims=True), (1, 2, 3, 4, 5), (1, 1, 1, 1, 5)),
        (GlobalAveragePooling1D(), (3, 4, 5), (3, 5)),
        (GlobalAveragePooling2D(keepdims=True), (3, 4, 4, 5), (3, 1, 1, 5)),
    ],
)
def test_output_shapes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected
    if None not in shape:
        x = np.zeros(shape, np.float32)
        y, cache = layer.forward(x)
        assert y.shape == expected
        dx, grads = layer.backward(y, cache)
        assert dx.shape == x.shape
        assert grads == {}
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_values():
    x = np.array([1.0, 5.0, 7.0, 3.0], np.float32).reshape(1, 2, 2, 1)
    assert MaxPooling2D()(x).item() == GlobalMaxPooling2D()(x).item() == 7.0
    assert AveragePooling2D()(x).item() == GlobalAveragePooling2D()(x).item() == 4.0


def test_strides_are_the_pool_size_unless_given():
    assert MaxPooling2D((2, 3)).strides == (2, 3)
    assert MaxPooling2D((2, 3), strides=1).strides == (1, 1)


def test_operations_are_counted():
    assert MaxPooling2D().flops((None, 4, 4, 3)) == 4 * 3 * 4
    assert GlobalAveragePooling2D().flops((None, 4, 4, 3)) == 48


def test_aliases():
    assert layers.MaxPool2D is MaxPooling2D
    assert layers.AvgPool3D is AveragePooling3D
    assert layers.GlobalAvgPool1D is GlobalAveragePooling1D
    assert layers.GlobalMaxPool2D is GlobalMaxPooling2D


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPooling2D(0), "pool_size needs a positive whole number"),
        (lambda: MaxPooling1D((2, 2)), "pool_size needs"),
        (lambda: MaxPooling1D(padding="causal"), "knows padding 'valid' or 'same' but got 'causal'"),
        (lambda: AveragePooling2D(data_format="channels_first"), "move the channels last"),
        (lambda: GlobalMaxPooling2D(data_format="channels_first"), "move the channels last"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MaxPooling2D(name="p"), (1, 1, 4, 2), r"p has pool_size=\(2, 2\), but axis 1 \(H\) .* fewer pooling layers"),
        (MaxPooling2D(name="p"), (4, 4, 2), r"p expects \(N, H, W, C\)"),
        (GlobalAveragePooling1D(name="p"), (4, 2), r"p expects \(N, T, C\)"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, np.float32))

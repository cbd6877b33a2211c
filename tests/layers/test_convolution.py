"""Convolution layers: shapes, weights, arguments and errors."""

import numpy as np
import pytest

from tinymed import layers
from tinymed.layers import Conv1D, Conv2D, Conv2DTranspose, Conv3D


def test_weights_have_keras_names_order_and_shapes():
    layer = Conv2D(8, (3, 2), groups=2)
    layer.build_once((None, 9, 9, 4))
    assert {name: w.shape for name, w in layer.params.items()} == {"kernel": (3, 2, 2, 8), "bias": (8,)}
    transposed = Conv2DTranspose(8, (3, 2))
    transposed.build_once((None, 9, 9, 4))
    assert [w.shape for w in transposed.get_weights()] == [(3, 2, 8, 4), (8,)]
    without = Conv1D(8, 3, use_bias=False)
    without.build_once((None, 9, 4))
    assert list(without.params) == ["kernel"]


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv1D(4, 3), (None, 10, 2), (None, 8, 4)),
        (Conv1D(4, 3, padding="causal", strides=2), (None, None, 2), (None, None, 4)),
        (Conv2D(4, 3), (None, 64, None, 3), (None, 62, None, 4)),
        (Conv2D(4, 3, strides=2, padding="same"), (5, 7, 8, 3), (5, 4, 4, 4)),
        (Conv2D(4, 3, dilation_rate=2), (5, 7, 8, 3), (5, 3, 4, 4)),
        (Conv3D(4, (1, 2, 3)), (None, 5, 5, 5, 1), (None, 5, 4, 3, 4)),
        (Conv2DTranspose(4, 3, strides=2, padding="same"), (None, 7, None, 3), (None, 14, None, 4)),
        (Conv2DTranspose(4, 3, strides=2, output_padding=1), (1, 7, 8, 3), (1, 16, 18, 4)),
    ],
)
def test_output_shapes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected
    if None not in shape:
        assert layer(np.zeros(shape, np.float32)).shape == expected


def test_forward_is_the_operation_and_its_activation():
    layer = Conv2D(1, 2, activation="relu")
    x = np.array([1.0, 2.0, 3.0, 4.0], np.float32).reshape(1, 2, 2, 1)
    layer.build_once(x.shape)
    layer.set_weights([np.full((2, 2, 1, 1), -1.0), np.array([3.0])])
    assert layer(x).item() == 0.0
    z, cache = layer.forward(x, logits=True)
    assert z.item() == -7.0
    dx, grads = layer.backward(np.ones_like(z), cache)
    np.testing.assert_array_equal(dx.ravel(), [-1, -1, -1, -1])
    np.testing.assert_array_equal(grads["kernel"].ravel(), [1, 2, 3, 4])
    assert grads["bias"] == [1.0]


@pytest.mark.parametrize("layer", [Conv2D(2, 3), Conv2DTranspose(2, 3)])
def test_input_gradient_is_left_out_on_request(layer):
    y, cache = layer.forward(np.ones((1, 5, 5, 2), np.float32))
    dx, grads = layer.backward(y, cache, input_gradient=False)
    assert dx is None
    assert set(grads) == {"kernel", "bias"}


def test_floating_point_operations_are_counted():
    # P0's first layer: 62 * 62 * 32 outputs, 27 multiplications and 27 additions each
    assert Conv2D(32, 3).flops((None, 64, 64, 3)) == 62 * 62 * 32 * 27 * 2
    assert Conv2D(4, 3, groups=2).flops((None, 3, 3, 4)) == 4 * 9 * 2 * 2
    assert Conv2DTranspose(3, 2, strides=2).flops((None, 5, 5, 2)) == 5 * 5 * 2 * 4 * 3 * 2


@pytest.mark.parametrize(
    "layer",
    [
        Conv1D(3, 2, padding="causal", dilation_rate=2, activation="tanh"),
        Conv2D(4, (3, 2), strides=(2, 1), groups=2, kernel_initializer="he_normal", kernel_regularizer="l2"),
        Conv2DTranspose(3, 3, strides=2, padding="SAME", output_padding=(1, 0), use_bias=False),
    ],
)
def test_config_makes_the_same_layer_again(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_aliases():
    assert layers.Convolution2D is Conv2D
    assert layers.Convolution2DTranspose is Conv2DTranspose


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(0, 3), "needs filters, a positive whole number, but got 0"),
        (lambda: Conv2D(2.5, 3), "needs filters"),
        (lambda: Conv2DTranspose(-1, 3), "needs filters"),
        (lambda: Conv2D(2, (3, 3, 3)), r"kernel_size needs .* or 2 of them, but got \(3, 3, 3\)"),
        (lambda: Conv2D(2, 3, strides=0), "strides needs"),
        (lambda: Conv2D(2, 3, groups=0), "needs groups"),
        (lambda: Conv2D(3, 3, groups=2), "cannot divide filters=3 into groups=2"),
        (lambda: Conv2D(2, 3, padding="causal"), "knows padding 'valid' or 'same' but got 'causal'; .* Conv1D"),
        (lambda: Conv2D(2, 3, padding=1), "knows padding 'valid' or 'same' but got 1"),
        (lambda: Conv2D(2, 3, data_format="channels_first"), "move the channels last"),
        (lambda: Conv2DTranspose(2, 3, strides=2, output_padding=2), "conv2d_transpose.*: output_padding must be"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_arguments_get_the_nearest_name():
    with pytest.raises(TypeError, match="did you mean 'kernel_size'"):
        Conv2D(2, 3, kernal_size=3)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2D(2, 3, name="c"), (1, 28, 28), r"c expects \(N, H, W, C\) .* x\[..., np.newaxis\]"),
        (
            Conv2D(2, 5, name="c"),
            (1, 4, 9, 1),
            r"c has kernel_size=\(5, 5\), but axis 1 \(H\).* only 4 long.* padding='same'",
        ),
        (Conv1D(2, 3, dilation_rate=4, name="c"), (1, 8, 1), r"needs 3 \(spread over 9 by dilation_rate=4\)"),
        (Conv2D(4, 1, groups=2, name="c"), (1, 4, 4, 3), "c cannot divide 3 input channels into groups=2"),
        (Conv2D(2, 3, name="c"), (None, 9, 9, None), "c needs to know the number of its input's channels"),
        (Conv2DTranspose(2, 3, name="c"), (None, 9, 9, None), "c needs to know the number of its input's channels"),
    ],
)
def test_wrong_inputs(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build_once(shape)


def test_channels_first_is_recognised():
    layer = Conv2D(2, 3, name="c")
    layer.build_once((None, 64, 64, 3))
    with pytest.raises(
        ValueError, match=r"c expects \(N, H, W, 3\) but got \(32, 3, 64, 64\): channels seem to be first"
    ):
        layer(np.zeros((32, 3, 64, 64), np.float32))

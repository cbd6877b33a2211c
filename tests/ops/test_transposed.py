"""Transposed convolution: the adjoint of convolution, with Keras's sizes."""

import numpy as np
import pytest

from tinymed.ops import conv2d, conv2d_backward, conv2d_transpose, conv2d_transpose_backward
from tinymed.ops.transposed import check_output_padding, transposed_size


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, (2, 3)])
def test_is_the_way_back_through_a_convolution(padding, strides):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((3, 4, 2, 5))  # as a convolution: 2 channels in, 5 out
    small = rng.standard_normal((2, 4, 3, 5))
    large, _ = conv2d_transpose(small, kernel, strides=strides, padding=padding)
    y, cache = conv2d(np.zeros_like(large), kernel, strides=strides, padding=padding)
    assert y.shape == small.shape
    np.testing.assert_allclose(large, conv2d_backward(small, cache)[0], atol=1e-12)


def test_a_point_becomes_the_kernel():
    kernel = np.arange(1.0, 10.0).reshape(3, 3, 1, 1)
    y, _ = conv2d_transpose(np.full((1, 1, 1, 1), 2.0), kernel, np.array([1.0]))
    np.testing.assert_array_equal(y[0, :, :, 0], 2 * kernel[:, :, 0, 0] + 1)


def test_gradients_by_hand():
    x = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    kernel = np.array([3.0, 5.0]).reshape(1, 2, 1, 1)
    y, cache = conv2d_transpose(x, kernel, np.array([0.0]))
    np.testing.assert_array_equal(y.ravel(), [3.0, 11.0, 10.0])
    dx, dkernel, dbias = conv2d_transpose_backward(np.array([1.0, 10.0, 100.0]).reshape(1, 1, 3, 1), cache)
    np.testing.assert_array_equal(dx.ravel(), [53.0, 530.0])
    np.testing.assert_array_equal(dkernel.ravel(), [21.0, 210.0])
    np.testing.assert_array_equal(dbias, [111.0])


def test_input_gradient_is_left_out_on_request():
    y, cache = conv2d_transpose(np.ones((1, 2, 2, 3)), np.ones((2, 2, 4, 3)))
    dx, dkernel, dbias = conv2d_transpose_backward(y, cache, input_gradient=False)
    assert dx is None
    assert dbias is None
    assert dkernel.shape == (2, 2, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ((4, 3, 1, "valid", None), 6),
        ((4, 3, 2, "valid", None), 9),
        ((4, 2, 3, "valid", None), 12),
        ((4, 3, 2, "valid", 1), 10),
        ((4, 3, 2, "same", None), 8),
        ((4, 3, 2, "same", 0), 7),
        ((4, 4, 2, "same", 1), 7),
        ((4, 3, 1, "same", None, 2), 4),
        ((4, 3, 1, "valid", None, 2), 8),
    ],
)
def test_sizes_are_keras_sizes(arguments, size):
    assert transposed_size(*arguments) == size


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("output_padding", [None, 0, 1])
def test_every_combination_has_the_announced_size(kernel_size, padding, output_padding):
    x, kernel = np.ones((1, 3, 4, 2)), np.ones((kernel_size, kernel_size, 1, 2))
    y, cache = conv2d_transpose(x, kernel, strides=2, padding=padding, output_padding=output_padding)
    sizes = [transposed_size(n, kernel_size, 2, padding, output_padding) for n in (3, 4)]
    assert y.shape == (1, *sizes, 1)
    assert conv2d_transpose_backward(y, cache)[0].shape == x.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 2, "strides": 2}, r"less than strides=\(2, 2\) on every axis, got 2"),
        ({"output_padding": (0, -1), "strides": 2}, "0 or more"),
        ({"padding": "causal"}, "padding must be 'valid' or 'same'"),
        ({"strides": 0}, "strides needs a positive whole number"),
    ],
)
def test_errors_say_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        conv2d_transpose(np.ones((1, 3, 3, 2)), np.ones((2, 2, 1, 2)), **options)


def test_channels_must_match():
    with pytest.raises(ValueError, match=r"kernel \(KH, KW, F, C\) but got"):
        conv2d_transpose(np.ones((1, 3, 3, 2)), np.ones((2, 2, 2, 1)))


def test_output_padding_per_axis():
    assert check_output_padding((1, 0), (2, 3)) == (1, 0)
    assert check_output_padding(None, (2, 3)) == (None, None)

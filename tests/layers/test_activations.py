"""Activations as layers."""

import numpy as np
import pytest

from tinymed.layers import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax

X = np.array([[-2.0, 0.0, 0.5, 3.0]], dtype=np.float32)
DY = np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32)


@pytest.mark.parametrize(
    "layer, y, dx",
    [
        (Activation("relu"), [0, 0, 0.5, 3], [0, 0, 3, 4]),
        (Activation("linear"), [-2, 0, 0.5, 3], [1, 2, 3, 4]),
        (ReLU(), [0, 0, 0.5, 3], [0, 0, 3, 4]),
        (ReLU(max_value=2, negative_slope=0.5, threshold=1), [-1.5, -0.5, -0.25, 2], [0.5, 1, 1.5, 0]),
        (LeakyReLU(), [-0.6, 0, 0.5, 3], [0.3, 0.6, 3, 4]),
        (LeakyReLU(alpha=0.5), [-1, 0, 0.5, 3], [0.5, 1, 3, 4]),
        (ELU(alpha=2), [2 * np.expm1(-2), 0, 0.5, 3], [2 * np.exp(-2), 4, 3, 4]),
        (PReLU(), [0, 0, 0.5, 3], [0, 0, 3, 4]),
    ],
)
def test_values_gradients_and_config(layer, y, dx):
    again = type(layer).from_config(layer.get_config())
    for each in (layer, again):
        found, cache = each.forward(X, training=True)
        np.testing.assert_allclose(found, [y], rtol=1e-6)
        gradient, grads = each.backward(DY, cache)
        np.testing.assert_allclose(gradient, [dx], rtol=1e-6)
        assert found.dtype == gradient.dtype == np.float32
        assert list(grads) == list(each.params)
        assert each.compute_output_shape((None, 4)) == (None, 4)


@pytest.mark.parametrize("layer", [Activation("softmax"), Softmax(), Activation("sigmoid")])
def test_logits_are_the_input_and_its_gradient_passes(layer):
    y, cache = layer.forward(X, logits=True)
    np.testing.assert_array_equal(y, X)
    dx, _ = layer.backward(DY, cache)
    np.testing.assert_array_equal(dx, DY)
    assert not np.shares_memory(dx, DY)


def test_softmax_axes():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_allclose(Softmax()(x).sum(-1), 1.0)
    np.testing.assert_allclose(Softmax(axis=1)(x).sum(1), 1.0)
    np.testing.assert_allclose(Softmax(axis=[1, 2])(x).sum((1, 2)), 1.0)
    assert Softmax().activation.name == "softmax"
    assert not hasattr(Softmax(axis=1), "activation")  # a loss along the last axis cannot be fused with it


def test_prelu_slopes_per_channel():
    layer = PReLU(alpha_initializer="ones", shared_axes=[1, 2])
    x = -np.ones((2, 3, 3, 4), np.float32)
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, x)
    assert layer.params["alpha"].shape == (1, 1, 4)
    np.testing.assert_array_equal(layer.backward(x, cache)[1]["alpha"], np.full((1, 1, 4), 18.0))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ReLU(max_value=-1), "re_lu.* needs a max_value of 0 or more but got -1"),
        (lambda: ReLU(negative_slope=-0.1), "needs a negative_slope of 0 or more"),
        (lambda: ReLU(threshold=-0.1), "needs a threshold of 0 or more"),
        (lambda: LeakyReLU(-0.1), "needs a negative_slope of 0 or more"),
        (lambda: PReLU(shared_axes=[3]).build_once((None, 4)), r"shared_axes=\[3\] but its input has the shape"),
        (lambda: PReLU().build_once((None, None, 4)), r"set shared_axes=\[1\]"),
        (lambda: Activation("rellu"), "did you mean 'relu'"),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()

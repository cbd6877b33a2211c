"""BatchNormalization, LayerNormalization and GroupNormalization."""

import numpy as np
import pytest

from tinymed.layers import BatchNormalization, GroupNormalization, LayerNormalization
from tinymed.ops.normalization import group_norm, layer_norm


def _draw(shape, seed=0):
    return (3 + 2 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def test_training_normalises_with_the_batch_and_moves_the_averages():
    layer = BatchNormalization(momentum=0.9)
    x = _draw((4, 3, 2, 5))
    y, cache = layer.forward(x, training=True)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(layer.state["moving_mean"], 0.1 * x.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.state["moving_variance"], 0.9 + 0.1 * x.var(axis=(0, 1, 2)), rtol=1e-5)
    dx, grads = layer.backward(y, cache)
    assert dx.shape == x.shape
    assert {name: g.shape for name, g in grads.items()} == {"gamma": (5,), "beta": (5,)}
    assert all(array.dtype == np.float32 for array in (y, dx, *grads.values(), *layer.state.values()))


def test_inference_uses_the_averages_and_leaves_them():
    layer = BatchNormalization(epsilon=1e-12)
    layer.build_once((None, 2))
    layer.set_weights([[2.0, 1.0], [0.0, 5.0], [1.0, 3.0], [4.0, 9.0]])
    before = dict(layer.state)
    y, cache = layer.forward(np.array([[3.0, 6.0]], dtype=np.float32))
    np.testing.assert_allclose(y, [[2.0, 6.0]], rtol=1e-6)
    dx, grads = layer.backward(np.array([[1.0, 3.0]], dtype=np.float32), cache)
    np.testing.assert_allclose(dx, [[1.0, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(grads["gamma"], [1.0, 3.0], rtol=1e-6)
    assert all(layer.state[key] is before[key] for key in before)


def test_a_layer_that_is_not_trainable_works_as_at_inference():
    layer = BatchNormalization(trainable=False)
    x = _draw((8, 3))
    trained, _ = layer.forward(x, training=True)
    np.testing.assert_array_equal(trained, layer(x))
    np.testing.assert_array_equal(layer.state["moving_mean"], 0)


def test_the_averages_are_replaced_not_overwritten():
    layer = BatchNormalization()
    layer.build_once((None, 3))
    before = layer.state["moving_mean"]
    layer.forward(_draw((4, 3)), training=True)
    np.testing.assert_array_equal(before, 0)
    assert np.all(layer.state["moving_mean"] > 0)


def test_weights_stand_in_the_order_of_keras():
    layer = BatchNormalization()
    layer.build_once((None, 4, 3))
    assert [*layer.params, *layer.state] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.tolist() for w in layer.get_weights()] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3]
    bare = BatchNormalization(center=False, scale=False)
    bare.build_once((None, 3))
    assert [*bare.params, *bare.state] == ["moving_mean", "moving_variance"]
    _, cache = bare.forward(_draw((4, 3)), training=True)
    assert bare.backward(_draw((4, 3)), cache)[1] == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: BatchNormalization(axis=1, momentum=0.5, epsilon=0.01, scale=False, beta_regularizer="l2"),
        lambda: LayerNormalization(axis=[1, 2], center=False),
        lambda: GroupNormalization(groups=2, gamma_initializer="zeros"),
    ],
)
def test_config_comes_back(make):
    layer = make()
    again = type(layer).from_config(layer.get_config())
    x = _draw((2, 3, 4))
    np.testing.assert_array_equal(again(x), layer(x))
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 3, 4)) == (None, 3, 4)
    assert layer.flops((None, 3, 4)) == 8 * 12


def test_layer_and_group_normalisation_are_their_operations():
    x, gamma, beta = _draw((2, 3, 4)), _draw(4, 1), _draw(4, 2)
    for layer, expected in (
        (LayerNormalization(), layer_norm(x, gamma, beta)[0]),
        (GroupNormalization(groups=2), group_norm(x, gamma, beta, groups=2)[0]),
        (GroupNormalization(groups=-1), group_norm(x, gamma, beta, groups=4)[0]),
    ):
        layer.build_once(x.shape)
        layer.set_weights([gamma, beta])
        y, cache = layer.forward(x, training=True)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(layer(x), expected)
        dx, grads = layer.backward(y, cache)
        assert dx.shape == x.shape
        assert list(grads) == ["gamma", "beta"]


def test_errors_name_the_layer_and_the_fix():
    with pytest.raises(ValueError, match="b needs epsilon, a small number above 0"):
        BatchNormalization(epsilon=0, name="b")
    with pytest.raises(ValueError, match=r"b needs a momentum from 0 to 1 but got 1\.5"):
        BatchNormalization(momentum=1.5, name="b")
    with pytest.raises(ValueError, match=r"b needs axis, one whole number, but got \(1, 2\)"):
        BatchNormalization(axis=(1, 2), name="b")
    with pytest.raises(ValueError, match="b has axis=3 but its input has 3 axes; choose from 1 to 2"):
        BatchNormalization(axis=3, name="b")(_draw((2, 3, 4)))
    with pytest.raises(ValueError, match="axis 0 is the batch"):
        BatchNormalization(axis=0, name="b")(_draw((2, 3, 4)))
    with pytest.raises(ValueError, match=r"b expects \(N, ..., C\) but got \(3,\): one axis is missing"):
        BatchNormalization(name="b")(_draw((3,)))
    with pytest.raises(ValueError, match="b needs to know the size of axis 2"):
        BatchNormalization(name="b").build_once((None, 3, None))
    for layer in (BatchNormalization(name="b"), BatchNormalization(name="b", center=False, scale=False)):
        layer(_draw((2, 3, 4)))
        with pytest.raises(
            ValueError, match=r"b was built for .* \(2, 3, 4\) but got .*axis -1 has 5 values instead of 4"
        ):
            layer(_draw((2, 3, 5)))
    with pytest.raises(ValueError, match=r"g cannot make 32 equal groups of the 4 channels .* groups that divide 4"):
        GroupNormalization(name="g")(_draw((2, 3, 4)))
    with pytest.raises(ValueError, match="g groups the last axis only but got axis=1"):
        GroupNormalization(1, axis=1, name="g")(_draw((2, 3, 4)))
    with pytest.raises(ValueError, match="g needs groups, a positive whole number or -1, but got 0"):
        GroupNormalization(0, name="g")

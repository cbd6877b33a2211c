"""The graph: order, shared layers, several inputs and outputs, nested and frozen models, and their gradients."""

import numpy as np
import pytest

from tinymed import backend
from tinymed.layers import Add, Concatenate, Dense, Input
from tinymed.models import Model, Sequential


@pytest.fixture(autouse=True)
def _double_precision():
    backend.set_floatx("float64")


def numerical(model, path, x, dy, step=1e-6):
    """Central difference of <dy, model(x)> with respect to one weight, element by element."""
    weight = model.params[path]
    found = np.zeros(weight.shape)
    for place in np.ndindex(*weight.shape):
        original = weight[place]
        values = []
        for sign in (1, -1):
            weight[place] = original + sign * step
            outputs = model.forward(x, training=True)[0]
            outputs = outputs if isinstance(outputs, list) else [outputs]
            values.append(sum(float(np.sum(d * y)) for d, y in zip(dy, outputs, strict=True)))
        weight[place] = original
        found[place] = (values[0] - values[1]) / (2 * step)
    return found


def check_gradients(model, x, rng):
    outputs, tape = model.forward(x, training=True)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    dy = [rng.standard_normal(y.shape) for y in outputs]
    _, grads = model.backward(dy if len(dy) > 1 else dy[0], tape)
    assert list(grads) == list(model.params)
    for path, grad in grads.items():
        np.testing.assert_allclose(grad, numerical(model, path, x, dy), rtol=1e-6, atol=1e-8, err_msg=path)


def test_shared_layer_sums_its_gradients():
    rng = np.random.default_rng(0)
    a, b = Input((3,)), Input((3,))
    shared = Dense(4, activation="tanh")
    model = Model([a, b], Add()([shared(a), Dense(4)(shared(b))]))
    check_gradients(model, [rng.standard_normal((5, 3)), rng.standard_normal((5, 3))], rng)
    assert len(model.layers) == 5  # two inputs, the shared layer once


def test_several_outputs_and_a_tensor_used_twice():
    rng = np.random.default_rng(1)
    x = Input((3,))
    hidden = Dense(4, activation="tanh")(x)
    model = Model(x, [Dense(2)(hidden), Concatenate()([hidden, Dense(1)(hidden)])])
    check_gradients(model, rng.standard_normal((5, 3)), rng)


def test_nested_model_and_its_paths():
    rng = np.random.default_rng(2)
    inner = Sequential([Dense(4, activation="tanh", input_shape=(3,), name="first")], name="inner")
    x = Input((3,))
    model = Model(x, Dense(1, name="last")(inner(x)))
    assert list(model.params) == ["inner/first/kernel", "inner/first/bias", "last/kernel", "last/bias"]
    check_gradients(model, rng.standard_normal((5, 3)), rng)


def test_input_gradient_sums_over_uses():
    rng = np.random.default_rng(3)
    x = Input((3,))
    model = Model(x, Add()([x, Dense(3)(x)]))
    value = rng.standard_normal((2, 3))
    _, tape = model.forward(value)
    dy = rng.standard_normal((2, 3))
    dx, _ = model.backward(dy, tape)
    np.testing.assert_allclose(
        dx, dy + dy @ model.params["dense/kernel" if "dense/kernel" in model.params else next(iter(model.params))].T
    )


def test_frozen_layers_get_no_gradient_but_pass_it_on():
    rng = np.random.default_rng(4)
    x = Input((3,))
    first, frozen = Dense(4, name="first"), Dense(2, name="frozen")
    model = Model(x, frozen(first(x)))
    frozen.trainable = False
    value, dy = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    _, tape = model.forward(value, training=True)
    dx, grads = model.backward(dy, tape)
    assert list(grads) == list(model.params) == ["first/kernel", "first/bias"]
    assert set(model.state) == {"frozen/kernel", "frozen/bias"}
    np.testing.assert_allclose(dx, dy @ frozen.params["kernel"].T @ first.params["kernel"].T)
    assert model.count_params() == 3 * 4 + 4 + 4 * 2 + 2


def test_unwanted_input_gradient_is_not_computed(monkeypatch):
    x = Input((3,))
    first, second = Dense(4), Dense(2)
    model = Model(x, second(first(x)))
    asked = {}
    for layer in (first, second):
        original = layer.backward

        def spy(dy, cache, input_gradient=True, layer=layer, original=original):
            asked[layer.name] = input_gradient
            return original(dy, cache, input_gradient=input_gradient)

        monkeypatch.setattr(layer, "backward", spy)
    _, tape = model.forward(np.ones((2, 3)))
    dx, _ = model.backward(np.ones((2, 2)), tape, input_gradient=False)
    assert dx is None
    assert asked == {first.name: False, second.name: True}


def test_two_forwards_before_one_backward_keep_their_own_tapes():
    rng = np.random.default_rng(5)
    model = Sequential([Dense(4, activation="tanh", input_shape=(3,)), Dense(1)])
    a, b = rng.standard_normal((5, 3)), rng.standard_normal((2, 3))
    _, tape_a = model.forward(a, training=True)
    dx_a, grads_a = model.backward(np.ones((5, 1)), tape_a)
    model.forward(b, training=True)
    model.predict(b, verbose=0)
    dx_again, grads_again = model.backward(np.ones((5, 1)), tape_a)
    np.testing.assert_array_equal(dx_a, dx_again)
    for key in grads_a:
        np.testing.assert_array_equal(grads_a[key], grads_again[key])


def test_errors_of_wiring():
    x, other = Input((3,)), Input((3,), name="left_out")
    with pytest.raises(ValueError, match=r"left_out.*not among"):
        Model(x, Add()([Dense(2)(x), Dense(2)(other)]))
    with pytest.raises(ValueError, match="two layers are named 'same'"):
        Model(x, Dense(2, name="same")(Dense(2, name="same")(x)))
    with pytest.raises(TypeError, match="symbolic"):
        Add()([x, np.ones((1, 3))])
    with pytest.raises(TypeError, match=r"write Dense\(\.\.\.\)"):
        Sequential([Dense])
    with pytest.raises(ValueError, match=r"dense.* expects \(N, ..., 3\) but got \(2, 4\)"):
        Sequential([Dense(1, input_shape=(3,), name="dense_x")]).forward(np.ones((2, 4)))


def test_weights_in_and_out():
    model = Sequential([Dense(2, input_shape=(3,)), Dense(1)])
    weights = [np.full(w.shape, i, dtype="float64") for i, w in enumerate(model.get_weights())]
    model.set_weights(weights)
    for new, old in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(new, old)
    model.get_weights()[0][:] = 99  # a copy: nobody's weights change
    assert model.params[next(iter(model.params))].max() == 0
    with pytest.raises(ValueError, match="has 4 weights but got 3"):
        model.set_weights(weights[:3])
    wrong = [*weights[:2], np.zeros((5, 5)), weights[3]]
    with pytest.raises(ValueError, match=r"kernel has shape \(2, 1\) but got \(5, 5\)"):
        model.set_weights(wrong)
    np.testing.assert_array_equal(model.get_weights()[1], weights[1])


def test_very_deep_networks_are_wired_without_recursion():
    x = tensor = Input((1,))
    for _ in range(1500):
        tensor = Dense(1)(tensor)
    assert len(Model(x, tensor).nodes) == 1500


def test_a_network_gets_a_new_head():
    base = Sequential([Dense(5, activation="relu", input_shape=(4,)), Dense(2)])
    model = Model(base.input, Dense(3, name="new")(base.layers[-2].output))
    assert base.output.shape == (None, 2)
    assert [layer.name for layer in model.layers[1:]] == [base.layers[0].name, "new"]
    assert model.layers[1] is base.layers[0]

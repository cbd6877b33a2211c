"""Graphs against Keras: layers listed in the same order, so that lists of weights fit, nested models included."""

import numpy as np
import pytest

import tinymed
from tests.peers.compare import GRADIENTS, OUTPUTS, assert_close, host


def random_graph(library, seed):
    """Build a graph of dense layers and sums with branches, shared layers, and several inputs and outputs."""
    rng = np.random.default_rng(seed)
    inputs = [library.Input((3,), name=f"input_{i}") for i in range(rng.integers(1, 4))]
    tensors, used, unary = list(inputs), set(), []
    for place in range(rng.integers(3, 10)):
        chosen = rng.choice(len(tensors), size=min(len(tensors), int(rng.integers(1, 4))), replace=False)
        if len(chosen) > 1:
            layer, given = library.layers.Add(name=f"layer_{place}"), [tensors[i] for i in chosen]
        elif unary and rng.random() < 0.4:
            layer, given = unary[rng.integers(len(unary))], tensors[chosen[0]]
        else:
            layer, given = library.layers.Dense(3, activation="tanh", name=f"layer_{place}"), tensors[chosen[0]]
            unary.append(layer)
        tensors.append(layer(given))
        used.update(int(i) for i in chosen)
    ends = [i for i in range(len(inputs), len(tensors)) if i not in used]
    return library.Model(inputs, [tensors[i] for i in rng.permutation(ends)])


def nested(library):
    """Build a model that uses another model twice."""
    layers = library.layers
    inner_input = library.Input((4,), name="inner_input")
    hidden = layers.Dense(5, activation="relu", name="hidden")(inner_input)
    inner = library.Model(inner_input, layers.BatchNormalization(name="norm")(hidden), name="inner")
    left, right = library.Input((4,), name="left"), library.Input((4,), name="right")
    joined = layers.Concatenate(name="joined")([inner(left), inner(right)])
    return library.Model([left, right], layers.Dense(2, name="end")(joined))


def as_list(x):
    return list(x) if isinstance(x, list | tuple) else [x]


def compare(ours, theirs, tf, seed, training=False):
    """Compare names, weights, outputs and the gradients of all weights for random upstream gradients."""
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    ours.set_weights(theirs.get_weights())
    rng = np.random.default_rng(seed)
    xs = [rng.standard_normal((6, tensor.shape[-1])).astype("float32") for tensor in theirs.inputs]
    with tf.GradientTape() as tape:
        expected = as_list(theirs(xs, training=training))
        dys = [rng.standard_normal(y.shape).astype("float32") for y in expected]
        total = sum(tf.reduce_sum(y * dy) for y, dy in zip(expected, dys, strict=True))
    wanted = tape.gradient(total, [variable.value for variable in theirs.trainable_weights])
    ys, tape = ours.forward(xs, training=training)
    for y, want in zip(as_list(ys), expected, strict=True):
        assert_close(y, want, OUTPUTS, "output")
    _, grads = ours.backward(dys if isinstance(ys, list) else dys[0], tape)
    assert len(grads) == len(wanted)
    for (key, got), want in zip(grads.items(), wanted, strict=True):
        assert_close(got, tf.convert_to_tensor(want), GRADIENTS, key)
    for got, want in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(got, want, OUTPUTS, "weights after the call")


@pytest.mark.parametrize("seed", range(25))
def test_random_graphs_are_keras_s(seed, keras, tf):
    compare(random_graph(tinymed, seed), random_graph(keras, seed), tf, seed)


@pytest.mark.parametrize("training", [False, True])
def test_nested_models_are_keras_s(training, keras, tf):
    ours, theirs = nested(tinymed), nested(keras)
    compare(ours, theirs, tf, 1, training)
    theirs.set_weights(ours.get_weights())
    assert ours.count_params() == theirs.count_params()


def test_frozen_layers_keep_keras_s_order_of_weights(keras):
    ours, theirs = nested(tinymed), nested(keras)
    for model in (ours, theirs):
        model.get_layer("inner").get_layer("hidden").trainable = False
    assert len(ours.trainable_weights) == len(theirs.trainable_weights)
    assert [w.shape for w in ours.get_weights()] == [host(w).shape for w in theirs.get_weights()]

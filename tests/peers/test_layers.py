"""Every layer against Keras: the same weights give the same outputs, gradients, shapes, names and configurations."""

import inspect
import json

import numpy as np
import pytest

import tinymed
from tests.peers.compare import GRADIENTS, OUTPUTS, assert_close, check_arguments, generator, host, same_meaning
from tests.peers.layer_rows import ROWS, WITHOUT_PEER
from tinymed import layers

MERGING_FUNCTIONS = ["add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"]
CLASSES = sorted({name.cls for name in ROWS})

# Arguments of Keras's layers that tinymed does not offer.
LEFT_OUT = {
    "activity_regularizer", "kernel_constraint", "bias_constraint", "beta_constraint", "gamma_constraint",
    "embeddings_constraint", "recurrent_constraint", "alpha_constraint", "lora_rank", "lora_alpha",
    "quantization_config", "weights", "autocast", "synchronized", "renorm", "renorm_clipping", "renorm_momentum",
}  # fmt: skip


def draw_input(row, rng, shape):
    if row.integers:
        return rng.integers(row.integers, size=shape).astype("int32")
    return rng.standard_normal(shape).astype("float32")


def build_both(row, keras, rng):
    """Return the layer in both libraries with the same random weights, carried over from Keras."""
    ours, theirs = getattr(layers, row.cls)(**row.kwargs), getattr(keras.layers, row.cls)(**row.kwargs)
    if row.frozen:
        ours.trainable = theirs.trainable = False
    theirs.build(row.shape)
    ours.build_once(row.shape)
    weights = [rng.standard_normal(w.shape).astype("float32") * 0.5 for w in theirs.weights]
    weights = [w**2 + 0.5 if "variance" in v.name else w for w, v in zip(weights, theirs.weights, strict=True)]
    theirs.set_weights(weights)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_agrees_with_keras(row, keras, tf):
    rng = generator(row)
    ours, theirs = build_both(row, keras, rng)
    several = isinstance(row.shape, list)
    xs = [draw_input(row, rng, shape) for shape in (row.shape if several else [row.shape])]
    tensors = [tf.constant(x) for x in xs]

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        expected = theirs(tensors if several else tensors[0], training=row.training)
        dy = rng.standard_normal(expected.shape).astype("float32")
        total = tf.reduce_sum(expected * dy)
    trained = [variable.value for variable in theirs.trainable_weights]
    wanted = tape.gradient(total, [*tensors, *trained], unconnected_gradients=tf.UnconnectedGradients.ZERO)

    y, cache = ours.forward(xs if several else xs[0], training=row.training)
    assert y.dtype == np.float32
    assert_close(y, expected, OUTPUTS, "output")
    dx, grads = ours.backward(dy, cache)
    if not row.integers:
        for i, (got, want) in enumerate(zip(dx if several else [dx], wanted, strict=False)):
            assert got.dtype == np.float32
            assert_close(got, want, GRADIENTS, f"gradient of input {i}")
    if not row.frozen:
        assert list(grads) == list(ours.params)
        for (key, got), want in zip(grads.items(), wanted[len(xs) :], strict=True):
            assert got.dtype == np.float32
            assert_close(got, tf.convert_to_tensor(want), GRADIENTS, f"gradient of {key}")

    # Moving statistics and the like after the call, then all weights back into Keras.
    for key, got, want in zip([*ours.params, *ours.state], ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(got, want, OUTPUTS, f"{key} after the call")
    theirs.set_weights(ours.get_weights())
    back = theirs(tensors if several else tensors[0], training=row.training)
    again, _ = ours.forward(xs if several else xs[0], training=row.training)
    assert_close(again, back, OUTPUTS, "output with the weights carried back")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_shapes_and_weight_names_are_keras_s(row, keras):
    ours, theirs = build_both(row, keras, generator(row))
    assert ours.compute_output_shape(row.shape) == tuple(theirs.compute_output_shape(row.shape))
    open_shape = [(None, *s[1:]) for s in row.shape] if isinstance(row.shape, list) else (None, *row.shape[1:])
    assert ours.compute_output_shape(open_shape) == tuple(theirs.compute_output_shape(open_shape))
    names = [variable.name for variable in theirs.weights]
    assert [*ours.params, *ours.state] == names
    assert [w.shape for w in ours.get_weights()] == [host(w).shape for w in theirs.get_weights()]
    assert ours.count_params() == theirs.count_params()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_configurations_are_keras_s(row, keras):
    ours, theirs = getattr(layers, row.cls)(**row.kwargs), getattr(keras.layers, row.cls)(**row.kwargs)
    config, wanted = ours.get_config(), theirs.get_config()
    for key in (config.keys() & wanted.keys()) - {"name", "dtype"}:
        assert same_meaning(config[key], wanted[key]), key
    rebuilt = type(ours).from_config(json.loads(json.dumps(config)))
    assert json.dumps(rebuilt.get_config()) == json.dumps(config)


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(layers, name), getattr(keras.layers, name), LEFT_OUT)


def test_every_layer_is_compared():
    covered = {getattr(layers, name) for name in CLASSES}
    public = [name for name in layers.__all__ if name not in WITHOUT_PEER]
    missing = [n for n in public if inspect.isclass(getattr(layers, n)) and getattr(layers, n) not in covered]
    assert not missing, "each of these layers needs a row in tests/peers/layer_rows.py"
    functions = {name for name in public if not inspect.isclass(getattr(layers, name))}
    assert functions == set(MERGING_FUNCTIONS)


@pytest.mark.parametrize("name", MERGING_FUNCTIONS)
def test_merging_functions_are_keras_s(name, keras):
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((2, 3, 4)).astype("float32") for _ in range(2)]
    options = {"axis": 1} if name == "concatenate" else {}
    expected = getattr(keras.layers, name)(xs, **options)
    assert_close(getattr(layers, name)(xs, **options), expected, OUTPUTS, "output")


def test_the_second_names_are_keras_s(keras):
    for name in layers.__all__:
        cls = getattr(layers, name)
        if name in WITHOUT_PEER or cls.__name__ == name:
            continue
        assert getattr(keras.layers, name) is getattr(keras.layers, cls.__name__), name


def test_a_wrong_gradient_would_be_seen(keras, tf):
    """The comparison itself: a kernel that is off by a thousandth is no longer equal."""
    assert tinymed.get_backend() == "numpy"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3)).astype("float32")
    theirs = keras.layers.Dense(2)
    expected = theirs(tf.constant(x))
    ours = layers.Dense(2)
    ours.build_once(x.shape)
    ours.set_weights([w * 1.001 for w in theirs.get_weights()])
    with pytest.raises(AssertionError, match="output: relative error"):
        assert_close(ours(x), expected, OUTPUTS, "output")

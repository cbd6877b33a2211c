"""Recurrent layers against Keras beyond what a row of layer_rows says: masks, states, wrappers, cells, training."""

import numpy as np
import pytest

from tests.peers.compare import GRADIENTS, OUTPUTS, assert_close, check_arguments
from tests.peers.test_layers import LEFT_OUT
from tinymed import layers
from tinymed.models import Model, Sequential

N, T, D, U = 4, 6, 3, 5
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0], [1, 0, 1, 0, 1, 0], [0] * 6], bool)
KINDS = [
    ("SimpleRNN", {}),
    ("LSTM", {}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("LSTM", {"activation": "relu"}),
]
DIRECTIONS = [
    ("Bidirectional", {"merge_mode": mode, "return_sequences": sequences})
    for mode in ("concat", "sum", "ave", "mul")
    for sequences in (True, False)
]


def same_weights(ours, theirs, rng):
    weights = [0.5 * rng.standard_normal(w.shape).astype("float32") for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    assert [key.rpartition("/")[2] for key in ours.params] == [v.name for v in theirs.trainable_weights]


def pair(keras, name, **kwargs):
    if name != "Bidirectional":
        return getattr(layers, name)(U, **kwargs), getattr(keras.layers, name)(U, **kwargs)
    mode = kwargs.pop("merge_mode", "concat")
    return tuple(lib.Bidirectional(lib.LSTM(U, **kwargs), merge_mode=mode) for lib in (layers, keras.layers))


def compare(ours, theirs, tf, rng, mask=None, states=()):
    """Compare outputs and all gradients, for one sequence with these initial states and this mask."""
    x = rng.standard_normal((N, T, D)).astype("float32")
    tensors = [tf.constant(x), *map(tf.constant, states)]
    ours.build_once((N, T, D))
    theirs.build((N, T, D))
    same_weights(ours, theirs, rng)
    extra = {} if mask is None else {"mask": tf.constant(mask)}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        expected = theirs(tensors[0], **extra, **({"initial_state": tensors[1:]} if states else {}))
        expected = list(expected) if isinstance(expected, list | tuple) else [expected]
        dys = [rng.standard_normal(e.shape).astype("float32") for e in expected]
        total = sum(tf.reduce_sum(e * dy) for e, dy in zip(expected, dys, strict=True))
    weights = [v.value for v in theirs.trainable_weights]
    wanted = tape.gradient(total, [*tensors, *weights], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    y, cache = ours.forward([x, *states] if states else x, mask=mask)
    found = y if isinstance(y, list) else [y]
    assert len(found) == len(expected)
    for got, want in zip(found, expected, strict=True):
        assert_close(got, want, OUTPUTS, "output")
    dx, grads = ours.backward(dys if isinstance(y, list) else dys[0], cache)
    dxs = dx if isinstance(dx, list) else [dx]
    for i, (got, want) in enumerate(zip([*dxs, *grads.values()], wanted, strict=True)):
        assert_close(got, tf.convert_to_tensor(want), GRADIENTS, f"gradient {i}")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("name", "kwargs"), KINDS)
def test_states_in_and_out(name, kwargs, sequences, back, masked, keras, tf):
    rng = np.random.default_rng(0)
    ours, theirs = pair(keras, name, return_sequences=sequences, return_state=True, go_backwards=back, **kwargs)
    states = [rng.standard_normal((N, U)).astype("float32") for _ in range(2 if name == "LSTM" else 1)]
    compare(ours, theirs, tf, rng, MASK if masked else None, states)


@pytest.mark.parametrize(("name", "kwargs"), [*KINDS, ("LSTM", {"zero_output_for_mask": True}), *DIRECTIONS])
@pytest.mark.parametrize("sequences", [False, True])
def test_masks(name, kwargs, sequences, keras, tf):
    ours, theirs = pair(keras, name, **{"return_sequences": sequences} | kwargs)
    compare(ours, theirs, tf, np.random.default_rng(1), MASK)


@pytest.mark.parametrize(("name", "kwargs"), DIRECTIONS)
def test_both_directions(name, kwargs, keras, tf):
    ours, theirs = pair(keras, name, **kwargs)
    compare(ours, theirs, tf, np.random.default_rng(2))
    for shape in ((N, T, D), (None, T, D)):
        assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)


def test_both_directions_with_states_and_apart(keras, tf):
    rng = np.random.default_rng(3)
    states = [rng.standard_normal((N, U)).astype("float32") for _ in range(4)]
    ours, theirs = pair(keras, "Bidirectional", return_state=True, return_sequences=True)
    compare(ours, theirs, tf, rng, MASK, states)
    ours, theirs = pair(keras, "Bidirectional", merge_mode=None, return_sequences=True)
    compare(ours, theirs, tf, rng)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_stateful_layers_go_on_where_the_last_batch_ended(name, keras):
    rng = np.random.default_rng(4)
    ours, theirs = pair(keras, name, stateful=True)
    theirs.build((N, T, D))
    ours.build_once((N, T, D))
    same_weights(ours, theirs, rng)
    for step in range(4):
        if step == 2:
            ours.reset_states()
            theirs.reset_states()
        x = rng.standard_normal((N, T, D)).astype("float32")
        assert_close(ours(x), theirs(x), OUTPUTS, f"batch {step}")


@pytest.mark.parametrize("name", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_cells(name, keras):
    rng = np.random.default_rng(5)
    ours, theirs = getattr(layers, name)(U), getattr(keras.layers, name)(U)
    check_arguments(type(ours), type(theirs), LEFT_OUT)
    x = rng.standard_normal((N, D)).astype("float32")
    states = [rng.standard_normal((N, U)).astype("float32") for _ in range(2 if name == "LSTMCell" else 1)]
    theirs.build((N, D))
    ours.build_once((N, D))
    same_weights(ours, theirs, rng)
    _, expected = theirs(x, states)
    found, _ = ours.forward(x, states)
    for got, want in zip(found if isinstance(found, list) else [found], expected, strict=True):
        assert_close(got, want, OUTPUTS, "state")


@pytest.mark.parametrize("inner", [("Dense", {"units": 4}), ("Conv1D", {"filters": 2, "kernel_size": 3})])
def test_the_same_layer_at_every_step(inner, keras, tf):
    rng = np.random.default_rng(6)
    name, kwargs = inner
    shape = (2, 4, 7) if name == "Dense" else (2, 4, 7, 3)
    ours, theirs = (lib.TimeDistributed(getattr(lib, name)(**kwargs)) for lib in (layers, keras.layers))
    theirs.build(shape)
    ours.build_once(shape)
    same_weights(ours, theirs, rng)
    x = rng.standard_normal(shape).astype("float32")
    assert_close(ours(x), theirs(tf.constant(x)), OUTPUTS, "output")
    assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
    check_arguments(type(ours), type(theirs), LEFT_OUT)
    check_arguments(layers.Bidirectional, keras.layers.Bidirectional, {*LEFT_OUT, "weights"})


def sequences(rng, vocabulary=None):
    """Return padded sequences: features with zeros at the end, or whole numbers with zeros at the end."""
    x = (
        rng.standard_normal((16, T, D)).astype("float32")
        if vocabulary is None
        else rng.integers(1, vocabulary, (16, T))
    )
    for row, length in zip(x, rng.integers(1, T + 1, 16), strict=True):
        row[length:] = 0
    return x


NETWORKS = {
    "masking, last output": lambda k: [k.layers.Masking(), k.layers.LSTM(U), k.layers.Dense(1)],
    "masking, loss at every step": lambda k: [
        k.layers.Masking(),
        k.layers.GRU(U, return_sequences=True),
        k.layers.Dropout(0.0),
        k.layers.Dense(1),
    ],
    "embedding, both directions": lambda k: [
        k.layers.Embedding(9, 4, mask_zero=True),
        k.layers.Bidirectional(k.layers.LSTM(U, return_sequences=True)),
        k.layers.SimpleRNN(U),
        k.layers.Dense(1),
    ],
    "step by step": lambda k: [
        k.layers.Masking(),
        k.layers.SimpleRNN(U, return_sequences=True),
        k.layers.TimeDistributed(k.layers.Dense(1)),
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_masks_reach_the_loss_and_training_follows_keras(name, keras):
    import tinymed.keras

    rng = np.random.default_rng(7)
    x = sequences(rng, 9 if "embedding" in name else None)
    y = rng.standard_normal((16, T, 1) if "step" in name else (16, 1)).astype("float32")
    models = []
    for lib in (tinymed.keras, keras):
        model = lib.Sequential([lib.layers.Input(x.shape[1:]), *NETWORKS[name](lib)])
        model.compile(lib.optimizers.SGD(0.1), "mse")
        models.append(model)
    ours, theirs = models
    rng = np.random.default_rng(8)
    weights = [0.5 * rng.standard_normal(w.shape).astype("float32") for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), OUTPUTS, "prediction")
    histories = [m.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"] for m in models]
    np.testing.assert_allclose(*histories, rtol=1e-4)
    for got, want in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(got, want, 1e-4, "weight after training")


def test_merged_masks(keras):
    rng = np.random.default_rng(9)
    x = [sequences(rng), sequences(rng)]
    for name, options in (("Add", {}), ("Concatenate", {}), ("Concatenate", {"axis": 1})):
        ours, theirs = getattr(layers, name)(**options), getattr(keras.layers, name)(**options)
        masks = [np.any(v != 0, axis=-1) for v in x]
        assert np.array_equal(ours.compute_mask(x, masks), theirs.compute_mask(x, masks)), name


def test_a_state_travels_from_an_encoder_to_a_decoder(keras):
    rng = np.random.default_rng(10)
    models = []
    for lib, model in ((layers, Model), (keras.layers, keras.Model)):
        source, target = lib.Input((T, D)), lib.Input((3, D))
        _, h, c = lib.LSTM(U, return_state=True)(lib.Masking()(source))
        out = lib.LSTM(U, return_sequences=True)(target, initial_state=[h, c])
        models.append(model([source, target], lib.Dense(2)(out)))
    ours, theirs = models
    weights = [0.5 * rng.standard_normal(w.shape).astype("float32") for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    xs = [sequences(rng), rng.standard_normal((16, 3, D)).astype("float32")]
    assert_close(ours.predict(xs, verbose=0), theirs.predict(xs, verbose=0), OUTPUTS, "output")
    assert isinstance(ours, Model) and not isinstance(ours, Sequential)

import numpy as np
import pytest

from tinymed.layers import GRU, LSTM, BatchNormalization, Bidirectional, Conv1D, Dense, Input, TimeDistributed
from tinymed.models import Model, Sequential, load_model

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 5, 2)).astype("float32")


def test_both_directions_stand_side_by_side():
    layer = Bidirectional(GRU(4, return_sequences=True))
    y = layer(X)
    np.testing.assert_array_equal(y[..., :4], layer.forward_layer(X))
    np.testing.assert_array_equal(y[..., 4:], layer.backward_layer(X)[:, ::-1])
    assert [key.split("/")[0] for key in layer.params] == ["forward_layer"] * 3 + ["backward_layer"] * 3
    assert layer.layer is layer.forward_layer


@pytest.mark.parametrize(
    ("mode", "merged"),
    [("sum", lambda a, b: a + b), ("ave", lambda a, b: (a + b) / 2), ("mul", lambda a, b: a * b)],
)
def test_merge_modes(mode, merged):
    layer = Bidirectional(GRU(4), merge_mode=mode)
    y = layer(X)
    np.testing.assert_allclose(y, merged(layer.forward_layer(X), layer.backward_layer(X)), rtol=1e-6)
    assert layer.compute_output_shape(X.shape) == y.shape


def test_a_list_of_outputs_and_states():
    layer = Bidirectional(LSTM(4, return_state=True), merge_mode=None)
    outputs = layer(X)
    assert [o.shape for o in outputs] == layer.compute_output_shape(X.shape) == [(3, 4)] * 6
    np.testing.assert_array_equal(outputs[0], outputs[2])
    np.testing.assert_array_equal(outputs[1], outputs[4])


def test_outputs_that_nobody_uses():
    x = Input((5, 2))
    *_, c = Bidirectional(LSTM(4, return_state=True))(x)
    model = Model(x, c)
    y, tape = model.forward(X, training=True)
    _, grads = model.backward(np.ones_like(y), tape)
    assert [bool(g.any()) for g in grads.values()] == [False] * 3 + [True] * 3


def test_weights_are_those_of_the_layers_inside():
    layer = Bidirectional(GRU(4, kernel_regularizer="l2"))
    layer.build_once(X.shape)
    assert len(layer.get_weights()) == len(layer.params) == 6 and not layer.state
    layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
    assert all(np.all(w == 1) for w in layer.backward_layer.params.values())
    assert set(layer.regularizers) == {"forward_layer/kernel", "backward_layer/kernel"}
    with pytest.raises(TypeError, match="cannot be taken away"):
        del layer.params["forward_layer/kernel"]
    layer.trainable = False
    assert not layer.forward_layer.trainable and not layer.trainable
    assert not TimeDistributed(Dense(1), trainable=False).layer.trainable
    assert not Bidirectional(GRU(4), trainable=False).backward_layer.trainable


def test_one_layer_at_every_step():
    layer = TimeDistributed(Conv1D(4, 3))
    x = rng.standard_normal((2, 5, 7, 3)).astype("float32")
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape) == (2, 5, 5, 4)
    for t in range(5):
        np.testing.assert_allclose(y[:, t], layer.layer(x[:, t]), rtol=1e-5, atol=1e-6)
    assert layer.flops((None, 5, 7, 3)) == 5 * layer.layer.flops((1, 7, 3))


def test_state_inside_a_wrapper():
    layer = TimeDistributed(BatchNormalization())
    before = layer.forward(X, training=True)[0].mean()
    assert before == pytest.approx(0, abs=1e-6)
    assert (
        list(layer.state) == ["layer/moving_mean", "layer/moving_variance"] and layer.state["layer/moving_mean"].any()
    )


def test_saved_trained_and_loaded(tmp_path):
    model = Sequential(
        [
            Bidirectional(LSTM(4, return_sequences=True), merge_mode="sum", input_shape=(5, 2)),
            TimeDistributed(Sequential([Dense(3, activation="relu", input_shape=(4,)), Dense(1)])),
        ]
    )
    model.compile("adam", "mse")
    y = X.sum(axis=2, keepdims=True)
    history = model.fit(X, y, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert [w.tolist() for w in again.get_weights()] == [w.tolist() for w in model.get_weights()]


def test_a_stateful_layer_in_both_directions():
    layer = Bidirectional(GRU(4, stateful=True))
    first = layer(X)
    assert not np.array_equal(layer(X), first)
    layer.reset_states()
    np.testing.assert_array_equal(layer(X), first)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="no merge_mode 'add'"):
        Bidirectional(LSTM(2), merge_mode="add")
    with pytest.raises(TypeError, match="needs a recurrent layer such as LSTM, got Dense"):
        Bidirectional(Dense(2))
    with pytest.raises(TypeError, match=r"needs layer to be a layer, got type; write LSTM\(\.\.\.\)"):
        Bidirectional(LSTM)
    with pytest.raises(ValueError, match="backward_layer must have go_backwards=True"):
        Bidirectional(LSTM(2), backward_layer=LSTM(2))
    with pytest.raises(ValueError, match="must have the same return_sequences"):
        Bidirectional(LSTM(2), backward_layer=LSTM(2, go_backwards=True, return_sequences=True))
    with pytest.raises(
        ValueError, match=r"steps expects sequences \(N, T, ...\) of at least three axes but got \(3, 5\)"
    ):
        TimeDistributed(Dense(2), name="steps")(X[..., 0])
    with pytest.raises(ValueError, match="wrapped layer has the class 'Mine', which is not known here"):
        TimeDistributed({"class_name": "Mine", "config": {}})

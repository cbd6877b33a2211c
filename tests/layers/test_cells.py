import numpy as np
import pytest

from tinymed import backend
from tinymed.layers import GRU, LSTM, GRUCell, LSTMCell, SimpleRNN, SimpleRNNCell
from tinymed.ops import textbook

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 6, 3)).astype("float32")
PAIRS = [(SimpleRNNCell, SimpleRNN), (LSTMCell, LSTM), (GRUCell, GRU)]


@pytest.mark.parametrize(("cell_class", "layer_class"), PAIRS)
def test_stepping_a_cell_by_hand_is_the_layer(cell_class, layer_class):
    cell, layer = cell_class(4), layer_class(4)
    cell.build_once((None, 3))
    layer.build_once((None, None, 3))
    layer.set_weights(cell.get_weights())
    state, tape = None, []
    for t in range(6):
        state, cache = cell.forward(X[:, t], state, training=True)
        tape.append(cache)
    h = state[0] if isinstance(state, list) else state
    y, layer_cache = layer.forward(X, training=True)
    np.testing.assert_allclose(h, y, rtol=1e-6)

    dy = rng.standard_normal(y.shape).astype("float32")
    wanted_dx, wanted = layer.backward(dy, layer_cache)
    d, total, dxs = [dy, np.zeros_like(dy)] if cell_class is LSTMCell else dy, {}, []
    for cache in reversed(tape):
        dx, grads = cell.backward(d, cache)
        dx, *dstate = dx if isinstance(dx, list) else [dx]
        dxs.insert(0, dx)
        d = dstate if cell_class is LSTMCell else (dstate or [None])[0]
        total = {key: total.get(key, 0) + g for key, g in grads.items()}
    np.testing.assert_allclose(np.stack(dxs, axis=1), wanted_dx, rtol=1e-4, atol=1e-6)
    for key, gradient in wanted.items():
        np.testing.assert_allclose(total[key], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "shapes"),
    [
        (SimpleRNNCell, [(3, 4), (4, 4), (4,)]),
        (LSTMCell, [(3, 16), (4, 16), (16,)]),
        (GRUCell, [(3, 12), (4, 12), (2, 12)]),
    ],
)
def test_names_and_shapes_of_the_weights(cell, shapes):
    made = cell(4)
    made.build_once((None, 3))
    assert [(key, w.shape) for key, w in made.params.items()] == list(
        zip(["kernel", "recurrent_kernel", "bias"], shapes, strict=True)
    )
    block = made.params["recurrent_kernel"] @ made.params["recurrent_kernel"].T
    np.testing.assert_allclose(block, np.eye(4), atol=1e-6)  # orthogonal rows


def test_the_forget_gate_starts_open():
    cell = LSTMCell(2)
    cell.build_once((None, 3))
    np.testing.assert_array_equal(cell.params["bias"], [0, 0, 1, 1, 0, 0, 0, 0])
    cell = LSTMCell(2, unit_forget_bias=False, bias_initializer="ones")
    cell.build_once((None, 3))
    assert cell.params["bias"].all()


def test_dropout_leaves_the_same_inputs_out_at_every_step():
    layer = SimpleRNN(8, dropout=0.5, recurrent_dropout=0.5, activation="linear", return_sequences=True, seed=3)
    x = np.ones((5, 4, 6), "float32")
    inference = layer(x)
    y, cache = layer.forward(x, training=True)
    assert not np.allclose(y, inference)
    dx, _ = layer.backward(np.ones_like(y), cache)
    left_out = dx == 0
    assert 0 < left_out.mean() < 1 and (left_out == left_out[:, :1]).all()
    layer.calls = 0
    np.testing.assert_array_equal(layer.forward(x, training=True)[0], y)
    np.testing.assert_array_equal(layer(x), inference)


def test_states_that_are_kept_are_scaled():
    layer = SimpleRNN(3, dropout=0.4, recurrent_dropout=0.3, return_sequences=True, seed=1)
    with textbook():
        y, (tape, *_) = layer.forward(X, training=True)
    (_, _, _, _, _, _, _, scale, *_), left_out = tape
    assert set(np.unique(scale)) <= {np.float32(0), np.float32(1 / 0.7)}
    assert left_out is not None
    assert y.dtype == np.float32


def test_penalties_stand_beside_their_weights():
    cell = GRUCell(2, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2")
    cell.build_once((None, 3))
    assert set(cell.regularizers) == {"kernel", "recurrent_kernel", "bias"}


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="needs units, a positive whole number, but got 0"):
        LSTMCell(0)
    with pytest.raises(ValueError, match=r"needs recurrent_dropout from 0 to below 1 but got 1\.5"):
        GRUCell(2, recurrent_dropout=1.5)
    with pytest.raises(TypeError, match="did you mean 'recurrent_dropout'"):
        LSTMCell(2, recurent_dropout=0.1)
    with pytest.raises(ValueError, match="cell has 2 states but got 1"):
        LSTMCell(2, name="cell").forward(X[:, 0], [np.zeros((2, 2), "float32")])
    with pytest.raises(ValueError, match=r"cell expects states of shape \(N, 2\) but got \(2, 3\)"):
        SimpleRNNCell(2, name="cell").forward(X[:, 0], np.zeros((2, 3), "float32"))


@pytest.mark.parametrize(("cell_class", "layer_class"), PAIRS)
def test_on_another_device(cell_class, layer_class):
    strict = pytest.importorskip("array_api_strict")
    with backend.use_backend("array_api_strict", strict.Device("device1")):
        layer = layer_class(4, return_sequences=True, return_state=True, dropout=0.2, recurrent_dropout=0.2)
        x, mask = backend.asarray(X), backend.asarray(np.arange(12).reshape(2, 6) % 3 > 0)
        y, cache = layer.forward(x, training=True, mask=mask)
        dx, grads = layer.backward(y, cache)
        assert {part.device for part in (*y, dx, *grads.values())} == {strict.Device("device1")}
        assert y[0].shape == (2, 6, 4)
        assert layer.operation.name in {"simple_rnn", "lstm", "gru"} and cell_class in layer_class.__mro__

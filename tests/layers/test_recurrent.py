import numpy as np
import pytest

from tinymed.gradcheck import check
from tinymed.gradcheck.case import LayerCase
from tinymed.layers import GRU, LSTM, Input, SimpleRNN
from tinymed.models import Model, Sequential, load_model

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 5, 2)).astype("float32")
KINDS = [SimpleRNN, LSTM, GRU]


@pytest.mark.parametrize("cls", KINDS)
def test_the_last_output_is_the_last_of_the_sequence(cls):
    layer = cls(4, return_sequences=True, return_state=True)
    y, h, *_ = layer(X)
    np.testing.assert_array_equal(y[:, -1], h)
    last = cls(4)
    last.build_once(X.shape)
    last.set_weights(layer.get_weights())
    np.testing.assert_array_equal(last(X), h)
    back = cls(4, go_backwards=True)
    back.build_once(X.shape)
    back.set_weights(layer.get_weights())
    np.testing.assert_allclose(back(X), last(X[:, ::-1]), rtol=1e-6)


@pytest.mark.parametrize("cls", KINDS)
def test_padding_behind_a_sequence_changes_nothing(cls):
    layer = cls(4)
    padded = np.concatenate([X, np.full((3, 2, 2), 7, "float32")], axis=1)
    mask = np.arange(7)[None, :] < np.full((3, 1), 5)
    np.testing.assert_allclose(layer(padded, mask=mask), layer(X), rtol=1e-6)
    y, cache = layer.forward(padded, mask=mask)
    dx, _ = layer.backward(np.ones_like(y), cache)
    assert not dx[:, 5:].any() and dx[:, :5].any()


def test_outputs_at_masked_steps():
    mask = np.array([[False, True, False, True, False]] * 3)
    state = rng.standard_normal((3, 4)).astype("float32")
    layer = SimpleRNN(4, return_sequences=True)
    y = layer(X, initial_state=state, mask=mask)
    assert not y[:, 0].any()  # nothing has been seen, although the state is not zero
    np.testing.assert_array_equal(y[:, 2], y[:, 1])
    layer.zero_output_for_mask = True
    zeroed = layer(X, initial_state=state, mask=mask)
    assert not zeroed[:, [0, 2, 4]].any()
    np.testing.assert_array_equal(zeroed[:, [1, 3]], y[:, [1, 3]])


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_gradients_with_a_mask_and_an_initial_state(sequences, zero):
    mask = np.array([[False, True, False, True, False], [True] * 5, [False] * 5])

    class Masked(LSTM):
        def forward(self, x, training=False, mask=mask):
            n = x[0].shape[0]  # the checks also try other batch sizes
            return super().forward(x, training, np.resize(mask, (n, 5)))

    def make():
        return Masked(2, return_sequences=sequences, return_state=True, go_backwards=True, zero_output_for_mask=zero)

    shapes = [(3, 5, 2), (3, 2), (3, 2)]
    report = check(make(), cases=[LayerCase(make, shapes)], only=["gradient", "shapes", "mutation", "aliasing"])
    assert report.ok, str(report)


def test_a_stateful_layer_goes_on_and_can_forget():
    layer = GRU(4, stateful=True)
    whole = GRU(4)
    whole.build_once(X.shape)
    layer.build_once(X.shape)
    whole.set_weights(layer.get_weights())
    layer(X[:, :2])
    np.testing.assert_allclose(layer(X[:, 2:]), whole(X), rtol=1e-5)
    layer.reset_states()
    np.testing.assert_array_equal(layer(X), whole(X))
    with pytest.raises(ValueError, match=r"stateful and has states for 3 samples, but this batch has 2: .* batch_size"):
        layer(X[:2])


def test_a_summary_leaves_the_states_alone():
    model = Sequential([LSTM(4, stateful=True, input_shape=(5, 2))])
    model.predict(X, verbose=0)
    before = [state.copy() for state in model.layers[0].states]
    model.summary(print_fn=lambda text: None)
    np.testing.assert_array_equal(before, model.layers[0].states)


@pytest.mark.parametrize("cls", KINDS)
def test_saved_and_loaded(cls, tmp_path):
    model = Sequential([cls(4, activation="relu", return_sequences=True, input_shape=(None, 2)), cls(3, dropout=0.5)])
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict(X, verbose=0), model.predict(X, verbose=0))


def test_an_initial_state_in_a_graph_gets_its_gradient():
    x, h, c = Input((5, 2)), Input((4,)), Input((4,))
    model = Model([x, h, c], LSTM(4)(x, initial_state=[h, c]))
    states = [rng.standard_normal((3, 4)).astype("float32") for _ in range(2)]
    y, tape = model.forward([X, *states], training=True)
    dxs, _ = model.backward(np.ones_like(y), tape)
    assert [d.shape for d in dxs] == [(3, 5, 2), (3, 4), (3, 4)] and all(d.any() for d in dxs)


def test_an_unused_output_costs_nothing():
    x = Input((5, 2))
    _, h, c = LSTM(4, return_state=True)(x)
    for out in (h, c):
        model = Model(x, out)
        y, tape = model.forward(X, training=True)
        dx, grads = model.backward(np.ones_like(y), tape)
        assert dx.any() and all(g.any() for g in grads.values())


def test_shapes_and_cost():
    layer = LSTM(4, return_state=True)
    assert layer.compute_output_shape((None, None, 3)) == [(None, 4)] * 3
    assert layer.flops((None, 10, 3)) == 10 * 2 * 4 * 4 * (3 + 4)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="rnn got sequences of length 0"):
        SimpleRNN(2, name="rnn")(X[:, :0])
    with pytest.raises(ValueError, match=r"rnn expects \(N, T, D\) but got \(3, 5\): one axis is missing"):
        SimpleRNN(2, name="rnn")(X[:, :, 0])
    with pytest.raises(ValueError, match="needs to know the size of its input's last axis"):
        GRU(2).build((None, 5, None))


def test_relu_can_diverge_where_tanh_cannot():
    """What the note in LSTM's docstring says."""
    x = np.ones((1, 400, 1), "float32")
    sizes = {}
    for activation in ("tanh", "relu"):
        layer = LSTM(8, activation=activation, recurrent_initializer="ones")
        layer.build_once(x.shape)
        layer.params["kernel"][...] = 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            sizes[activation] = np.abs(layer(x)).max()
    assert sizes["tanh"] <= 1 and not sizes["relu"] < 1e30

import numpy as np
import pytest

import tinymed
from tinymed import losses
from tinymed.debugging import NotFiniteError
from tinymed.layers import Add, BatchNormalization, Dense, Dropout, Layer
from tinymed.models import Sequential


class Log(Layer):
    """The logarithm, which has none for zero."""

    def forward(self, x, training=False):
        return np.log(x), x

    def backward(self, dy, cache, input_gradient=True):
        return dy / cache, {}


def model(*middle):
    made = Sequential([Dense(4, input_shape=(3,), name="first"), *middle, Dense(1, name="last")])
    made.compile("sgd", "mse")
    return made


X, Y = np.ones((5, 3), "float32"), np.ones((5, 1), "float32")


def test_nothing_is_said_where_all_is_well():
    with tinymed.debug():
        model(BatchNormalization(), Dropout(0.5)).fit(X, Y, epochs=2, verbose=0)


def test_data_that_came_in_so():
    x = X.copy()
    x[3, 1] = np.nan
    with tinymed.debug(), pytest.raises(NotFiniteError) as caught:
        Dense(2, name="head").forward(x)
    error = caught.value
    assert (error.layer, error.moment, error.tensor, error.index) == ("head", "forward", "the input x", (3, 1))
    assert "holds 1 NaN; the first is at (3, 1), sample 3 of the batch" in str(error)
    assert "14 finite ones of its 15 values lie between 1 and 1" in str(error)


def test_the_layer_that_makes_it_is_named_not_the_ones_behind():
    net = model(Log(name="log"))
    net.layers[-3].params["kernel"][...] = 0.0
    net.layers[-3].params["bias"][...] = np.array([1, 1, 0, 1])
    with (
        tinymed.debug(),
        pytest.raises(NotFiniteError, match=r"log, forward: the output y holds 5 infinities") as caught,
    ):
        net.train_on_batch(X, Y)
    assert caught.value.index == (0, 2)
    assert "What came in was finite (from 0 to 1): it was made here." in str(caught.value)


def test_a_weight_that_was_spoilt():
    net = model()
    net.layers[-1].params["bias"][...] = np.inf
    with tinymed.debug(), pytest.raises(NotFiniteError, match="the weight last/bias holds 1 infinity"):
        net.train_on_batch(X, Y)


def test_a_weight_of_a_single_layer():
    layer = Dense(2, name="head")
    layer(X)
    layer.params["kernel"][1, 0] = np.nan
    with tinymed.debug(), pytest.raises(NotFiniteError, match="head, forward: the weight kernel holds 1 NaN") as caught:
        layer.forward(X)
    assert "sample" not in str(caught.value) and "is the step too large?" in str(caught.value)


def test_backward_is_watched():
    class Steep(Dense):
        def backward(self, dy, cache, input_gradient=True):
            dx, grads = super().backward(dy, cache, input_gradient)
            grads["kernel"][0, 0] = np.inf
            return dx, grads

    net = model(Steep(4, name="steep"))
    with tinymed.debug(), pytest.raises(NotFiniteError, match="steep, backward: the gradient of kernel") as caught:
        net.train_on_batch(X, Y)
    assert caught.value.moment == "backward"


def test_an_upstream_gradient_that_came_in_so():
    layer = Dense(2, name="head")
    y, cache = layer.forward(X)
    with tinymed.debug(), pytest.raises(NotFiniteError, match="upstream gradient dy holds 10 NaN"):
        layer.backward(np.full_like(y, np.nan), cache)


def test_losses_are_watched():
    loss = losses.MeanSquaredError(name="error")
    with tinymed.debug(), pytest.raises(NotFiniteError, match="error, forward: the predictions y_pred holds 1 NaN"):
        loss.forward(Y, np.array([[np.nan], [1], [1], [1], [1]], "float32"))
    with tinymed.debug(), pytest.raises(NotFiniteError, match="error, forward: the loss holds 1 infinity"):
        loss.forward(Y, np.full_like(Y, 1e30))


def test_layers_of_several_inputs():
    with tinymed.debug(), pytest.raises(NotFiniteError, match=r"the input x\[1\] holds"):
        Add(name="add").forward([X, np.full_like(X, np.inf)])


def test_afterwards_the_methods_are_the_layers_own_again():
    before = {cls: vars(cls).get("forward") for cls in (Layer, Dense, Sequential)}
    with tinymed.debug():
        assert vars(Dense)["forward"] is not before[Dense]
        with tinymed.debug():  # a second one changes nothing
            pass
        assert vars(Dense)["forward"] is not before[Dense]
    assert {cls: vars(cls).get("forward") for cls in before} == before
    with pytest.raises(NotFiniteError), tinymed.debug():
        Dense(1).forward(np.full((1, 2), np.nan))
    assert {cls: vars(cls).get("forward") for cls in before} == before


def test_on_a_device():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    infinite = strict.asarray([[np.inf, np.inf]], dtype=strict.float32, device=device)
    message = "the input x holds 2 infinities"
    with tinymed.use_backend("array_api_strict", device), tinymed.debug(), pytest.raises(NotFiniteError, match=message):
        Dense(1).forward(infinite)

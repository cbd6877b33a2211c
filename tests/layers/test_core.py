import numpy as np
import pytest

from tinymed.layers import Dense, Input
from tinymed.ops import softmax


def layer(units=2, **kwargs):
    made = Dense(units, name="head", **kwargs)
    made.build_once((None, 3))
    return made


X = np.array([[1.0, -2.0, 0.5]], "float32")


def test_it_multiplies_and_adds():
    dense = layer()
    dense.set_weights([np.array([[1, 2], [3, 4], [6, 8]]), np.array([10, 20])])
    np.testing.assert_array_equal(dense(X), [[8.0, 18.0]])


def test_names_shapes_and_order_of_the_weights():
    dense = layer()
    assert {name: w.shape for name, w in dense.params.items()} == {"kernel": (3, 2), "bias": (2,)}
    assert list(dense.params) == ["kernel", "bias"] and not dense.state
    assert list(layer(use_bias=False).params) == ["kernel"]
    assert dense.count_params() == 8


def test_weights_start_as_keras_starts_them():
    dense = Dense(200)
    dense.build_once((None, 100))
    limit = np.sqrt(6 / 300)
    kernel = dense.params["kernel"]
    assert np.abs(kernel).max() <= limit and kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not dense.params["bias"].any()


def test_the_activation_is_applied_unless_logits_are_wanted():
    dense = layer(activation="softmax")
    logits, cache = dense.forward(X, logits=True)
    np.testing.assert_array_equal(dense.forward(X)[0], softmax(logits)[0])
    dx, grads = dense.backward(np.ones_like(logits), cache)
    np.testing.assert_allclose(dx, np.ones((1, 2)) @ dense.params["kernel"].T, rtol=1e-6)
    assert set(grads) == {"kernel", "bias"}


def test_dx_may_be_left_out():
    dense = layer(activation="tanh")
    y, cache = dense.forward(X, training=True)
    dx, grads = dense.backward(np.ones_like(y), cache, input_gradient=False)
    assert dx is None
    np.testing.assert_array_equal(grads["kernel"], dense.backward(np.ones_like(y), cache)[1]["kernel"])


def test_axes_before_the_last_are_kept():
    dense = Dense(5)
    assert dense(np.ones((2, 7, 4), "float32")).shape == (2, 7, 5)
    assert dense.compute_output_shape((None, 7, 4)) == (None, 7, 5)
    assert dense.flops((None, 7, 4)) == 2 * 7 * 4 * 5


def test_penalties_stand_beside_their_weights():
    dense = layer(kernel_regularizer="l2", bias_regularizer="l1")
    assert set(dense.regularizers) == {"kernel", "bias"}
    assert set(layer().regularizers) == set()


def test_input_dim_is_the_older_spelling():
    assert Dense(2, input_dim=3).input_shape == (3,)


def test_on_a_symbolic_input_it_promises_a_shape():
    assert Dense(2)(Input((3,))).shape == (None, 2)


@pytest.mark.parametrize("units", [0, -1, 2.5])
def test_units_must_be_a_positive_whole_number(units):
    with pytest.raises(ValueError, match=f"head needs units, a positive whole number, but got {units}"):
        Dense(units, name="head")


def test_whole_numbers_of_any_type_will_do():
    assert Dense(np.int64(3)).get_config()["units"] == 3


def test_an_unknown_size_is_explained():
    with pytest.raises(ValueError, match="needs to know the size of its input's last axis"):
        Dense(2).build((None, None))


def test_an_unknown_activation_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        Dense(2, activation="rellu")

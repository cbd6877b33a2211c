"""One step of training, and what is checked before it."""

import numpy as np
import pytest

from tinymed import losses, optimizers
from tinymed.layers import Dense
from tinymed.models import Sequential

from .test_training import blobs, classifier


def test_a_step_by_hand_is_what_fit_does():
    x, y = blobs(32)
    x, y = x.astype("float32"), y[:, None].astype("float32")
    by_fit, by_hand = classifier(), classifier()
    by_hand.set_weights(by_fit.get_weights())
    by_fit.compile(optimizers.SGD(0.1), losses.BinaryCrossentropy())
    by_fit.fit(x, y, batch_size=32, epochs=1, shuffle=False, verbose=0)

    loss, optimizer = losses.BinaryCrossentropy(), optimizers.SGD(0.1)
    p, tape = by_hand.forward(x, training=True)
    _, cache = loss.forward(y, p)
    _, grads = by_hand.backward(loss.backward(cache), tape)
    optimizer.update(by_hand.params, grads)
    for a, b in zip(by_fit.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


def test_regularizers_enter_loss_and_gradient():
    model = Sequential([Dense(1, use_bias=False, kernel_regularizer="l2", input_shape=(2,))])
    model.compile(optimizers.SGD(0.5), "mse")
    model.set_weights([np.array([[2.0], [1.0]])])
    x, y = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
    assert model.evaluate(x, y, verbose=0) == pytest.approx(0.01 * 5)
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], [2.0 * 0.99, 0.99], rtol=1e-6)


GOOD_X, GOOD_Y = blobs(16)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (GOOD_X[:, :3], GOOD_Y, r"expects \(N, ..., 4\) but got \(16, 3\)"),
        (GOOD_X, GOOD_Y[:7], "x has 16 samples but y has 7"),
        (GOOD_X[:0], GOOD_Y[:0], "x is empty"),
        (GOOD_X.astype(str), GOOD_Y, "x must hold numbers"),
        (GOOD_X, np.array(["ill"] * 16), "y must hold numbers.*np.unique"),
        (np.where(GOOD_X > 2, np.nan, GOOD_X), GOOD_Y, "x contains NaN"),
        (np.where(GOOD_X > 2, np.inf, GOOD_X), GOOD_Y, "x contains infinity"),
        ([[1.0, 2.0], [3.0]], GOOD_Y, "x is ragged"),
        (GOOD_X, GOOD_Y + 5, "binary"),
        (GOOD_X, None, "needs targets"),
    ],
)
def test_bad_data_is_refused_before_training(x, y, message):
    model = classifier()
    model.compile("sgd", "binary_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0)
    assert model.optimizer.iterations == 0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_hot_and_sparse_labels_mixed_up():
    x, y = blobs(16, classes=3)
    model = classifier("softmax", 3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="one-hot"):
        model.fit(x, np.eye(3)[y], verbose=0)
    with pytest.raises(ValueError, match=r"3 classes|below 3|0 to 2"):
        model.fit(x, y + 1, verbose=0)
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match="sparse"):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"loss": "binary_crosentropy"}, "did you mean 'binary_crossentropy'"),
        ({"loss": "mse", "metrics": ["acuracy"]}, "unknown metric 'acuracy'; did you mean"),
        ({"loss": "mse", "metrics": ["crossentropy"]}, "unknown metric 'crossentropy'; did you mean"),
    ],
)
def test_unknown_names_get_the_nearest(arguments, message):
    with pytest.raises(ValueError, match=message):
        classifier().compile(**arguments)
    with pytest.raises(ValueError, match=message):
        Sequential([Dense(1)]).compile(**arguments)


def test_unknown_activation_and_argument():
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        Dense(1, activation="rellu")
    with pytest.raises(TypeError, match="did you mean 'activation'"):
        Dense(1, activatoin="relu")
    with pytest.raises(TypeError, match="did you mean 'metrics'"):
        classifier().compile("sgd", "mse", metric=["mae"])


def test_training_without_compile_or_loss():
    with pytest.raises(ValueError, match="not compiled"):
        classifier().fit(GOOD_X, GOOD_Y)
    model = classifier()
    model.compile("sgd")
    with pytest.raises(ValueError, match="without a loss"):
        model.fit(GOOD_X, GOOD_Y)

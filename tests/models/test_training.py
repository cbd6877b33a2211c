"""fit, evaluate, predict, and a training loop by hand: what they compute and what they report."""

import numpy as np
import pytest

from tinymed import backend, callbacks, losses, metrics, optimizers
from tinymed.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input
from tinymed.models import Model, Sequential


def blobs(n=200, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.standard_normal((n, 4)).astype("float32")
    x[:, 0] += 3 * y
    return x, y


def classifier(activation="sigmoid", units=1):
    return Sequential([Dense(8, activation="relu", input_shape=(4,)), Dense(units, activation=activation)])


def test_a_weighted_metric_beside_the_same_without_weights_has_keras_s_name():
    x, y = blobs(60)
    model = classifier()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy", "mse"])
    history = model.fit(x, y, sample_weight=np.where(y == 1, 2.0, 0.5), epochs=1, verbose=0).history
    assert sorted(history) == ["accuracy", "loss", "mse", "weighted_accuracy"]


def test_fit_learns_and_reports_keras_keys():
    x, y = blobs()
    model = classifier()
    model.compile(optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=15, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.epoch == list(range(15))
    assert history.history["loss"][-1] < history.history["loss"][0] / 2
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.9
    assert loss == pytest.approx(model.evaluate(x, y, verbose=0, return_dict=True)["loss"])


def test_same_seed_same_bits():
    def run():
        backend.set_seed(3)
        x, y = blobs()
        model = Sequential(
            [Dense(8, activation="relu", input_shape=(4,)), Dropout(0.3), Dense(1, activation="sigmoid")]
        )
        model.compile("adam", "binary_crossentropy")
        history = model.fit(x, y, epochs=3, verbose=0).history
        return history, model.get_weights()

    (first, first_weights), (second, second_weights) = run(), run()
    assert first == second
    for a, b in zip(first_weights, second_weights, strict=True):
        np.testing.assert_array_equal(a, b)


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


def test_cross_entropy_is_fused_with_the_last_activation():
    x = np.full((4, 1), 1000.0, dtype="float32")
    y = np.zeros((4, 1), dtype="float32")
    for last in ([Dense(1, activation="sigmoid")], [Dense(1), Activation("sigmoid")]):
        model = Sequential([Input((1,)), *last])
        model.compile(optimizers.SGD(0.0), "binary_crossentropy")
        model.set_weights([np.ones((1, 1)), np.zeros(1)])
        # On probabilities the loss would be cut off at -log(1e-7) = 16.1; on logits it is exact.
        assert model.evaluate(x, y, verbose=0) == pytest.approx(1000.0)


def test_a_loss_is_not_fused_where_the_output_feeds_another_layer():
    x = Input((3,))
    p = Dense(1, activation="sigmoid", name="p")(x)
    model = Model(x, [p, Dense(1, activation="sigmoid", name="q")(p)])
    model.compile("sgd", "binary_crossentropy")
    model._ready()
    assert model._objective.fused == [False, True]


def test_several_outputs_have_keras_names_and_weights():
    x = Input((4,))
    hidden = Dense(8, activation="relu")(x)
    model = Model(x, [Dense(1, activation="sigmoid", name="ill")(hidden), Dense(1, name="age")(hidden)])
    model.compile(
        "adam",
        {"ill": "binary_crossentropy", "age": "mse"},
        loss_weights={"ill": 1.0, "age": 0.25},
        metrics={"ill": ["accuracy"], "age": ["mae"]},
    )
    data, ill = blobs(64)
    age = data[:, 1]
    logs = model.fit(data, {"ill": ill, "age": age}, epochs=1, verbose=0).history
    assert {"loss", "ill_loss", "age_loss", "ill_accuracy"} <= set(logs)
    values = model.evaluate(data, {"ill": ill, "age": age}, verbose=0, return_dict=True)
    assert values["loss"] == pytest.approx(values["ill_loss"] + 0.25 * values["age_loss"], rel=1e-5)
    first, second = model.predict(data, verbose=0)
    assert first.shape == second.shape == (64, 1)


def test_class_weight_is_a_sample_weight():
    x, y = blobs(64)
    results = []
    for options in ({"class_weight": {0: 1.0, 1: 5.0}}, {"sample_weight": np.where(y == 1, 5.0, 1.0)}):
        backend.set_seed(1)
        model = classifier()
        model.compile("sgd", "binary_crossentropy")
        model.fit(x, y, epochs=2, verbose=0, shuffle=False, **options)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="no weight for class 1"):
        model.fit(x, y, class_weight={0: 1.0}, verbose=0)


def test_regularizers_enter_loss_and_gradient():
    model = Sequential([Dense(1, use_bias=False, kernel_regularizer="l2", input_shape=(2,))])
    model.compile(optimizers.SGD(0.5), "mse")
    model.set_weights([np.array([[2.0], [1.0]])])
    x, y = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
    assert model.evaluate(x, y, verbose=0) == pytest.approx(0.01 * 5)
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], [2.0 * 0.99, 0.99], rtol=1e-6)


def test_loss_is_the_mean_over_samples_not_over_batches():
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="ones", input_shape=(1,))])
    model.compile("sgd", "mse")
    x = np.array([[0.0], [0.0], [3.0]], "float32")
    y = np.zeros((3, 1), "float32")
    assert model.evaluate(x, y, batch_size=2, verbose=0) == pytest.approx(3.0)


def test_predict_does_not_depend_on_the_batch_size():
    x, _ = blobs(37)
    model = Sequential([Dense(8, activation="relu", input_shape=(4,)), BatchNormalization(), Dropout(0.5), Dense(2)])
    whole = model.predict(x, batch_size=37, verbose=0)
    np.testing.assert_allclose(model.predict(x, batch_size=5, verbose=0), whole, rtol=1e-5)
    np.testing.assert_allclose(model(x), whole, rtol=1e-5)


def test_validation_does_not_train():
    x, y = blobs(64)
    model = Sequential([Dense(4, input_shape=(4,)), BatchNormalization(), Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[metrics.AUC()])
    before = model.get_weights()
    model.evaluate(x, y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_train_on_batch_and_initial_epoch():
    x, y = blobs(64)
    model = classifier()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.train_on_batch(x, y)
    assert model.optimizer.iterations == 1
    assert model.test_on_batch(x, y)[0] < loss
    assert 0 <= accuracy <= 1
    assert model.predict_on_batch(x).shape == (64, 1)
    assert model.fit(x, y, initial_epoch=2, epochs=4, verbose=0).epoch == [2, 3]


def test_callbacks_can_stop_training():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert logs["loss"] > 0
            self.model.stop_training = True

    x, y = blobs(64)
    model = classifier()
    model.compile("sgd", "binary_crossentropy")
    model.fit(x, y, epochs=5, batch_size=8, callbacks=[Stop()], verbose=0)
    assert model.optimizer.iterations == 1


def test_integer_images_are_converted():
    x = np.arange(2 * 4 * 4, dtype="uint8").reshape(2, 4, 4, 1)
    model = Sequential([Conv2D(2, 3, input_shape=(4, 4, 1)), Flatten(), Dense(1)])
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x.astype("float64"), verbose=0))


def test_a_loss_that_is_lost_is_reported():
    x, y = blobs(64)
    model = Sequential([Dense(8, input_shape=(4,)), Dense(1)])
    model.compile(optimizers.SGD(1e12), "mse")
    with pytest.warns(RuntimeWarning, match="the loss became"), np.errstate(all="ignore"):
        model.fit(x, y, epochs=4, verbose=0)


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

"""fit, evaluate, predict, and a training loop by hand: what they compute and what they report."""

import numpy as np
import pytest

from tinymed import backend, callbacks, metrics, optimizers
from tinymed.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten
from tinymed.models import Sequential


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

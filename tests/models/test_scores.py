"""What training reports: names as in Keras, means over samples."""

import numpy as np
import pytest

from tinymed import metrics
from tinymed.layers import Dense, Input
from tinymed.models import Model, Sequential
from tinymed.models.scores import Scores

from .test_training import blobs


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


def test_loss_is_the_mean_over_samples_not_over_batches():
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="ones", input_shape=(1,))])
    model.compile("sgd", "mse")
    x = np.array([[0.0], [0.0], [3.0]], "float32")
    y = np.zeros((3, 1), "float32")
    assert model.evaluate(x, y, batch_size=2, verbose=0) == pytest.approx(3.0)


def test_repeated_metrics_are_numbered_and_weighted_ones_say_so():
    scores = Scores(["p"], ["accuracy", metrics.AUC(name="auc"), metrics.AUC(name="auc")], ["accuracy"])
    y, p = np.array([[0.0], [1.0]]), np.array([[0.2], [0.4]])
    scores.update(np.float32(1.0), [None], [y], [p], [np.array([1.0, 3.0])])
    logs = scores.logs()
    assert list(logs) == ["loss", "accuracy", "auc", "auc_1", "weighted_accuracy"]
    assert logs["accuracy"] == 0.5
    assert logs["weighted_accuracy"] == 0.25
    scores.reset()
    assert scores.logs()["loss"] == 0

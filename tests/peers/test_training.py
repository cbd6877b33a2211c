"""Four epochs of fit against Keras: the same weights and batches give the same history and the same weights."""

import numpy as np
import pytest

import tinymed
from tests.peers.compare import assert_close

HISTORY = 5e-3
"""Largest difference of a value in the history."""


def p0(library):
    """Build the first article's network, smaller: convolution, pooling, two dense layers, one probability."""
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(12, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def p3(library):
    """Build the fourth article's network, smaller: ten classes, labels as numbers."""
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((14, 14, 1)),
            layers.Conv2D(6, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(20, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=library.optimizers.Adam(learning_rate=0.003),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=["accuracy", "sparse_categorical_crossentropy"],
    )
    return model


def normalised(library):
    """Build a network with batch normalisation, no-op dropout, penalties, and SGD with momentum on a schedule."""
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((12, 12, 2)),
            layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, kernel_regularizer="l2"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(8, 3, padding="same", activation="elu"),
            layers.BatchNormalization(),
            layers.Dropout(0.0),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", kernel_regularizer=library.regularizers.L1(1e-3)),
        ]
    )
    schedule = library.optimizers.schedules.ExponentialDecay(0.05, decay_steps=5, decay_rate=0.8)
    model.compile(
        optimizer=library.optimizers.SGD(schedule, momentum=0.9, nesterov=True, clipnorm=1.0),
        loss=library.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy", library.metrics.TopKCategoricalAccuracy(2), library.metrics.F1Score(average="macro")],
        weighted_metrics=[library.metrics.CategoricalAccuracy(), "mse"],
    )
    return model


def two_inputs(library):
    """Build a graph: an image and numbers about the patient, a shared layer, a shortcut, two outputs."""
    layers = library.layers
    image, numbers = library.Input((8, 8, 1), name="image"), library.Input((5,), name="numbers")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.Add()([x, layers.Conv2D(4, 1)(image)])
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    shared = layers.Dense(6, activation="tanh")
    seen, known = layers.Dense(7)(x), layers.Dense(7)(numbers)
    joined = layers.Concatenate()([shared(seen), shared(known)])
    risk = layers.Dense(1, activation="sigmoid", name="risk")(joined)
    size = layers.Dense(2, name="size")(joined)
    model = library.Model([image, numbers], [risk, size])
    model.compile(
        optimizer=library.optimizers.RMSprop(0.002),
        loss=["binary_crossentropy", "mse"],
        loss_weights=[1.0, 0.3],
        metrics=[["accuracy", library.metrics.AUC(name="auc")], ["mae", "cosine_similarity"]],
    )
    return model


def images(rng, n, shape, classes):
    """Return images whose class is the place of a bright square, and their classes."""
    labels = rng.integers(classes, size=n)
    x = rng.standard_normal((n, *shape)).astype("float32") * 0.3
    for image, label in zip(x, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[4 * row : 4 * row + 4, 3 * column : 3 * column + 3] += 1.0
    return x, labels


def p0_data(rng):
    x, y = images(rng, 72, (16, 16, 3), 2)
    return {"x": x, "y": y, "validation_split": 0.25, "batch_size": 16}


def p3_data(rng):
    x, y = images(rng, 120, (14, 14, 1), 10)
    weights = {label: 1.0 + 0.1 * label for label in range(10)}
    return {"x": x[:90], "y": y[:90], "validation_data": (x[90:], y[90:]), "batch_size": 32, "class_weight": weights}


def normalised_data(rng):
    x, y = images(rng, 80, (12, 12, 2), 4)
    y = np.eye(4, dtype="float32")[y]
    weights = rng.uniform(0.5, 1.5, 60).astype("float32")
    return {"x": x[:60], "y": y[:60], "validation_data": (x[60:], y[60:]), "batch_size": 20, "sample_weight": weights}


def two_inputs_data(rng):
    x, y = images(rng, 64, (8, 8, 1), 2)
    numbers = rng.standard_normal((64, 5)).astype("float32")
    size = (numbers @ rng.standard_normal((5, 2))).astype("float32")
    return {"x": [x, numbers], "y": [y, size], "validation_split": 0.25, "batch_size": 16}


NETWORKS = {p0: p0_data, p3: p3_data, normalised: normalised_data, two_inputs: two_inputs_data}


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network.__name__)
def trained(request, keras):
    """Train a network in both libraries from the same weights, and return both with their histories and the data."""
    keras.utils.set_random_seed(1)
    data = NETWORKS[request.param](np.random.default_rng(3))
    theirs, ours = request.param(keras), request.param(tinymed)
    ours.set_weights(theirs.get_weights())
    options = {**data, "epochs": 4, "shuffle": False, "verbose": 0}
    wanted = theirs.fit(**options).history
    got = ours.fit(**options).history
    return ours, theirs, got, wanted, data


def test_histories_are_keras_s(trained):
    _, _, got, wanted, _ = trained
    assert sorted(got) == sorted(wanted)
    for key, values in wanted.items():
        assert got[key] == pytest.approx(values, abs=HISTORY), key
    losses = wanted["loss"]
    assert losses[-1] < losses[0], "the comparison means little if nothing was learned"


def test_weights_and_predictions_after_training_are_keras_s(trained):
    ours, theirs, _, _, data = trained
    for got, want, variable in zip(ours.get_weights(), theirs.get_weights(), theirs.weights, strict=True):
        assert_close(got, want, HISTORY, variable.path)
    got, want = ours.predict(data["x"], verbose=0), theirs.predict(data["x"], verbose=0)
    for mine, wanted in zip(*([p if isinstance(p, list) else [p] for p in (got, want)]), strict=True):
        assert_close(mine, wanted, HISTORY, "prediction")


def test_evaluation_is_keras_s(trained):
    ours, theirs, _, _, data = trained
    ours.set_weights(theirs.get_weights())
    # The two-input network has whole batches only: of a network with several outputs Keras 3 counts a shorter
    # last batch as much as the others in the single losses (its compiled step does not know the batch's size).
    got = ours.evaluate(data["x"], data["y"], batch_size=16, verbose=0, return_dict=True)
    want = theirs.evaluate(data["x"], data["y"], batch_size=16, verbose=0, return_dict=True)
    assert got == pytest.approx(want, rel=1e-4, abs=1e-4)


def test_weights_go_back_into_keras(trained):
    ours, theirs, _, _, data = trained
    theirs.set_weights(ours.get_weights())
    assert ours.count_params() == theirs.count_params()
    x = data["x"]
    batch = [part[:8] for part in x] if isinstance(x, list) else x[:8]
    mine, wanted = ours.predict_on_batch(batch), theirs.predict_on_batch(batch)
    for got, want in zip(*([p if isinstance(p, list) else [p] for p in (mine, wanted)]), strict=True):
        assert_close(got, want, 1e-5, "prediction")


def test_train_on_batch_gives_keras_s_losses(keras):
    keras.utils.set_random_seed(2)
    theirs, ours = p0(keras), p0(tinymed)
    ours.set_weights(theirs.get_weights())
    x, y = images(np.random.default_rng(4), 16, (16, 16, 3), 2)
    for _ in range(3):
        got, want = ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
        assert np.asarray(got) == pytest.approx(np.asarray(want), abs=1e-4)

"""Trains small networks twice from the same weights, by the textbook and by the bodies for GPUs; prints both as JSON.

    python -m tests.kernels.gpu.training FOLDER

It takes the place of the processor's own bodies for the rest of its process, and so runs in one of its own; compiled
kernels are kept in FOLDER.
"""

import json
import sys
from pathlib import Path

import numpy as np

import tinymed
import tinymed.kernels.cpu  # registered first: the bodies for GPUs then take its place
from tests.kernels.gpu.host import HostDriver
from tinymed import Sequential, layers
from tinymed.kernels.gpu import drivers
from tinymed.kernels.gpu.launching import BODIES


def images(rng):
    """Return a network with the layers of the documents' classifiers, and data."""
    model = Sequential(
        [
            layers.Conv2D(8, 3, activation="relu", input_shape=(14, 13, 2)),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(0.25),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, rng.standard_normal((24, 14, 13, 2)), rng.integers(0, 3, 24)


def autoencoder(rng):
    """Return a network that gives images back, and data."""
    model = Sequential(
        [
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", input_shape=(8, 8, 1)),
            layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    model.compile(optimizer="rmsprop", loss="binary_crossentropy")
    x = rng.random((16, 8, 8, 1))
    return model, x, x


def sequences(rng):
    """Return a network for sequences of codes, and data."""
    model = Sequential(
        [
            layers.Embedding(9, 4),
            layers.LSTM(5, return_sequences=True),
            layers.LayerNormalization(),
            layers.SimpleRNN(4, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=tinymed.optimizers.SGD(0.5, momentum=0.9), loss="binary_crossentropy")
    return model, rng.integers(0, 9, (20, 6)), rng.integers(0, 2, (20, 1))


def losses(make):
    """Return the losses of six steps."""
    tinymed.set_seed(3)
    model, x, y = make(np.random.default_rng(0))
    x = x.astype("float32") if x.dtype.kind == "f" else x
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return [*history.history["loss"], float(np.sum(model.predict(x, verbose=0)))]


def main(folder):
    """Train by the textbook, then by the bodies; say how often each kernel was launched."""
    found = {}
    with tinymed.textbook():
        for make in (images, autoencoder, sequences):
            found[make.__name__] = [losses(make)]
    for operation, body in BODIES:
        operation.register(np.ndarray)(body)
    driver = HostDriver(Path(folder))
    with drivers.use_driver(driver):
        for make in (images, autoencoder, sequences):
            found[make.__name__].append(losses(make))
    print(json.dumps({"losses": found, "launches": driver.launches}))


if __name__ == "__main__":
    main(sys.argv[1])

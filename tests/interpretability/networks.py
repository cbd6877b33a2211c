"""Small networks and bright squares at known places, for the tests of maps."""

import functools

import numpy as np

from tinymed import backend
from tinymed.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
)
from tinymed.models import Model, Sequential


def plain(classes=1):
    """Return the documents' kind of network, small."""
    return Sequential(
        [
            Conv2D(6, 3, activation="relu", input_shape=(12, 12, 1), name="first"),
            MaxPooling2D(name="pool"),
            Conv2D(5, 3, activation="relu", name="second"),
            MaxPooling2D(name="last_pool"),
            Flatten(name="flat"),
            Dense(classes, activation="sigmoid" if classes == 1 else "softmax", name="head"),
        ]
    )


def residual(classes=3):
    """Return a network with a shortcut around a convolution, and normalisation."""
    x = Input((12, 12, 2))
    h = Activation("relu", name="relu")(BatchNormalization(name="norm")(Conv2D(4, 3, padding="same", name="stem")(x)))
    y = Conv2D(4, 3, padding="same", name="branch")(h)
    y = Activation("tanh", name="tanh")(Add(name="sum")([h, y]))
    return Model(x, Dense(classes, activation="softmax", name="head")(GlobalAveragePooling2D()(y)))


def squares(n, seed=0):
    """Return noise, half of it with a bright square, and where the squares are."""
    rng = np.random.default_rng(seed)
    x = 0.3 * rng.random((n, 12, 12, 1), dtype=np.float32)
    y = np.arange(n) % 2
    masks = np.zeros((n, 12, 12), dtype=bool)
    for i in np.flatnonzero(y):
        row, column = rng.integers(1, 8, 2)
        masks[i, row : row + 3, column : column + 3] = True
        x[i, masks[i], 0] += 0.7
    return x, y, masks


@functools.cache
def trained():
    """Return a network that finds the squares."""
    backend.set_seed(1)
    x, y, _ = squares(200, seed=1)
    model = plain()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, batch_size=16, verbose=0)
    return model

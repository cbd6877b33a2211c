"""The networks of the autoencoder task: D1 §3.2's linear one, a deep one, one of convolutions; how each is trained."""

from __future__ import annotations

from typing import Any

from tinymed import optimizers
from tinymed.applications.chest_images import PIXELS, SHAPE
from tinymed.applications.run import Settings
from tinymed.layers import Conv2D, Conv2DTranspose, Dense, Flatten, Reshape
from tinymed.models import Sequential
from tinymed.optimizers.schedules import CosineDecay


def build_linear(code: int) -> Sequential:
    """Build the document's encoder and decoder (D1-4, D1-5), from small weights.

    Small, because what the encoder starts with in directions that do not occur in the images is never unlearned.
    """
    model = Sequential()
    model.add(Flatten(input_shape=SHAPE))
    model.add(Dense(code, name="code", kernel_initializer="random_normal"))
    model.add(Dense(PIXELS, name="decoder", kernel_initializer="random_normal"))
    model.add(Reshape(SHAPE))
    return model


def build_deep(code: int) -> Sequential:
    """Build the same with hidden layers that bend."""
    model = Sequential()
    model.add(Flatten(input_shape=SHAPE))
    model.add(Dense(256, activation="relu"))
    model.add(Dense(128, activation="relu"))
    model.add(Dense(code, name="code"))
    model.add(Dense(128, activation="relu"))
    model.add(Dense(256, activation="relu"))
    model.add(Dense(PIXELS))
    model.add(Reshape(SHAPE))
    return model


def build_convolutional(code: int) -> Sequential:
    """Build an encoder of convolutions and a decoder of transposed ones."""
    model = Sequential()
    model.add(Conv2D(16, 3, strides=2, padding="same", activation="relu", input_shape=SHAPE))
    model.add(Conv2D(32, 3, strides=2, padding="same", activation="relu"))
    model.add(Flatten())
    model.add(Dense(code, name="code"))
    model.add(Dense(7 * 7 * 32, activation="relu"))
    model.add(Reshape((7, 7, 32)))
    model.add(Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"))
    model.add(Conv2DTranspose(1, 3, strides=2, padding="same"))
    return model


NETWORKS = {"linear": build_linear, "deep": build_deep, "convolutional": build_convolutional}

SETTINGS = {
    "linear": Settings(epochs=100, batch_size=256, learning_rate=0.25),
    "deep": Settings(epochs=30, batch_size=64, learning_rate=0.001),
    "convolutional": Settings(epochs=20, batch_size=64, learning_rate=0.002),
}


def optimizer(network: str, settings: Settings, images: int) -> Any:
    """Make an optimizer whose learning rate falls to nothing along half a cosine.

    Near its optimum the linear network's loss is a bowl whose curvatures are as different as the variances of the
    components: momentum crosses the flat directions, and the limit on the gradient's norm guards the first steps.
    """
    steps = settings.epochs * -(-images // settings.batch_size)
    rate = CosineDecay(settings.learning_rate, steps)
    if network == "linear":
        return optimizers.SGD(rate, momentum=0.95, global_clipnorm=0.1)
    return optimizers.Adam(rate)

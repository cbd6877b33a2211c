"""Is there pneumonia in this chest X-ray? The documents' network (D0 §5) on MedMNIST's 28 x 28 images."""

from __future__ import annotations

import os
from typing import Any

from tinymed.applications import classification
from tinymed.datasets.medmnist import PNEUMONIA_CLASSES, ImageData, load
from tinymed.layers import Conv2D, Dense, Flatten, MaxPooling2D
from tinymed.models import Sequential


def build() -> Sequential:
    """Build the network of D0 §5 for grey images of 28 x 28 pixels."""
    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Conv2D(64, (3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Flatten())
    model.add(Dense(128, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    return model


def read(path: str | os.PathLike[str] | None = None, seed: int = 0) -> ImageData:
    """Read ``pneumoniamnist.npz``, or any file laid out in the same way.

    Args:
        path: The file.
        seed: Not needed: nothing is random here.

    Raises:
        ValueError: If no file is given, or it cannot be used.
    """
    if path is None:
        raise ValueError(
            "the task 'pneumonia' needs --data FILE.npz (data=...): "
            "PneumoniaMNIST's file pneumoniamnist.npz, see medmnist.com"
        )
    return load(path, PNEUMONIA_CLASSES)


TASK = classification.Task(
    name="pneumonia",
    build=build,
    read=read,
    shape=(28, 28, 1),
    channels="grey",
    epochs=10,
    batch_size=32,
    learning_rate=0.001,
)


def train(**options: Any) -> classification.Result:
    """Train, evaluate and report; the options are those of :func:`tinymed.applications.classification.train`."""
    return classification.train(TASK, **options)

"""Is there pneumonia in this chest X-ray? The documents' network (D0 §5) on MedMNIST's 28 x 28 images."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tinymed.applications import classification
from tinymed.applications.run import Result, Settings
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


def shift(images: np.ndarray, rng: np.random.Generator, most: int = 2) -> np.ndarray:
    """Move each image by up to ``most`` pixels in each direction; what comes in at a border repeats the border.

    The training images come from other patients and another selection than the test images. A network that has
    seen every lung in several places relies less on where exactly things were.

    >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> moved = shift(image, np.random.default_rng(5), most=1)
    >>> moved[0, :, :, 0]
    array([[4., 5., 5.],
           [7., 8., 8.],
           [7., 8., 8.]])
    """
    n, height, width = images.shape[:3]
    wider = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wider, (height, width), axis=(1, 2))
    down, right = rng.integers(0, 2 * most + 1, (2, n))
    return np.ascontiguousarray(np.moveaxis(windows[np.arange(n), down, right], 1, -1))


TASK = classification.Task(
    name="pneumonia",
    build=build,
    read=read,
    shape=(28, 28, 1),
    channels="grey",
    settings=Settings(epochs=20, batch_size=32, learning_rate=0.001),
    augment=shift,
)


def train(**options: Any) -> Result:
    """Train, evaluate and report; the options are those of :func:`tinymed.applications.classification.train`."""
    return classification.train(TASK, **options)


evaluate, predict, rows = classification.evaluate, classification.predict, classification.rows

"""Which digit is this? The documents' network for ten classes (D3 §5.1), on digits drawn from typefaces.

The typefaces of the test images are never trained on (``tinymed.datasets.digits.FACES``). With ``--data`` it reads
MNIST as Keras keeps it (``mnist.npz``), or any file of ten classes at 28 x 28 pixels laid out as MedMNIST's.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tinymed.applications import classification
from tinymed.applications.run import Result, Settings
from tinymed.datasets import digits
from tinymed.datasets.medmnist import ImageData
from tinymed.layers import Conv2D, Dense, Flatten, MaxPooling2D
from tinymed.models import Sequential
from tinymed.preprocessing.augmentation import Augmentation, Elastic, Rotation, Shift, Zoom

SAMPLES = {"train": 10000, "val": 1000, "test": 2000}


def build() -> Sequential:
    """Build the network of D3 §5.1, line for line."""
    model = Sequential(
        [
            Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
            MaxPooling2D((2, 2)),
            Conv2D(64, (3, 3), activation="relu"),
            MaxPooling2D((2, 2)),
            Flatten(),
            Dense(10, activation="softmax"),
        ]
    )
    return model


def read(path: str | os.PathLike[str] | None = None, seed: int = 0) -> ImageData:
    """Draw digits, or read them from an ``.npz`` file.

    Args:
        path: A file, see :func:`tinymed.datasets.digits.read`; drawn if omitted.
        seed: Seed of the drawn ones; each split and each seed has images of its own.

    Raises:
        ValueError: If the file cannot be used or has another number of classes than ten.
    """
    if path is None:
        return digits.load(**SAMPLES, seed=seed)
    images = digits.read(path)
    if len(images.classes) != len(digits.CLASSES):
        raise ValueError(
            f"{path} has {len(images.classes)} classes but the network of this task has ten outputs; "
            "for images of other classes see the task 'lung-disease'"
        )
    return images


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn, scale, bend and move each image a little, anew in each epoch: a digit stays the digit that it is."""
    return _MOVES(images, rng=rng)


_MOVES = Augmentation([Rotation(8), Zoom(0.85, 1.15), Shift(2), Elastic(1.5, 7)])

TASK = classification.Task(
    name="digits",
    build=build,
    read=read,
    shape=(28, 28, 1),
    channels="grey, bright on dark",
    settings=Settings(epochs=12, batch_size=32, learning_rate=0.001),
    loss="sparse_categorical_crossentropy",
    augment=augment,
    drawn="digits of typefaces",
)


def train(**options: Any) -> Result:
    """Train, evaluate and report; the options are those of :func:`tinymed.applications.classification.train`."""
    return classification.train(TASK, **options)


predict, rows = classification.predict, classification.rows


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained model on the digits of a file, see :func:`tinymed.datasets.digits.read`.

    Args:
        model: Model file, as training writes it.
        data: The ``.npz`` file.
        split: ``"train"``, ``"val"`` or ``"test"``.
    """
    return classification.evaluate(model, data, split, reader=digits.read_split)

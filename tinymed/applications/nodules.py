"""Is there a nodule in this CT patch? The documents' own network (D0 §5) on phantoms, without any download."""

from __future__ import annotations

import os
from typing import Any

from tinymed.applications import classification
from tinymed.applications.run import Result, Settings
from tinymed.datasets.medmnist import ImageData, Split, load
from tinymed.layers import Conv2D, Dense, Flatten, MaxPooling2D
from tinymed.models import Sequential

CLASSES = ("no nodule", "nodule")
SAMPLES = {"train": 2400, "val": 600, "test": 1000}


def build() -> Sequential:
    """Build the network of D0 §5, line for line."""
    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(64, 64, 3)))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Conv2D(64, (3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Flatten())
    model.add(Dense(128, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    return model


def read(path: str | os.PathLike[str] | None = None, seed: int = 0) -> ImageData:
    """Draw phantoms, or read real patches of the same form from an ``.npz`` file laid out as MedMNIST's.

    Args:
        path: A file with ``train_images`` (N, 64, 64, 3) and so on; phantoms if omitted.
        seed: Seed of the phantoms; each split and each seed has patches of its own.
    """
    if path is not None:
        return load(path, CLASSES)
    from tinymed.datasets import phantoms

    splits = [Split(*phantoms.nodules(n, seed=3 * seed + i)) for i, n in enumerate(SAMPLES.values())]
    return ImageData(splits[0], splits[1], splits[2], CLASSES)


TASK = classification.Task(
    name="nodules",
    build=build,
    read=read,
    shape=(64, 64, 3),
    channels="three neighbouring CT slices, window -1000 to 400 HU",
    settings=Settings(epochs=8, batch_size=32, learning_rate=0.001),
    shown=1,  # the slice in the middle
)


def train(**options: Any) -> Result:
    """Train, evaluate and report; the options are those of :func:`tinymed.applications.classification.train`."""
    return classification.train(TASK, **options)


evaluate, predict, rows = classification.evaluate, classification.predict, classification.rows

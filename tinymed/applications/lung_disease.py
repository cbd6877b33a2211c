"""Which disease does this lung have? The documents' network (D4 §4.1) on a folder with a folder for each class.

Only a batch of pictures must be in memory at once: they are read when it asks for them. Where file names begin with a
patient's number, as the NIH's do, the split is by patient.

One thing is not as in the program: its learning rate, 0.001, is three times as large as the one here. The layer
``Dense(512)`` sums 26 x 26 x 128 = 86528 inputs, none of them negative, and Adam's first step moves each of its
weights by the whole learning rate. On the drawn pictures the loss jumped to a mean of 2.5 in the first epoch and stood
at that of guessing (log 4 = 1.386) in the second; ``--learning-rate 0.001`` shows it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinymed.applications import classification, run
from tinymed.applications.run import Result, Settings
from tinymed.datasets import folders, images, lungs, medmnist
from tinymed.datasets.medmnist import ImageData, Split
from tinymed.layers import Conv2D, Dense, Flatten, MaxPooling2D
from tinymed.models import Sequential
from tinymed.validation.splits import train_val_test

SIZE = (224, 224)
SHARES = (4 / 6, 1 / 6, 1 / 6)
"""The parts of the patients to train on, to choose the epoch with, and to test on."""

DRAWN = 576


def build(num_classes: int = len(lungs.CLASSES)) -> Sequential:
    """Build the network of D4 §4.1.2, line for line."""
    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(224, 224, 3)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(64, (3, 3), activation="relu"))
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(128, (3, 3), activation="relu"))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(512, activation="relu"))
    model.add(Dense(num_classes, activation="softmax"))
    return model


def read(path: str | os.PathLike[str], verbose: Any = 0) -> ImageData:
    """Find the pictures of a folder and split them, by patient if the file names tell; the split is always the same.

    Args:
        path: A folder of class folders, see :mod:`tinymed.datasets.folders`.
        verbose: Whether to say how it is split.

    Raises:
        ValueError: If the folder cannot be used, or a class has too few patients (or pictures) for three parts.
    """
    found = folders.find(path)
    names = np.array(found.classes)[found.labels]
    try:
        parts = train_val_test(len(found), SHARES, labels=names, groups=found.patients, seed=0)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; each class needs at least one for training, validation and test") from error
    folders.check(found.paths)
    if verbose:
        print(
            "split by patient: no patient is in two parts"
            if found.patients is not None
            else "split at random: file names do not begin with a patient's number, so if patients have several "
            "pictures, the test will flatter",
            flush=True,
        )
    train, val, test = (_chosen(found, part) for part in parts)
    return ImageData(train, val, test, found.classes)


def _chosen(found: folders.Found, part: np.ndarray) -> Split:
    """Return some of the pictures of a folder, to be read when they are asked for."""
    pictures: Any = folders.Pictures([found.paths[i] for i in part], SIZE)
    return Split(pictures, found.labels[part], None if found.patients is None else found.patients[part])


TASK = classification.Task(
    name="lung-disease",
    build=build,
    read=lambda path, seed: read(path),
    shape=(*SIZE, 3),
    channels="red, green, blue",
    settings=Settings(epochs=10, batch_size=16, learning_rate=0.0003),
    loss="categorical_crossentropy",
    drawn="drawn chest X-rays",
)


def train(
    *, data: str | os.PathLike[str] | None = None, seed: int = 0, verbose: Any = "auto", **options: Any
) -> Result:
    """Train, evaluate and report.

    Args:
        data: A folder of class folders; a folder with drawn pictures, removed in the end, if omitted.
        seed: Seed of the weights, of the order, and of the drawn pictures.
        verbose: As in ``fit``.
        options: As of :func:`tinymed.applications.classification.train`.
    """
    with tempfile.TemporaryDirectory(prefix="tinymed-lungs-") as temporary:

        def prepare(path: Any, seed: int) -> ImageData:
            if path is None:
                if verbose:
                    print(f"drawing {DRAWN} chest X-rays ...", flush=True)
                path = lungs.write(temporary, DRAWN, seed)
            found.append(read(path, verbose))
            return found[0]

        found: list[ImageData] = []
        task = dataclasses.replace(TASK, read=prepare, build=lambda: build(len(found[0].classes)))
        return classification.train(task, data=data, seed=seed, verbose=verbose, **options)


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained model on a folder of class folders.

    Args:
        model: Model file, as training writes it.
        data: The folder, with folders of the model's classes; or an ``.npz`` file laid out as MedMNIST's.
        split: ``"train"``, ``"val"`` or ``"test"`` as in training, or ``"all"`` for another folder than that.
    """
    _, about = run.open_model(model, *classification.KNOWN)

    def reader(path: Any, split: str, classes: int) -> Split:
        if pathlib.Path(path).suffix.lower() == ".npz":
            return medmnist.load_split(path, split, classes)
        return _part(path, split, about["classes"])

    return classification.evaluate(model, data, split, reader)


def _part(path: str | os.PathLike[str], split: str, classes: list[str]) -> Split:
    """Return one part of a folder, its classes numbered as the model has them."""
    if split not in (*medmnist.SPLITS, "all"):
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(medmnist.SPLITS)}, all")
    found = folders.find(path)
    unknown = sorted(set(found.classes) - set(classes))
    if unknown:
        raise ValueError(f"{path} has a class folder {unknown[0]!r}, but the model knows {', '.join(classes)}")
    if split == "all":
        part = _chosen(found, np.arange(len(found)))
    else:
        part = getattr(read(path), split)
    return Split(part.images, np.array([classes.index(name) for name in found.classes])[part.labels], part.groups)


def predict(model: str | os.PathLike[str], paths: Iterable[str | os.PathLike[str]]) -> list[classification.Prediction]:
    """Tell the class of pictures of any size, as D4 §4.1.4 does, or of all the pictures in a folder.

    Args:
        model: Model file, as training writes it.
        paths: Picture files, folders of them, or ``.npz`` files.
    """
    files: list[str | os.PathLike[str]] = []
    for path in paths:
        inside = folders.pictures_in(pathlib.Path(path)) if pathlib.Path(path).is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} has no picture ({', '.join(folders.ENDINGS)})")
        files += inside
    return classification.predict(model, files, loader=_load)


def _load(path: str | os.PathLike[str], shape: images.Shape, resize: bool) -> tuple[np.ndarray, list[str]]:
    if pathlib.Path(path).suffix.lower() == ".npz":
        return images.load(path, shape)
    medmnist.can_be_read(path)
    return folders.Pictures([pathlib.Path(path)], shape[:2])[:], [str(path)]


rows = classification.rows

"""Train, evaluate and use a classifier of images into two classes: what all such tasks share.

A task says how its network is built and where its images come from; everything else is here. The epoch with the
best validation AUC is kept (the protocol of MedMNIST), and only then are the test images looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend, metrics, optimizers
from tinymed.applications import report
from tinymed.callbacks import Callback
from tinymed.datasets import images as pictures
from tinymed.datasets import medmnist
from tinymed.datasets.medmnist import ImageData, Split
from tinymed.models import load_model

MODEL = "model.safetensors"
EXAMPLES = "examples.npz"
THRESHOLD = 0.5


@dataclass(frozen=True)
class Task:
    """What training must know of a task.

    Attributes:
        name: As on the command line.
        build: Makes the network, not yet compiled, with one sigmoid output.
        read: Returns the images, from a path (or None) and a seed.
        shape: Height, width and channels of one image.
        channels: What the channels are, for the model file.
        epochs: Number of epochs unless the user says otherwise.
        batch_size: Samples in one step unless the user says otherwise.
        learning_rate: Of Adam, unless the user says otherwise.
        augment: Changes the training images, anew for each epoch, in ways that do not change their class.
        shown: The channel that pictures show, if the channels are no colours.
    """

    name: str
    build: Callable[[], Any]
    read: Callable[[Any, int], ImageData]
    shape: pictures.Shape
    channels: str
    epochs: int
    batch_size: int
    learning_rate: float
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None
    shown: int | None = None


@dataclass(frozen=True)
class Result:
    """What a training run leaves: the model of the best epoch, its numbers on the test images, and the files."""

    folder: pathlib.Path
    metrics: dict[str, Any]
    history: dict[str, list[float]]
    model: Any
    files: list[pathlib.Path]


@dataclass(frozen=True)
class Prediction:
    """The class of one image and the probability that the model gives to it."""

    name: str
    label: str
    probability: float


# --- train -----------------------------------------------------------------------------------------------------


def train(
    task: Task,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
) -> Result:
    """Train a task's network, keep its best epoch, test it, and write model, numbers and pictures.

    Args:
        task: The task.
        epochs: Passes over the training images; the task's own number if omitted.
        batch_size: Images in one step; the task's own if omitted.
        learning_rate: Step size of Adam; the task's own if omitted.
        seed: Decides weights, order of the images, and phantoms: same seed, same result.
        data: File with the images, for tasks that read one.
        out: Folder for the results; ``runs/NAME``, or the next free ``runs/NAME-2`` ..., if omitted.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.

    Returns:
        The result; its files lie in ``result.folder``. Nothing there is touched before the run has succeeded.

    Raises:
        ValueError: For options or data that cannot be used, before any training.
    """
    start = time.perf_counter()
    settings: dict[str, Any] = {
        "epochs": _at_least_one("epochs", task.epochs if epochs is None else epochs),
        "batch_size": _at_least_one("batch_size", task.batch_size if batch_size is None else batch_size),
        "learning_rate": _positive("learning_rate", task.learning_rate if learning_rate is None else learning_rate),
    }
    library = backend.use_backend(backend_name) if backend_name else contextlib.nullcontext()
    with library, report.workspace(report.choose_folder(out, task.name)) as work:
        backend.set_seed(seed)
        images = _read(task, data, seed, verbose)
        model = task.build()
        model.compile(
            optimizer=optimizers.Adam(learning_rate=settings["learning_rate"]),
            loss="binary_crossentropy",
            metrics=["accuracy", metrics.AUC(name="auc")],
        )
        best = _KeepBest(work / MODEL, images.val, _about(task, images))
        training = time.perf_counter()
        history = _fit(task, model, images, best, settings["epochs"], settings["batch_size"], verbose)
        training = time.perf_counter() - training
        model = load_model(work / MODEL)
        scores = _scores(model, images.test.images)
        report.write_history(work / "history.csv", history)
        shown = images.test.images if task.shown is None else images.test.images[..., task.shown]
        report.write_pictures(work, history, shown, images.test.labels, scores, images.classes, THRESHOLD)
        _write_examples(work / EXAMPLES, images.test)
        numbers = {
            "task": task.name,
            **metrics.binary_report(images.test.labels, scores, THRESHOLD),
            "classes": list(images.classes),
            "best_epoch": best.epoch + 1,
            "best_validation_auc": best.auc,
            "seed": seed,
            **settings,
            "data": "phantoms" if data is None else os.path.basename(data),
            "images": {split: len(getattr(images, split)) for split in medmnist.SPLITS},
            "seconds": round(time.perf_counter() - start, 2),
            "seconds_training": round(training, 2),
            "versions": report.versions(),
        }
        report.write_metrics(work / "metrics.json", numbers)
    return Result(work.folder, numbers, history, model, work.files)


def _read(task: Task, data: Any, seed: int, verbose: Any) -> ImageData:
    """Read a task's images and check them against its network."""
    if verbose:
        print(f"{task.name}: reading {data}" if data else f"{task.name}: preparing images", flush=True)
    images = task.read(data, seed)
    for split in medmnist.SPLITS:
        _check_split(f"{data or task.name}, {split}", getattr(images, split), task.shape)
    if verbose:
        counts = {split: len(getattr(images, split)) for split in medmnist.SPLITS}
        print(
            "images: {train} to train on, {val} to choose the best epoch, {test} to test".format(**counts), flush=True
        )
    return images


def _fit(
    task: Task, model: Any, images: ImageData, best: Callback, epochs: int, batch_size: int, verbose: Any
) -> dict[str, list[float]]:
    """Train epoch by epoch, each on images that are augmented anew; return losses and metrics by epoch."""
    rng = backend.new_generator()
    history: dict[str, list[float]] = {}
    for epoch in range(epochs):
        x = images.train.images if task.augment is None else task.augment(images.train.images, rng)
        seen = model.fit(
            x,
            images.train.labels,
            initial_epoch=epoch,
            epochs=epochs,  # `best` ends each fit after one epoch
            batch_size=batch_size,
            validation_data=tuple(images.val),
            callbacks=[best],
            verbose=verbose,
        )
        for key, values in seen.history.items():
            history.setdefault(key, []).extend(values)
    return history


class _KeepBest(Callback):
    """Ends each fit after one epoch, and saves the model if its validation AUC exceeds all before it.

    The AUC is the exact one; in the history, too, it replaces the one that is read off at fixed thresholds.
    """

    def __init__(self, path: pathlib.Path, validation: Split, about: dict[str, str]) -> None:
        self.path, self.validation, self.about = path, validation, about
        self.auc, self.epoch = -1.0, -1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        scores = _scores(self.model, self.validation.images)
        if not np.isfinite(scores).all():
            raise ValueError(f"training diverged in epoch {epoch + 1}: outputs are NaN; try a smaller --learning-rate")
        auc = metrics.roc_auc(self.validation.labels, scores)
        if logs is not None:
            logs["val_auc"] = auc
        if auc > self.auc:
            self.auc, self.epoch = auc, epoch
            self.model.save(self.path, metadata=self.about)
        self.model.stop_training = True


def _scores(model: Any, images: np.ndarray) -> np.ndarray:
    """Return the probability of the second class for each image, (N,), on the host."""
    return np.asarray(model.predict(images, batch_size=128, verbose=0))[:, 0]


def _about(task: Task, images: ImageData) -> dict[str, str]:
    """Return what prediction must know, as the model file keeps it."""
    preparation = {"shape": list(task.shape), "range": [0, 1], "channels": task.channels}
    return {
        "task": task.name,
        "classes": json.dumps(list(images.classes)),
        "input": json.dumps(preparation),
        "threshold": json.dumps(THRESHOLD),
    }


def _write_examples(path: pathlib.Path, test: Split, count: int = 16) -> None:
    """Write some test images, so that ``tinymed predict`` and ``evaluate`` have something to be tried on."""
    from tinymed import files

    chosen = np.concatenate([np.flatnonzero(test.labels == k)[: count // 2] for k in (0, 1)])
    chosen.sort()
    pixels = np.rint(test.images[chosen] * 255).astype(np.uint8)
    with files.atomic_open(path) as file:
        np.savez_compressed(file, test_images=pixels, test_labels=test.labels[chosen].astype(np.uint8))


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained model on the images of a file.

    Args:
        model: Model file, as training writes it.
        data: ``.npz`` file with ``test_images`` and ``test_labels``, laid out as MedMNIST's.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Returns:
        accuracy, precision, recall, f1, auc, confusion_matrix and more, as ``metrics.binary_report`` has them.

    Raises:
        ValueError: If a file cannot be used, or the images do not fit the model.
    """
    network, about = _open(model)
    images = medmnist.load_split(data, split, len(about["classes"]))
    _check_split(f"{data}, {split}", images, tuple(about["input"]["shape"]), both=False)
    numbers = metrics.binary_report(images.labels, _scores(network, images.images), about["threshold"])
    return {"task": about["task"], **numbers, "classes": about["classes"]}


def predict(
    model: str | os.PathLike[str], paths: Iterable[str | os.PathLike[str]], resize: bool = False
) -> list[Prediction]:
    """Tell the class of images in ``.png``, ``.jpg`` or ``.npz`` files.

    Args:
        model: Model file, as training writes it.
        paths: The files; an ``.npz`` file may hold many images.
        resize: Whether images of another size are cropped to the middle and resampled.

    Raises:
        ValueError: If a file cannot be used, or an image does not fit the model.
    """
    network, about = _open(model)
    loaded = [pictures.load(path, tuple(about["input"]["shape"]), resize) for path in paths]
    if not loaded:
        raise ValueError("predict needs at least one image")
    scores = _scores(network, np.concatenate([x for x, _ in loaded]))
    names = [name for _, group in loaded for name in group]
    found = []
    for name, score in zip(names, scores.tolist(), strict=True):
        second = score > about["threshold"]
        found.append(Prediction(name, about["classes"][int(second)], score if second else 1 - score))
    return found


def _open(path: str | os.PathLike[str]) -> tuple[Any, dict[str, Any]]:
    """Load a model file and what it says about its classes and its input."""
    model = load_model(path)
    kept = model.metadata
    missing = [key for key in ("task", "classes", "input", "threshold") if key not in kept]
    if missing:
        raise ValueError(
            f"{path} does not say {missing[0]!r}, so it was not written by `tinymed train`; "
            "load it with tinymed.load_model and call its own predict"
        )
    return model, {"task": kept["task"], **{key: json.loads(kept[key]) for key in ("classes", "input", "threshold")}}


# --- checks ----------------------------------------------------------------------------------------------------


def _check_split(where: str, split: Split, shape: tuple[int, ...], both: bool = True) -> None:
    """Raise ValueError unless the images have the model's shape and (if ``both``) both classes occur."""
    if split.images.shape[1:] != tuple(shape):
        wanted, found = (" x ".join(map(str, s)) for s in (shape, split.images.shape[1:]))
        raise ValueError(
            f"{where}: expected images of {wanted} (height, width, channels) but found {found}; "
            "scale them to that size, or choose the task that fits them"
        )
    if both and len(np.unique(split.labels)) < 2:
        raise ValueError(
            f"{where}: all {len(split)} labels are {split.labels[0]}; AUC and training need images of both classes"
        )


def _at_least_one(name: str, value: int) -> int:
    if int(value) != value or value < 1:
        raise ValueError(f"{name} must be a whole number from 1, got {value!r}")
    return int(value)


def _positive(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return float(value)

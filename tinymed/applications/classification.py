"""Train, evaluate and use a classifier of images into two classes: what all such tasks share.

A task says how its network is built and where its images come from; everything else is here. The epoch with the
best validation AUC is kept (the protocol of MedMNIST), and only then are the test images looked at.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import metrics, optimizers
from tinymed.applications import report, run
from tinymed.datasets import images as pictures
from tinymed.datasets import medmnist
from tinymed.datasets.medmnist import ImageData, Split
from tinymed.models import load_model

EXAMPLES = "examples.npz"
THRESHOLD = 0.5
KNOWN = ("classes", "input", "threshold")
"""What the model file says for prediction."""


@dataclass(frozen=True)
class Task:
    """What training must know of a task.

    Attributes:
        name: As on the command line.
        build: Makes the network, not yet compiled, with one sigmoid output.
        read: Returns the images, from a path (or None) and a seed.
        shape: Height, width and channels of one image.
        channels: What the channels are, for the model file.
        settings: Epochs, batch size and learning rate of Adam unless the user says otherwise.
        augment: Changes the training images, anew for each epoch, in ways that do not change their class.
        shown: The channel that pictures show, if the channels are no colours.
    """

    name: str
    build: Callable[[], Any]
    read: Callable[[Any, int], ImageData]
    shape: pictures.Shape
    channels: str
    settings: run.Settings
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None
    shown: int | None = None


@dataclass(frozen=True)
class Prediction:
    """The class of one image and the probability that the model gives to it."""

    name: str
    label: str
    probability: float

    @property
    def cells(self) -> tuple[str, str]:
        """The class and its probability, as columns to print."""
        return self.label, f"{self.probability:.4f}"


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
) -> run.Result:
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
    settings = task.settings.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start(task.name, settings, seed=seed, out=out, backend_name=backend_name) as job:
        images = _read(task, data, seed, verbose)
        model = task.build()
        model.compile(
            optimizer=optimizers.Adam(learning_rate=settings.learning_rate),
            loss="binary_crossentropy",
            metrics=["accuracy", metrics.AUC(name="auc")],
        )
        best = run.KeepBest(
            job / run.MODEL,
            # The exact area replaces the one that is read off at fixed thresholds.
            lambda model: _area(model, images.val),
            _about(task, images),
            name="val_auc",
        )
        training = time.perf_counter()
        history = run.fit(
            model,
            lambda rng: (
                task.augment(images.train.images, rng) if task.augment else images.train.images,
                images.train.labels,
            ),
            settings,
            validation_data=tuple(images.val),
            callbacks=[best],
            verbose=verbose,
        )
        training = time.perf_counter() - training
        model = load_model(job / run.MODEL)
        scores = _scores(model, images.test.images)
        shown = images.test.images if task.shown is None else images.test.images[..., task.shown]
        report.write_pictures(job, history, shown, images.test.labels, scores, images.classes, THRESHOLD)
        _write_examples(job / EXAMPLES, images.test)
        numbers = {
            **metrics.binary_report(images.test.labels, scores, THRESHOLD),
            "classes": list(images.classes),
            "best_epoch": best.epoch + 1,
            "best_validation_auc": best.score,
            "data": "phantoms" if data is None else os.path.basename(data),
            "images": {split: len(getattr(images, split)) for split in medmnist.SPLITS},
            "seconds_training": round(training, 2),
        }
        job.finish(numbers, history)
    return job.result(model)


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


def _scores(model: Any, images: np.ndarray) -> np.ndarray:
    """Return the probability of the second class for each image, (N,), on the host."""
    return np.asarray(model.predict(images, batch_size=128, verbose=0))[:, 0]


def _area(model: Any, split: Split) -> float:
    """Return the area under the ROC curve, NaN if the outputs are."""
    scores = _scores(model, split.images)
    return metrics.roc_auc(split.labels, scores) if np.isfinite(scores).all() else float("nan")


def _about(task: Task, images: ImageData) -> dict[str, Any]:
    """Return what prediction must know, as the model file keeps it."""
    return {
        "task": task.name,
        "classes": list(images.classes),
        "input": {"shape": list(task.shape), "range": [0, 1], "channels": task.channels},
        "threshold": THRESHOLD,
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
    network, about = run.open_model(model, *KNOWN)
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
    network, about = run.open_model(model, *KNOWN)
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


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    lines = [("images", str(numbers["samples"]))]
    for key in ("accuracy", "precision", "recall", "f1", "auc"):
        reason = numbers["undefined"].get(key)
        name = key.upper() if key in ("f1", "auc") else key
        lines.append((name, f"- ({reason})" if reason else f"{numbers[key]:.4f}"))
    for label, row in zip(numbers["classes"], numbers["confusion_matrix"], strict=True):
        taken = ", ".join(f"{count} as {other}" for count, other in zip(row, numbers["classes"], strict=True))
        lines.append((f"{label}:", taken))
    return lines


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

"""Train, evaluate and use a classifier of images: what all such tasks share.

A task says how its network is built and where its images come from; everything else is here. The epoch with the
best validation AUC is kept (the protocol of MedMNIST), and only then are the test images looked at.

A network for two classes has one sigmoid output, the probability of the second class: its *scores* are (N,). A network
for several classes has a softmax output, one probability for each: its scores are (N, classes), and the AUC is the mean
of one class against the rest.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import metrics, optimizers
from tinymed.applications import classification_report, run
from tinymed.datasets import images as pictures
from tinymed.datasets import medmnist
from tinymed.datasets.medmnist import ImageData, Split
from tinymed.models import load_model
from tinymed.utils import to_categorical

EXAMPLES = "examples.npz"
THRESHOLD = 0.5
KNOWN = ("classes", "input", "threshold")
"""What the model file says for prediction."""

_PIXELS = 2**21
"""Pixels that are predicted at a time at most, so that memory stays small for large images too."""


@dataclass(frozen=True)
class Task:
    """What training must know of a task.

    Attributes:
        name: As on the command line.
        build: Makes the network, not yet compiled.
        read: Returns the images, from a path (or None) and a seed.
        shape: Height, width and channels of one image.
        channels: What the channels are, for the model file.
        settings: Epochs, batch size and learning rate of Adam unless the user says otherwise.
        loss: ``"binary_crossentropy"`` for two classes; for several ``"sparse_categorical_crossentropy"`` or, with
            one-hot labels, ``"categorical_crossentropy"``.
        augment: Changes the training images, anew for each epoch, in ways that do not change their class.
        shown: The channel that pictures show, if the channels are no colours.
        drawn: What the images are if no data are given.
    """

    name: str
    build: Callable[[], Any]
    read: Callable[[Any, int], ImageData]
    shape: pictures.Shape
    channels: str
    settings: run.Settings
    loss: str = "binary_crossentropy"
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None
    shown: int | None = None
    drawn: str = "phantoms"


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
        images = read(task, data, seed, verbose)
        model = task.build()
        model.compile(
            optimizer=optimizers.Adam(learning_rate=settings.learning_rate),
            loss=task.loss,
            metrics=["accuracy", metrics.AUC(name="auc")] if task.loss == "binary_crossentropy" else ["accuracy"],
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
                _targets(task, images.train, images.classes),
            ),
            settings,
            validation_data=(images.val.images, _targets(task, images.val, images.classes)),
            callbacks=[best],
            verbose=verbose,
        )
        training = time.perf_counter() - training
        best_epoch, best_area = best.epoch + 1, best.score
        del model, best  # large networks: with what Adam keeps, four times the weights
        model = load_model(job / run.MODEL)
        scores = scores_of(model, images.test.images)
        shown = images.test.images if task.shown is None else images.test.images[..., task.shown]
        classification_report.write_pictures(job, history, shown, images.test.labels, scores, images.classes, THRESHOLD)
        write_examples(job / EXAMPLES, images.test, images.classes)
        numbers = {
            **classification_report.measure(images.test.labels, scores, THRESHOLD, images.test.groups),
            "classes": list(images.classes),
            "best_epoch": best_epoch,
            "best_validation_auc": best_area,
            "data": task.drawn if data is None else os.path.basename(os.path.normpath(data)),
            "images": {split: len(getattr(images, split)) for split in medmnist.SPLITS},
            "seconds_training": round(training, 2),
        }
        job.finish(numbers, history)
    return job.result(model)


def read(task: Task, data: Any, seed: int, verbose: Any) -> ImageData:
    """Read a task's images and check them against its network.

    Args:
        task: The task.
        data: Where they are; None for those that the task draws.
        seed: Of those that it draws.
        verbose: Whether to say what is done, and how many there are.

    Raises:
        ValueError: If they have another shape than the network's, or a class is missing in one of the splits.
    """
    if verbose:
        print(f"{task.name}: reading {data}" if data else f"{task.name}: preparing images", flush=True)
    images = task.read(data, seed)
    for split in medmnist.SPLITS:
        check_split(f"{data or task.name}, {split}", getattr(images, split), task.shape, images.classes)
    if verbose:
        counts = {split: len(getattr(images, split)) for split in medmnist.SPLITS}
        print(
            "images: {train} to train on, {val} to choose the best epoch, {test} to test".format(**counts), flush=True
        )
    return images


def _targets(task: Task, split: Split, classes: Sequence[str]) -> np.ndarray:
    """Return the labels as the task's loss takes them."""
    return to_categorical(split.labels, len(classes)) if task.loss == "categorical_crossentropy" else split.labels


def scores_of(model: Any, images: Any) -> np.ndarray:
    """Return the probability of the second class (N,), or of each of several classes (N, C), on the host.

    Args:
        model: A network of such a task.
        images: What it takes, (N, H, W, C), in memory or read when they are asked for.
    """
    size = int(min(128, max(1, _PIXELS // (images.shape[1] * images.shape[2]))))
    scores = np.asarray(model.predict(images, batch_size=size, verbose=0))
    return scores[:, 0] if scores.shape[1] == 1 else scores


def _area(model: Any, split: Split) -> float:
    """Return the area under the ROC curve, NaN if the outputs are."""
    scores = scores_of(model, split.images)
    return metrics.roc_auc(split.labels, scores) if np.isfinite(scores).all() else float("nan")


def _about(task: Task, images: ImageData) -> dict[str, Any]:
    """Return what prediction must know, as the model file keeps it."""
    return {
        "task": task.name,
        "classes": list(images.classes),
        "input": {"shape": list(task.shape), "range": [0, 1], "channels": task.channels},
        "threshold": THRESHOLD,
    }


def write_examples(path: pathlib.Path, test: Split, classes: Sequence[str], count: int = 16) -> None:
    """Write some test images, so that ``tinymed predict`` and ``evaluate`` have something to be tried on.

    Args:
        path: The ``.npz`` file to write.
        test: The images to take them from.
        classes: Their classes, of which each is represented.
        count: About how many.
    """
    from tinymed import files

    each = max(2, count // len(classes))
    chosen = np.concatenate([np.flatnonzero(test.labels == k)[:each] for k in range(len(classes))])
    chosen.sort()
    pixels = np.rint(test.images[chosen] * 255).astype(np.uint8)
    with files.atomic_open(path) as file:
        np.savez_compressed(file, test_images=pixels, test_labels=test.labels[chosen].astype(np.uint8))


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    split: str = "test",
    reader: Callable[[Any, str, int], Split] = medmnist.load_split,
) -> dict[str, Any]:
    """Test a trained model on the images of a file.

    Args:
        model: Model file, as training writes it.
        data: ``.npz`` file with ``test_images`` and ``test_labels``, laid out as MedMNIST's.
        split: ``"train"``, ``"val"`` or ``"test"``.
        reader: Reads the images from a path, given the split and the number of classes.

    Returns:
        accuracy, precision, recall, f1, auc, confusion_matrix and more, see
        :func:`tinymed.applications.classification_report.measure`.

    Raises:
        ValueError: If a file cannot be used, or the images do not fit the model.
    """
    network, about = run.open_model(model, *KNOWN)
    images = reader(data, split, len(about["classes"]))
    check_split(f"{data}, {split}", images, tuple(about["input"]["shape"]))
    scores = scores_of(network, images.images)
    numbers = classification_report.measure(images.labels, scores, about["threshold"], images.groups)
    return {"task": about["task"], **numbers, "classes": about["classes"]}


def predict(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    resize: bool = False,
    loader: Callable[[Any, pictures.Shape, bool], tuple[np.ndarray, list[str]]] = pictures.load,
) -> list[Prediction]:
    """Tell the class of images in ``.png``, ``.jpg`` or ``.npz`` files.

    Args:
        model: Model file, as training writes it.
        paths: The files; an ``.npz`` file may hold many images.
        resize: Whether images of another size are cropped to the middle and resampled.
        loader: Reads the images of a file, given the model's shape and ``resize``.

    Raises:
        ValueError: If a file cannot be used, or an image does not fit the model.
    """
    network, about = run.open_model(model, *KNOWN)
    found: list[Prediction] = []
    for path in paths:
        images, names = loader(path, tuple(about["input"]["shape"]), resize)
        found += _named(names, scores_of(network, images), about)
    if not found:
        raise ValueError("predict needs at least one image")
    return found


def _named(names: Iterable[str], scores: np.ndarray, about: dict[str, Any]) -> list[Prediction]:
    """Return the class that the scores mean for each image, with its probability."""
    if scores.ndim == 1:
        chosen = (scores > about["threshold"]).astype(int)
        sure = np.where(chosen == 1, scores, 1 - scores)
    else:
        chosen, sure = scores.argmax(axis=1), scores.max(axis=1)
    found = zip(names, chosen.tolist(), sure.tolist(), strict=True)
    return [Prediction(name, about["classes"][number], probability) for name, number, probability in found]


rows = classification_report.rows


# --- checks ----------------------------------------------------------------------------------------------------


def check_split(where: str, split: Split, shape: tuple[int, ...], classes: Sequence[str] = ()) -> None:
    """Raise ValueError unless the images have the model's shape and each of the ``classes`` occurs.

    Args:
        where: What the images are called in messages.
        split: The images.
        shape: The model's height, width and channels.
        classes: The classes that must occur; none if omitted.
    """
    if split.images.shape[1:] != tuple(shape):
        wanted, found = (" x ".join(map(str, s)) for s in (shape, split.images.shape[1:]))
        raise ValueError(
            f"{where}: expected images of {wanted} (height, width, channels) but found {found}; "
            "scale them to that size, or choose the task that fits them"
        )
    missing = np.setdiff1d(np.arange(len(classes)), split.labels)
    if len(missing) == len(classes) - 1 > 0:
        raise ValueError(
            f"{where}: all {len(split)} labels are {split.labels[0]}; AUC and training need images of "
            + ("both classes" if len(classes) == 2 else "all classes")
        )
    if len(missing):
        raise ValueError(
            f"{where}: no image of class {classes[missing[0]]!r}; AUC and training need images of all classes"
        )

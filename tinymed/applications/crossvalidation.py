"""Cross-validate a classification task: every image is tested once, by a network that has never seen its patient.

The task's own splits for training and choosing are put together and divided into folds. In each fold a part of the
training images chooses the best epoch, as in ``tinymed train``, so that the fold itself is looked at once. The task's
test images are not touched.

A data file may say whose each image is: arrays ``train_patients`` and ``val_patients``, one entry for each image.
Without them, copies of one image still stay on one side.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tinymed import metrics, optimizers, plots, validation
from tinymed.applications import classification, classification_report, run
from tinymed.applications.run import Result
from tinymed.datasets import medmnist
from tinymed.datasets.medmnist import Split
from tinymed.models import load_model
from tinymed.plots.evaluation import reliability, roc_curves

CHOOSING = 0.1
"""Share of each fold's training images that chooses the best epoch."""


def crossvalidate(
    module: Any,
    *,
    folds: int = 5,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
) -> Result:
    """Train and test a task's network on each fold, and write numbers and pictures.

    Args:
        module: The task's module, see :func:`tinymed.applications.find`; one with two classes.
        folds: Number of folds.
        epochs: Passes over the training images; the task's own number if omitted.
        batch_size: Images in one step.
        learning_rate: Step size of Adam.
        seed: Decides folds, weights, order, and phantoms.
        data: File with the images.
        out: Folder for the results; ``runs/NAME-folds`` if omitted.
        backend_name: Array library to train on.
        verbose: As in ``fit``; one line tells the result of each fold.

    Raises:
        ValueError: If the task is no classification of images into two classes, or the data cannot be used.
    """
    task = getattr(module, "TASK", None)
    if task is None or not hasattr(task, "build") or task.loss != "binary_crossentropy":
        raise ValueError(
            f"cross-validation needs a task with two classes of images, such as nodules or pneumonia, "
            f"which {module.__name__.rpartition('.')[2]!r} is not"
        )
    settings = task.settings.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start(f"{task.name}-folds", settings, seed=seed, out=out, backend_name=backend_name) as job:
        images = classification.read(task, data, seed, verbose=0)
        x = np.concatenate([images.train.images, images.val.images])
        y = np.concatenate([images.train.labels, images.val.labels])
        known = None if data is None else patients(data, len(images.train), len(images.val))
        # Without patients, at least two copies of one image stay together.
        groups = validation.repeated(x) if known is None else known
        if verbose:
            of = "" if known is None else f" of {len(np.unique(known))} patients"
            print(f"{task.name}: {len(y)} images{of} in {folds} folds", flush=True)

        def build() -> Any:
            model = task.build()
            adam = optimizers.Adam(learning_rate=settings.learning_rate)
            model.compile(adam, task.loss, metrics=["accuracy"])
            return model

        def tell(number: int, found: dict[str, float]) -> None:
            if verbose:
                print(f"fold {number + 1} of {folds}: AUC {found['auc']:.4f}", flush=True)

        start = time.perf_counter()
        chosen = validation.k_fold(len(y), folds, labels=y, groups=groups, seed=seed)
        trainer = _Trainer(task, settings, [groups[train] for train, _ in chosen], seed)
        result = validation.cross_validate(
            build,
            x,
            y,
            metrics={
                "auc": metrics.roc_auc,
                "accuracy": lambda true, p: metrics.binary_report(true, p)["accuracy"],
                "brier_score": metrics.brier_score,
            },
            folds=chosen,
            groups=groups,
            fit=trainer,
            each=tell,
        )
        scores = result.predictions[:, 0]
        numbers = {
            **classification_report.measure(y, scores, 0.5, groups),
            "classes": list(images.classes),
            "folds": result.folds,
            "mean": result.mean,
            "spread": result.spread,
            "data": task.drawn if data is None else os.path.basename(data),
            "patients": None if known is None else len(np.unique(known)),
            "seconds_training": round(time.perf_counter() - start, 2),
        }
        curves = {
            f"fold {i + 1}": (y[result.fold_of == i], scores[result.fold_of == i]) for i in range(len(result.folds))
        }
        roc_curves(curves, path=job / "roc.png", title=f"{task.name}: each fold by a model that has not seen it")
        reliability(y, scores, path=job / "calibration.png")
        matrix = metrics.confusion_matrix(y, scores > 0.5, 2)
        plots.confusion(matrix, images.classes, path=job / "confusion_matrix.png")
        job.finish(numbers, {"fold_auc": [fold["auc"] for fold in result.folds]})
    return job.result(None)


def patients(path: str | os.PathLike[str], train: int, val: int) -> np.ndarray | None:
    """Return whose each image of the training and validation split is, or None if the file does not say.

    Raises:
        ValueError: If there are not as many entries as images.
    """
    arrays = medmnist.read_npz(path)
    if "train_patients" not in arrays and "val_patients" not in arrays:
        return None
    found = []
    for name, count in (("train_patients", train), ("val_patients", val)):
        if name not in arrays:
            raise ValueError(f"{path} has patients for one split only; add {name}, one entry for each image")
        owners = arrays[name].reshape(-1)
        if len(owners) != count:
            raise ValueError(f"{path}: {name} has {len(owners)} entries for {count} images")
        found.append(owners)
    return np.concatenate(found)


class _Trainer:
    """Trains one fold after another: a part of the training images chooses the best epoch."""

    def __init__(self, task: Any, settings: run.Settings, owners: list[np.ndarray], seed: int) -> None:
        self.task, self.settings, self.owners, self.seed = task, settings, list(owners), seed

    def __call__(self, model: Any, x: np.ndarray, y: np.ndarray) -> None:
        task = self.task
        learn, choose = validation.train_val_test(
            len(y), (1 - CHOOSING, CHOOSING), labels=y, groups=self.owners.pop(0), seed=self.seed
        )
        ours = Split(x[choose], y[choose])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / run.MODEL
            best = run.KeepBest(path, lambda network: _area(network, ours), {"task": task.name}, name="val_auc")
            run.fit(
                model,
                lambda rng: (task.augment(x[learn], rng) if task.augment else x[learn], y[learn]),
                self.settings,
                callbacks=[best],
                verbose=0,
            )
            model.set_weights(load_model(path).get_weights())


def _area(model: Any, split: Split) -> float:
    scores = np.asarray(model.predict(split.images, batch_size=128, verbose=0))[:, 0]
    return metrics.roc_auc(split.labels, scores) if np.isfinite(scores).all() else float("nan")


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers."""
    mean, spread, low_high = numbers["mean"], numbers["spread"], numbers["auc_interval"]
    lines = [("images", str(numbers["samples"]))]
    for key, words in (("auc", "AUC"), ("accuracy", "accuracy"), ("brier_score", "Brier score")):
        what = f"{words}, mean ± spread of {len(numbers['folds'])} folds"
        lines.append((what, f"{mean[key]:.4f} ± {spread[key]:.4f}"))
    lines.append(("AUC of all together", f"{numbers['auc']:.4f} ({low_high[0]:.3f} to {low_high[1]:.3f})"))
    lines.append(("expected calibration error", f"{numbers['expected_calibration_error']:.4f}"))
    return lines

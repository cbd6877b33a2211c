"""What does it help to have seen something like it before? A residual network learns twice (D2 §8).

A new scanner has come: its images are blurred, flat and noisy, and only 32 of them have labels. The old one left
plenty. Three networks of the same architecture meet the new scanner's test images:

* one that has only seen the old scanner,
* one that starts *from scratch* on the 32 images,
* one that takes over what the first has learnt: first its new head learns alone, the other layers *frozen*, then all
  layers learn together at a small rate (*fine-tuning*).

Without data both scanners are phantoms. With ``data`` the second set are real chest X-rays, 32 of them with labels, and
the first are drawn ones.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinymed import metrics, optimizers
from tinymed.applications import classification, classification_report, resnet, run
from tinymed.applications.run import Result, Settings
from tinymed.datasets import medmnist
from tinymed.datasets.medmnist import Split
from tinymed.models import Model, load_model
from tinymed.plots.evaluation import roc_curves

SETTINGS = Settings(epochs=60, batch_size=16, learning_rate=0.002)
"""For the second set; as many passes over its few images for the network from scratch as for the other one."""

FIRST = {"images": 1600, "epochs": 5, "batch_size": 32}
"""For the first set."""

LABELLED = 32
TEST = 600
WIDTHS = (8, 16, 32)
CROP = 32
"""Side of the phantoms: the middle of the patch, where a nodule is if there is one."""

NAMES = {"first": "old scanner only", "scratch": "from scratch", "tuned": "fine-tuned"}


# --- data ------------------------------------------------------------------------------------------------------


def old_scanner(n: int, seed: int) -> Split:
    """Draw phantoms with and without a nodule."""
    from tinymed.datasets import phantoms

    images, labels = phantoms.nodules(n, seed)
    edge = (images.shape[1] - CROP) // 2
    return Split(np.ascontiguousarray(images[:, edge:-edge, edge:-edge]), labels)


def new_scanner(n: int, seed: int) -> Split:
    """Draw the same kind of phantoms as another scanner would show them: blurred, with less contrast and more noise."""
    from scipy import ndimage

    images, labels = old_scanner(n, seed)
    rng = np.random.default_rng([seed, 1])
    images = ndimage.gaussian_filter(images, (0, 0.9, 0.9, 0))
    grain = ndimage.gaussian_filter(rng.standard_normal(images.shape, dtype=np.float32), (0, 0.6, 0.6, 0))
    return Split(np.clip(0.15 + 0.7 * images + 0.06 * grain / grain.std(), 0, 1).astype(np.float32), labels)


def mirror(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror each image at random, up and down and left and right."""
    images = images.copy()
    for axis in (1, 2):
        chosen = rng.random(len(images)) < 0.5
        images[chosen] = np.flip(images[chosen], axis=axis)
    return images


def _few(split: Split, count: int, seed: int) -> Split:
    """Return some of the images, of both classes alike."""
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(split.labels == k))[: count // 2] for k in (0, 1)])
    if len(chosen) < count:
        found = np.bincount(split.labels, minlength=2).tolist()
        raise ValueError(f"transfer needs {count // 2} training images of each class but found {found}")
    return Split(split.images[chosen], split.labels[chosen])


def read(path: str | os.PathLike[str] | None = None, seed: int = 0) -> dict[str, Any]:
    """Return the first set, the few labelled images of the second, and its test images.

    Args:
        path: PneumoniaMNIST's file, or one laid out in the same way with grey images of 28 x 28; phantoms if omitted.
        seed: Which phantoms, and which of the images have labels.

    Raises:
        ValueError: If the file cannot be used.
    """
    if path is None:
        first, few, test = (3 * seed + i for i in range(3))
        return {
            "first": old_scanner(FIRST["images"], first),
            "few": _few(new_scanner(2 * LABELLED, few), LABELLED, seed),
            "test": new_scanner(TEST, test),
            "classes": ("no nodule", "nodule"),
            "channels": "three neighbouring slices, lung window",
            "augment": mirror,
        }
    from tinymed.applications.pneumonia import shift
    from tinymed.datasets import chests

    images = medmnist.load(path, medmnist.PNEUMONIA_CLASSES)
    for name in ("train", "test"):
        classification.check_split(f"{path}, {name}", getattr(images, name), (28, 28, 1), images.classes)
    return {
        "first": Split(*chests.chests(FIRST["images"], seed=seed)),
        "few": _few(images.train, LABELLED, seed),
        "test": images.test,
        "classes": images.classes,
        "channels": "grey",
        "augment": shift,
    }


# --- training --------------------------------------------------------------------------------------------------


def build(shape: tuple[int, ...] = (CROP, CROP, 3)) -> Model:
    """Build the residual network, see :func:`tinymed.applications.resnet.build`."""
    return resnet.build(shape, widths=WIDTHS)  # type: ignore[arg-type]


def learn(model: Model, split: Split, settings: Settings, augment: Any, verbose: Any, words: str) -> run.History:
    """Train with Adam on images that are moved or mirrored anew in each epoch; short epochs show no bar.

    Raises:
        ValueError: If training diverges.
    """
    if verbose:
        print(words, flush=True)
    model.compile(optimizers.Adam(settings.learning_rate), "binary_crossentropy", metrics=["accuracy"])
    long = len(split) > 10 * LABELLED
    history = run.fit(
        model, lambda rng: (augment(split.images, rng), split.labels), settings, verbose=verbose if long else 0
    )
    if not np.isfinite(history["loss"][-1]):
        raise ValueError("training diverged: the loss is NaN; try a smaller --learning-rate")
    return history


def fine_tune(weights: str | os.PathLike[str], sets: dict[str, Any], settings: Settings, verbose: Any) -> Any:
    """Take over the weights, replace the head, train it alone, then everything at half the rate.

    Returns:
        The model and its history.
    """
    base = build(sets["few"].images.shape[1:])
    base.load_weights(weights, by_name=True)
    model = resnet.with_new_head(base)
    resnet.freeze(model)
    alone = max(1, settings.epochs // 3)
    head = learn(
        model,
        sets["few"],
        settings.but(epochs=alone, learning_rate=5 * settings.learning_rate),
        sets["augment"],
        verbose,
        "the new head learns, all other layers frozen",
    )
    resnet.thaw(model)
    if settings.epochs == alone:
        return model, head
    rest = learn(
        model,
        sets["few"],
        settings.but(epochs=settings.epochs - alone, learning_rate=settings.learning_rate / 2),
        sets["augment"],
        verbose,
        "fine-tuning of all layers",
    )
    return model, {key: [*head[key], *rest[key]] for key in head}


def train(
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
    """Train the three networks, test them on the same images, and write the fine-tuned one.

    No image with a label is spared to choose an epoch with: all networks are tested as their training ends.

    Args:
        epochs: Passes over the few labelled images.
        batch_size: Of them.
        learning_rate: Of the network from scratch; the new head learns at five times, all layers later at half of it.
        seed: Decides weights, phantoms, and which images have labels.
        data: File with the second set, see :func:`read`.
        out: Folder for the results.
        backend_name: Array library to train on.
        verbose: As in ``fit``.
    """
    settings = SETTINGS.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start("transfer", settings, seed=seed, out=out, backend_name=backend_name) as job:
        if verbose:
            print("transfer: preparing images", flush=True)
        sets = read(data, seed)
        shape, test = sets["few"].images.shape[1:], sets["test"]
        start = time.perf_counter()
        first = build(shape)
        plenty = Settings(FIRST["epochs"], FIRST["batch_size"], 0.002)
        learn(first, sets["first"], plenty, sets["augment"], verbose, f"{len(sets['first'])} images of the first set")
        weights = job / "first.safetensors"
        first.save_weights(weights)
        scratch = build(shape)
        words = f"{len(sets['few'])} images of the second set: from scratch"
        alone = learn(scratch, sets["few"], settings, sets["augment"], verbose, words)
        model, tuned = fine_tune(weights, sets, settings, verbose)
        history = {**tuned, **{f"scratch_{key}": values for key, values in alone.items()}}
        seconds = time.perf_counter() - start
        about = {
            "task": "transfer",
            "classes": list(sets["classes"]),
            "input": {"shape": list(shape), "range": [0, 1], "channels": sets["channels"]},
            "threshold": classification.THRESHOLD,
        }
        run.save(model, job / run.MODEL, about)
        model = load_model(job / run.MODEL)
        scores = {
            name: classification.scores_of(network, test.images)
            for name, network in (("first", first), ("scratch", scratch), ("tuned", model))
        }
        numbers = {
            **metrics.binary_report(test.labels, scores["tuned"]),
            "classes": list(sets["classes"]),
            "comparison": compare(test.labels, scores),
            "data": "phantoms" if data is None else os.path.basename(data),
            "images": {name: len(sets[name]) for name in ("first", "few", "test")},
            "seconds_training": round(seconds, 2),
        }
        _write_pictures(job, history, test, scores, sets["classes"])
        classification.write_examples(job / classification.EXAMPLES, test, sets["classes"])
        job.finish(numbers, history)
    return job.result(model)


def compare(labels: np.ndarray, scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the AUC of each network, and what was gained over training from scratch, with intervals."""
    found: dict[str, Any] = {}
    for name, values in scores.items():
        interval = metrics.bootstrap(metrics.roc_auc, labels, values)
        found[name] = {"auc": interval.value, "interval": interval.numbers()}
    both = np.stack([scores["tuned"], scores["scratch"]], axis=1)
    gain = metrics.bootstrap(lambda y, p: metrics.roc_auc(y, p[:, 0]) - metrics.roc_auc(y, p[:, 1]), labels, both)
    found["gain"] = {"auc": gain.value, "interval": gain.numbers()}
    return found


def _write_pictures(job: Any, history: run.History, test: Split, scores: dict[str, np.ndarray], classes: Any) -> None:
    losses = {"loss_fine_tuned": history["loss"], "loss_from_scratch": history["scratch_loss"]}
    classification_report.write_pictures(
        job, losses, test.images[..., test.images.shape[-1] // 2], test.labels, scores["tuned"], classes, 0.5
    )
    curves = {NAMES[name]: (test.labels, values) for name, values in scores.items()}
    roc_curves(curves, path=job / "roc.png", title="The second set, three ways to learn it")


# --- use -------------------------------------------------------------------------------------------------------

evaluate = classification.evaluate


def predict(
    model: str | os.PathLike[str], paths: Iterable[str | pathlib.Path], resize: bool = False
) -> list[classification.Prediction]:
    """Tell the class of images, as :func:`tinymed.applications.classification.predict` does."""
    return classification.predict(model, paths, resize)


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers."""
    lines = classification.rows(numbers)
    for name, found in numbers.get("comparison", {}).items():
        low, high = found["interval"]
        sign = "+" if name == "gain" and found["auc"] > 0 else ""
        words = "gain over scratch" if name == "gain" else NAMES[name]
        lines.append((f"AUC, {words}", f"{sign}{found['auc']:.4f} ({low:.3f} to {high:.3f})"))
    return lines

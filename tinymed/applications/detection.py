"""Where are the nodules in a CT slice? A small one-stage detector, trained on phantoms or on your own boxes.

The documents name lesion detection and localisation (D0 §6, D1, D2 §5, D3) and give no network. This one looks at an
image once: it is fully convolutional, goes down to an eighth of the size and comes up again to a half, and has two
heads there. One gives a heat map with a peak at each nodule, the other the box around the centre (Objects as Points,
Zhou, Wang and Krähenbühl, 2019). The boxes are read off the peaks.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinymed import initializers, losses, metrics, optimizers, plots
from tinymed.applications import detection_report as report
from tinymed.applications import detection_search as search
from tinymed.applications import run
from tinymed.applications.detection_search import STRIDE
from tinymed.applications.run import Prediction, Result, Settings
from tinymed.datasets import boxed, lesions
from tinymed.datasets.lesions import Lesions
from tinymed.datasets.medmnist import SPLITS
from tinymed.layers import Concatenate, Conv2D, Input, MaxPooling2D, UpSampling2D
from tinymed.models import Model, load_model
from tinymed.ops.boxes import encode_boxes
from tinymed.preprocessing.augmentation import Augmentation, Flip
from tinymed.preprocessing.geometry import next_multiple

SETTINGS = Settings(epochs=12, batch_size=16, learning_rate=0.002)
SAMPLES = {"train": 2000, "val": 300, "test": 500}
EXAMPLES = "examples.npz"
KNOWN = ("threshold", "input")


def build(width: int = 16) -> Model:
    """Build the detector for grey images of any size whose sides are multiples of 8."""

    def conv(x: Any, filters: int) -> Any:
        return Conv2D(filters, (3, 3), padding="same", activation="relu", kernel_initializer="he_normal")(x)

    x = Input((None, None, 1))
    half = MaxPooling2D((2, 2))(conv(x, width))
    fine = conv(half, 2 * width)
    middle = conv(MaxPooling2D((2, 2))(fine), 4 * width)
    deep = conv(MaxPooling2D((2, 2))(middle), 4 * width)
    up = conv(Concatenate()([UpSampling2D((2, 2))(deep), middle]), 2 * width)
    up = conv(Concatenate()([UpSampling2D((2, 2))(up), fine]), 2 * width)
    # The bias lets the training begin with "hardly anything is a nodule", which is true.
    rare = initializers.Constant(-4.0)
    heat = Conv2D(1, (3, 3), padding="same", activation="sigmoid", bias_initializer=rare, name="heat")(up)
    box = Conv2D(4, (3, 3), padding="same", name="box")(up)
    return Model(x, [heat, box], name="detector")


def encode(images: np.ndarray, boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, list, list]:
    """Return images, filled up to multiples of 8, the maps to learn, and the weight of each of their cells."""
    height, width = images.shape[1:3]
    sides = [next_multiple(side, search.DIVISOR) for side in (height, width)]
    images = np.pad(images, [(0, 0), (0, sides[0] - height), (0, sides[1] - width), (0, 0)])
    shape = (sides[0] // STRIDE, sides[1] // STRIDE)
    encoded = [encode_boxes(np.asarray(group, dtype=np.float32), shape, STRIDE) for group in boxes]
    heat, targets, weights = (np.stack(maps) for maps in zip(*encoded, strict=True))
    return images, [heat, targets], [np.ones(len(images), dtype=np.float32), weights]


# --- train -----------------------------------------------------------------------------------------------------


def train(
    *,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
) -> Result:
    """Train the detector, keep the epoch with the best validation average precision, test it, and report.

    Args:
        data: Folder or file with images and boxes, see :mod:`tinymed.datasets.boxed`; phantoms if omitted.
        out: Folder for the results; ``runs/detection``, or the next free ``runs/detection-2`` ..., if omitted.
        seed: Decides weights, order of the images, and phantoms: same seed, same result.
        epochs: Passes over the training images.
        batch_size: Images in one step.
        learning_rate: Where the step size of Adam begins; it falls along half a cosine.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.

    Raises:
        ValueError: For options or data that cannot be used, before any training.
    """
    settings = SETTINGS.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start("detection", settings, seed=seed, out=out, backend_name=backend_name) as job:
        parts = _read(data, seed, verbose)
        training, validation = parts["train"], parts["val"]
        model = build()
        steps = settings.epochs * -(-len(training) // settings.batch_size)
        model.compile(
            optimizer=optimizers.Adam(optimizers.schedules.CosineDecay(settings.learning_rate, steps)),
            loss=[
                losses.HeatmapFocalCrossentropy(),
                losses.MeanAbsoluteError(reduction="mean_with_sample_weight"),  # over the cells at centres alone
            ],
        )
        best = run.KeepBest(job / run.MODEL, lambda model: _score(model, validation, best), _about(parts), _VALIDATION)
        flips = Augmentation([Flip(horizontal=True, vertical=True)])
        start = time.perf_counter()
        x, y, weights = encode(validation.images, validation.boxes)
        history = run.fit(
            model,
            lambda rng: encode(*flips(training.images, boxes=training.boxes, rng=rng)),
            settings,
            validation_data=(x, y, weights),
            callbacks=[best],
            verbose=verbose,
        )
        seconds = time.perf_counter() - start
        model = load_model(job / run.MODEL)
        test = parts["test"]
        found = search.find(model, test.images)
        numbers = {
            **report.numbers(found, test.boxes, best.about["threshold"]),
            "best_epoch": best.epoch + 1,
            "best_validation_average_precision": best.score,
            "data": "phantoms" if data is None else os.path.basename(data),
            "images": {name: len(part) for name, part in parts.items()},
            "seconds_training": round(seconds, 2),
        }
        report.draw(job, history, model, test, found, best.about["threshold"])
        boxed.save(job / EXAMPLES, {"test": test.take(np.arange(min(16, len(test))))})
        job.finish(numbers, history)
    return job.result(model)


_VALIDATION = "val_average_precision"


def _read(data: Any, seed: int, verbose: Any) -> dict[str, Lesions]:
    """Read or draw the images, and say how many there are."""
    if verbose:
        print(f"detection: reading {data}" if data else "detection: drawing phantoms", flush=True)
    if data is None:
        parts = {name: lesions.draw(n, seed=3 * seed + i) for i, (name, n) in enumerate(SAMPLES.items())}
    else:
        parts = boxed.load(data)
    for name, part in parts.items():
        if not sum(map(len, part.boxes)):
            raise ValueError(
                f"{data}: none of the {len(part)} images for {_PURPOSE[name]} has a box; "
                "more images with lesions are needed"
            )
    if verbose:
        said = (
            f"{len(part)} images with {sum(map(len, part.boxes))} lesions for {_PURPOSE[name]}"
            for name, part in parts.items()
        )
        print("; ".join(said), flush=True)
    return parts


_PURPOSE = dict(zip(SPLITS, ("training", "choosing the best epoch", "the test"), strict=True))


def _score(model: Model, data: Lesions, best: run.KeepBest) -> float:
    """Return the average precision, NaN if the outputs are, and keep in mind the threshold that suits the model."""
    found = search.find(model, data.images)
    if not np.isfinite(search.maps(model, data.images[:1])[0]).all():
        return float("nan")
    score = metrics.detection_average_precision(found, data.boxes, report.IOU)
    if score > best.score:
        best.about["threshold"] = _threshold(found, data.boxes)
    return score


def _threshold(found: search.Found, true: Sequence[np.ndarray]) -> float:
    """Return the score from which on boxes are told, that with the best F1."""
    precision, recall, scores = metrics.detection_precision_recall(found, true, report.IOU)
    if not scores.size:
        return 0.5
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return round(float(scores[np.argmax(f1)]), 3)


def _about(parts: dict[str, Lesions]) -> dict[str, Any]:
    """Return what prediction must know, as the model file keeps it."""
    return {
        "task": "detection",
        "threshold": 0.5,
        "input": {
            "shape": list(parts["train"].images.shape[1:]),
            "range": [0, 1],
            "pixel_mm": lesions.SPACING,
            "channels": "CT slice, window -1000 to 400 HU",
        },
    }


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained detector on images with boxes.

    Args:
        model: Model file, as training writes it.
        data: Folder or file, see :mod:`tinymed.datasets.boxed`; also the ``examples.npz`` of a run.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ValueError: If a file cannot be used, or no image of the split has a lesion.
    """
    network, about = run.open_model(model, *KNOWN)
    part = boxed.load_split(data, split)
    found = search.find(network, part.images)
    return {"task": about["task"], **report.numbers(found, part.boxes, about["threshold"])}


def predict(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
) -> list[Prediction]:
    """Find lesions in images and volumes.

    Volumes are searched at half their size too, for lesions of up to 30 pixels.

    Args:
        model: Model file, as training writes it.
        paths: Images, volumes, or files with several images, see :func:`tinymed.applications.detection_search.read`.
        out: Folder for ``boxes.csv``, with every box found, and a picture for each input.

    Returns:
        One entry for each lesion, the surest of an image first, and one for each image without any.

    Raises:
        ValueError: If a file cannot be used.
    """
    network, about = run.open_model(model, *KNOWN)
    scenes = [search.read(path) for path in paths]
    if not scenes:
        raise ValueError("predict needs at least one image")
    threshold = about["threshold"]
    predictions: list[Prediction] = []
    for number, scene in enumerate(scenes):
        look = search.find_at_scales if scene.volume else search.find_in_tiles
        found = look(network, scene.images, threshold)
        scale = np.array([*scene.scale, *scene.scale])
        if scene.volume:
            findings = search.join_slices(found)
            predictions += report.told(
                scene.names[0], [(item.box * scale, item.score, item.slices) for item in findings]
            )
        else:
            findings = []
            for name, (boxes, scores) in zip(scene.names, found, strict=True):
                predictions += report.told(
                    name, [(b * scale, float(s), None) for b, s in zip(boxes, scores, strict=True)]
                )
        if out is not None:
            where = pathlib.Path(out) / f"{number + 1:03d}_{pathlib.Path(scene.names[0].partition('[')[0]).stem}.png"
            plots.findings_sheet(scene.images, found, findings if scene.volume else None, path=where)
    if out is not None:
        report.write_boxes(pathlib.Path(out) / "boxes.csv", predictions)
    return predictions


rows = report.rows

"""Which voxels belong to which organ or lesion? A U-Net on slices of volumes (D0 §6, D1, D3).

The network sees a slice with its two neighbours and answers for the one in the middle. Cases are split, never
slices; all numbers are computed on whole volumes, in their own spacing.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinymed import losses, metrics, optimizers
from tinymed.applications import run, segmentation_report
from tinymed.applications import segmentation_cases as cases_of
from tinymed.applications.segmentation_cases import Case, Cases, Plan
from tinymed.datasets import volume_folders, volumes
from tinymed.layers import Activation, BatchNormalization, Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D
from tinymed.models import Model, load_model
from tinymed.preprocessing.augmentation import Augmentation, Brightness, Contrast, Elastic, Noise, Rotation, Shift, Zoom

NAME = "segmentation"
SETTINGS = run.Settings(epochs=4, batch_size=16, learning_rate=0.001)
FOR_PHANTOMS = run.Settings(epochs=13, batch_size=8, learning_rate=0.002)
KNOWN = ("labels", "plan", "split")
"""What the model file says for prediction."""

PHANTOMS = {"train": 32, "val": 5, "test": 10}
"""How many volumes are drawn for a run without data."""

EMPTY = 0.25
"""The part of the slices without any label that is shown to the network in each epoch."""

AUGMENT = Augmentation(
    [
        Rotation(12),
        Zoom(0.88, 1.14),
        Shift(3),
        Elastic(1.5, 12),
        Brightness(0.2, limits=None),
        Contrast(0.8, 1.25, limits=None),
        Noise(0.1, limits=None),
    ]
)


def build(channels: int, classes: int, widths: Sequence[int] = (16, 32, 64), batch_norm: bool = False) -> Model:
    """Build a U-Net: down a ladder of smaller and deeper images, and up again with what each rung remembers.

    Height and width may be any multiples of ``2 ** (len(widths) - 1)``.

    Args:
        channels: Of a slice.
        classes: With the background.
        widths: Channels on each rung, from the largest images down.
        batch_norm: Whether each convolution is followed by batch normalisation.

    Source:
        Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015.
    """

    def block(x: Any, filters: int) -> Any:
        for _ in range(2):
            if batch_norm:
                x = Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
                x = Activation("relu")(BatchNormalization()(x))
            else:
                x = Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    x = slices = Input((None, None, channels))
    remembered = []
    for filters in widths[:-1]:
        x = block(x, filters)
        remembered.append(x)
        x = MaxPooling2D(2)(x)
    x = block(x, widths[-1])
    for filters, before in zip(reversed(widths[:-1]), reversed(remembered), strict=True):
        x = Conv2DTranspose(filters, 2, strides=2)(x)
        x = Concatenate()([before, x])
        x = block(x, filters)
    return Model(slices, Conv2D(classes, 1, activation="softmax")(x))


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
    window: str | None = None,
    axis: int | None = None,
) -> run.Result:
    """Train a U-Net, keep the epoch with the best Dice on the validation cases, and test it on cases not seen.

    Args:
        data: Folder with ``images`` and ``labels`` (or ``imagesTr`` and ``labelsTr``) in it; phantoms if omitted.
        out: Folder for the results; ``runs/segmentation`` if omitted.
        seed: Decides weights, order and augmentation, and the phantoms; the split of real cases is always the same.
        epochs: Passes over the training slices.
        batch_size: Slices in one step.
        learning_rate: Of Adam in the first step; it falls to zero along a cosine.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.
        window: CT window by name, or "percentiles", which scales each volume by itself (the default for ``data``).
        axis: Across which slices are cut: 0 right, 1 front, 2 head; chosen by the spacing if omitted.

    Raises:
        ValueError: For options or data that cannot be used, before any training.
    """
    settings = (FOR_PHANTOMS if data is None else SETTINGS).but(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
    with run.start(NAME, settings, seed=seed, out=out, backend_name=backend_name) as job:
        cases = _read(data, seed, verbose)
        plan = cases_of.plan_for(cases.train, window or ("percentiles" if data else "abdomen"), axis)
        images, masks = cases_of.training_slices(cases.train, plan)
        choose = _Chooser(images, masks, verbose)
        model = build(plan.slices, len(cases.labels) + 1)
        steps = settings.epochs * -(-choose.count // settings.batch_size)
        rate = optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        model.compile(optimizer=optimizers.Adam(rate), loss=losses.DiceCrossentropy())
        best = run.KeepBest(
            job / run.MODEL,
            lambda model: _mean_dice(model, cases.val, plan, cases.labels),
            {
                "task": NAME,
                "labels": list(cases.labels.values()),
                "plan": plan.as_dict(),
                "split": {split: [case.name for case in getattr(cases, split)] for split in cases_of.SPLITS},
            },
            name="val_dice",
        )
        training = time.perf_counter()
        history = run.fit(model, choose, settings, callbacks=[best], verbose=verbose)
        training = time.perf_counter() - training
        model = load_model(job / run.MODEL)
        found = [cases_of.segment(model, case.volume, plan) for case in cases_of.watched(cases.test, "testing")]
        table = segmentation_report.measure(cases.test, found, cases.labels)
        segmentation_report.write(job, history, cases, found, table, plan)
        numbers = {
            **segmentation_report.summary(table),
            "best_epoch": best.epoch + 1,
            "best_validation_dice": best.score,
            "data": "phantoms" if data is None else pathlib.Path(data).resolve().name,
            "cases": {split: len(getattr(cases, split)) for split in cases_of.SPLITS},
            "plan": plan.as_dict(),
            "weights": model.count_params(),
            "seconds_training": round(training, 2),
        }
        job.finish(numbers, history)
    return job.result(model)


def _read(data: Any, seed: int, verbose: Any) -> Cases:
    if verbose:
        print(f"{NAME}: reading {data}" if data else f"{NAME}: drawing phantoms", flush=True)
    if data is None:
        cases = _phantoms(seed)
    else:
        cases = cases_of.read_split(data)
    if verbose:
        counts = {split: len(getattr(cases, split)) for split in cases_of.SPLITS}
        print("cases: {train} to train on, {val} to choose the best epoch, {test} to test".format(**counts), flush=True)
    return cases


def _phantoms(seed: int) -> Cases:
    """Draw abdominal CT scans, other ones for each seed and each split."""
    from tinymed.datasets import organs

    train, val, test = (
        [Case(f"phantom_{split}_{i}", *organs.draw(np.random.default_rng([seed, k, i]))) for i in range(count)]
        for k, (split, count) in enumerate(PHANTOMS.items())
    )
    return Cases(train, val, test, organs.LABELS)


class _Chooser:
    """Draws the slices of an epoch: all that show a label, some of the others, changed at random.

    Arguments:
        images: All slices (N, H, W, C).
        masks: Their labels (N, H, W).
        verbose: Whether to say what takes its time.

    Attributes:
        count: Slices in an epoch.
    """

    def __init__(self, images: np.ndarray, masks: np.ndarray, verbose: Any) -> None:
        self.images, self.masks, self.verbose = images, masks, verbose
        shows = masks.any(axis=(1, 2))
        self.full, self.empty = np.flatnonzero(shows), np.flatnonzero(~shows)
        self.count = len(self.full) + round(EMPTY * len(self.empty))

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return images and masks."""
        if self.verbose:
            print(f"changing {self.count} slices at random", end="\r", flush=True)
        some = rng.permutation(self.empty)[: self.count - len(self.full)]
        chosen = np.concatenate([self.full, some])
        images, masks = AUGMENT(self.images[chosen], self.masks[chosen], rng=rng)
        mirrored = rng.random(len(chosen)) < 0.5  # the other way through the volume
        images[mirrored] = images[mirrored, ..., ::-1]
        return images, masks


def _mean_dice(model: Any, cases: Sequence[Case], plan: Plan, labels: Mapping[int, str]) -> float:
    """Return the mean Dice over labels and cases."""
    scores = []
    for case in cases:
        found = cases_of.segment(model, case.volume, plan)
        scores += [metrics.dice_coefficient(case.truth == label, found == label) for label in labels]
    return float(np.mean(scores))


# --- use -------------------------------------------------------------------------------------------------------


def _open(model: str | os.PathLike[str]) -> tuple[Any, Plan, dict[int, str], dict[str, list[str]]]:
    network, about = run.open_model(model, *KNOWN)
    plan = dict(about["plan"])
    plan.update(spacing=tuple(plan["spacing"]), size=tuple(plan["size"]))
    return network, Plan(**plan), dict(enumerate(about["labels"], start=1)), about["split"]


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained model on volumes whose masks are known.

    Args:
        model: Model file, as training writes it.
        data: Folder with ``images`` and ``labels`` in it.
        split: ``"train"`` or ``"val"``: the cases that training has used so, by their names. ``"test"``: all others.

    Raises:
        ValueError: If a file cannot be used, or no case is of that split.
    """
    network, plan, labels, parts = _open(model)
    if split not in cases_of.SPLITS:
        raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
    used = {name: part for part in ("train", "val") for name in parts[part]}
    cases, _ = cases_of.read(data, lambda name: used.get(name, "test") == split)
    if not cases:
        raise ValueError(f"{data} has no case of the split {split!r}; the model file knows the cases by their names")
    for case in cases:
        if case.truth.max() > len(labels):
            raise ValueError(
                f"the mask of {case.name} has label {case.truth.max()}, but the model knows {len(labels)}: "
                f"{', '.join(labels.values())}"
            )
    found = [cases_of.segment(network, case.volume, plan) for case in cases_of.watched(cases, "testing")]
    table = segmentation_report.measure(cases, found, labels)
    return {"task": NAME, **segmentation_report.summary(table)}


def predict(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
) -> list[run.Prediction]:
    """Find the organs in volumes; tell how large they are, and write masks if wished.

    Args:
        model: Model file, as training writes it.
        paths: Volumes (``.nii.gz``, ``.mha`` ...), folders with a DICOM series each, or folders of volumes.
        out: Folder for the masks, ``CASE.nii.gz`` with the label of each voxel.

    Raises:
        ValueError: If a file cannot be used, or two cases have one name.
    """
    network, plan, labels, _ = _open(model)
    inputs = [volume for path in paths for volume in volume_folders.find(path)]
    if not inputs:
        raise ValueError("predict needs at least one volume")
    names = [volume_folders.case_of(path) for path in inputs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if out is not None and twice is not None:
        raise ValueError(f"two volumes are named {twice}, and their masks cannot both be {twice}.nii.gz; rename one")
    found = []
    for path, name in cases_of.watched(list(zip(inputs, names, strict=True)), "segmenting"):
        volume = volumes.read(path)
        mask = cases_of.segment(network, volume, plan)
        counts = {label: int((mask == number).sum()) for number, label in labels.items()}
        sizes = {label: count * volume.millilitres for label, count in counts.items()}
        cells = tuple(f"{label} {sizes[label]:.3f} ml ({counts[label]} voxels)" for label in counts)
        values: dict[str, Any] = {"mask": mask, "voxels": counts, "millilitres": sizes}
        if out is not None:
            values["file"] = pathlib.Path(out) / f"{name}.nii.gz"
            volumes.write(values["file"], mask, volume)
            cells = (*cells, str(values["file"]))
        found.append(run.Prediction(str(path), cells, values))
    return found


rows = segmentation_report.rows

"""Cases to segment: volumes with their masks, on one scale and spacing, as slices for the network and back again."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np

from tinymed.datasets import volume_folders
from tinymed.datasets.volumes import Volume
from tinymed.preprocessing import geometry, intensity

T = TypeVar("T")

SPLITS = ("train", "val", "test")
SHARES = {"val": 0.1, "test": 0.2}
DEEPEST = 8
"""The network halves a slice three times at most, so heights and widths are multiples of this."""


@dataclass(frozen=True)
class Case:
    """A volume whose answer is known.

    Attributes:
        name: Of the case.
        volume: As it was read.
        truth: The label of each of its voxels, uint8.
    """

    name: str
    volume: Volume
    truth: np.ndarray


@dataclass(frozen=True)
class Cases:
    """The cases of a training run, by split, and what the labels are called.

    Attributes:
        train, val, test: The cases.
        labels: Names of the labels from 1 on.
    """

    train: list[Case]
    val: list[Case]
    test: list[Case]
    labels: dict[int, str]


@dataclass(frozen=True)
class Plan:
    """How a volume becomes slices; kept in the model file, so that prediction does as training did.

    Attributes:
        axis: The axis (0 right, 1 front, 2 head) across which slices are cut.
        spacing: Distance of voxels in mm that the network sees, along right, front and head.
        slices: Neighbouring slices that are the channels of the one in the middle.
        window: A CT window by name, or "percentiles" for images without a scale of their own, such as MR.
        size: Height and width of the slices in training; in prediction slices are as large as the volume.
    """

    axis: int
    spacing: tuple[float, float, float]
    slices: int = 3
    window: str = "percentiles"
    size: tuple[int, int] = (64, 64)

    def __post_init__(self) -> None:
        if self.window != "percentiles":
            intensity.window(0.0, self.window)

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes, as JSON can hold them."""
        return asdict(self)


def plan_for(cases: Sequence[Case], window: str = "percentiles", axis: int | None = None, slices: int = 3) -> Plan:
    """Choose spacing, axis and size from the training cases.

    The spacing is the median. Slices are cut across the axis with the largest spacing, as the scanner made them.
    Where voxels are cubes it is the longest axis: the slices are small, and there are many to learn from. The size is
    the median, rounded up.
    """
    spacings = [case.volume.spacing_ras for case in cases]
    spacing = np.round(np.median(spacings, axis=0), 3)
    shapes = [case.volume.to_ras().shape for case in cases]
    sizes = np.median(np.multiply(shapes, spacings) / spacing, axis=0)  # in voxels after resampling
    if axis is None:
        cubes = spacing.max() < 1.02 * spacing.min()
        axis = int(np.argmax(sizes if cubes else spacing))
    height, width = (geometry.next_multiple(round(n), DEEPEST) for n in np.delete(sizes, axis).tolist())
    return Plan(axis, tuple(spacing.tolist()), slices, window, (height, width))


# --- reading ---------------------------------------------------------------------------------------------------


def find(folder: str | os.PathLike[str]) -> tuple[list[tuple[pathlib.Path, pathlib.Path]], dict[int, str]]:
    """Return the volumes and masks of a folder, and the names of the labels if its ``dataset.json`` has them."""
    found = volume_folders.pairs(folder)
    about = pathlib.Path(folder) / "dataset.json"
    if not about.is_file():
        return found, {}
    try:
        names = json.loads(about.read_text("utf-8"))["labels"]
        by_number = {k: v for k, v in names.items() if str(k).isdigit()} or {v: k for k, v in names.items()}
        return found, {int(number): str(name).lower() for number, name in by_number.items() if int(number) > 0}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f'{about} does not say what the labels are ("labels": {{"1": "liver"}}); mend it') from error


def split_names(names: Sequence[str]) -> dict[str, list[str]]:
    """Divide cases into train, val and test; the same names are always divided in the same way.

    >>> {split: len(names) for split, names in split_names([f"case {i}" for i in range(260)]).items()}
    {'train': 182, 'val': 26, 'test': 52}

    Raises:
        ValueError: If there are fewer than five cases.
    """
    if len(names) < 5:
        raise ValueError(f"{len(names)} cases are too few to train, validate and test; at least 5 are needed")
    order = np.random.default_rng(2018).permutation(len(names))
    mixed = [sorted(names)[i] for i in order]
    val, test = (max(1, round(share * len(names))) for share in SHARES.values())
    return {"train": mixed[test + val :], "val": mixed[test : test + val], "test": mixed[:test]}


def read(folder: str | os.PathLike[str], chosen: Callable[[str], bool] | None = None) -> tuple[list[Case], dict]:
    """Read the cases of a folder (those whose names are ``chosen``) and the names of the labels."""
    found, labels = find(folder)
    cases = []
    for image, mask in found:
        name = volume_folders.case_of(image)
        if chosen is None or chosen(name):
            cases.append(Case(name, *volume_folders.read_pair(image, mask)))
    return cases, labels


def read_split(folder: str | os.PathLike[str]) -> Cases:
    """Read all cases of a folder, split by case.

    Raises:
        ValueError: If the folder cannot be used, or no mask of the training cases has a label.
    """
    found, names = find(folder)
    parts = split_names([volume_folders.case_of(image) for image, _ in found])
    cases, _ = read(folder)
    by_name = {case.name: case for case in cases}
    train, val, test = ([by_name[name] for name in sorted(parts[split])] for split in SPLITS)
    present = np.unique(np.concatenate([np.unique(case.truth) for case in train]))
    last = int(present.max())
    if last == 0:
        raise ValueError(f"{folder}: all masks of the training cases are empty; there is nothing to learn")
    for case in (*val, *test):
        if case.truth.max() > last:
            raise ValueError(
                f"{folder}: the mask of {case.name} has label {case.truth.max()}, which no training case has; "
                "number the labels from 1 on, the same in all masks"
            )
    return Cases(train, val, test, {n: names.get(n, f"label {n}") for n in range(1, last + 1)})


# --- volumes to slices -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A volume as the network sees it.

    Attributes:
        slices: (slices, height, width, channels), float32, not yet cut or filled to a size.
        truth: (slices, height, width), uint8, if the answer is known.
    """

    slices: np.ndarray
    truth: np.ndarray | None = field(default=None)


def prepare(volume: Volume, plan: Plan, truth: np.ndarray | None = None) -> Prepared:
    """Turn, resample and scale a volume, and cut it into slices with their neighbours."""
    image = np.ascontiguousarray(volume.to_ras(), dtype=np.float32)
    mask = None if truth is None else volume.to_ras(truth)
    if not np.allclose(volume.spacing_ras, plan.spacing, rtol=0.02):
        image = geometry.resample(image, volume.spacing_ras, plan.spacing)
        mask = None if mask is None else geometry.resample(mask, volume.spacing_ras, plan.spacing, nearest=True)
    if plan.window == "percentiles":
        image = intensity.standardize(intensity.scale_percentiles(image))
    else:
        image = 2 * intensity.window(image, plan.window) - 1
    stack = np.moveaxis(image, plan.axis, 0)
    reach = plan.slices // 2
    longer = np.pad(stack, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    channels = np.stack([longer[k : k + len(stack)] for k in range(plan.slices)], axis=-1)
    return Prepared(channels, None if mask is None else np.moveaxis(mask, plan.axis, 0))


def training_slices(cases: Iterable[Case], plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return all slices (N, H, W, C) of the cases and their masks (N, H, W), in the size for training."""
    images, masks = [], []
    for case in cases:
        prepared = prepare(case.volume, plan, case.truth)
        images.append(geometry.centre(prepared.slices, (None, *plan.size), "edge"))
        masks.append(geometry.centre(prepared.truth, (None, *plan.size), 0))
    return np.concatenate(images), np.concatenate(masks)


def segment(model: Any, volume: Volume, plan: Plan) -> np.ndarray:
    """Return the label that the model gives to each voxel of a volume, uint8, as the volume's own axes lie.

    Where the volume has another spacing than the network's, the probabilities are resampled, not the labels.
    """
    slices = prepare(volume, plan).slices
    count, height, width = slices.shape[:3]
    size = geometry.next_multiple(height, DEEPEST), geometry.next_multiple(width, DEEPEST)
    found = model.predict(geometry.centre(slices, (None, *size), "edge"), batch_size=16, verbose=0)
    found = geometry.centre(np.asarray(found), (count, height, width))
    found = np.moveaxis(found, 0, plan.axis)  # (X, Y, Z, K)
    wanted = volume.to_ras().shape
    if found.shape[:3] != wanted:
        classes = [geometry.resize(found[..., k], wanted) for k in range(found.shape[-1])]
        found = np.stack(classes, axis=-1)
    return volume.from_ras(found.argmax(axis=-1).astype(np.uint8))


def watched(items: Sequence[T], what: str) -> Iterable[T]:
    """Return the items, and show on a terminal how many have been gone through."""
    from tqdm import tqdm

    return tqdm(items, desc=what, leave=False, disable=None)  # None: silent unless somebody watches

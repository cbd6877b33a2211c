"""Reader of MedMNIST's ``.npz`` files, and of any file laid out in the same way.

Such a file holds six arrays: ``train_images``, ``train_labels`` and the same for ``val`` and ``test``. Images are
(N, H, W) or (N, H, W, C), labels (N,) or (N, 1), whole numbers from 0.

The MedMNIST collection: Yang et al., Scientific Data 2023 (10.1038/s41597-022-01721-8).
"""

from __future__ import annotations

import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SPLITS = ("train", "val", "test")

CLASSES = {"pneumoniamnist": ("normal", "pneumonia")}
"""Class names by the file's name without its ending."""

PNEUMONIA_CLASSES = CLASSES["pneumoniamnist"]


@dataclass(frozen=True)
class Split:
    """Images (N, H, W, C), float32 in [0, 1], their labels (N,), int64, and whose each is (N,), if that is known."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Permit ``x, y = split``."""
        return iter((self.images, self.labels))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImageData:
    """Images with labels, split for training, for choosing among models, and for the final test."""

    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]


def load(path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> ImageData:
    """Read all three splits of a file.

    Args:
        path: The ``.npz`` file.
        classes: Names of the classes; known for MedMNIST's own files, else numbers.

    Raises:
        ValueError: If the file is missing, damaged, or not laid out as it should be; the message names the file
            and the fix.
    """
    return load_arrays(path, read_npz(path), classes)


def load_arrays(
    path: str | os.PathLike[str], arrays: dict[str, np.ndarray], classes: Sequence[str] | None = None
) -> ImageData:
    """Check the arrays of a file that was read already, and bring them into the engine's form; see :func:`load`."""
    if classes is None:
        classes = CLASSES.get(pathlib.Path(path).stem.lower())
    count = None if classes is None else len(classes)
    train, val, test = (_split(path, arrays, name, count) for name in SPLITS)
    shapes = {split.images.shape[1:] for split in (train, val, test)}
    if len(shapes) > 1:
        raise ValueError(f"{path}: the images of its splits differ in shape: {sorted(shapes)}; scale them to one")
    if classes is None:
        classes = [str(k) for k in range(max(int(split.labels.max()) for split in (train, val, test)) + 1)]
    return ImageData(train, val, test, tuple(classes))


def load_split(
    path: str | os.PathLike[str], split: str, classes: int | None = None, arrays: dict[str, np.ndarray] | None = None
) -> Split:
    """Read one split of a file, which need not have the others.

    Args:
        path: The ``.npz`` file.
        split: ``"train"``, ``"val"`` or ``"test"``.
        classes: How many classes there are, to check the labels.
        arrays: The arrays of the file, if it was read already.

    Raises:
        ValueError: As :func:`load`.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    return _split(path, read_npz(path) if arrays is None else arrays, split, classes)


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz`` file; a pickle inside is refused, since loading one can run any program.

    Raises:
        ValueError: If the file is missing, no ``.npz`` file, damaged, empty, or contains a pickle.
    """
    can_be_read(path)
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no .npz file, or its end is missing (an interrupted download?); "
            "fetch it again, or write it with numpy.savez"
        )
    arrays: dict[str, np.ndarray] = {}
    name = ""
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                arrays[name] = file[name]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError) as error:
        part = f"array {name!r} in {path}" if name else str(path)
        raise ValueError(f"{part} is damaged ({error}); fetch or write the file again") from error
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise ValueError(
                f"{path}: array {name!r} contains a pickle, which could run any program and is refused; "
                "save plain numeric arrays with numpy.savez"
            ) from error
        raise ValueError(f"array {name!r} in {path} is damaged ({error}); fetch or write the file again") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # members without the ending .npy come as bytes
            raise ValueError(f"{path}: {name!r} is no NumPy array; write the file with numpy.savez")
    if not arrays:
        raise ValueError(f"{path} contains no arrays; write it with numpy.savez")
    return arrays


def can_be_read(path: str | os.PathLike[str]) -> None:
    """Raise ValueError, with the fix, unless ``path`` is a file that can be opened."""
    if not os.path.exists(path):
        raise ValueError(f"{path}: no such file; check the path (relative paths start at {os.getcwd()})")
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder; name a file in it")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check its permissions") from error


def unit_range(images: np.ndarray, where: str) -> np.ndarray:
    """Return images as float32 in [0, 1]: whole numbers are divided by the largest that their type can hold.

    Args:
        images: uint8, uint16, bool, or floating numbers that lie in [0, 1] already.
        where: What the images are called in messages.

    Raises:
        ValueError: For other types, NaN, infinity, or floating numbers outside [0, 1].
    """
    if images.dtype == np.bool_:
        return images.astype(np.float32)
    if images.dtype in (np.uint8, np.uint16):
        return images.astype(np.float32) / np.float32(np.iinfo(images.dtype).max)
    if images.dtype.kind != "f":
        raise ValueError(
            f"{where}: pixels must be uint8, uint16 or floating numbers in [0, 1] but are {images.dtype}; "
            "scale them to [0, 1] first"
        )
    bad = int(images.size - np.count_nonzero(np.isfinite(images)))
    if bad:
        raise ValueError(f"{where}: {bad} pixels are NaN or infinite; drop these images or fill them first")
    if images.size and (images.min() < 0 or images.max() > 1):
        raise ValueError(
            f"{where}: pixels must lie in [0, 1] but reach from {images.min():.4g} to {images.max():.4g}; "
            "scale them first, e.g. (x - low) / (high - low)"
        )
    return images.astype(np.float32)


def _split(path: Any, arrays: dict[str, np.ndarray], split: str, classes: int | None) -> Split:
    """Check one split and bring it into the engine's form."""
    names = (f"{split}_images", f"{split}_labels")
    for name in names:
        if name not in arrays:
            raise ValueError(
                f"{path} has no array {name!r}; it has {', '.join(sorted(arrays))} (wanted: images and labels of each "
                "split, as in MedMNIST's files: train_images, train_labels, val_images ...)"
            )
    images, labels = (arrays[name] for name in names)
    where = f"{path}, {names[0]}"
    if images.ndim not in (3, 4):
        raise ValueError(f"{where}: expected (N, H, W) or (N, H, W, C) but found {images.shape}")
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise ValueError(
            f"{where}: expected (N, H, W, C) but found {images.shape}: channels seem to be first; "
            "move them last with np.moveaxis(x, 1, -1)"
        )
    if 0 in images.shape:
        raise ValueError(f"{where}: no images (shape {images.shape}); each split needs at least one")
    pixels = unit_range(images, where)
    return Split(
        pixels[..., np.newaxis] if images.ndim == 3 else pixels, _labels(path, names[1], labels, len(images), classes)
    )


def _labels(path: Any, name: str, labels: np.ndarray, images: int, classes: int | None) -> np.ndarray:
    """Check labels and return them as (N,), int64."""
    where = f"{path}, {name}"
    if labels.shape not in ((images,), (images, 1)):
        advice = ""
        if labels.ndim == 2 and labels.shape[0] == images:
            advice = "; for one-hot rows take np.argmax(labels, axis=1)"
        raise ValueError(f"{where}: expected ({images},) or ({images}, 1) labels but found {labels.shape}{advice}")
    labels = labels.reshape(-1)
    if labels.dtype.kind not in "iub":
        whole = labels.dtype.kind == "f" and bool(np.all(labels == np.round(labels)))  # NaN is never equal
        if not whole:
            raise ValueError(
                f"{where}: labels must be whole numbers from 0 but are {labels.dtype}, not all of them whole"
            )
    values = labels.astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or (classes is not None and high >= classes):
        allowed = f"0 to {classes - 1}" if classes is not None else "0 or more"
        raise ValueError(f"{where}: labels must be {allowed} but reach from {low} to {high}; number the classes from 0")
    return values

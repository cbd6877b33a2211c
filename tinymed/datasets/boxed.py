"""Reader of images with boxes, in either of two simple forms.

A folder with ``boxes.csv`` and the images (``.png``, ``.jpg``) that it names:

    image,y0,x0,y1,x1,patient
    slice_001.png,20.5,31,27,38.5,A
    slice_001.png,44,10,50,17,A
    slice_002.png,,,,,B

A line for each box; an image without any lesion has one line without numbers, so that none is forgotten. The column
``patient`` may be missing. Images of one patient are kept together when they are split.

Or an ``.npz`` file with ``images`` (N, H, W) or (N, H, W, 1), ``boxes`` (N, K, 4), rows of NaN where an image has fewer
than K, and if wished ``patients`` (N,). If it is split already, the names are ``train_images``, ``train_boxes`` and the
same for ``val`` and ``test``.

Boxes are (y0, x0, y1, x1) in pixels, as :mod:`tinymed.datasets.lesions` explains.
"""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from tinymed.datasets import images as pictures
from tinymed.datasets.lesions import Lesions
from tinymed.datasets.medmnist import SPLITS, can_be_read, read_npz, unit_range

PathLike = str | os.PathLike[str]

TABLE = "boxes.csv"
_COLUMNS = ("image", "y0", "x0", "y1", "x1")
_SHARES = (0.7, 0.15)
"""Of the patients, for training and for validation; the rest is for the test."""

_SEED = 20240229
"""Of the split, which is the same in every run."""


def load(path: PathLike) -> dict[str, Lesions]:
    """Read images with boxes, split into ``"train"``, ``"val"`` and ``"test"``.

    Unless the file is split already, seven in ten patients are for training, and the same ones in every run.

    Args:
        path: A folder with ``boxes.csv``, or an ``.npz`` file.

    Raises:
        ValueError: If something is missing or damaged, a box is no box or lies outside its image, an image has no
            entry, or images differ in size; the message names the place and the fix.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return split(_from_folder(path), str(path))
    if path.suffix.lower() == ".csv":
        raise ValueError(f"{path} is a table; name the folder in which it lies with its images, {path.parent}")
    arrays = read_npz(path)
    if "images" in arrays:
        return split(_from_arrays(path, arrays, ""), str(path))
    return {name: _from_arrays(path, arrays, f"{name}_") for name in SPLITS}


def load_split(path: PathLike, name: str) -> Lesions:
    """Read one split, without the need of the others if the file is split already.

    Args:
        path: As for :func:`load`.
        name: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ValueError: As :func:`load`.
    """
    if name not in SPLITS:
        raise ValueError(f"unknown split {name!r}; choose one of {', '.join(SPLITS)}")
    if pathlib.Path(path).is_dir():
        return load(path)[name]
    arrays = read_npz(path)
    return load(path)[name] if "images" in arrays else _from_arrays(path, arrays, f"{name}_")


def save(path: PathLike, splits: Mapping[str, Lesions]) -> None:
    """Write images with boxes as an ``.npz`` file that is split already; pixels are kept to 1/65535.

    Args:
        path: The file.
        splits: What to write, by the names of the splits.
    """
    from tinymed import files

    arrays = {}
    for name, part in splits.items():
        most = max(1, *(len(boxes) for boxes in part.boxes))
        padded = np.full((len(part), most, 4), np.nan, dtype=np.float32)
        for row, boxes in zip(padded, part.boxes, strict=True):
            row[: len(boxes)] = boxes
        arrays[f"{name}_images"] = np.rint(part.images * 65535).astype(np.uint16)
        arrays[f"{name}_boxes"] = padded
    with files.atomic_open(path) as file:
        np.savez_compressed(file, **arrays)


def split(data: Lesions, where: str) -> dict[str, Lesions]:
    """Split images by patient, in the same way in every run.

    Args:
        data: The images.
        where: What they are called in messages.

    Raises:
        ValueError: If there are too few patients for three splits.
    """
    patients = np.asarray(data.patients if len(data.patients) else np.arange(len(data)))
    names = np.unique(patients)
    order = np.random.default_rng(_SEED).permutation(len(names))
    ends = np.rint(np.cumsum(_SHARES) * len(names)).astype(int)
    groups = np.split(names[order], ends)
    if min(map(len, groups)) < 1:
        raise ValueError(
            f"{where}: {len(names)} {'patients' if len(data.patients) else 'images'} are too few to train on some, "
            "choose among models with others and test on others again; at least 5 are needed"
        )
    return {
        name: data.take(np.flatnonzero(np.isin(patients, group))) for name, group in zip(SPLITS, groups, strict=True)
    }


# --- the two forms ---------------------------------------------------------------------------------------------


def _from_arrays(path: PathLike, arrays: Mapping[str, np.ndarray], prefix: str) -> Lesions:
    for name in (f"{prefix}images", f"{prefix}boxes"):
        if name not in arrays:
            raise ValueError(
                f"{path} has no array {name!r}; it has {', '.join(sorted(arrays))} (wanted: images and boxes, or "
                "train_images, train_boxes and the same for val and test)"
            )
    images, boxes = arrays[f"{prefix}images"], arrays[f"{prefix}boxes"]
    where = f"{path}, {prefix}boxes"
    images = as_images(images, f"{path}, {prefix}images")
    if boxes.ndim != 3 or boxes.shape[2] != 4 or boxes.dtype.kind not in "iuf":
        raise ValueError(
            f"{where}: expected numbers (N, K, 4), y0, x0, y1, x1 of up to K boxes for each image and rows of NaN "
            f"where there are fewer, but found {boxes.shape} of {boxes.dtype}"
        )
    if len(boxes) != len(images):
        raise ValueError(
            f"{where}: {len(images)} images but boxes for {len(boxes)}; each image needs its own entry, all NaN if it "
            "has no lesion"
        )
    patients = arrays.get(f"{prefix}patients", np.empty(0, dtype=str))
    if len(patients) not in (0, len(images)):
        raise ValueError(f"{path}: {len(images)} images but {len(patients)} patients; each image needs its own")
    found = []
    for i, group in enumerate(boxes.astype(np.float64)):
        kept = group[~np.isnan(group).all(axis=1)]
        found.append(_checked(kept, images.shape[1:3], f"{where}, image {i}"))
    return Lesions(images, found, [str(name) for name in patients])


def as_images(images: np.ndarray, where: str) -> np.ndarray:
    """Return images as (N, H, W, 1), float32 in [0, 1].

    Args:
        images: (N, H, W), (N, H, W, 1), or one image (H, W).
        where: What they are called in messages.

    Raises:
        ValueError: If they have another shape, or their pixels cannot be used.
    """
    if images.ndim == 2:
        images = images[np.newaxis]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[3] != 1 or 0 in images.shape:
        raise ValueError(
            f"{where}: expected grey images (N, H, W) or (N, H, W, 1) but found {images.shape}; "
            "take one channel, or the mean of the colours"
        )
    return unit_range(images, where)


def _from_folder(folder: pathlib.Path) -> Lesions:
    table = folder / TABLE
    if not table.exists():
        raise ValueError(
            f"{folder} has no {TABLE}; write one with the columns {','.join(_COLUMNS)} and a line for each box"
        )
    rows = _read_table(table)
    names = list(dict.fromkeys(row["image"] for row in rows))
    present = {path.name for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg")}
    for name in names:
        if name not in present:
            raise ValueError(f"{table} names the image {name!r}, but {folder} has no such .png or .jpg file")
    for name in sorted(present - set(names)):
        raise ValueError(
            f"{folder / name} has no entry in {table}; add a line for each of its boxes, or '{name},,,,' if it has none"
        )
    images = [read_picture(folder / name) for name in names]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        odd = next(n for n, image in zip(names, images, strict=True) if image.shape != images[0].shape)
        raise ValueError(
            f"{folder}: {names[0]} and {odd} differ in size; crop or scale all images (and their boxes) to one size"
        )
    boxes: dict[str, list] = {name: [] for name in names}
    patients: dict[str, str] = {}
    for row in rows:
        name, line = row["image"], row["line"]
        if patients.setdefault(name, row["patient"]) != row["patient"]:
            raise ValueError(f"{table}, line {line}: {name} belongs to two patients")
        if row["box"] is not None:
            _checked(np.array([row["box"]]), images[0].shape[:2], f"{table}, line {line}")
            boxes[name].append(row["box"])
    arrays = [np.array(boxes[name], dtype=np.float32).reshape(-1, 4) for name in names]
    whose = [patients[name] for name in names]
    return Lesions(np.stack(images), arrays, whose if any(whose) else ())


def read_picture(path: PathLike) -> np.ndarray:
    """Read a ``.png`` or ``.jpg`` picture of any size in grey, (H, W, 1), float32 in [0, 1].

    Raises:
        ValueError: If it is missing, damaged or no picture; the message names the fix.
    """
    from PIL import Image

    can_be_read(path)
    try:
        with Image.open(path) as picture:
            shape = (picture.height, picture.width, 1)
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError):
        shape = (1, 1, 1)  # the reader says what is wrong
    return pictures.load(path, shape)[0][0]


def _read_table(table: pathlib.Path) -> list[dict]:
    """Return the lines of a table: image, patient, box (four numbers or None), and the line's number."""
    can_be_read(table)
    rows = []
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{table} has no column {missing[0]!r}; its first line must be {','.join(_COLUMNS)}")
            for row in reader:
                numbers = [(row[name] or "").strip() for name in _COLUMNS[1:]]
                where = f"{table}, line {reader.line_num}"
                try:
                    box = [float(number) for number in numbers] if any(numbers) else None
                except ValueError as error:
                    raise ValueError(f"{where}: {', '.join(numbers)} are not four numbers y0, x0, y1, x1") from error
                if not row["image"]:
                    raise ValueError(f"{where}: no image is named")
                rows.append(
                    {"image": row["image"], "patient": row.get("patient") or "", "box": box, "line": reader.line_num}
                )
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table} is no table of text ({error}); save it as CSV in UTF-8") from error
    if not rows:
        raise ValueError(f"{table} has no line below its header; add one for each box")
    return rows


def _checked(boxes: np.ndarray, size: tuple[int, ...], where: str) -> np.ndarray:
    """Return boxes as float32 (K, 4), or say which of them is no box inside an image of this size."""
    boxes = boxes.reshape(-1, 4)
    for box in boxes:
        said = "y0, x0, y1, x1 = " + ", ".join(f"{value:g}" for value in box)
        if not np.isfinite(box).all():
            raise ValueError(f"{where}: a box needs four numbers, got {said}")
        if box[2] <= box[0] or box[3] <= box[1]:
            raise ValueError(
                f"{where}: the box {said} has no area; it takes y0 < y1 and x0 < x1 (not height and width)"
            )
        if box[0] < 0 or box[1] < 0 or box[2] > size[0] or box[3] > size[1]:
            raise ValueError(
                f"{where}: the box {said} reaches out of the image of {size[0]} x {size[1]} pixels (height x width); "
                "cut it at the border, and check the order y0, x0, y1, x1"
            )
    return boxes.astype(np.float32)

"""Pictures in a folder of class folders: each class a folder with its name, each picture a file in it.

    chests/
        effusion/00000013_001.png, 00000013_002.png, ...
        normal/00000001_000.png, ...

Pictures are found first and read when a batch asks for them, so that a folder may be larger than the memory. Where
the file names begin with the number of a patient, as those of the NIH's chest X-rays do (``00000013_002.png``: patient
13), the patients are known too, and a split can keep each of them on one side.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed.backend import LazyArray
from tinymed.preprocessing.image import img_to_array, load_img

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")
"""Endings of files that are taken for pictures; ``.dcm`` needs pydicom."""

_PATIENT = re.compile(r"^(\d{3,})(?=[_-])")
"""What a file name begins with where it names a patient: at least three digits, then ``_`` or ``-``."""

_REMEMBERED = 256 * 2**20
"""Bytes of pictures that are kept in memory after they were read, as 8-bit numbers."""


@dataclass(frozen=True)
class Found:
    """The pictures of a folder.

    Attributes:
        paths: The files, class by class.
        labels: The class number of each, (N,), int64.
        classes: Names of the classes, sorted: those of the folders.
        patients: The patient of each picture, or None if the file names do not tell.
    """

    paths: tuple[pathlib.Path, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    patients: np.ndarray | None

    def __len__(self) -> int:
        return len(self.paths)


def find(folder: str | os.PathLike[str]) -> Found:
    """Find the pictures of a folder of class folders; folders inside a class folder are searched too.

    Arguments:
        folder: The folder with a folder for each class; hidden folders and files are passed over.

    Raises:
        ValueError: If it is no folder, has less than two class folders, or one of them has no picture.
    """
    top = pathlib.Path(folder)
    layout = "lay it out as FOLDER/CLASS/PICTURE.png, a folder for each of at least two classes"
    if not top.is_dir():
        what = "is a file" if top.exists() else "does not exist"
        raise ValueError(f"{top} {what}, but a folder of class folders is needed; {layout}")
    inside = sorted(path for path in top.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(inside) < 2:
        names = f"only one class folder, {inside[0].name!r}" if inside else "no class folders"
        raise ValueError(f"{top} has {names}; {layout}")
    paths: list[pathlib.Path] = []
    labels: list[int] = []
    for number, group in enumerate(inside):
        found = pictures_in(group)
        if not found:
            raise ValueError(
                f"the class folder {group} has no picture ({', '.join(ENDINGS)}); put some there or remove the folder"
            )
        paths += found
        labels += [number] * len(found)
    return Found(tuple(paths), np.array(labels, dtype=np.int64), tuple(path.name for path in inside), patients(paths))


def pictures_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return all pictures of a folder and the folders in it, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS and path.is_file() and not path.name.startswith(".")
    )


def patients(paths: Sequence[pathlib.Path]) -> np.ndarray | None:
    """Return the number of the patient with which each file name begins, or None unless all have one.

    >>> patients([pathlib.Path("a/00000013_001.png"), pathlib.Path("b/00000013_002.png")]).tolist()
    ['00000013', '00000013']
    >>> patients([pathlib.Path("a/left.png")]) is None
    True
    """
    found = [_PATIENT.match(path.name) for path in paths]
    return None if not all(found) else np.array([match.group(1) for match in found if match])


# --- reading ---------------------------------------------------------------------------------------------------


class Pictures(LazyArray):
    """Pictures (N, H, W, 3) in [0, 1], float32, which are read when a batch asks for them.

    They are read as the documents' program reads them (D4 §4.1.1): as colours, scaled to one size, divided by 255; but
    scaled with all pixels taken into account where the program keeps one of many. What was read is remembered as
    8-bit numbers until ``remembered`` bytes are full, so that small sets are read once and large ones fit.

    Arguments:
        paths: The files.
        size: Height and width to scale to.
        remembered: Bytes that may be kept.
    """

    def __init__(
        self, paths: Sequence[pathlib.Path], size: tuple[int, int] = (224, 224), remembered: int = _REMEMBERED
    ) -> None:
        self.paths, self.size = list(paths), size
        self.shape, self.dtype = (len(self.paths), *size, 3), np.dtype(np.float32)
        self._free, self._known = remembered, dict[int, np.ndarray]()

    def read(self, places: np.ndarray) -> np.ndarray:
        """Return the pictures at these places."""
        out = np.empty((len(places), *self.size, 3), dtype=np.float32)
        for row, place in enumerate(places.tolist()):
            np.divide(self._bytes(place), np.float32(255), out=out[row])
        return out

    def _bytes(self, place: int) -> np.ndarray:
        """Return a picture (H, W, 1 or 3) as 8-bit numbers."""
        known = self._known.get(place)
        if known is None:
            known = read_picture(self.paths[place], self.size)
            if known.nbytes <= self._free:
                self._free -= known.nbytes
                self._known[place] = known
        return known


def read_picture(path: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """Read one picture, scaled to a size, as 8-bit numbers (H, W, 3), or (H, W, 1) if it is grey.

    Raises:
        ValueError: If the file is no picture or damaged; the message names it.
    """
    if pathlib.Path(path).suffix.lower() == ".dcm":
        return _dicom(path, size)
    try:
        pixels = img_to_array(load_img(path, target_size=size, interpolation="bilinear"), dtype="uint8")
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file; check the path") from error
    grey = bool((pixels[..., :1] == pixels).all())
    return np.ascontiguousarray(pixels[..., :1]) if grey else pixels


def _dicom(path: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """Read a DICOM file of one grey image, its darkest pixel as 0 and its brightest as 255."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise ImportError(f'{path}: DICOM files need pydicom: pip install "tinymed[medical]"') from error
    from PIL import Image

    try:
        file = pydicom.dcmread(path)
        pixels = np.asarray(file.pixel_array, dtype=np.float32)
    except (InvalidDicomError, AttributeError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ValueError(f"{path} is no DICOM image that can be read ({error}); save it as .png") from error
    if pixels.ndim != 2:
        raise ValueError(f"{path} has pixels of shape {pixels.shape}, but one grey image is needed; save it as .png")
    if str(file.get("PhotometricInterpretation", "")) == "MONOCHROME1":  # bright means little there
        pixels = -pixels
    low, high = float(pixels.min()), float(pixels.max())
    picture = Image.fromarray(((pixels - low) * (255 / max(high - low, 1e-6))).astype(np.uint8))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))[..., np.newaxis]


def check(paths: Sequence[Any], samples: int = 50) -> None:
    """Read some of the pictures, evenly spread, so that a folder that cannot be read says so before training.

    Raises:
        ValueError: If one of them is no picture or damaged.
    """
    for place in np.unique(np.linspace(0, len(paths) - 1, min(samples, len(paths))).astype(int)).tolist():
        read_picture(paths[place], (8, 8))

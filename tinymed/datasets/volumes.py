"""Volumes: NIfTI, MetaImage and DICOM series read into one form, and masks written back.

A :class:`Volume` has its axes in the order (x, y, z) whatever the file had, and an affine matrix that says where its
voxels lie in the patient: ``affine @ (i, j, k, 1)`` is a place in millimetres, x growing to the patient's right
(R), y to the front (A), z to the head (S), as in NIfTI. DICOM and MetaImage count x and y the other way (LPS); they
are turned here. Voxels are never resampled in reading: the array is the file's own.

nibabel reads NIfTI, SimpleITK the others; both come with ``pip install "tinymed[medical]"``.
"""

from __future__ import annotations

import gzip
import importlib
import os
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import files
from tinymed.datasets.medmnist import can_be_read

NIFTI, META = (".nii.gz", ".nii"), (".mhd", ".mha")
PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Volume:
    """An image of three dimensions.

    Attributes:
        array: Voxels (X, Y, Z), intensities or labels, in the file's own type (or float where the file scales them).
        affine: From voxel numbers to millimetres, (4, 4), axes to the right, front and head.
        name: The file.
    """

    array: np.ndarray
    affine: np.ndarray
    name: str = ""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along each axis, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    @property
    def millilitres(self) -> float:
        """The volume of one voxel."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000

    def to_ras(self, array: np.ndarray | None = None) -> np.ndarray:
        """Return an array of this volume with its axes turned to grow to the right, front and head.

        A network that learned from volumes lying one way sees others the same way. Nothing is interpolated: an
        oblique volume stays oblique.

        Args:
            array: Of the shape of ``self.array``, such as its mask; ``self.array`` itself if omitted.
        """
        order, turned = self._axes()
        return np.flip(np.transpose(self.array if array is None else array, order), turned)

    def from_ras(self, array: np.ndarray) -> np.ndarray:
        """Return an array that :meth:`to_ras` has turned, such as a mask found in it, as the file's axes lie."""
        order, turned = self._axes()
        return np.transpose(np.flip(array, turned), np.argsort(order))

    @property
    def spacing_ras(self) -> tuple[float, float, float]:
        """The spacing of the turned array."""
        x, y, z = (self.spacing[axis] for axis in self._axes()[0])
        return x, y, z

    def _axes(self) -> tuple[list[int], tuple[int, ...]]:
        """Return which axis of the array runs most along x, y and z, and which of these run backwards."""
        cosines = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        steepness, order = np.abs(cosines), [0, 0, 0]
        for _ in range(3):
            place, axis = divmod(int(np.argmax(steepness)), 3)
            order[place] = axis
            steepness[place, :] = steepness[:, axis] = -1
        return order, tuple(place for place in range(3) if cosines[place, order[place]] < 0)


# --- reading ---------------------------------------------------------------------------------------------------


def read(path: PathLike) -> Volume:
    """Read a volume.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file, a ``.mhd`` or ``.mha`` file, or a folder with the slices of one DICOM
            series.

    Raises:
        ImportError: If the library that reads this form is not installed.
        ValueError: If the file is missing, damaged, of another form or no volume; the message names it and the fix.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _read_dicom(path)
    can_be_read(path)
    if path.name.lower().endswith(NIFTI):
        return _read_nifti(path)
    if path.name.lower().endswith(META):
        return _read_meta(path)
    raise ValueError(
        f"{path} is no volume that can be read here; use .nii, .nii.gz, .mhd, .mha, or a folder with a DICOM series"
    )


def _read_nifti(path: pathlib.Path) -> Volume:
    nibabel = _library("nibabel", path)
    try:
        image = nibabel.load(path)
        array = np.asarray(image.dataobj)
        affine = np.array(image.affine, dtype=np.float64)
    except Exception as error:  # nibabel, zlib and numpy each have errors of their own for damaged files
        raise ValueError(f"{path} is a damaged NIfTI file ({_first_line(error)}); fetch or write it again") from error
    return _checked(array, affine, path)


def _read_meta(path: pathlib.Path) -> Volume:
    sitk = _library("SimpleITK", path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(
            f"{path} cannot be read ({_first_line(error)}); a .mhd file needs its .raw file beside it"
        ) from error
    return _from_sitk(sitk, image, path)


def _read_dicom(folder: pathlib.Path) -> Volume:
    sitk = _library("SimpleITK", folder)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what is wrong is said below
    reader = sitk.ImageSeriesReader()
    series = reader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise ValueError(f"{folder} has no DICOM series; name a file, or the folder in which the slices lie")
    if len(series) > 1:
        raise ValueError(f"{folder} has {len(series)} DICOM series; put the slices of each into a folder of its own")
    names = reader.GetGDCMSeriesFileNames(str(folder), series[0])  # sorted by their positions
    reader.SetFileNames(names)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"{folder}: the DICOM series cannot be read ({_first_line(error)})") from error
    return _from_sitk(sitk, image, folder)


def _from_sitk(sitk: Any, image: Any, path: pathlib.Path) -> Volume:
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"{path} has {image.GetNumberOfComponentsPerPixel()} values in each voxel; one is needed")
    axes = image.GetDimension()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(axes, axes)
    affine[:axes, :axes] = direction * np.array(image.GetSpacing())
    affine[:axes, 3] = image.GetOrigin()
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])  # left, back, head to right, front, head
    return _checked(sitk.GetArrayFromImage(image).T, turn @ affine, path)


def _checked(array: np.ndarray, affine: np.ndarray, path: pathlib.Path) -> Volume:
    """Return a volume of three axes, or say what is wrong with it."""
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(
            f"{path}: expected a volume with three axes but found an array {array.shape}; split a series of volumes "
            "into one file for each"
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: voxels of type {array.dtype} are not supported; save one number for each voxel")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{path} has {int((~np.isfinite(array)).sum())} voxels that are NaN or infinite; repair it")
    if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ValueError(f"{path} does not say how large its voxels are (a spacing is zero); write its header again")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Volume(array, affine, str(path))


def _library(name: str, path: PathLike) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'{path} needs {name}: pip install "tinymed[medical]"') from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


# --- writing ---------------------------------------------------------------------------------------------------


def write(path: PathLike, array: np.ndarray, like: Volume) -> None:
    """Write an array as NIfTI, in one piece, at the place in the patient of another volume.

    Args:
        path: Ends in ``.nii`` or ``.nii.gz``.
        array: Voxels, of the shape of ``like.array``; labels are best uint8.
        like: The volume from which the array was made.

    Raises:
        ImportError: If nibabel is not installed.
        ValueError: If the shapes differ, or the name does not end in ``.nii`` or ``.nii.gz``.
    """
    nibabel = _library("nibabel", path)
    name = str(path)
    if not name.lower().endswith(NIFTI):
        raise ValueError(f"{path}: volumes are written as NIfTI; let the name end in .nii.gz")
    if array.shape != like.array.shape:
        raise ValueError(f"{path}: an array {array.shape} has no place in a volume {like.array.shape}")
    image = nibabel.Nifti1Image(array, like.affine)
    image.header.set_xyzt_units("mm")
    data = image.to_bytes()
    files.write_bytes(path, gzip.compress(data, mtime=0) if name.lower().endswith(".gz") else data)

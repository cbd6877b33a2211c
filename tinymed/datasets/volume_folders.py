"""Folders of volumes and their masks, and what can be wrong with them.

Data sets for segmentation lie in two folders, one with the images and one with the masks, which have the same names.
"""

from __future__ import annotations

import pathlib

import numpy as np

from tinymed.datasets.volumes import META, NIFTI, PathLike, Volume, read

FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))
"""Where images and masks lie in a folder of a data set: the Medical Segmentation Decathlon's names, and plain ones."""


def case_of(path: PathLike) -> str:
    """Return the name of a case: the file's, without its ending and without nnU-Net's number of the channel.

    >>> case_of("imagesTr/hippocampus_001.nii.gz"), case_of("images/liver_7_0000.mha")
    ('hippocampus_001', 'liver_7')
    """
    name = pathlib.Path(path).name
    ending = next((end for end in (*NIFTI, *META) if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)].removesuffix("_0000")


def pairs(folder: PathLike) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Find the images of a folder and the mask of each, in the order of their names.

    Args:
        folder: Has ``imagesTr`` and ``labelsTr`` (as the Medical Segmentation Decathlon), or ``images`` and
            ``labels``; a mask is named as its image.

    Raises:
        ValueError: If there are no such folders, no volume in them, or a volume without its mask (or the reverse).
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what}; name the folder that has images/ and labels/ in it")
    places = [(folder / image, folder / mask) for image, mask in FOLDERS if (folder / image).is_dir()]
    if not places:
        raise ValueError(f"{folder} has no folder images (or imagesTr); put the volumes there, their masks into labels")
    images, masks = (_volumes_in(place) for place in places[0])
    if not images:
        raise ValueError(f"{places[0][0]} has no volume (.nii, .nii.gz, .mhd, .mha) in it")
    for case in sorted(images.keys() - masks.keys()):
        raise ValueError(
            f"{images[case]} has no mask: expected {places[0][1] / images[case].name}; add it, or move the volume away"
        )
    for case in sorted(masks.keys() - images.keys()):
        raise ValueError(
            f"{masks[case]} has no volume: expected {places[0][0] / masks[case].name}; add it, or move the mask away"
        )
    return [(images[case], masks[case]) for case in sorted(images)]


def _volumes_in(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the volumes of a folder by their cases."""
    if not folder.is_dir():
        return {}
    found: dict[str, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith((*NIFTI, *META)):
            continue
        other = found.setdefault(case_of(path), path)
        if other != path:
            raise ValueError(f"{other} and {path.name} are of one case, {case_of(path)}; keep one of them")
    return found


def find(path: PathLike) -> list[pathlib.Path]:
    """Return the volumes that a path means: itself, or those of a folder (or of ``images`` in it), in order.

    A folder without any is taken for a DICOM series.
    """
    path = pathlib.Path(path)
    for folder in (path / FOLDERS[0][0], path / FOLDERS[1][0], path):
        if folder.is_dir() and (found := _volumes_in(folder)):
            return [found[case] for case in sorted(found)]
    return [path]


def read_pair(image: PathLike, mask: PathLike) -> tuple[Volume, np.ndarray]:
    """Read a volume and its mask.

    Returns:
        The volume, and the label of each voxel as uint8.

    Raises:
        ValueError: If a file cannot be used, the shapes differ, or the mask has other values than 0 to 255.
    """
    volume, labels = read(image), read(mask)
    if volume.array.shape != labels.array.shape:
        raise ValueError(
            f"{mask}: the mask has {_size(labels)} voxels but its volume {image} has {_size(volume)}; "
            "resample the mask onto the volume, or find the one that belongs to it"
        )
    found = np.unique(labels.array)
    if (found != np.rint(found)).any() or found[0] < 0 or found[-1] > 255:
        raise ValueError(
            f"{mask}: a mask has whole numbers from 0 to 255, but this one has {found[0]:g} to {found[-1]:g}"
        )
    return volume, labels.array.astype(np.uint8)


def _size(volume: Volume) -> str:
    return " x ".join(map(str, volume.array.shape))

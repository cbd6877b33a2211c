"""Readers of real formats, and phantoms: images with known content that need no download (floor 3)."""

from tinymed.datasets import (
    boxed,
    chests,
    deformations,
    digits,
    ecg,
    ecg_files,
    folders,
    images,
    lesions,
    lungs,
    medmnist,
    organs,
    phantoms,
    visits,
    volume_folders,
    volumes,
)

__all__ = [
    "boxed",
    "chests",
    "deformations",
    "digits",
    "ecg",
    "ecg_files",
    "folders",
    "images",
    "lesions",
    "lungs",
    "medmnist",
    "organs",
    "phantoms",
    "visits",
    "volume_folders",
    "volumes",
]

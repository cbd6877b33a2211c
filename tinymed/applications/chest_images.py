"""The images of the tasks that make images: chest X-rays of 28 x 28 pixels, real ones or phantoms."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from tinymed import files
from tinymed.datasets import chests, medmnist
from tinymed.datasets.medmnist import ImageData

SHAPE = (28, 28, 1)
PIXELS = 28 * 28
SAMPLES = {"train": 3000, "val": 500, "test": 1000}
"""Phantoms of each split."""


def read(path: str | os.PathLike[str] | None = None, seed: int = 0, verbose: object = 0) -> ImageData:
    """Read a file laid out as MedMNIST's, or draw phantoms.

    Args:
        path: The file; phantoms if omitted.
        seed: Of the phantoms.
        verbose: Whether to say what is done.

    Raises:
        ValueError: If the file cannot be used, or its images have another size.
    """
    if verbose:
        print(f"reading {path}" if path else "drawing phantoms of chest X-rays", flush=True)
    if path is None:
        return chests.load(**SAMPLES, seed=seed)
    images = medmnist.load(path)
    _check_shape(str(path), images.train.images)
    return images


def read_split(path: str | os.PathLike[str], split: str, at_least: int = 1) -> np.ndarray:
    """Read the images of one split of a file, which need not have the others.

    Raises:
        ValueError: If the file cannot be used, its images have another size, or there are fewer than ``at_least``.
    """
    images = medmnist.load_split(path, split).images
    _check_shape(f"{path}, {split}", images)
    if len(images) < at_least:
        raise ValueError(f"{path}, {split}: {len(images)} images are too few; at least {at_least} are needed")
    return images


def _check_shape(where: str, images: np.ndarray) -> None:
    if images.shape[1:] != SHAPE:
        found = " x ".join(map(str, images.shape[1:]))
        raise ValueError(
            f"{where}: expected images of 28 x 28 x 1 (height, width, channels) but found {found}; scale them to that"
        )


def write_examples(path: pathlib.Path, images: ImageData, count: int = 16) -> None:
    """Write the first test images to a file that ``tinymed predict`` and ``evaluate`` can be tried on."""
    pixels = np.rint(images.test.images[:count] * 255).astype(np.uint8)
    with files.atomic_open(path) as file:
        np.savez_compressed(file, test_images=pixels, test_labels=images.test.labels[:count].astype(np.uint8))


def write_png(path: pathlib.Path, image: np.ndarray) -> None:
    """Write a grey image (H, W, 1) in [0, 1] as a PNG file of 8 bits, making its folder."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic(path) as beside:
        Image.fromarray(np.rint(image[..., 0] * 255).astype(np.uint8)).save(beside, format="PNG")

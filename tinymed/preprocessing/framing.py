"""Images cut out and turned, by numbers that are given and not drawn; see ``augmentation`` for the latter (floor 3)."""

from __future__ import annotations

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.preprocessing.augmentation.warping import Border, Warp, about_the_middle
from tinymed.preprocessing.geometry import centre


def crop(images: Array, top: int, left: int, height: int, width: int) -> Array:
    """Cut a part out of each image.

    >>> crop(np.arange(16).reshape(1, 4, 4), top=1, left=0, height=2, width=3)
    array([[[ 4,  5,  6],
            [ 8,  9, 10]]])

    Arguments:
        images: (N, H, W) or (N, H, W, C), masks too.
        top: First row of the part.
        left: First column.
        height: Rows.
        width: Columns.

    Raises:
        ValueError: If the part reaches out of the images.
    """
    images = _batch("crop", images)
    if min(top, left) < 0 or min(height, width) < 1 or top + height > images.shape[1] or left + width > images.shape[2]:
        raise ValueError(
            f"crop: rows {top} to {top + height} and columns {left} to {left + width} reach out of images of "
            f"{images.shape[1]} x {images.shape[2]} pixels, or are none"
        )
    xp = backend.array_namespace(images)
    return xp.asarray(images[:, top : top + height, left : left + width, ...], copy=True)


def crop_middle(images: Array, size: tuple[int, int]) -> Array:
    """Cut the middle out of each image, or fill its border up with zeros where it is smaller.

    >>> crop_middle(np.arange(16).reshape(1, 4, 4), (2, 2))
    array([[[ 5,  6],
            [ 9, 10]]])

    Arguments:
        images: (N, H, W) or (N, H, W, C), masks too.
        size: Height and width of the result.
    """
    return centre(_batch("crop_middle", images), (None, *size))


def rotate(images: Array, degrees: float, border: Border = "nearest", nearest: bool = False) -> Array:
    """Turn each image about its middle, counter-clockwise; it keeps its size, so corners are cut off.

    >>> rotate(np.array([[[1, 2], [3, 4]]]), 90)
    array([[[2, 4],
            [1, 3]]])

    Arguments:
        images: (N, H, W) or (N, H, W, C).
        degrees: The angle.
        border: What comes in: ``"nearest"`` repeats the border, ``"reflect"`` mirrors the image, or a number.
        nearest: Whether to take the nearest pixel and not to interpolate, for masks.
    """
    images = _batch("rotate", images)
    size = int(images.shape[1]), int(images.shape[2])
    angle = np.radians(-degrees)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrices = np.repeat(about_the_middle(linear[None], size), int(images.shape[0]), axis=0)
    return Warp(matrices.round(12), size, border).sample(images, nearest=nearest)


def _batch(owner: str, images: Array) -> Array:
    images = np.asarray(images) if backend.is_host(images) else images
    if images.ndim not in (3, 4):
        raise ValueError(
            f"{owner} takes images (N, H, W) or (N, H, W, C) but got shape {tuple(images.shape)}; "
            "a single image needs a first axis of length 1: image[None]"
        )
    return images

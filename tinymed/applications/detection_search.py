"""Search images of any size, and volumes, with a detector that was trained on small images.

The network is fully convolutional: nothing in it depends on the size of the image. One forward on a large image is
therefore the same as sliding over it, as long as each answer is taken from a tile in which it lies farther from the
edges than the network sees. Tiles only bound the memory. A volume is searched slice by slice, at its own size and at
half of it; boxes that continue each other in neighbouring slices become one finding.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed.datasets import anatomy, boxed, lesions, medmnist, volumes
from tinymed.ops.boxes import box_iou, decode_boxes, non_maximum_suppression

Found = list[tuple[np.ndarray, np.ndarray]]
"""For each image the boxes (M, 4) and their scores (M,), best first."""

DIVISOR = 8
"""The network halves an image three times: sides are filled up to a multiple of this, with black."""

STRIDE = 2
"""Pixels for each cell of its maps."""

LEAST = 0.02
"""Boxes with lower scores are not looked at."""

OVERLAP = 0.3
"""Boxes that overlap more than this (intersection over union) are one lesion."""


# --- images ----------------------------------------------------------------------------------------------------


def find(model: Any, images: np.ndarray, threshold: float = LEAST, batch_size: int = 64) -> Found:
    """Return the boxes that a detector finds in images, each in one forward.

    Args:
        model: Gives heat map and boxes for images (N, H, W, 1).
        images: (N, H, W, 1) in [0, 1], of any size.
        threshold: Least score.
        batch_size: Images computed at a time.
    """
    heat, targets = maps(model, images, batch_size)
    return [_boxes(h, t, images.shape[1:3], threshold) for h, t in zip(heat, targets, strict=True)]


def maps(model: Any, images: np.ndarray, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's heat maps (N, OH, OW, 1) and boxes (N, OH, OW, 4)."""
    height, width = images.shape[1:3]
    fill = [(0, 0), (0, -height % DIVISOR), (0, -width % DIVISOR), (0, 0)]
    heat, targets = model.predict(np.pad(images, fill), batch_size=batch_size, verbose=0)
    return heat, targets


def _boxes(heat: np.ndarray, targets: np.ndarray, size: Sequence[int], threshold: float) -> Any:
    """Return the boxes of one image: those of the peaks, inside the image, each lesion once."""
    most = max(100, size[0] * size[1] // 40)  # far more than there are lesions, so that tiles do not matter
    boxes, scores = decode_boxes(heat, targets, STRIDE, threshold, most)
    boxes = np.clip(boxes, 0, np.array([*size, *size], dtype=boxes.dtype))
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return _once(boxes[real], scores[real])


def _once(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = non_maximum_suppression(boxes, scores, OVERLAP)
    return boxes[kept], scores[kept]


def find_in_tiles(
    model: Any, images: np.ndarray, threshold: float = LEAST, tile: int = 128, margin: int = 32, batch_size: int = 16
) -> Found:
    """Return the boxes that a detector finds in large images, sliding over them in tiles that overlap.

    A box is taken from a tile if its centre lies at least ``margin`` from those edges of the tile that are not edges of
    the image; boxes found in two tiles are merged. The network sees about 30 pixels around a place: with a margin of
    32 the result is that of :func:`find`.

    Args:
        model: As for :func:`find`.
        images: (N, H, W, 1) in [0, 1].
        threshold: Least score.
        tile: Height and width of a tile.
        margin: Half the width by which tiles overlap.
        batch_size: Tiles computed at a time.

    Raises:
        ValueError: If tile or margin is no multiple of 8 (the tiles' cells would not lie on the image's), or no
            tile would be left between the margins.
    """
    if tile % DIVISOR or margin % DIVISOR or tile <= 2 * margin:
        raise ValueError(
            f"tile and margin must be multiples of {DIVISOR} and tile larger than two margins, got {tile} and {margin}"
        )
    size = np.array(images.shape[1:3])
    found: list[list] = [[] for _ in images]
    for top in _starts(size[0], tile, margin):
        for left in _starts(size[1], tile, margin):
            start = np.array([top, left])
            part = images[:, top : top + tile, left : left + tile]
            low = np.where(start == 0, -np.inf, start + margin - 1)  # a pixel more: what lies on the line is in both
            high = np.where(start + tile >= size, np.inf, start + tile - margin + 1)
            for own, (boxes, scores) in zip(found, find(model, part, threshold, batch_size), strict=True):
                boxes = boxes + np.tile(start, 2).astype(boxes.dtype)
                centre = (boxes[:, :2] + boxes[:, 2:]) / 2
                inside = ((centre >= low) & (centre < high)).all(axis=1)
                own.append((boxes[inside], scores[inside]))
    return [_once(*map(np.concatenate, zip(*own, strict=True))) for own in found]


def find_at_scales(model: Any, images: np.ndarray, threshold: float = LEAST, scales: Sequence[int] = (1, 2)) -> Found:
    """Return the boxes that a detector finds in large images and in the same images made smaller.

    It has learned lesions of 3 to 15 pixels. One of 15 to 30 pixels has such a size where the image is halved.

    Args:
        model: As for :func:`find`.
        images: (N, H, W, 1) in [0, 1].
        threshold: Least score.
        scales: How many pixels along each side become one, their mean.
    """
    size = np.array(images.shape[1:3])
    found: list[list] = [[] for _ in images]
    for scale in scales:
        fill = [(0, 0), *((0, -side % scale) for side in size), (0, 0)]
        filled = np.pad(images, fill, mode="edge")
        rows, columns = (side // scale for side in filled.shape[1:3])
        small = filled.reshape(len(images), rows, scale, columns, scale, 1).mean(axis=(2, 4))
        for own, (boxes, scores) in zip(found, find_in_tiles(model, small, threshold), strict=True):
            own.append((np.minimum(boxes * scale, np.tile(size, 2).astype(boxes.dtype)), scores))
    return [_once(*map(np.concatenate, zip(*own, strict=True))) for own in found]


def _starts(size: int, tile: int, margin: int) -> range:
    """Return where tiles begin: at 0, and then so that their inner parts touch."""
    step = tile - 2 * margin
    return range(0, max(1, math.ceil((size - 2 * margin) / step)) * step, step)


# --- volumes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """A lesion in a volume.

    Attributes:
        box: (y0, x0, y1, x1) where its score is best.
        slices: Its first and its last slice.
        score: The best score of its boxes.
    """

    box: np.ndarray
    slices: tuple[int, int]
    score: float


def join_slices(found: Found, overlap: float = 0.2, gap: int = 1) -> list[Finding]:
    """Join boxes that continue each other through neighbouring slices, the best finding first.

    From slice to slice, a box goes to the finding whose last box it overlaps most, if by more than ``overlap`` and not
    more than ``gap`` slices were left out; else it begins a new one.

    Args:
        found: Boxes and scores of each slice, in order.
        overlap: Least intersection over union.
        gap: Slices in which a lesion may have been missed.

    Example:
        >>> box = np.array([[4.0, 4, 8, 8]])
        >>> slices = [(box, np.array([0.5])), (box, np.array([0.9])), (box[:0], np.zeros(0))]
        >>> [(item.slices, item.score) for item in join_slices(slices)]
        [((0, 1), 0.9)]
    """
    chains: list[list[tuple[int, np.ndarray, float]]] = []
    for z, (boxes, scores) in enumerate(found):
        last = [chain for chain in chains if z - 1 - gap <= chain[-1][0] < z]
        table = box_iou(boxes, np.array([chain[-1][1] for chain in last]).reshape(-1, 4))
        for m in range(len(boxes)):
            entry = (z, boxes[m], float(scores[m]))
            if len(last) and table[m].max() > overlap:
                best = int(table[m].argmax())
                last[best].append(entry)
                table[:, best] = -1.0  # one box of a slice for each
            else:
                chains.append([entry])
    findings = []
    for chain in chains:
        _, box, score = max(chain, key=lambda entry: entry[2])
        findings.append(Finding(box, (chain[0][0], chain[-1][0]), score))
    return sorted(findings, key=lambda item: -item.score)


# --- files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What one input file holds, as the network takes it.

    Attributes:
        names: A name for each image; for a volume one name.
        images: (N, H, W, 1) in [0, 1]; the slices of a volume.
        scale: Pixels of the file for each pixel of the images, along y and x.
        volume: Whether the images are slices of one volume.
    """

    names: list[str]
    images: np.ndarray
    scale: tuple[float, float] = (1.0, 1.0)
    volume: bool = False


def read(path: str | os.PathLike[str]) -> Scene:
    """Read images or a volume to search.

    Args:
        path: A ``.png`` or ``.jpg`` picture; an ``.npz`` file with ``images`` or ``test_images``; an ``.npy`` file with
            one image (H, W) or a volume (slices, H, W), in [0, 1] or HU; a ``.mha``, ``.mhd``, ``.nii``, ``.nii.gz``
            file or a folder of DICOM slices with a CT in HU, which is windowed as the phantoms are and resampled to
            their pixels of 0.7 mm (its slices stay as they are).

    Raises:
        ValueError: If it cannot be used; the message names the file and the fix.
        ImportError: If the library that reads it is missing.
    """
    path = pathlib.Path(path)
    ending = path.suffix.lower()
    if ending == ".npz":
        arrays = medmnist.read_npz(path)
        key = next((name for name in ("images", "test_images") if name in arrays), None)
        if key is None:
            raise ValueError(f"{path} has no array 'images' or 'test_images'; it has {', '.join(sorted(arrays))}")
        images = boxed.as_images(arrays[key], f"{path}, {key}")
        return Scene([f"{path}[{i}]" for i in range(len(images))], images)
    if ending == ".npy":
        return _read_npy(path)
    if ending in (".png", ".jpg", ".jpeg"):
        return Scene([str(path)], boxed.read_picture(path)[np.newaxis])
    return _read_ct(path)


def _read_npy(path: pathlib.Path) -> Scene:
    medmnist.can_be_read(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no array that can be read ({error}); write it with numpy.save") from error
    if array.ndim not in (2, 3):
        raise ValueError(f"{path}: expected one image (H, W) or a volume (slices, H, W) but found {array.shape}")
    if array.dtype.kind in "if" and array.size and np.isfinite(array).all() and array.min() < -100:
        array = anatomy.windowed(array.astype(np.float32))
    volume = array.ndim == 3
    return Scene([str(path)], boxed.as_images(array, str(path)), volume=volume)


def _read_ct(path: pathlib.Path) -> Scene:
    from tinymed.preprocessing.geometry import resample

    volume = volumes.read(path)
    hu = volume.array.astype(np.float32).transpose(2, 1, 0)  # slices, rows, columns
    if hu.min() > -500:
        raise ValueError(
            f"{path}: values from {hu.min():g} to {hu.max():g} are no CT of a chest in HU, where air is -1000; "
            "subtract the offset first, or give images in [0, 1] as .npz"
        )
    x, y, z = volume.spacing
    fine = resample(anatomy.windowed(hu), (z, y, x), (z, lesions.SPACING, lesions.SPACING))
    scale = (hu.shape[1] / fine.shape[1], hu.shape[2] / fine.shape[2])
    return Scene([str(path)], fine[..., np.newaxis].astype(np.float32), scale, volume=True)

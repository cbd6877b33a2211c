"""Boxes that move with their images: (y0, x0, y1, x1) in pixel edges, on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend

Boxes = Sequence[Any]
"""For each image an array (K, 4 or more): y0, x0, y1, x1, and what else belongs to a box."""

_SHAPES = ("corners", "ellipse")
_POINTS = 32
"""Points along the outline of a box (or its ellipse) that are followed through a warp."""


@dataclass(frozen=True)
class BoxRule:
    """What becomes of a box: its new outline, cut at the border, dropped if too little of it remains.

    Attributes:
        keep: The part of the area that must remain.
        shape: ``"corners"`` or ``"ellipse"``: what of the old box the new one must hold.
    """

    keep: float = 0.25
    shape: str = "corners"

    def __post_init__(self) -> None:
        if not 0 <= self.keep <= 1:
            raise ValueError(f"keep, the part of a box that must remain, lies between 0 and 1; got {self.keep!r}")
        if self.shape not in _SHAPES:
            raise ValueError(f"box_shape must be 'corners' or 'ellipse', got {self.shape!r}")

    def moved(self, boxes: Boxes, push: Callable[[np.ndarray, np.ndarray], np.ndarray], size: tuple[int, int]) -> Boxes:
        """Return the boxes after a warp.

        Arguments:
            boxes: For each image an array (K, 4 or more).
            push: Takes points (M, P, 2) as y, x and the image (M,) of each row, returns where they move.
            size: Height and width of the images.
        """
        counts = [len(group) for group in boxes]
        if not sum(counts):
            return [group.copy() for group in boxes]
        images = np.repeat(np.arange(len(boxes)), counts)
        corners = np.concatenate([group[:, :4] for group in boxes])
        points = push(self._outlines(corners), images)  # (M, P, 2)
        corners = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
        groups = np.split(corners, np.cumsum(counts)[:-1])
        return [
            self.cut(np.concatenate([new, old[:, 4:]], axis=1), (0, 0, *size))
            for new, old in zip(groups, boxes, strict=True)
        ]

    def cut(self, boxes: np.ndarray, window: tuple[float, float, float, float]) -> np.ndarray:
        """Cut boxes (K, 4 or more) at the edges of a window; drop those of which too little remains.

        >>> BoxRule(keep=0.5).cut(np.array([[0.0, -1, 4, 3], [0, -3, 4, 1]]), (0, 0, 8, 8))
        array([[0., 0., 4., 3.]])
        """
        y0, x0, y1, x1 = window
        inside = boxes.copy()
        inside[:, 0:4:2] = np.clip(boxes[:, 0:4:2], y0, y1)
        inside[:, 1:4:2] = np.clip(boxes[:, 1:4:2], x0, x1)
        part = _areas(inside) / np.maximum(_areas(boxes), 1e-12)
        return inside[(part > 0) & (part >= self.keep)]

    def _outlines(self, corners: np.ndarray) -> np.ndarray:
        """Return points (M, P, 2) on the outlines of boxes (M, 4)."""
        angle = np.arange(_POINTS) * (2 * np.pi / _POINTS)
        circle = np.stack([np.sin(angle), np.cos(angle)], axis=-1)  # (P, 2), y and x
        if self.shape == "corners":  # blown up to a square, its corners included
            circle /= np.abs(circle).max(axis=1, keepdims=True)
        middle, half = (corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]) / 2
        return middle[:, None, :] + half[:, None, :] * circle


def checked(boxes: Any, n: int, size: tuple[int, int]) -> Boxes:
    """Return boxes as a list of float64 arrays on the host.

    Raises:
        ValueError: If there is not one array for each image, or a box is no box, or lies outside its image.
    """
    if len(boxes) != n:
        raise ValueError(f"boxes must be a list with one array (K, 4) for each of the {n} images, got {len(boxes)}")
    found = []
    for place, group in enumerate(boxes):
        array = np.array(backend.to_host(group), dtype=np.float64)
        if array.size == 0:
            array = array.reshape(0, array.shape[-1] if array.ndim == 2 and array.shape[-1] >= 4 else 4)
        if array.ndim != 2 or array.shape[1] < 4:
            raise ValueError(f"boxes of image {place} have shape {array.shape}, expected (K, 4): y0, x0, y1, x1")
        y0, x0, y1, x1 = array[:, :4].T
        wrong = ~((y0 < y1) & (x0 < x1))  # NaN is never smaller
        if wrong.any():
            box = array[np.flatnonzero(wrong)[0], :4].tolist()
            raise ValueError(
                f"image {place}: {box} is no box; it takes y0 < y1 and x0 < x1, in the order y0, x0, y1, x1"
            )
        outside = (y0 < 0) | (x0 < 0) | (y1 > size[0]) | (x1 > size[1])
        if outside.any():
            box = array[np.flatnonzero(outside)[0], :4].tolist()
            raise ValueError(
                f"image {place}: the box {box} reaches out of the image of {size[0]} x {size[1]} pixels; "
                "cut it at the border, and check that the order is y0, x0, y1, x1"
            )
        found.append(array)
    return found


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

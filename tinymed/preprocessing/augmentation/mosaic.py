"""Mosaic: a new image stitched from parts of four."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.preprocessing.augmentation.base import Batch, Step, chosen, is_probability


@dataclass(frozen=True)
class Mosaic(Step):
    """Stitches parts of four images of the batch together, each as large as it was: upper left from the image itself.

    For tasks whose answers are masks or boxes, which are stitched too; the class of such an image would be unclear. A
    box of which too little is left in its part is dropped (``keep`` of :class:`Augmentation`).

    Attributes:
        least: The smallest part of height and width that each image gets, from 0 to 0.5; at 0.5 the seams cross in
            the middle.
        probability: Of an image to become a mosaic.
    """

    least: float = 0.3
    probability: float = 0.5

    def __post_init__(self) -> None:
        is_probability(self, self.probability)
        if not 0 < self.least <= 0.5:
            raise ValueError(f"Mosaic: least must lie above 0 and at most at 0.5, got {self.least!r}")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Stitch the chosen images, their masks and their boxes."""
        height, width = batch.size
        images, masks = _copy(batch.images), None if batch.masks is None else _copy(batch.masks)
        boxes = None if batch.boxes is None else list(batch.boxes)
        for n in np.flatnonzero(chosen(len(batch), self.probability, rng)).tolist():
            seam_y, seam_x = (
                int(rng.integers(max(1, round(self.least * side)), max(1, side - round(self.least * side)) + 1))
                for side in batch.size
            )
            found = []
            tiles = [
                (rows, columns)
                for rows in ((0, seam_y), (seam_y, height))
                for columns in ((0, seam_x), (seam_x, width))
            ]
            for tile, (rows, columns) in enumerate(tiles):
                other = n if tile == 0 else int(rng.integers(len(batch)))
                tall, wide = rows[1] - rows[0], columns[1] - columns[0]
                top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
                here = (n, slice(*rows), slice(*columns), ...)
                there = (other, slice(top, top + tall), slice(left, left + wide), ...)
                images[here] = batch.images[there]
                if masks is not None:
                    masks[here] = batch.masks[there]  # type: ignore[index]
                if batch.boxes is not None:
                    moved = batch.boxes[other].copy()
                    moved[:, :4] += np.tile([rows[0] - top, columns[0] - left], 2)
                    found.append(batch.rule.cut(moved, (rows[0], columns[0], rows[1], columns[1])))
            if boxes is not None:
                boxes[n] = np.concatenate(found)
        return batch.but(images=images, masks=masks, boxes=boxes)


def _copy(array: Array) -> Any:
    xp = backend.array_namespace(array)
    return xp.asarray(array, copy=True)

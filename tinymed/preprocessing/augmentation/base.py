"""The chain of steps, and what every step sees: a batch of images with its masks and boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.preprocessing.augmentation.boxes import Boxes, BoxRule, checked
from tinymed.preprocessing.augmentation.warping import Warp


@dataclass(frozen=True)
class Batch:
    """What a step changes.

    Attributes:
        images: (N, H, W) or (N, H, W, C).
        masks: (N, H, W) or (N, H, W, C) with class numbers, or None.
        boxes: For each image an array (K, 4 or more) on the host, or None.
        rule: What happens to boxes at the border.
    """

    images: Array
    masks: Array | None
    boxes: Boxes | None
    rule: BoxRule

    def __len__(self) -> int:
        return int(self.images.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.images.shape[1]), int(self.images.shape[2])

    def but(self, **changes: Any) -> Batch:
        """Return the batch with some of its parts exchanged."""
        return dataclasses.replace(self, **changes)


class Step:
    """One kind of change; a subclass says what it does to a batch.

    A step can also be called by itself, as a chain of one.
    """

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch; the one that is given stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} must define apply(batch, rng)")

    def __call__(self, images: Array, masks: Any = None, boxes: Any = None, rng: Any = None) -> Any:
        """Change a batch by this step alone, see :class:`Augmentation`."""
        return Augmentation([self])(images, masks, boxes, rng)


class Spatial(Step):
    """A step that moves pixels. Neighbouring ones are joined, so that images are interpolated only once."""

    def warp(self, n: int, size: tuple[int, int], rng: np.random.Generator) -> Warp:
        """Return where each pixel of ``n`` new images comes from."""
        raise NotImplementedError(f"{type(self).__name__} must define warp(n, size, rng)")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Move images, masks and boxes."""
        return moved(batch, self.warp(len(batch), batch.size, rng))


def moved(batch: Batch, warp: Warp) -> Batch:
    """Return a batch whose images, masks and boxes follow a warp."""
    masks = None if batch.masks is None else warp.sample(batch.masks, nearest=True)
    boxes = None if batch.boxes is None else batch.rule.moved(batch.boxes, warp.push, batch.size)
    return batch.but(images=warp.sample(batch.images), masks=masks, boxes=boxes)


class Augmentation:
    """Steps, one after the other.

    Arguments:
        steps: The steps, in order.
        keep: The part of a box's area that must stay inside the image, or the box is dropped.
        box_shape: ``"corners"`` makes the new box hold the corners of the old one, whatever is in it;
            ``"ellipse"`` only the ellipse that fills it, which is tighter for rotated round things such as nodules.

    Raises:
        TypeError: If an entry of ``steps`` is no step.
        ValueError: For a ``keep`` or ``box_shape`` that cannot be used.
    """

    def __init__(self, steps: Sequence[Step], keep: float = 0.25, box_shape: str = "corners") -> None:
        self.steps = list(steps)
        for step in self.steps:
            if not isinstance(step, Step):
                raise TypeError(f"Augmentation takes a list of steps such as Flip() or Shift(2), found {step!r}")
        self.keep, self.box_shape = keep, box_shape
        self.rule = BoxRule(keep, box_shape)

    def __call__(self, images: Array, masks: Array | None = None, boxes: Boxes | None = None, rng: Any = None) -> Any:
        """Return changed copies of a batch.

        Arguments:
            images: (N, H, W) or (N, H, W, C), of a floating type (for moves also whole numbers).
            masks: Class numbers (N, H, W) or (N, H, W, C), or None.
            boxes: For each image an array (K, 4) of y0, x0, y1, x1 in pixel edges, K from 0; further columns, such
                as the class, stay with their box. Or None.
            rng: A generator, or its seed; the next one of the program if None.

        Returns:
            The images alone, or a tuple ``(images, masks)``, ``(images, boxes)`` or ``(images, masks, boxes)``: what
            was given.

        Raises:
            ValueError: If masks or boxes do not fit the images.
        """
        rng = backend.new_generator() if rng is None else np.random.default_rng(rng)
        batch = self._batch(images, masks, boxes)
        pending: Warp | None = None
        for step in self.steps:
            if isinstance(step, Spatial):
                warp = step.warp(len(batch), batch.size, rng)
                if pending is not None and pending.can_join(warp):
                    pending = pending.then(warp)
                    continue
                batch, pending = self._flushed(batch, pending), warp
            else:
                batch, pending = step.apply(self._flushed(batch, pending), rng), None
        batch = self._flushed(batch, pending)
        parts = [part for part in (batch.images, batch.masks, batch.boxes) if part is not None]
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _flushed(self, batch: Batch, warp: Warp | None) -> Batch:
        return batch if warp is None else moved(batch, warp)

    def _batch(self, images: Any, masks: Any, boxes: Any) -> Batch:
        """Check the parts against each other."""
        images = np.asarray(images) if backend.is_host(images) else images
        if images.ndim not in (3, 4) or 0 in images.shape:
            raise ValueError(
                f"augmentation takes images (N, H, W) or (N, H, W, C) but got shape {tuple(images.shape)}; "
                "a single image needs a first axis of length 1: image[None]"
            )
        if masks is not None:
            masks = np.asarray(masks) if backend.is_host(masks) else masks
            if masks.ndim not in (3, 4) or masks.shape[:3] != images.shape[:3]:
                raise ValueError(
                    f"masks of shape {tuple(masks.shape)} do not fit images of shape {tuple(images.shape)}: "
                    "number, height and width must be the same"
                )
        if boxes is not None:
            boxes = checked(boxes, int(images.shape[0]), (int(images.shape[1]), int(images.shape[2])))
        return Batch(images, masks, boxes, self.rule)


def chosen(n: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which of ``n`` images are changed."""
    return rng.random(n) < probability


def is_probability(owner: Any, probability: float) -> None:
    """Raise ValueError unless a step's ``probability`` is one."""
    if not 0 <= probability <= 1:
        raise ValueError(f"{type(owner).__name__}: probability must lie between 0 and 1, got {probability!r}")

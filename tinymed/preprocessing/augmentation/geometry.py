"""Steps that move pixels: flips, shifts, rotation, zoom and elastic deformation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.preprocessing.augmentation.base import Batch, Spatial, Step, chosen, is_probability
from tinymed.preprocessing.augmentation.warping import Border, Warp, about_the_middle, control_points, identity


@dataclass(frozen=True)
class Flip(Step):
    """Mirrors images. A chest that is mirrored has its heart on the wrong side: not every image may be flipped.

    >>> Flip(probability=1)(np.array([[[1, 2, 3]]]))
    array([[[3, 2, 1]]])

    Attributes:
        horizontal: Whether left and right may change places.
        vertical: Whether top and bottom may.
        probability: Of each of the two.
    """

    horizontal: bool = True
    vertical: bool = False
    probability: float = 0.5

    def __post_init__(self) -> None:
        is_probability(self, self.probability)

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Mirror the chosen images; nothing is interpolated."""
        for axis, wanted in ((1, self.vertical), (2, self.horizontal)):
            if not wanted:
                continue
            which = chosen(len(batch), self.probability, rng)
            masks, boxes = batch.masks, batch.boxes
            if boxes is not None:
                boxes = [
                    _flipped_boxes(group, axis - 1, batch.size[axis - 1]) if one else group.copy()
                    for group, one in zip(boxes, which, strict=True)
                ]
            batch = batch.but(
                images=_flipped(batch.images, axis, which),
                masks=None if masks is None else _flipped(masks, axis, which),
                boxes=boxes,
            )
        return batch


def _flipped(images: Array, axis: int, which: np.ndarray) -> Array:
    xp = backend.array_namespace(images)
    places = xp.asarray(which.reshape(-1, *[1] * (images.ndim - 1)), device=backend.device_of(images))
    return xp.where(places, xp.flip(images, axis=axis), images)


def _flipped_boxes(boxes: np.ndarray, axis: int, side: int) -> np.ndarray:
    flipped = boxes.copy()
    flipped[:, axis], flipped[:, axis + 2] = side - boxes[:, axis + 2], side - boxes[:, axis]
    return flipped


@dataclass(frozen=True)
class Shift(Spatial):
    """Moves images up or down and left or right.

    Attributes:
        most: Pixels, or a pair: down and right.
        border: What comes in: ``"nearest"`` repeats the border, ``"reflect"`` mirrors the image, a number is used as
            it is (masks then get class 0).
        whole: Whether images move by whole pixels, which changes no value.
        probability: Of an image to be moved.
    """

    most: float | tuple[float, float] = 2
    border: Border = "nearest"
    whole: bool = True
    probability: float = 1.0

    def __post_init__(self) -> None:
        is_probability(self, self.probability)
        if np.shape(self.most) not in ((), (2,)) or np.min(self.most) < 0:
            raise ValueError(f"Shift: most must be a number of pixels from 0, or two of them, got {self.most!r}")

    def warp(self, n: int, size: tuple[int, int], rng: np.random.Generator) -> Warp:
        """Draw how far each image moves."""
        most = np.broadcast_to(self.most, 2)
        if self.whole:
            pixels = np.floor(most).astype(int)
            steps = rng.integers(-pixels, pixels, (n, 2), endpoint=True).astype(float)
        else:
            steps = rng.uniform(-most, most, (n, 2))
        matrices = identity(n)
        matrices[:, :, 2] = -steps * chosen(n, self.probability, rng)[:, None]
        return Warp(matrices, size, self.border)


@dataclass(frozen=True)
class Rotation(Spatial):
    """Turns images about their middle.

    Attributes:
        degrees: The largest angle, in either direction.
        border: As of :class:`Shift`.
        probability: Of an image to be turned.
    """

    degrees: float = 10
    border: Border = "nearest"
    probability: float = 1.0

    def __post_init__(self) -> None:
        is_probability(self, self.probability)
        if not 0 <= self.degrees <= 180:
            raise ValueError(f"Rotation: degrees must lie between 0 and 180, got {self.degrees!r}")

    def warp(self, n: int, size: tuple[int, int], rng: np.random.Generator) -> Warp:
        """Draw the angle of each image."""
        angle = np.radians(rng.uniform(-self.degrees, self.degrees, n)) * chosen(n, self.probability, rng)
        cos, sin = np.cos(angle), np.sin(angle)
        linear = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=1)
        return Warp(about_the_middle(linear, size), size, self.border)


@dataclass(frozen=True)
class Zoom(Spatial):
    """Makes what is in the middle larger or smaller.

    Attributes:
        least: The smallest factor; below 1 the image shrinks.
        most: The largest factor.
        border: As of :class:`Shift`.
        probability: Of an image to be zoomed.
    """

    least: float = 0.9
    most: float = 1.1
    border: Border = "nearest"
    probability: float = 1.0

    def __post_init__(self) -> None:
        is_probability(self, self.probability)
        if not 0 < self.least <= self.most < np.inf:
            raise ValueError(f"Zoom needs factors 0 < least <= most, got {self.least!r} and {self.most!r}")

    def warp(self, n: int, size: tuple[int, int], rng: np.random.Generator) -> Warp:
        """Draw the factor of each image, so that twice as large is as likely as half as large."""
        logarithm = rng.uniform(np.log(self.least), np.log(self.most), n) * chosen(n, self.probability, rng)
        linear = np.exp(-logarithm)[:, None, None] * np.eye(2)
        return Warp(about_the_middle(linear, size), size, self.border)


@dataclass(frozen=True)
class Elastic(Spatial):
    """Deforms images smoothly, as soft tissue does: control points move at random, what is between them follows.

    Attributes:
        most: Pixels by which a control point moves at most, down or up, and right or left.
        spacing: Pixels between control points; more is smoother.
        border: As of :class:`Shift`.
        probability: Of an image to be deformed.

    Raises:
        ValueError: If the image could fold over itself: that needs control points that move by more than 0.48 of
            their spacing (Choi and Lee, Graphical Models 62, 2000).
    """

    most: float = 2.0
    spacing: float = 8.0
    border: Border = "nearest"
    probability: float = 1.0

    def __post_init__(self) -> None:
        is_probability(self, self.probability)
        if self.spacing <= 0 or not 0 <= self.most <= 0.48 * self.spacing:
            raise ValueError(
                f"Elastic: most={self.most!r} pixels with spacing={self.spacing!r} could fold the image; "
                "most must lie between 0 and 0.48 times the spacing"
            )

    def warp(self, n: int, size: tuple[int, int], rng: np.random.Generator) -> Warp:
        """Draw where the control points of each image go."""
        grid = [control_points(side, self.spacing) for side in size]
        control = rng.uniform(-self.most, self.most, (n, 2, *grid))
        control *= chosen(n, self.probability, rng)[:, None, None, None]
        return Warp(identity(n), size, self.border, control, self.spacing)

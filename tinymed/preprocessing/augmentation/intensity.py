"""Steps that change grey values and leave everything where it is: brightness, contrast, gamma, noise.

Each image draws its own number. Values are cut at ``limits``, the range that the values of images have; None for
values without one, such as standardised images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.preprocessing.augmentation.base import Batch, Step, chosen, is_probability

Limits = tuple[float, float] | None


class Intensity(Step):
    """What these steps share: the images that are not chosen stay as they are, and values are cut at the limits."""

    limits: Limits
    probability: float

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Return the images with new grey values."""
        raise NotImplementedError(f"{type(self).__name__} must define change(images, rng)")

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Change the chosen images."""
        images = batch.images
        xp = backend.array_namespace(images)
        if not xp.isdtype(images.dtype, "real floating"):
            raise TypeError(
                f"{type(self).__name__} changes images of a floating type, not {images.dtype}; "
                "scale them first, e.g. images.astype('float32') / 255"
            )
        which = _numbers(chosen(len(batch), self.probability, rng), images, "bool")
        changed = self.change(images, rng)
        if self.limits is not None:
            changed = xp.minimum(xp.maximum(changed, self.limits[0]), self.limits[1])
        return batch.but(images=xp.where(which, changed, images))

    def _check(self, good: bool, words: str) -> None:
        is_probability(self, self.probability)
        if not good:
            raise ValueError(f"{type(self).__name__}: {words}")
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise ValueError(f"{type(self).__name__}: limits must be a pair (low, high) or None, got {self.limits!r}")


def _numbers(values: np.ndarray, images: Array, dtype: str | None = None) -> Any:
    """Return one number for each image, shaped to go with images, where the images are."""
    xp = backend.array_namespace(images)
    kind = images.dtype if dtype is None else getattr(xp, dtype)
    host = np.ascontiguousarray(values).reshape(-1, *[1] * (images.ndim - 1))
    return xp.asarray(host, dtype=kind, device=backend.device_of(images))


@dataclass(frozen=True)
class Brightness(Intensity):
    """Adds a number to all pixels of an image.

    Attributes:
        most: The largest number, up or down.
        limits: Where values are cut.
        probability: Of an image to be changed.
    """

    most: float = 0.1
    limits: Limits = (0.0, 1.0)
    probability: float = 1.0

    def __post_init__(self) -> None:
        self._check(self.most >= 0, f"most must not be negative, got {self.most!r}")

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Add."""
        return images + _numbers(rng.uniform(-self.most, self.most, images.shape[0]), images)


@dataclass(frozen=True)
class Contrast(Intensity):
    """Spreads the pixels of an image about their mean, or draws them together.

    Attributes:
        least: The smallest factor; below 1 the contrast falls.
        most: The largest factor.
        limits: Where values are cut.
        probability: Of an image to be changed.
    """

    least: float = 0.8
    most: float = 1.25
    limits: Limits = (0.0, 1.0)
    probability: float = 1.0

    def __post_init__(self) -> None:
        self._check(
            0 < self.least <= self.most, f"it needs factors 0 < least <= most, got {self.least!r} and {self.most!r}"
        )

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Multiply the distance from the mean."""
        xp = backend.array_namespace(images)
        factor = np.exp(rng.uniform(np.log(self.least), np.log(self.most), images.shape[0]))
        mean = xp.mean(images, axis=tuple(range(1, images.ndim)), keepdims=True)
        return mean + (images - mean) * _numbers(factor, images)


@dataclass(frozen=True)
class Gamma(Intensity):
    """Raises values to a power, counted from the lower limit: the middle greys change, black and white do not.

    Attributes:
        least: The smallest power; below 1 greys become brighter.
        most: The largest power.
        limits: The range of the values; they are cut to it.
        probability: Of an image to be changed.
    """

    least: float = 0.7
    most: float = 1.4
    limits: Limits = (0.0, 1.0)
    probability: float = 1.0

    def __post_init__(self) -> None:
        self._check(self.limits is not None, "limits must be a pair (low, high): what is black, what is white")
        self._check(
            0 < self.least <= self.most, f"it needs powers 0 < least <= most, got {self.least!r} and {self.most!r}"
        )

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Take the power."""
        xp = backend.array_namespace(images)
        low, high = self.limits or (0.0, 1.0)
        power = np.exp(rng.uniform(np.log(self.least), np.log(self.most), images.shape[0]))
        part = xp.minimum(xp.maximum((images - low) / (high - low), 0.0), 1.0)
        return low + (high - low) * part ** _numbers(power, images)


@dataclass(frozen=True)
class Noise(Intensity):
    """Adds noise, independent in each pixel and normally distributed.

    Attributes:
        most: The largest standard deviation; that of an image lies between 0 and it.
        limits: Where values are cut.
        probability: Of an image to be changed.
    """

    most: float = 0.05
    limits: Limits = (0.0, 1.0)
    probability: float = 1.0

    def __post_init__(self) -> None:
        self._check(self.most >= 0, f"most, the largest standard deviation, must not be negative, got {self.most!r}")

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """Add noise, which is drawn on the host so that it is the same on every device."""
        deviation = _numbers(rng.uniform(0, self.most, images.shape[0]), images)
        xp = backend.array_namespace(images)
        noise = rng.standard_normal(images.shape, dtype=np.float32)
        return images + deviation * xp.asarray(noise, dtype=images.dtype, device=backend.device_of(images))

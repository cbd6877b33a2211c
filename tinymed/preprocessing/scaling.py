"""Images brought to a range, each channel by itself, with numbers learned from the training images alone (floor 3).

``fit`` learns them, ``transform`` uses them: what is fitted to all images at once has seen the test images. What needs
to be fitted to nothing is elsewhere: :func:`tinymed.preprocessing.intensity.standardize` takes each image by itself,
:func:`tinymed.preprocessing.intensity.window` knows what Hounsfield units mean.

>>> train, test = np.array([[0.0], [50.0], [200.0]]), np.array([[100.0], [250.0]])
>>> MinMax().fit(train).transform(test).tolist()
[[0.5], [1.25]]
>>> Standardize().fit(train).inverse_transform(Standardize().fit(train).transform(test)).tolist()
[[100.0], [250.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array, array_namespace, device_of
from tinymed.preprocessing.signal import Standardize

__all__ = ["MinMax", "Standardize"]


class MinMax:
    """Maps the smallest value of each channel, the last axis, to ``low`` and the largest to ``high``.

    Arguments:
        low: Where the smallest training value goes.
        high: Where the largest goes.
        clip: Whether values beyond those of the training images are cut.

    Attributes:
        least, most: The smallest and the largest value of each channel (C,); NumPy arrays, float64.

    Raises:
        ValueError: If ``low`` is not below ``high``.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0, clip: bool = False) -> None:
        if not low < high:
            raise ValueError(f"MinMax needs low < high, got {low!r} and {high!r}")
        self.low, self.high, self.clip = low, high, clip
        self.least: np.ndarray | None = None
        self.most: np.ndarray | None = None

    def fit(self, x: Array) -> MinMax:
        """Learn the range of each channel.

        Raises:
            ValueError: If there are no values, or some are NaN or infinite.
        """
        values = np.asarray(backend.to_host(x), dtype=np.float64)
        if values.ndim == 0 or not values.size:
            raise ValueError(f"MinMax.fit needs at least one value in each channel but got shape {values.shape}")
        rows = values.reshape(-1, values.shape[-1])
        if not np.isfinite(rows).all():
            raise ValueError("MinMax.fit: some values are NaN or infinite; fill or drop them first")
        self.least, self.most = rows.min(axis=0), rows.max(axis=0)
        return self

    def fit_transform(self, x: Array) -> Array:
        """Fit, and return the same values scaled; for training data only."""
        return self.fit(x).transform(x)

    def transform(self, x: Array) -> Array:
        """Return scaled values, on the device that ``x`` is on; a channel that never changed becomes ``low``."""
        x, least, spread = self._known(x)
        scaled = self.low + (x - least) / spread * (self.high - self.low)
        return array_namespace(x).clip(scaled, self.low, self.high) if self.clip else scaled

    def inverse_transform(self, x: Array) -> Array:
        """Return values in their own units again."""
        x, least, spread = self._known(x)
        return least + (x - self.low) / (self.high - self.low) * spread

    def _known(self, x: Any) -> tuple[Array, Array, Array]:
        """Return ``x`` as floating numbers, and least and spread with its dtype and on its device."""
        if self.least is None or self.most is None:
            raise ValueError("MinMax has learned nothing yet: call fit(training data) first")
        x = np.asarray(x) if backend.is_host(x) else x
        if x.shape[-1] != len(self.least):
            raise ValueError(f"MinMax was fitted to {len(self.least)} channels but got shape {tuple(x.shape)}")
        xp = array_namespace(x)
        if not xp.isdtype(x.dtype, "real floating"):
            x = xp.astype(x, xp.float32)
        spread = np.where(self.most > self.least, self.most - self.least, 1.0)
        least, width = (xp.asarray(v.tolist(), dtype=x.dtype, device=device_of(x)) for v in (self.least, spread))
        return x, least, width

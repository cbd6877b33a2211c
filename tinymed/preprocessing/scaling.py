"""Values brought to a range or a spread, each channel by itself, by numbers learned from training data alone (floor 3).

``fit`` learns them, ``transform`` uses them: what is fitted to all samples at once has seen the test samples. What
needs to be fitted to nothing is elsewhere: :func:`tinymed.preprocessing.intensity.standardize` takes each image by
itself, :func:`tinymed.preprocessing.intensity.window` knows what Hounsfield units mean.

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

__all__ = ["MinMax", "Standardize"]


class MinMax:
    """Maps the smallest value of each channel, the last axis, to ``low`` and the largest to ``high``.

    Arguments:
        low: Where the smallest training value goes.
        high: Where the largest goes.
        clip: Whether values beyond those of the training images are cut.

    Raises:
        ValueError: If ``low`` is not below ``high``.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0, clip: bool = False) -> None:
        if not low < high:
            raise ValueError(f"MinMax needs low < high, got {low!r} and {high!r}")
        self.low, self.high, self.clip = low, high, clip
        self._least: np.ndarray | None = None
        self._most: np.ndarray | None = None

    @property
    def least(self) -> np.ndarray:
        """The smallest value of each channel (C,), float64; ValueError before ``fit``."""
        return _learned(self._least, self)

    @property
    def most(self) -> np.ndarray:
        """The largest value of each channel (C,), float64; ValueError before ``fit``."""
        return _learned(self._most, self)

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
        self._least, self._most = rows.min(axis=0), rows.max(axis=0)
        return self

    def fit_transform(self, x: Array) -> Array:
        """Fit, and return the same values scaled; for training data only."""
        return self.fit(x).transform(x)

    def transform(self, x: Array) -> Array:
        """Return scaled values, on the device that ``x`` is on; a channel that never changed becomes ``low``."""
        x, least, spread = self._known(x)
        scaled = self.low + (x - least) / spread * (self.high - self.low)
        xp = array_namespace(x)
        return xp.minimum(xp.maximum(scaled, self.low), self.high) if self.clip else scaled

    def inverse_transform(self, x: Array) -> Array:
        """Return values in their own units again."""
        x, least, spread = self._known(x)
        return least + (x - self.low) / (self.high - self.low) * spread

    def _known(self, x: Any) -> tuple[Array, Array, Array]:
        """Return ``x`` as floating numbers, and least and spread with its dtype and on its device."""
        spread = np.where(self.most > self.least, self.most - self.least, 1.0)
        x = np.asarray(x) if backend.is_host(x) else x
        xp = array_namespace(x)
        if not xp.isdtype(x.dtype, "real floating"):
            x = xp.astype(x, xp.float32)
        return x, *_like(x, self, self.least, spread)


class Standardize:
    """Subtracts the mean of each channel, the last axis, and divides by its standard deviation.

    >>> train, test = np.array([[1.0], [3.0]]), np.array([[5.0]])
    >>> scale = Standardize().fit(train)
    >>> scale.transform(test).tolist(), scale.inverse_transform(np.array([[0.0]])).tolist()
    ([[3.0]], [[2.0]])

    Arguments:
        mean: The mean of each channel, as an earlier ``fit`` found it (a model file may keep it); ``fit`` finds it
            if omitted.
        spread: The standard deviation of each channel, likewise.

    Raises:
        ValueError: If only one of the two is given, or they are not one positive spread for each mean.
    """

    def __init__(self, mean: Any = None, spread: Any = None) -> None:
        self._mean, self._spread = (None if v is None else np.asarray(v, dtype=float) for v in (mean, spread))
        if self._mean is None and self._spread is None:
            return
        if self._mean is None or self._spread is None:
            raise ValueError("Standardize takes mean and spread together, or neither and then fit(training data)")
        if self._mean.ndim != 1 or self._mean.shape != self._spread.shape or not (self._spread > 0).all():
            raise ValueError(f"Standardize needs a positive spread for each mean but got {mean!r} and {spread!r}")

    @property
    def mean(self) -> np.ndarray:
        """The mean of each channel (D,), float64; ValueError before ``fit``."""
        return _learned(self._mean, self)

    @property
    def spread(self) -> np.ndarray:
        """The standard deviation of each channel (D,), 1 where nothing changes; ValueError before ``fit``."""
        return _learned(self._spread, self)

    def fit(self, x: Any) -> Standardize:
        """Learn mean and spread of each channel; values that are missing (NaN) do not count.

        Raises:
            ValueError: If there are no values.
        """
        x = np.asarray(x, dtype=float)
        if x.ndim == 0 or not x.size:
            raise ValueError(f"Standardize.fit needs at least one value in each channel but got shape {x.shape}")
        rows = x.reshape(-1, x.shape[-1])
        empty = np.flatnonzero(np.isnan(rows).all(axis=0))
        if len(empty):
            raise ValueError(f"Standardize.fit: channel {empty[0]} has no value at all; leave it out")
        self._mean = np.nanmean(rows, axis=0)
        spread = np.nanstd(rows, axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)  # a channel that never changes becomes 0, not NaN
        return self

    def fit_transform(self, x: Any) -> Array:
        """Fit, and return the same values standardised; for training data only."""
        return self.fit(x).transform(x)

    def transform(self, x: Array) -> Array:
        """Return ``(x - mean) / spread``, on the device that ``x`` is on."""
        mean, spread = _like(x, self, self.mean, self.spread)
        return (x - mean) / spread

    def inverse_transform(self, x: Array) -> Array:
        """Return ``x * spread + mean``: predictions of standardised values in their own units again."""
        mean, spread = _like(x, self, self.mean, self.spread)
        return x * spread + mean


def _learned(numbers: np.ndarray | None, owner: Any) -> np.ndarray:
    if numbers is None:
        raise ValueError(f"{type(owner).__name__} has learned nothing yet: call fit(training data) first")
    return numbers


def _like(x: Array, owner: Any, *numbers: np.ndarray) -> tuple[Array, ...]:
    """Return the numbers of each channel with the dtype and on the device of ``x``."""
    if x.shape[-1] != len(numbers[0]):
        raise ValueError(
            f"{type(owner).__name__} was fitted to {len(numbers[0])} channels but got shape {tuple(x.shape)}"
        )
    xp = array_namespace(x)
    return tuple(xp.asarray(values.tolist(), dtype=x.dtype, device=device_of(x)) for values in numbers)

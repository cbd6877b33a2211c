"""Values that are missing: dropped, filled with the mean, predicted, or carried forward (floor 3).

A missing value is NaN. Every way is an object with two halves: ``fit`` learns from the training data what it needs
(means, regressions, which columns are too empty), ``transform`` applies it to any data. The test data are only ever
transformed; a mean over all data would carry something of the test set into the training.

>>> train = np.array([[1.0, 10.0], [3.0, np.nan], [5.0, 30.0]])
>>> Mean().fit(train).transform(np.array([[np.nan, np.nan]])).tolist()
[[3.0, 20.0]]

All take arrays (..., D) whose last axis holds the D columns (the measurements): tables (N, D), or sequences (N, T, D).
They work on the host, in float64, before the data go to a device; they return copies.

Source:
    D1 §4.2, D4 §6 (missing values: dropped, filled with the mean, predicted).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.configurable import resolve


def indicators(x: Any) -> np.ndarray:
    """Return 1.0 where a value is missing and 0.0 elsewhere, in the shape of ``x``.

    Given to the network beside the filled values, they let it tell a measured value from a filled one.
    """
    return np.isnan(np.asarray(x, dtype=float)).astype(np.float32)


class _Imputer:
    """What all ways share: the columns that were fitted."""

    columns: int | None = None

    def fit(self, x: Any) -> Any:
        """Learn from training data."""
        raise NotImplementedError

    def transform(self, x: Any) -> np.ndarray:
        """Return data without missing values."""
        raise NotImplementedError

    def fit_transform(self, x: Any) -> np.ndarray:
        """Fit, and transform the same data; for training data only."""
        return self.fit(x).transform(x)

    def _learn(self, x: Any) -> np.ndarray:
        """Return training data as rows (R, D), and remember how many columns there are."""
        name, x = type(self).__name__, np.asarray(x, dtype=float)
        if x.ndim < 2 or not x.size:
            raise ValueError(f"{name}.fit needs data (..., columns) with at least one row, got shape {x.shape}")
        self.columns = x.shape[-1]
        return x.reshape(-1, x.shape[-1])

    def _given(self, x: Any) -> np.ndarray:
        """Return data to transform as an array of its own."""
        name, x = type(self).__name__, np.array(x, dtype=float)
        if self.columns is None:
            raise ValueError(f"{name} has learned nothing yet: call fit(training data) first")
        if x.ndim < 2 or x.shape[-1] != self.columns:
            raise ValueError(f"{name} was fitted to {self.columns} columns but got data of shape {x.shape}")
        return x


class DropRows(_Imputer):
    """Leaves out the rows with a missing value; ``kept`` says which stay, so that labels can follow.

    The simplest way, and right where few rows are concerned. It can be used for training data; a patient who is to be
    predicted cannot be left out.

    >>> rows = DropRows().fit([[1.0, 2.0]])
    >>> x, y = np.array([[1.0, np.nan], [3.0, 4.0]]), np.array([0, 1])
    >>> rows.transform(x).tolist(), y[rows.kept(x)].tolist()
    ([[3.0, 4.0]], [1])
    """

    def fit(self, x: Any) -> DropRows:
        """Learn how many columns there are."""
        self._learn(x)
        return self

    def kept(self, x: Any) -> np.ndarray:
        """Return which rows have all their values, boolean, (N,)."""
        x = self._given(x)
        return ~np.isnan(x).reshape(len(x), -1).any(axis=1)

    def transform(self, x: Any) -> np.ndarray:
        """Return the rows that have all their values."""
        return self._given(x)[self.kept(x)]


class DropColumns(_Imputer):
    """Leaves out the columns of which more than a part is missing in the training data.

    Args:
        most: The part that may be missing.

    Attributes:
        kept: Which columns stay, boolean, (D,).
    """

    def __init__(self, most: float = 0.5) -> None:
        if not 0 <= most < 1:
            raise ValueError(f"most, the part of a column that may be missing, must be in [0, 1), got {most}")
        self.most = most
        self.kept = np.empty(0, dtype=bool)

    def fit(self, x: Any) -> DropColumns:
        """Learn which columns have enough values."""
        self.kept = np.isnan(self._learn(x)).mean(axis=0) <= self.most
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the columns that have enough values in the training data; what they lack stays missing."""
        return self._given(x)[..., self.kept]


class Mean(_Imputer):
    """Fills a missing value with the mean of its column in the training data.

    Attributes:
        mean: The means, (D,).
    """

    def __init__(self) -> None:
        self.mean = np.empty(0)

    def fit(self, x: Any) -> Mean:
        """Learn the mean of each column.

        Raises:
            ValueError: If a column has no value at all.
        """
        self.mean = _means(self._learn(x), type(self).__name__)
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the data with the means filled in."""
        x = self._given(x)
        return np.where(np.isnan(x), self.mean, x)


class LastValue(Mean):
    """Carries the last measured value of a sequence forward; before the first one stands the training data's mean.

    >>> fill = LastValue().fit([[[1.0], [3.0]]])
    >>> fill.transform([[[np.nan], [7.0], [np.nan]]]).ravel().tolist()
    [2.0, 7.0, 7.0]
    """

    def transform(self, x: Any) -> np.ndarray:
        """Return sequences (..., T, D) with the last values carried forward; nothing comes from later steps."""
        x = self._given(x)
        steps = np.arange(x.shape[-2])[:, None]
        last = np.maximum.accumulate(np.where(np.isnan(x), -1, steps), axis=-2)
        carried = np.take_along_axis(x, np.maximum(last, 0), axis=-2)
        return np.where(last < 0, self.mean, carried)


class Predicted(_Imputer):
    r"""Predicts a missing value from the other columns of its row, by ridge regression.

    Each column $j$ gets a regression on the others, $\hat x_j = x_{-j} w_j + b_j$ with
    $w_j = (X^\top X + \alpha R\,I)^{-1} X^\top x_j$ over the R training rows in which it was measured, all
    columns scaled to spread 1 and centred in these rows. Where several values of a row are missing, each prediction
    needs the others: all begin at the mean, and the columns are predicted in turn until nothing moves any more.

    >>> x = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, np.nan]])
    >>> round(float(Predicted(alpha=1e-6).fit_transform(x)[3, 1]), 2)
    8.0

    Args:
        alpha: Strength of the penalty on the coefficients, which keeps them small where columns say the same.
        rounds: How often all columns are predicted at most.
        tolerance: The largest change, in spreads of a column, that counts as no change.

    Attributes:
        mean, spread: Of each column, (D,).
        weights: Coefficients (D, D), a row for each predicted column, zero on the diagonal.
        offsets: What is added, (D,), in spreads.

    Source:
        Van Buuren & Groothuis-Oudshoorn, Multivariate Imputation by Chained Equations, J. Stat. Softw. 45(3), 2011.
    """

    def __init__(self, alpha: float = 0.01, rounds: int = 20, tolerance: float = 1e-3) -> None:
        if not alpha > 0 or rounds < 1:
            raise ValueError(f"Predicted needs alpha > 0 and rounds of at least 1, got alpha={alpha}, rounds={rounds}")
        self.alpha, self.rounds, self.tolerance = alpha, rounds, tolerance
        self.mean = self.spread = self.offsets = np.empty(0)
        self.weights = np.empty((0, 0))

    def fit(self, x: Any) -> Predicted:
        """Learn the regressions.

        Raises:
            ValueError: If a column has no value at all.
        """
        rows = self._learn(x)
        self.mean = _means(rows, "Predicted")
        spread = np.nanstd(rows, axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)
        missing = np.isnan(rows)
        z = np.where(missing, 0.0, (rows - self.mean) / self.spread)
        self.weights, self.offsets = np.zeros((rows.shape[1], rows.shape[1])), np.zeros(rows.shape[1])
        for _ in range(self.rounds):
            before = z.copy()
            for j in range(rows.shape[1]):
                self._regress(z, ~missing[:, j], j)
                z[missing[:, j], j] = z[missing[:, j]] @ self.weights[j] + self.offsets[j]
            if np.abs(z - before).max() <= self.tolerance:
                break
        return self

    def _regress(self, z: np.ndarray, measured: np.ndarray, j: int) -> None:
        """Learn the coefficients of column j from the rows in which it was measured."""
        others = np.arange(z.shape[1]) != j
        x, y = z[np.ix_(measured, others)], z[measured, j]
        middle, x, y = x.mean(axis=0), x - x.mean(axis=0), y - (level := y.mean())
        gram = x.T @ x + self.alpha * len(y) * np.eye(x.shape[1])
        self.weights[j, others] = np.linalg.solve(gram, x.T @ y)
        self.offsets[j] = level - middle @ self.weights[j, others]

    def transform(self, x: Any) -> np.ndarray:
        """Return the data with the predictions filled in."""
        x = self._given(x)
        missing = np.isnan(x)
        z = np.where(missing, 0.0, (x - self.mean) / self.spread)
        for _ in range(self.rounds):
            before = z.copy()
            for j in range(self.columns or 0):
                z[..., j] = np.where(missing[..., j], z @ self.weights[j] + self.offsets[j], z[..., j])
            if np.abs(z - before).max(initial=0) <= self.tolerance:
                break
        return np.where(missing, z * self.spread + self.mean, x)


def _means(rows: np.ndarray, name: str) -> np.ndarray:
    """Return the mean of each column, or raise ValueError for one without values."""
    empty = np.flatnonzero(np.isnan(rows).all(axis=0))
    if len(empty):
        raise ValueError(
            f"{name}.fit: column {empty[0]} has no value at all; leave it out, as DropColumns does, or measure it"
        )
    return np.nanmean(rows, axis=0)


WAYS = {"mean": Mean, "predicted": Predicted, "last": LastValue, "drop_rows": DropRows, "drop_columns": DropColumns}
"""The ways by name."""


def get(identifier: Any) -> Any:
    """Return the way that a name means, not fitted yet; an object is returned as it is.

    >>> type(get("predicted")).__name__
    'Predicted'

    Raises:
        ValueError: If no way has this name.
    """
    return resolve(identifier, WAYS, "way to treat missing values")

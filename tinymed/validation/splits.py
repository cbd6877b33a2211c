"""Which samples to train on and which to test on: at random, by class, by patient, or by both.

*Stratified* means that every part has the classes in nearly the same proportions; *grouped* that all samples of one
patient are in the same part. Without the second, a network that recognises the patient seems to recognise the disease.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinymed import backend


class Fold(NamedTuple):
    """The samples to train on and those to test on, as sorted row numbers."""

    train: np.ndarray
    test: np.ndarray


def k_fold(n: int, folds: int = 5, *, labels: Any = None, groups: Any = None, seed: int = 0) -> list[Fold]:
    """Split ``n`` samples so that each is tested exactly once.

    Arguments:
        n: Number of samples.
        folds: Number of parts; the model is trained on all but one of them, and tested on that one.
        labels: The class of each sample, to spread the classes evenly; omitted: at random.
        groups: The patient of each sample, to keep the samples of a patient together.
        seed: Decides the split, and nothing else does.

    Raises:
        ValueError: If a class has fewer samples (or, with groups, fewer patients) than there are folds.

    Example:
        >>> for train, test in k_fold(6, 3, labels=[0, 0, 0, 1, 1, 1], seed=0):
        ...     print(train, test)
        [0 1 3 4] [2 5]
        [1 2 3 5] [0 4]
        [0 2 4 5] [1 3]
    """
    if int(folds) != folds or folds < 2:
        raise ValueError(f"folds must be a whole number from 2, got {folds!r}")
    part = _parts(n, np.full(folds, 1 / folds), labels, groups, seed, f"{folds} folds")
    return [Fold(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(folds)]


def train_val_test(
    n: int, sizes: Sequence[float] = (0.7, 0.15, 0.15), *, labels: Any = None, groups: Any = None, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Split ``n`` samples once: to train on, to choose with, to test on.

    Arguments:
        n: Number of samples.
        sizes: The parts as shares of the whole, which add up to 1; any number of them.
        labels: As for :func:`k_fold`.
        groups: As for :func:`k_fold`.
        seed: As for :func:`k_fold`.

    Returns:
        The sorted row numbers of each part.

    Example:
        >>> train, val, test = train_val_test(20, labels=[0] * 10 + [1] * 10, sizes=(0.6, 0.2, 0.2))
        >>> len(train), len(val), len(test), int((test >= 10).sum())
        (12, 4, 4, 2)
    """
    shares = np.asarray(sizes, dtype=float)
    if shares.ndim != 1 or len(shares) < 2 or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"sizes must be positive shares that add up to 1, such as (0.7, 0.15, 0.15), got {sizes!r}")
    part = _parts(n, shares, labels, groups, seed, f"{len(shares)} parts")
    return tuple(np.flatnonzero(part == i) for i in range(len(shares)))


def _parts(n: int, shares: np.ndarray, labels: Any, groups: Any, seed: int, what: str) -> np.ndarray:
    """Return the number of the part that each sample belongs to."""
    if int(n) != n or n < len(shares):
        raise ValueError(f"{n} samples cannot be split into {what}")
    classes = _numbered("labels", labels, n) if labels is not None else np.zeros(n, dtype=np.int64)
    owners = _numbered("groups", groups, n) if groups is not None else np.arange(n)
    # How many samples of each class each group has: one row for a group. Without groups a group is one sample.
    table = np.zeros((owners.max() + 1, classes.max() + 1), dtype=np.int64)
    np.add.at(table, (owners, classes), 1)
    fewest = int((table > 0).sum(axis=0).min())
    if fewest < len(shares):
        number = int((table > 0).sum(axis=0).argmin())
        name = np.unique(backend.to_host(labels).reshape(-1))[number] if labels is not None else None
        unit = "groups" if groups is not None else "samples"
        of_class = "" if name is None else f" of class {name}"
        raise ValueError(f"there are {fewest} {unit}{of_class} only, too few for {what}")
    rng = np.random.default_rng(seed)
    deal = _dealt if groups is None else _spread
    return deal(table, shares, rng)[owners]


def _dealt(table: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give single samples to the parts, class by class, as evenly as whole numbers permit."""
    part = np.empty(len(table), dtype=np.int64)
    given = np.zeros(len(shares))
    wanted = np.zeros(len(shares))
    for rows in (rng.permutation(np.flatnonzero(table[:, c])) for c in range(table.shape[1])):
        wanted += shares * len(rows)
        counts = np.floor(shares * len(rows)).astype(np.int64)
        counts = np.maximum(counts, 1)
        while counts.sum() > len(rows):
            counts[counts.argmax()] -= 1
        while counts.sum() < len(rows):  # what is left over goes where most is missing, over all classes so far
            counts[np.argmax(wanted - given - counts)] += 1
        given += counts
        part[rows] = np.repeat(np.arange(len(shares)), counts)
    return part


def _spread(table: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give whole groups to the parts, the largest first, each to where its classes are missing most."""
    part = np.empty(len(table), dtype=np.int64)
    wanted = shares[:, None] * table.sum(axis=0)  # (parts, classes)
    have = np.zeros_like(wanted)
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].max(axis=1), kind="stable")]
    for place, group in enumerate(order):
        after = have + table[group]
        # The squared distance from what is wanted, relative to each class's size, grows by this much:
        growth = (((after - wanted) ** 2 - (have - wanted) ** 2) / np.maximum(table.sum(axis=0), 1)).sum(axis=1)
        growth = growth / shares
        empty = have.sum(axis=1) == 0
        if empty.sum() >= len(order) - place:  # as many groups left as parts without any
            growth = np.where(empty, growth, np.inf)
        part[group] = int(np.argmin(growth))
        have[part[group]] += table[group]
    return part


def _numbered(what: str, names: Any, n: int) -> np.ndarray:
    """Return the names as numbers from 0."""
    host = backend.to_host(names)
    if host.ndim == 2 and host.shape[1] == 1:
        host = host[:, 0]
    if host.shape != (n,):
        hint = "; for one-hot labels apply argmax first" if what == "labels" and host.ndim == 2 else ""
        raise ValueError(f"{what} must have one entry for each of the {n} samples, got shape {host.shape}{hint}")
    return np.unique(host, return_inverse=True)[1].reshape(-1)

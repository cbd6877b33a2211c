"""Is a test sample known from training? By its patient, or because the same image is there twice."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from tinymed import backend


def check_apart(train: Any, test: Any, groups: Any = None) -> None:
    """Raise ValueError if a sample, or a patient, is on both sides of a split.

    Arguments:
        train: Row numbers to train on.
        test: Row numbers to test on.
        groups: The patient of each row, if known.

    Example:
        >>> check_apart([0, 1], [2, 3], groups=["ann", "ben", "ben", "eve"])
        Traceback (most recent call last):
        ...
        ValueError: the split leaks: 'ben' has samples to train on and samples to test on; split by patient (groups=...)
    """
    both = np.intersect1d(train, test)
    if both.size:
        raise ValueError(f"the split leaks: sample {int(both[0])} is to train on and to test on")
    if groups is None:
        return
    names = backend.to_host(groups).reshape(-1)
    both = np.intersect1d(names[np.asarray(train)], names[np.asarray(test)])
    if both.size:
        more = f" (and {both.size - 1} others)" if both.size > 1 else ""
        raise ValueError(
            f"the split leaks: {both[0].item()!r}{more} has samples to train on and samples to test on; "
            "split by patient (groups=...)"
        )


def repeated(x: Any) -> np.ndarray:
    """Return a number for each sample, equal where samples are equal bit for bit: the groups to split by.

    Collections of images often hold the same one twice, under two names. With one of them to train on, the other
    tests nothing.

    Arguments:
        x: Samples, N rows.

    Example:
        >>> repeated(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])).tolist()
        [0, 1, 0]
    """
    host = np.ascontiguousarray(backend.to_host(x))
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(hashlib.sha1(row.tobytes()).digest(), len(seen)) for row in host], dtype=np.int64)

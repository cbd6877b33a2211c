"""Small helpers under Keras's names."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tinymed import backend

_ELSEWHERE = {
    "array_to_img": "image",
    "img_to_array": "image",
    "load_img": "image",
    "pad_sequences": "sequence",
    "save_img": "image",
}
"""What Keras offers here too, by the module of ``preprocessing`` where it is."""


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"tinymed.preprocessing.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module 'tinymed.utils' has no attribute {name!r}")


def set_random_seed(seed: int) -> None:
    """Make everything random that follows repeatable (:func:`tinymed.backend.set_seed`)."""
    backend.set_seed(seed)


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Turn class numbers into one-hot rows.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)

    Arguments:
        x: Class numbers, of any shape; a last axis of length 1 is dropped.
        num_classes: Length of the rows; the largest class plus one if omitted.

    Raises:
        ValueError: If a class number is negative, not whole, or not below ``num_classes``.
    """
    classes = np.asarray(x)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    numbers = classes.astype(np.int64)
    if classes.size and (np.any(numbers != classes) or numbers.min() < 0):
        raise ValueError("class numbers must be whole and not negative")
    count = int(numbers.max()) + 1 if num_classes is None else num_classes
    if classes.size and numbers.max() >= count:
        raise ValueError(f"class number {int(numbers.max())} does not fit num_classes={count}")
    return np.eye(count, dtype=np.float32)[numbers]

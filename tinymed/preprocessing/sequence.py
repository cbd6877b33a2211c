"""Sequences of different lengths, made equally long (floor 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_SIDES = ("pre", "post")


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Return one array (N, maxlen, ...) of sequences of different lengths, filled up with ``value``.

    A ``Masking`` layer with the same value, or ``Embedding(mask_zero=True)``, makes the layers behind leave the
    filling out. Signals need ``dtype="float32"``: the default turns them into whole numbers.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)

    Arguments:
        sequences: Lists or arrays, each of shape (T, ...) with its own length T.
        maxlen: Length of the result; that of the longest sequence if None.
        dtype: dtype of the result.
        padding: Where short sequences are filled up: ``"pre"`` in front, ``"post"`` behind.
        truncating: Where long sequences are cut: ``"pre"`` in front, ``"post"`` behind.
        value: What they are filled with.

    Raises:
        ValueError: If an entry is no sequence, or its steps have another shape than those of the others.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in _SIDES:
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', got {side!r}")
    if maxlen is not None and (int(maxlen) != maxlen or maxlen < 0):
        raise ValueError(f"pad_sequences: maxlen must be a whole number of at least 0 or None, got {maxlen!r}")
    if isinstance(value, str) and np.dtype(dtype) != object and np.dtype(dtype).kind not in "US":
        raise ValueError(f"pad_sequences: value {value!r} is text; use dtype=object or str")
    arrays = [_as_steps(sequence, place) for place, sequence in enumerate(sequences)]
    length = max((len(array) for array in arrays), default=0) if maxlen is None else int(maxlen)
    step = next((array.shape[1:] for array in arrays if len(array)), ())
    padded = np.full((len(arrays), length, *step), value, dtype=dtype)
    for place, array in enumerate(arrays):
        if not len(array):
            continue
        if array.shape[1:] != step:
            raise ValueError(
                f"pad_sequences: steps of sequence {place} have shape {array.shape[1:]} "
                f"but those before it have {step}; they must be alike"
            )
        kept = array[max(len(array) - length, 0) :] if truncating == "pre" else array[:length]
        if len(kept):
            padded[place, slice(-len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return padded


def _as_steps(sequence: Any, place: int) -> np.ndarray:
    if not hasattr(sequence, "__len__"):
        raise ValueError(f"pad_sequences takes a list of sequences, but entry {place} is {sequence!r}")
    return np.asarray(sequence)

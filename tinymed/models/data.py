"""Training data at the edge of the engine: checked once, then cut into batches and moved to the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array


def as_arrays(data: Any, names: Sequence[str], what: str, nested: bool) -> list[Array]:
    """Return ``data`` as one array for each of ``names``.

    Arguments:
        data: An array, nested lists of numbers, a list of arrays, or a dict of arrays by name.
        names: Names of the inputs or outputs.
        what: ``"x"`` or ``"y"``, for messages.
        nested: Whether the model has several inputs (or outputs), so that a list means a list of arrays.

    Raises:
        ValueError: For missing names, strings, ragged lists, empty data, NaN or infinity.
    """
    if isinstance(data, Mapping):
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"{what} has no entry {missing[0]!r}; the model needs {list(names)}, got {sorted(data)}")
        parts = [data[name] for name in names]
    elif nested or (isinstance(data, list | tuple) and len(names) == 1 and len(data) == 1 and hasattr(data[0], "ndim")):
        parts = list(data) if isinstance(data, list | tuple) else [data]
    else:
        parts = [data]
    if len(parts) != len(names):
        raise ValueError(f"{what} has {len(parts)} arrays but the model needs {len(names)}: {list(names)}")
    return [
        _as_array(part, f"{what} ({name})" if len(names) > 1 else what) for part, name in zip(parts, names, strict=True)
    ]


def _as_array(data: Any, what: str) -> Array:
    if not backend.is_host(data) or isinstance(data, backend.LazyArray):
        return data
    if data is None:
        raise ValueError(f"{what} is None; pass an array")
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{what} is ragged: its samples have different shapes; make them equal first") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{what} must hold numbers but holds {array.dtype}; "
            "turn labels into integers first, e.g. np.unique(labels, return_inverse=True)[1]"
        )
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{what} is empty (shape {array.shape}); it needs at least one sample")
    if array.dtype.kind == "f":
        # A sum is NaN or infinite if any term is: one pass without a mask of the data's size.
        with np.errstate(all="ignore"):
            suspicious = not np.isfinite(np.sum(array, dtype=np.float64))
        bad = ~np.isfinite(array) if suspicious else None
        if bad is not None and bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            kind = "NaN" if np.isnan(array[first]) else "infinity"
            raise ValueError(
                f"{what} contains {kind} ({int(bad.sum())} values, the first at {first}); "
                "drop these samples or fill them, e.g. with np.nan_to_num"
            )
    return array


def check_lengths(arrays: Mapping[str, Sequence[Array]]) -> int:
    """Return the number of samples, the same in all arrays.

    Raises:
        ValueError: If it differs; the message names the two arrays.
    """
    first_name, length = "", -1
    for name, parts in arrays.items():
        for part in parts:
            if length < 0:
                first_name, length = name, part.shape[0]
            elif part.shape[0] != length:
                raise ValueError(f"{first_name} has {length} samples but {name} has {part.shape[0]}; they must match")
    return length


def split_tail(parts: Sequence[Array | None], fraction: float) -> tuple[list, list]:
    """Cut the last ``fraction`` of the samples off for validation, as Keras does (before shuffling)."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split must lie between 0 and 1, got {fraction}")
    length = next(part.shape[0] for part in parts if part is not None)
    cut = int(np.floor(length * (1 - fraction)))
    if cut == 0 or cut == length:
        raise ValueError(f"validation_split={fraction} of {length} samples leaves one part empty")
    return [_rows(part, 0, cut) for part in parts], [_rows(part, cut, length) for part in parts]


def _rows(part: Array | None, start: int, stop: int) -> Array | None:
    if part is None or isinstance(part, backend.LazyArray):
        return part if part is None else part.rows(start, stop)
    return part[start:stop, ...]


def class_weights(y: Array, weights: Mapping[int, float]) -> np.ndarray:
    """Return one weight for each sample from a weight for each class.

    Arguments:
        y: Labels (N,) or (N, 1), or one-hot rows (N, K).
        weights: Weight by class number.

    Raises:
        ValueError: If a class in ``y`` has no weight.
    """
    labels = backend.to_host(y)
    labels = labels.argmax(-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(len(labels), -1)[:, 0]
    labels = labels.astype(np.int64)
    missing = sorted(set(np.unique(labels).tolist()) - {int(key) for key in weights})
    if missing:
        raise ValueError(f"class_weight has no weight for class {missing[0]}; it has {sorted(weights)}")
    table = np.zeros(max(int(key) for key in weights) + 1, dtype=np.float32)
    for key, value in weights.items():
        table[int(key)] = value
    return table[labels]


def batches(
    parts: Sequence[Array | None], batch_size: int, generator: np.random.Generator | None = None
) -> Iterator[list[Array | None]]:
    """Cut arrays into batches on the current backend, in random order if a generator is given.

    Arguments:
        parts: Arrays with equally many samples; None entries stay None.
        batch_size: Samples in a batch; the last one may have fewer.
        generator: Draws the order.
    """
    length = next(part.shape[0] for part in parts if part is not None)
    order = None if generator is None else generator.permutation(length)
    for start in range(0, length, batch_size):
        stop = min(start + batch_size, length)
        yield [p if p is None else _batch(p, start, stop, order) for p in parts]


def _batch(part: Array, start: int, stop: int, order: np.ndarray | None) -> Array:
    if order is None:
        return backend.asarray(part[start:stop, ...])
    if backend.is_host(part):
        return backend.asarray(part[order[start:stop]])
    xp = backend.array_namespace(part)
    places = xp.asarray(order[start:stop], device=backend.device_of(part))
    return xp.take(part, places, axis=0)

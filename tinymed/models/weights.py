"""Weights in a file of their own, and weights that one network takes over from another.

A network that has learnt one task is a better start for a second one than random numbers (D2 §8: transfer learning):

    base.load_weights("nodules.safetensors", by_name=True)     # all layers that have the same names
    for layer in base.layers[:-1]:
        layer.trainable = False                                # keep what they have learnt
    base.compile(Adam(1e-4), "binary_crossentropy")            # and teach the head

Files are safetensors, as :mod:`tinymed.models.saving` writes them.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files
from tinymed.models.saving import FORMAT, contiguous, read, weights_by_path

if TYPE_CHECKING:
    from tinymed.models.graph import Model


def save_weights(model: Model, path: Any) -> None:
    """Write the weights of ``model``, and nothing else, to ``path``.

    Raises:
        ValueError: If the model has not been built yet.
    """
    from safetensors.numpy import save

    from tinymed import __version__

    if not model.built:
        raise ValueError(f"{model.name} has no weights yet; call it on data or give its first layer input_shape")
    arrays = {path: contiguous(store[key]) for path, store, key in weights_by_path(model)}
    about = {"format": FORMAT, "tinymed": __version__, "metadata": {}, "weights": list(arrays)}
    files.write_bytes(path, save(arrays, metadata={"tinymed": json.dumps(about)}))


def load_weights(model: Model, path: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """Set the weights of ``model`` from a file that ``save_weights`` or ``save`` wrote.

    Arguments:
        model: A model whose weights exist.
        path: The file.
        by_name: Without it the file must have as many weights as the model, which are taken in order, whatever the
            layers are called. With it each layer takes over what belongs to its name; layers that the file does not
            know stay as they are.
        skip_mismatch: Pass over weights of another shape, with a warning.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not fit; the message names the first weight that does not. Nothing has
            been changed then.
    """
    if not model.built:
        raise ValueError(f"{model.name} has no weights yet; call it on data or give its first layer input_shape")
    about, arrays = read(path)
    wanted = list(weights_by_path(model))
    order = about.get("weights", [])
    pairs = _by_name(path, wanted, arrays) if by_name else _in_order(path, wanted, order, arrays)
    skipped = []
    fitting = []
    for name, store, key, array in pairs:
        if tuple(store[key].shape) == array.shape:
            fitting.append((store, key, array))
            continue
        message = f"{path}: weight {name!r} has shape {array.shape} but the model needs {tuple(store[key].shape)}"
        if not skip_mismatch:
            raise ValueError(f"{message}; skip_mismatch=True passes over it")
        skipped.append(message)
    for message in skipped:
        warnings.warn(f"{message}; it stays as it is", UserWarning, stacklevel=3)
    for store, key, array in fitting:
        store[key] = backend.asarray(array, dtype=backend.to_host(store[key]).dtype.name)


Wanted = list[tuple[str, dict[str, Any], str]]
Pairs = list[tuple[str, dict[str, Any], str, np.ndarray]]


def _in_order(path: Any, wanted: Wanted, order: list[str], arrays: dict[str, np.ndarray]) -> Pairs:
    """Pair the model's weights with those of the file, the first with the first."""
    if len(order) != len(wanted):
        ours = [name for name, _, _ in wanted]
        place = next((i for i, (a, b) in enumerate(zip(ours, order, strict=False)) if _tail(a) != _tail(b)), None)
        first = "" if place is None else f"; the first that differ are {ours[place]!r} here and {order[place]!r} there"
        raise ValueError(
            f"{path} has {len(order)} weights but the model has {len(wanted)}{first}; "
            "by_name=True takes over the layers that have the same names"
        )
    return [(name, store, key, arrays[other]) for (name, store, key), other in zip(wanted, order, strict=True)]


def _by_name(path: Any, wanted: Wanted, arrays: dict[str, np.ndarray]) -> Pairs:
    """Pair the weights of those layers that the file has too."""
    layers = {name.rpartition("/")[0] for name in arrays if not name.startswith("optimizer/")}
    ours = list(dict.fromkeys(name.rpartition("/")[0] for name, _, _ in wanted))
    if not layers & set(ours):
        raise ValueError(f"no layer of the model has a name that {path} has: {ours} here, {sorted(layers)} there")
    pairs = []
    for name, store, key in wanted:
        if name.rpartition("/")[0] not in layers:
            continue
        if name not in arrays:
            raise ValueError(f"{path} has the layer {name.rpartition('/')[0]!r} but not its weight {key!r}")
        pairs.append((name, store, key, arrays[name]))
    return pairs


def _tail(name: str) -> str:
    return name.rpartition("/")[2]

"""The networks of the articles as data, and the numbers with which every library starts.

A network is a row of :data:`NETWORKS`. Its layers are written once; ``keras_model`` builds them with Keras and, as
the names are the same, with tinymed, ``programs.torch_module`` with PyTorch.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 32
STEPS = 3
"""Training steps whose losses must agree before anything is timed."""


@dataclass(frozen=True)
class Network:
    """What is trained: the shape of a sample, layers, loss, number of classes, and the metric it reports."""

    shape: tuple[int, ...]
    layers: tuple[tuple, ...]
    loss: str
    classes: int = 0
    metric: str | None = "accuracy"


def _convolutions(*filters: int) -> tuple[tuple, ...]:
    return tuple(layer for count in filters for layer in (("conv", count), ("pool",)))


def _lstm(activation: str) -> tuple[tuple, ...]:
    return (("lstm", 50, activation, True), ("lstm", 50, activation, False), ("dense", 1, "linear"))


NETWORKS = {
    "P0": Network(
        (64, 64, 3),
        (*_convolutions(32, 64), ("flatten",), ("dense", 128, "relu"), ("dense", 1, "sigmoid")),
        "binary_crossentropy",
        2,
    ),
    "P3": Network(
        (28, 28, 1),
        (*_convolutions(32, 64), ("flatten",), ("dense", 10, "softmax")),
        "sparse_categorical_crossentropy",
        10,
    ),
    "P4a": Network(
        (224, 224, 3),
        (*_convolutions(32, 64, 128), ("flatten",), ("dense", 512, "relu"), ("dense", 4, "softmax")),
        "categorical_crossentropy",
        4,
    ),
    "P4b tanh 200": Network((200, 1), _lstm("tanh"), "mean_squared_error", metric=None),
    "P4b relu 200": Network((200, 1), _lstm("relu"), "mean_squared_error", metric=None),
    "P4b tanh 2000": Network((2000, 1), _lstm("tanh"), "mean_squared_error", metric=None),
}


def find(name: str) -> Network:
    """Return a network of the table, or ``"P4b ACTIVATION STEPS"`` for sequences of any length.

    Raises:
        KeyError: If there is no such network.
    """
    article, _, rest = name.partition(" ")
    activation, _, steps = rest.partition(" ")
    if name not in NETWORKS and article == "P4b" and activation in ("tanh", "relu") and steps.isdigit():
        return Network((int(steps), 1), _lstm(activation), "mean_squared_error", metric=None)
    return NETWORKS[name]


def keras_model(library: Any, network: Network) -> Any:
    """Build the network with Keras, or with tinymed."""
    layers = library.layers
    make = {
        "conv": lambda filters: layers.Conv2D(filters, (3, 3), activation="relu"),
        "pool": lambda: layers.MaxPooling2D((2, 2)),
        "flatten": lambda: layers.Flatten(),
        "dense": lambda units, activation: layers.Dense(units, activation=activation),
        "lstm": lambda units, activation, sequences: layers.LSTM(
            units, activation=activation, return_sequences=sequences
        ),
    }
    built = [make[kind](*arguments) for kind, *arguments in network.layers]
    return library.Sequential([library.Input(network.shape), *built])


def unsupported(network: Network) -> str | None:
    """Return why tinymed cannot build this network, or None if it can."""
    from tinymed import layers

    if not hasattr(layers, "LSTM") and any(kind == "lstm" for kind, *_ in network.layers):
        return "tinymed has no LSTM layer yet"
    return None


def batches(network: Network, count: int = STEPS, size: int = BATCH) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return images of uniform noise, or a noisy wave, with targets as the network's loss wants them."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        x = draw.random((size, *network.shape), dtype=np.float32)
        y: np.ndarray
        if not network.classes:
            y = x.mean(axis=(1, 2), keepdims=True)[:, :, 0]
        else:
            labels = draw.integers(0, network.classes, size)
            y = np.eye(network.classes, dtype=np.float32)[labels] if network.loss.startswith("cat") else labels
            y = y[:, None].astype(np.float32) if network.classes == 2 else y
        found.append((x, y))
    return found


def step_flops(model: Any, size: int = BATCH) -> tuple[int, int]:
    """Return the floating-point operations of a training step and of a prediction of one batch.

    Backward computes two products as large as forward's, one for the weights and one for the input, but nobody needs
    the gradient of the first layer's input.
    """
    first, *others = model.flops_by_node().values()
    forward = first + sum(others)
    return size * (3 * forward - first), size * forward


@contextlib.contextmanager
def prepared(name: str) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Lend a file with initial weights and batches that all libraries read, and the operations of a step and a predict.

    Args:
        name: As in :func:`find`.

    Yields:
        The path, and what :func:`step_flops` returns.
    """
    import tinymed

    network = find(name)
    tinymed.set_seed(0)
    model = keras_model(tinymed, network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "start.npz"
        arrays = {f"w{i}": weight for i, weight in enumerate(model.get_weights())}
        for i, (x, y) in enumerate(batches(network)):
            arrays |= {f"x{i}": x, f"y{i}": y}
        np.savez(path, **arrays)  # type: ignore[arg-type]
        del arrays
        yield path, step_flops(model)


def load(path: str) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Return the weights in Keras's order and the batches."""
    with np.load(path) as file:
        weights = [file[f"w{i}"] for i in range(sum(key.startswith("w") for key in file))]
        return weights, [(file[f"x{i}"], file[f"y{i}"]) for i in range(STEPS)]

"""The score that a map explains, and its gradient at the input or at any layer within.

The score of a class is the value *before* the sigmoid or softmax: behind it a sure network has no gradient left.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.layers.base import Layer
from tinymed.layers.symbolic import SymbolicTensor, add_node
from tinymed.models import Model


class Tap(Layer):
    """Passes everything on, and hands out the gradient that arrives: as that of a weight which is added and is 0."""

    supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weight: a single 0, which stands for one at every place."""
        self.add_weight("shift", (), "zeros")

    def forward(self, x: Array, training: bool = False) -> tuple[Array, None]:
        """Return ``x``."""
        self.prepare(x)
        return x, None

    def backward(self, dy: Array, cache: None, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return ``dy``, and ``dy`` as the gradient of what would have been added here."""
        return dy, {"shift": dy}


class Probe:
    """A model, with a tap behind one of its layers if wanted.

    Arguments:
        model: A built model with one input, and one output of shape (N, classes).
        layer: Name of a layer of the model, or of a model within it.

    Raises:
        ValueError: If the model has another form, or no such layer.
    """

    def __init__(self, model: Any, layer: str | None = None) -> None:
        if not getattr(model, "built", False) or not isinstance(model, Model):
            raise ValueError("a map needs a model that has been built; call it on data, or give it an input shape")
        if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
            shapes = [tensor.shape for tensor in model.outputs]
            raise ValueError(
                f"a map explains one score of one image, but {model.name} has {len(model.inputs)} inputs and "
                f"outputs of shape {shapes}; make a Model with one input and one output (N, classes)"
            )
        self.layer = layer
        self.input_shape = model.inputs[0].shape
        self.dtype = model.inputs[0].dtype
        self.classes = int(model.outputs[0].shape[-1] or 0)
        self.model: Model = model if layer is None else _with_tap(model, layer)
        last = self.model.outputs[0].producer.layer  # type: ignore[union-attr]  # built models have producers
        name = getattr(getattr(last, "activation", None), "name", None)
        self._bare = name in ("sigmoid", "softmax") and "logits" in inspect.signature(last.forward).parameters

    def batches(self, x: Any, batch_size: int = 32) -> Iterator[tuple[slice, Array]]:
        """Yield the samples in batches on the device, and where they stand."""
        host = np.asarray(backend.to_host(x))
        for start in range(0, len(host), batch_size):
            rows = slice(start, start + batch_size)
            yield rows, backend.asarray(host[rows], dtype=self.dtype)

    def _forward(self, x: Array) -> tuple[Array, Array | None, Any]:
        if self.layer is None:
            z, tape = self.model.forward(x, logits=self._bare)
            return z, None, tape
        (z, inside), tape = self.model.forward(x, logits=[self._bare, False])
        return z, inside, tape

    def scores(self, x: Any, targets: np.ndarray) -> np.ndarray:
        """Return the score of each sample's target class, (N,)."""
        found = [backend.to_host(self._forward(batch)[0]) for _, batch in self.batches(x)]
        return np.sum(np.concatenate(found) * self.signs(targets), axis=1)

    def targets(self, x: Any, target: Any = None) -> np.ndarray:
        """Return the class to explain for each sample: those given, or the predicted ones.

        Arguments:
            x: The samples.
            target: A class number for all, one for each sample, or None.
        """
        count = max(self.classes, 2)
        if target is None:
            z = np.concatenate([backend.to_host(self._forward(batch)[0]) for _, batch in self.batches(x)])
            # Without a sigmoid that was left out, the output itself is the score, and 0 still its middle.
            return z.argmax(axis=1) if self.classes > 1 else (z[:, 0] > 0).astype(np.int64)
        found = np.broadcast_to(np.asarray(backend.to_host(target)), (len(x),))
        if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= count:
            raise ValueError(f"target must be a class from 0 to {count - 1}, or one for each sample, got {target!r}")
        return found

    def signs(self, targets: np.ndarray) -> np.ndarray:
        """Return the gradient of the score with respect to the outputs: 1 at the class, or a sign for one output."""
        if self.classes == 1:
            return (2.0 * targets - 1.0)[:, None].astype(self.dtype)
        return np.eye(self.classes, dtype=self.dtype)[targets]

    def gradient(self, x: Any, targets: np.ndarray) -> np.ndarray:
        """Return the gradient of each sample's score with respect to the sample itself, shaped as ``x``."""
        found = []
        for rows, batch in self.batches(x):
            _, _, tape = self._forward(batch)
            dy: Any = backend.asarray(self.signs(targets[rows]), dtype=self.dtype)
            dx, _ = self.model.backward(dy if self.layer is None else [dy, None], tape)
            found.append(backend.to_host(dx))
        return np.concatenate(found)

    def inside(self, x: Any, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what the layer gives, and the gradient of the score with respect to it."""
        values, gradients = [], []
        for rows, batch in self.batches(x):
            _, value, tape = self._forward(batch)
            dy = backend.asarray(self.signs(targets[rows]), dtype=self.dtype)
            _, grads = self.model.backward([dy, None], tape, input_gradient=False)
            values.append(backend.to_host(value))
            gradients.append(backend.to_host(next(g for key, g in grads.items() if key.startswith("tap/"))))
        return np.concatenate(values), np.concatenate(gradients)


def _with_tap(model: Model, name: str) -> Model:
    """Wire the same layers once more, with a tap behind one of them; what it gives is a second output."""
    tapped: list[SymbolicTensor] = []
    start = model.inputs[0]
    (end,) = _wire_again(model, [start], name, tapped)
    if not tapped:
        raise ValueError(f"{model.name} has no layer {name!r}; its layers are {_layer_names(model)}")
    return Model(start, [end, tapped[0]])


def _wire_again(model: Model, given: list[SymbolicTensor], name: str, tapped: list) -> list[SymbolicTensor]:
    values = dict(zip(map(id, model.inputs), given, strict=True))
    last = max((i for i, node in enumerate(model.nodes) if node.layer.name == name), default=-1)
    for place, node in enumerate(model.nodes):
        inputs = [values[id(tensor)] for tensor in node.inputs]
        if isinstance(node.layer, Model) and last < 0 and name in _layer_names(node.layer):
            made = _wire_again(node.layer, inputs, name, tapped)
        else:
            out = add_node(node.layer, inputs if node.takes_list else inputs[0])
            made = out if isinstance(out, list) else [out]
        if place == last:
            made = [add_node(Tap(name="tap"), made[0]), *made[1:]]
            tapped.append(made[0])
        values.update(zip(map(id, node.outputs), made, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]


def _layer_names(model: Model) -> list[str]:
    """Return the names of all layers, those of models within included."""
    found = []
    for layer in model.layers:
        found.append(layer.name)
        if isinstance(layer, Model):
            found += _layer_names(layer)
    return found

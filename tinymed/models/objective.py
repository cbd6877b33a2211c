"""What training minimises: the losses of all outputs, fused with the last activation where that is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinymed import losses
from tinymed.backend import Array


def by_output(given: Any, names: Sequence[str], what: str) -> list:
    """Spread an argument of ``compile`` over the outputs: one for all, a list in order, or a dict by name."""
    if isinstance(given, Mapping) and "class_name" not in given:
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"{what} names an output {unknown[0]!r}; the model's outputs are {list(names)}")
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple) and len(names) > 1:
        if len(given) != len(names):
            raise ValueError(f"{what} has {len(given)} entries but the model has {len(names)} outputs: {list(names)}")
        return list(given)
    if isinstance(given, list | tuple) and len(given) == 1 and what.startswith("loss"):
        return [given[0]]
    return [given] * len(names)


class Objective:
    """The weighted sum of one loss for each output.

    A cross-entropy on the probabilities of a sigmoid or softmax is computed from the values before that activation
    (its logits): the gradient is then exactly $p - y$, and nothing has to be clipped.

    Arguments:
        model: The model, wired.
        loss: Name, function or object; a list or dict of them for several outputs.
        loss_weights: Factors in the sum, one by default.
    """

    def __init__(self, model: Any, loss: Any, loss_weights: Any = None) -> None:
        names = model.output_names
        self.losses: list[Any] = [None if item is None else losses.get(item) for item in by_output(loss, names, "loss")]
        self.weights = [1.0 if w is None else float(w) for w in by_output(loss_weights, names, "loss_weights")]
        if all(item is None for item in self.losses):
            raise ValueError("compile needs a loss to train with, e.g. loss='binary_crossentropy'")
        self.fused: list[bool] = []
        self._on_outputs: list[Any] = []
        for tensor, item in zip(model.outputs, self.losses, strict=True):
            activation = getattr(getattr(tensor.producer, "layer", None), "activation", None)
            used_once = not any(tensor in node.inputs for node in model.nodes) and model.outputs.count(tensor) == 1
            wanted = getattr(item, "fuses_with", None)
            fuse = wanted is not None and used_once and activation is not None and activation.name == wanted
            self.fused.append(fuse)
            self._on_outputs.append(item.with_logits() if fuse else item)
        self._activations: list[Any] = [getattr(t.producer.layer, "activation", None) for t in model.outputs]

    def predictions(self, outputs: Sequence[Array]) -> list[Array]:
        """Return the model's outputs, the left-out activations applied."""
        return [
            activation.forward(z)[0] if fused else z
            for z, fused, activation in zip(outputs, self.fused, self._activations, strict=True)
        ]

    def check_targets(self, ys: Sequence[Array], shapes: Sequence[tuple]) -> None:
        """Raise ValueError for targets that a loss cannot use."""
        for y, shape, item in zip(ys, shapes, self.losses, strict=True):
            if item is not None:
                item.check_targets(y, shape)

    def forward(
        self,
        ys: Sequence[Array],
        outputs: Sequence[Array],
        weights: Sequence[Array | None],
        masks: Sequence[Array | None] | None = None,
    ) -> tuple[Array, list[Array | None], list]:
        """Return the total, each output's own loss, and the caches; steps that the masks leave out do not count."""
        total: Array | None = None
        parts: list[Array | None] = []
        caches: list[Any] = []
        masks = masks if masks is not None else [None] * len(outputs)
        columns = (ys, outputs, weights, masks, self._on_outputs, self.weights)
        for y, output, weight, mask, item, factor in zip(*columns, strict=True):
            if item is None:
                parts.append(None)
                caches.append(None)
                continue
            value, cache = item.forward(y, output, sample_weight=weight, **({} if mask is None else {"mask": mask}))
            parts.append(value)
            caches.append(cache)
            weighted = value if factor == 1.0 else value * factor
            total = weighted if total is None else total + weighted
        return total, parts, caches

    def backward(self, caches: Sequence[Any]) -> list[Array | None]:
        """Return the gradient of the total with respect to each output."""
        return [
            None if item is None else (item.backward(cache) if factor == 1.0 else item.backward(cache) * factor)
            for cache, item, factor in zip(caches, self._on_outputs, self.weights, strict=True)
        ]

"""A model on one screen: what each layer makes, holds, keeps and computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend
from tinymed.layers.symbolic import Node
from tinymed.models.graph import Model


def summary_text(model: Model) -> str:
    """Return the table that ``model.summary()`` prints.

    Per sample: ``kept`` is the memory that a forward in training keeps for the backward, beyond weights and the input;
    ``MFLOP`` the millions of floating-point operations of a forward (a backward takes about twice as many).

    Raises:
        ValueError: If the shape of the model's input is not known yet.
    """
    if not model.built:
        raise ValueError(
            f"{model.name} does not know the shape of its input yet: start with Input(...), "
            "give the first layer input_shape=..., or call the model on data once"
        )
    kept = _kept_bytes(model)
    flops = model.flops_by_node()
    branching = any(node.takes_list or len(model.nodes) != len(model.layers) for node in model.nodes)
    rows = [
        [f"{name} (InputLayer)", _shape(tensor.shape), "0", "0", "0", *([""] if branching else [])]
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    ]
    counted: set[int] = set()
    for place, node in enumerate(model.nodes):
        layer = node.layer
        shared = id(layer) in counted
        counted.add(id(layer))
        rows.append(
            [
                f"{layer.name} ({type(layer).__name__})" + ("" if layer.trainable else " frozen"),
                ", ".join(_shape(tensor.shape) for tensor in node.outputs),
                "shared" if shared else f"{layer.count_params():,}",
                _bytes(kept[place]) if kept else "-",
                f"{flops[place] / 1e6:,.2f}",
                *([_sources(node)] if branching else []),
            ]
        )
    header = ["Layer (type)", "Output shape", "Weights", "Kept", "MFLOP", *(["From"] if branching else [])]
    lines = _table(header, rows)
    total, trained = model.count_params(), sum(int(np.prod(w.shape)) for w in model.params.values())
    size = sum(w.nbytes for w in model.get_weights())
    lines += [
        f"Weights: {total:,} ({_bytes(size)}), trained: {trained:,}, not trained: {total - trained:,}",
        f"Per sample: {_bytes(sum(kept)) if kept else 'unknown'} kept for backward, "
        f"{sum(flops.values()) / 1e6:,.2f} MFLOP forward",
        f"Backend: {backend.get_backend()}, {model.dtype}",
    ]
    return f'Model "{model.name}"\n' + "\n".join(lines)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out plain ASCII that survives logs: names to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def line(row: list[str]) -> str:
        cells = [c.rjust(w) if i in (2, 3, 4) else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()

    return [rule, line(header), rule, *(line(row) for row in rows), rule]


def _shape(shape: tuple) -> str:
    return (
        "("
        + ", ".join("None" if size is None else str(size) for size in shape)
        + ("," if len(shape) == 1 else "")
        + ")"
    )


def _sources(node: Node) -> str:
    return ", ".join(t.producer.layer.name if t.producer else "" for t in node.inputs)


def _bytes(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:.1f} GB"


def _kept_bytes(model: Model) -> list[int]:
    """Measure, with one sample of zeros, the bytes of the arrays that each node's cache holds on to.

    An array that two caches share, such as one layer's output that is the next one's input, counts once.
    Empty where a size is not fixed.
    """
    if any(size is None for tensor in model.inputs for size in tensor.shape[1:]):
        return []
    zeros = [backend.asarray(np.zeros((1, *t.shape[1:]), dtype=t.dtype)) for t in model.inputs]
    state_before = {path: value for path, value in model.state.items()}
    counters = [(layer, layer.calls) for layer in model.layers if hasattr(layer, "calls")]
    memories = [(layer, layer.states) for layer in model.layers if hasattr(layer, "states")]
    for layer, _ in memories:
        layer.states = None
    with np.errstate(all="ignore"):
        _, tape = model.forward(zeros if model.takes_list else zeros[0], training=True)
    _restore(model, state_before)
    for layer, calls in counters:
        layer.calls = calls
    for layer, states in memories:
        layer.states = states
    seen = {id(array) for array in (*zeros, *model.params.values(), *model.state.values())}
    return [sum(_new_bytes(item, seen) for item in _arrays(cache)) for cache in tape]


def _restore(model: Model, state: dict[str, Any]) -> None:
    for layer in model.layers:
        for key in layer.state if not isinstance(layer, Model) else ():
            layer.state[key] = state[f"{layer.name}/{key}"]


def _arrays(cache: Any) -> list:
    if isinstance(cache, list | tuple):
        return [array for item in cache for array in _arrays(item)]
    if isinstance(cache, dict):
        return [array for item in cache.values() for array in _arrays(item)]
    return [cache] if hasattr(cache, "shape") and hasattr(cache, "dtype") else []


def _new_bytes(array: Any, seen: set[int]) -> int:
    root = array
    while getattr(root, "base", None) is not None and hasattr(root.base, "dtype"):
        root = root.base
    if id(root) in seen or id(array) in seen:
        return 0
    seen.update((id(root), id(array)))
    return int(np.prod(array.shape)) * _itemsize(array)


def _itemsize(array: Any) -> int:
    itemsize = getattr(array.dtype, "itemsize", None)
    return int(itemsize) if itemsize else backend.to_host(array).dtype.itemsize

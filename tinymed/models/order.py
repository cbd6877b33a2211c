"""In which order the layers of a graph run, and in which order they are listed."""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.layers.base import Layer
from tinymed.layers.symbolic import InputLayer, Node, SymbolicTensor


def nodes_in_order(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> list[Node]:
    """Return the nodes between ``inputs`` and ``outputs``, each after those that it depends on.

    Raises:
        ValueError: If an output depends on an input that is not among ``inputs``.
    """
    known = {id(tensor) for tensor in inputs}
    order: list[Node] = []
    done: set[int] = set()
    # A stack instead of recursion, so that a network may be deeper than Python's recursion limit.
    stack = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, inputs_done = stack.pop()
        node = tensor.producer
        if id(tensor) in known or node is None or id(node) in done:
            continue
        if isinstance(node.layer, InputLayer):
            raise ValueError(f"the outputs depend on {node.layer.name}, which is not among the model's inputs; add it")
        if inputs_done:
            done.add(id(node))
            order.append(node)
        else:
            stack.append((tensor, True))
            stack += [(source, False) for source in reversed(node.inputs)]
    return order


def layers_in_order(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> list[Layer]:
    """Return each layer once, in Keras's order, so that lists of weights fit both ways.

    The layer farthest from the outputs comes first; among equally far ones, the one that is met first on the way
    back from the outputs. A layer is as far away as the first of its uses.
    """
    nodes = nodes_in_order(inputs, outputs)
    entrances = [t.producer for t in inputs if t.producer and isinstance(t.producer.layer, InputLayer)]
    inside = {id(node) for node in (*nodes, *entrances)}
    node_depths: dict[int, int] = {}
    depths: dict[Layer, int] = {node.layer: 0 for node in entrances}
    for node in reversed([*entrances, *nodes]):
        depth = max(node_depths.get(id(node), 0), depths.get(node.layer, 0))
        depths[node.layer] = depth
        for tensor in node.inputs:
            if id(tensor.producer) in inside:
                node_depths[id(tensor.producer)] = max(depth + 1, node_depths.get(id(tensor.producer), 0))
    met = _layers_met(outputs, inside)
    return sorted(depths, key=lambda layer: (-depths[layer], met.get(layer, -1)))


def _layers_met(outputs: Sequence[SymbolicTensor], inside: set[int]) -> dict[Layer, int]:
    """Number the layers as they are met on the way back from the outputs, each branch to its end."""
    met: dict[Layer, int] = {}
    seen: set[int] = set()
    stack = list(reversed(outputs))
    while stack:
        node: Node | None = stack.pop().producer
        if node is None or id(node) not in inside or id(node) in seen:
            continue
        seen.add(id(node))
        met.setdefault(node.layer, len(met))
        stack += reversed(node.inputs)
    return met

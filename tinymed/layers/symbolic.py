"""Symbolic tensors: shapes without numbers, by which layers are wired into a graph."""

from __future__ import annotations

from typing import Any

from tinymed.layers.base import Layer, Shape, unique_name


class SymbolicTensor:
    """The promise of an array: its shape (batch axis None), its dtype, and the node that will produce it."""

    def __init__(self, shape: Shape, dtype: str, producer: Node | None = None, index: int = 0) -> None:
        self.shape = shape
        self.dtype = dtype
        self.producer = producer
        self.index = index

    def __repr__(self) -> str:
        origin = self.producer.layer.name if self.producer else "nothing"
        return f"<SymbolicTensor {self.shape} from {origin}>"


class Node:
    """One use of a layer: which tensors go in and which come out. A shared layer has several nodes."""

    def __init__(self, layer: Layer, inputs: list[SymbolicTensor], takes_list: bool) -> None:
        self.layer = layer
        self.inputs = inputs
        self.takes_list = takes_list
        shapes = [tensor.shape for tensor in inputs]
        given = shapes if takes_list else shapes[0]
        layer.build_once(given)
        layer.check_shape(given)
        out = layer.compute_output_shape(given)
        self.gives_list = isinstance(out, list)
        out_shapes = out if isinstance(out, list) else [out]
        self.outputs = [SymbolicTensor(tuple(s), layer.dtype, self, i) for i, s in enumerate(out_shapes)]
        layer.node = layer.node or self


class InputLayer(Layer):
    """The place where data enter a graph; it computes nothing.

    Arguments:
        shape: Shape of one sample, without the batch axis.
        batch_size: Size of the batch axis if it is fixed.
        dtype: dtype name that data are converted to; ``backend.floatx()`` if omitted.
        name: Name of the input.
    """

    node: Node

    def __init__(
        self,
        shape: tuple[int | None, ...],
        batch_size: int | None = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or unique_name("input_layer"), dtype=dtype)
        if isinstance(shape, int):
            raise ValueError(f"an input's shape is a tuple, write ({shape},) instead of {shape}")
        self.shape = tuple(shape)
        self.batch_size = batch_size
        self.built = True
        node = Node.__new__(Node)
        node.layer, node.inputs, node.takes_list, node.gives_list = self, [], False, False
        node.outputs = [SymbolicTensor((batch_size, *self.shape), self.dtype, node)]
        self.node = node

    def forward(self, x: Any, training: bool = False) -> tuple[Any, Any]:
        """Pass ``x`` on."""
        return x, None

    def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict]:
        """Pass ``dy`` on."""
        return dy, {}

    def flops(self, input_shape: Any) -> int:
        """Return 0."""
        return 0


def Input(
    shape: tuple[int | None, ...],
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> SymbolicTensor:
    """Return a symbolic tensor for data of this shape (one sample, without the batch axis).

    >>> Input((64, 64, 3)).shape
    (None, 64, 64, 3)
    """
    return InputLayer(shape, batch_size, dtype, name).node.outputs[0]


def add_node(layer: Layer, inputs: Any) -> Any:
    """Use ``layer`` on symbolic tensors; return its symbolic output, or a list where the layer gives several."""
    takes_list = isinstance(inputs, list | tuple)
    tensors = list(inputs) if takes_list else [inputs]
    for tensor in tensors:
        if not isinstance(tensor, SymbolicTensor):
            raise TypeError(
                f"{layer.name} was called on a symbolic tensor together with {type(tensor).__name__}; "
                "a graph is made of symbolic tensors only (start from Input), arrays go to the finished model"
            )
    node = Node(layer, tensors, takes_list)
    return node.outputs if node.gives_list else node.outputs[0]

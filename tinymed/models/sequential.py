"""The simplest network: one layer after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinymed.layers.base import Layer, unique_name
from tinymed.layers.symbolic import Input, InputLayer, SymbolicTensor, add_node
from tinymed.models.graph import Model, Tape


class Sequential(Model):
    """Layers in a row; each takes the output of the one before it.

    >>> from tinymed.layers import Dense
    >>> model = Sequential([Dense(4, activation="relu", input_shape=(3,)), Dense(1)])
    >>> model.count_params()
    21

    The network is wired as soon as the shape of its input is known: from an ``Input`` or ``input_shape=`` on the
    first layer, otherwise from the first data.

    Arguments:
        layers: Layers to begin with.
        name: Name of the model.
    """

    def __init__(self, layers: Iterable[Any] | None = None, name: str | None = None, **kwargs: Any) -> None:
        Layer.__init__(self, name=name or unique_name("sequential"), **kwargs)
        self.layers: list[Layer] = []
        self.inputs: list[SymbolicTensor] = []
        self.outputs: list[SymbolicTensor] = []
        self.takes_list = self.gives_list = False
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Put a layer at the end (or, first of all, an ``Input``)."""
        if isinstance(layer, SymbolicTensor) and layer.producer and isinstance(layer.producer.layer, InputLayer):
            layer = layer.producer.layer
        if not isinstance(layer, Layer):
            hint = f"; write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"{self.name}.add takes a layer, got {type(layer).__name__}{hint}")
        if isinstance(layer, InputLayer):
            if self.layers or self.inputs:
                raise ValueError(f"{self.name}: an Input can only stand first")
            self.inputs = [layer.node.outputs[0]]
            return
        if any(layer.name == other.name for other in self.layers):
            raise ValueError(f"{self.name} has a layer named {layer.name!r} already; names must be unique")
        if not self.layers and not self.inputs and layer.input_shape is not None:
            self.inputs = [Input(layer.input_shape, dtype=self.dtype)]
        if not self.layers and not self.inputs and isinstance(layer, Model) and layer.inputs:
            self.inputs = [Input(layer.inputs[0].shape[1:], dtype=self.dtype)]
        self.layers.append(layer)
        if self.inputs:
            last = self.outputs[0] if self.outputs else self.inputs[0]
            self._wire(self.inputs[0], add_node(layer, last))

    def pop(self) -> Layer:
        """Take the last layer away and return it."""
        if not self.layers:
            raise ValueError(f"{self.name} has no layer to take away")
        layer = self.layers.pop()
        if self.outputs:
            node = self.outputs[0].producer
            remaining = node.inputs[0] if node and self.layers else None
            self.outputs = []
            if remaining is not None:
                self._wire(self.inputs[0], remaining)
            else:
                self.built = False
        return layer

    def build(self, input_shape: Any) -> None:
        """Wire the network for inputs of this shape (batch axis first)."""
        if not self.layers:
            raise ValueError(f"{self.name} has no layers; add some first")
        start = tensor = Input(tuple(input_shape[1:]), dtype=self.dtype)
        for layer in self.layers:
            tensor = add_node(layer, tensor)
        self._wire(start, tensor)

    def _wire(self, start: SymbolicTensor, end: SymbolicTensor) -> None:
        layers = self.layers
        self._connect(start, end)
        self.layers = layers  # as in Keras, without the input layer

    def build_once(self, input_shape: Any) -> None:
        """Wire the network if that has not been done."""
        if not self.built:
            self.build(input_shape)

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError unless an input of this shape fits."""
        if self.built:
            super().check_shape(shape)

    def forward(
        self, x: Any, training: bool = False, logits: bool | list[bool] = False, mask: Any = None
    ) -> tuple[Any, Tape]:
        """Run the layers in order; wires the network first if these are the first data."""
        self.build_once(tuple(x.shape))
        return super().forward(x, training=training, logits=logits, mask=mask)

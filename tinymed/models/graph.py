"""A network as a graph of layers: forward in order, backward in reverse. This is the chain rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array
from tinymed.layers.base import Layer, unique_name
from tinymed.layers.symbolic import Node, SymbolicTensor
from tinymed.models.fusing import work_at_nodes
from tinymed.models.order import layers_in_order, nodes_in_order
from tinymed.models.training import Trainer
from tinymed.ops.registry import Operation


def as_list(x: Any) -> list:
    """Return ``x`` as a list: a list or tuple as it is, anything else as the only element."""
    return list(x) if isinstance(x, list | tuple) else [x]


class Tape(list[Any]):
    """What backward needs from one forward: a cache for each node, in order.

    Arguments:
        caches: The caches.
        masks: For each output of the model, which of its steps count; None where all do.
    """

    def __init__(self, caches: list[Any], masks: list[Array | None]) -> None:
        super().__init__(caches)
        self.masks = masks


class Model(Trainer, Layer):
    """A network from symbolic inputs to symbolic outputs, which is itself a layer.

    >>> from tinymed.layers import Dense, Input
    >>> x = Input((3,))
    >>> model = Model(x, Dense(1)(x))
    >>> y, tape = model.forward(np.ones((2, 3), "float32"), training=True)
    >>> dx, grads = model.backward(np.ones((2, 1), "float32"), tape)
    >>> dx.shape, [key.partition("/")[2] for key in grads]
    ((2, 3), ['kernel', 'bias'])

    Arguments:
        inputs: A symbolic tensor or a list of them.
        outputs: A symbolic tensor or a list of them, made from ``inputs`` by layers.
        name: Name of the model.

    Attributes:
        layers: Every layer once, the farthest from the outputs first (see :func:`layers_in_order`).
        params: Weights of the trainable layers, keyed ``"layer_name/kernel"``; arrays of the layers, not copies.
        state: All other weights, keyed alike.
    """

    uses_mask = True

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name or unique_name("functional"), **kwargs)
        self._connect(inputs, outputs)

    def _connect(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = as_list(inputs), as_list(outputs)
        self.takes_list, self.gives_list = isinstance(inputs, list | tuple), isinstance(outputs, list | tuple)
        for tensor in (*self.inputs, *self.outputs):
            if not isinstance(tensor, SymbolicTensor):
                raise TypeError(f"a Model is made from symbolic tensors (see Input), got {type(tensor).__name__}")
        self.nodes = nodes_in_order(self.inputs, self.outputs)
        self.layers: list[Layer] = layers_in_order(self.inputs, self.outputs)
        names = [layer.name for layer in self.layers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two layers are named {twice!r}; names must be unique within a model")
        self._work = work_at_nodes(self.nodes, self.outputs)
        self.built = True
        self.built_shape = [t.shape for t in self.inputs] if self.takes_list else self.inputs[0].shape

    # --- weights -----------------------------------------------------------------------------------------------

    def _start_without_weights(self) -> None:
        self.layers = []

    def _collect(self, trained: bool, what: str = "arrays") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for layer in self.layers:
            if what == "regularizers":
                store = layer.regularizers if layer.trainable else {}
            elif trained:
                store = layer.params if layer.trainable else {}
            else:
                store = layer.state if layer.trainable or isinstance(layer, Model) else {**layer.params, **layer.state}
            found.update({f"{layer.name}/{key}": value for key, value in store.items()})
        return found

    @property
    def params(self) -> dict[str, Array]:  # type: ignore[override]
        """Weights that the optimizer changes."""
        return self._collect(trained=True)

    @property
    def state(self) -> dict[str, Array]:  # type: ignore[override]
        """Weights that it does not: moving averages, and everything in frozen layers."""
        return self._collect(trained=False)

    @property
    def regularizers(self) -> dict[str, Any]:  # type: ignore[override]
        """Penalties of the trainable weights, keyed as ``params``."""
        return self._collect(trained=True, what="regularizers")

    @property
    def trainable(self) -> bool:
        """Whether the model's layers train; setting it sets it for all of them."""
        return any(layer.trainable for layer in self.layers) if self.layers else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in getattr(self, "layers", []):
            layer.trainable = value

    @property
    def trainable_weights(self) -> list[Array]:
        """The arrays of ``params``, in order."""
        return list(self.params.values())

    @property
    def input(self) -> Any:
        """The model's symbolic input, or a list of them."""
        return self.inputs if self.takes_list else self.inputs[0]

    @property
    def output(self) -> Any:
        """The model's symbolic output, or a list of them."""
        return self.outputs if self.gives_list else self.outputs[0]

    @property
    def activation(self) -> Operation | None:  # type: ignore[override]
        """The activation of the last layer, for a model with one output."""
        producer = self.outputs[0].producer if len(self.outputs) == 1 else None
        return getattr(producer.layer, "activation", None) if producer else None

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights as NumPy arrays: layer by layer, in each layer's order."""
        return [weight for layer in self.layers for weight in layer.get_weights()]

    def set_weights(self, weights: list[Any]) -> None:
        """Set all weights from a list in the order of ``get_weights``.

        Raises:
            ValueError: Naming the first layer whose weights differ in number or shape; nothing is changed then.
        """
        weights = list(weights)
        counts = [len(layer.get_weights()) for layer in self.layers]
        if sum(counts) != len(weights):
            raise ValueError(f"{self.name} has {sum(counts)} weights but got {len(weights)}")
        before = self.get_weights()
        try:
            self._set_weights(weights)
        except ValueError:
            self._set_weights(before)
            raise

    def _set_weights(self, weights: list[Any]) -> None:
        for layer in self.layers:
            count = len(layer.get_weights())
            layer.set_weights(weights[:count])
            weights = weights[count:]

    def count_params(self) -> int:
        """Return the number of weights, trained or not."""
        return sum(layer.count_params() for layer in self.layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises:
            ValueError: If there is no such layer; the message lists the names.
        """
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self.name} has no layer {name!r}; its layers are {[layer.name for layer in self.layers]}")

    # --- forward and backward ----------------------------------------------------------------------------------

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of each output for inputs of this shape."""
        shapes = {id(t): tuple(s) for t, s in zip(self.inputs, self._shapes(input_shape), strict=True)}
        for node in self.nodes:
            given = [shapes[id(t)] for t in node.inputs]
            out = node.layer.compute_output_shape(given if node.takes_list else given[0])
            for tensor, shape in zip(node.outputs, out if node.gives_list else [out], strict=True):
                shapes[id(tensor)] = shape
        found = [shapes[id(t)] for t in self.outputs]
        return found if self.gives_list else found[0]

    def _shapes(self, input_shape: Any) -> list:
        return list(input_shape) if self.takes_list else [input_shape]

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError unless inputs of this shape fit: the first layer that they do not fit says why."""
        shapes = self._shapes(shape)
        if len(shapes) != len(self.inputs):
            raise ValueError(f"{self.name} takes {len(self.inputs)} inputs but got {len(shapes)}")
        for tensor, given in zip(self.inputs, shapes, strict=True):
            fits = len(given) == len(tensor.shape) and all(
                a is None or b is None or a == b for a, b in zip(tensor.shape, given, strict=True)
            )
            if not fits:
                for node in self.nodes:  # a layer's own words are clearer
                    if tensor in node.inputs and not node.takes_list:
                        node.layer.check_shape(given)
                expected = ", ".join("N" if i == 0 and s is None else str(s) for i, s in enumerate(tensor.shape))
                raise ValueError(
                    f"{self.name} expects ({expected}) but got {tuple(given)}: "
                    "the model was built for samples of another size; resize the data, or build the model for it"
                )

    def forward(
        self, x: Any, training: bool = False, logits: bool | list[bool] = False, mask: Any = None
    ) -> tuple[Any, Tape]:
        """Run the layers in order.

        Arguments:
            x: An array, or a list of arrays for a model of several inputs.
            training: Whether dropout drops and batch normalisation uses the batch's statistics.
            logits: Leave out the activation of the last layer (for each output, if a list).
            mask: Which steps of the input count, (N, T) (a list for several inputs), for a model within a model.

        Returns:
            The outputs, and the tape: one cache for each node, in order.
        """
        xs = [self._converted(v, t) for v, t in zip(as_list(x), self.inputs, strict=True)]
        self.check_shape([tuple(v.shape) for v in xs] if self.takes_list else tuple(xs[0].shape))
        values = {id(tensor): value for tensor, value in zip(self.inputs, xs, strict=True)}
        wants_logits = logits if isinstance(logits, list) else [logits] * len(self.outputs)
        bare = {id(t.producer) for t, wanted in zip(self.outputs, wants_logits, strict=True) if wanted}
        masks = dict(zip(map(id, self.inputs), as_list(mask), strict=False))
        caches = []
        for node, work in zip(self.nodes, self._work, strict=True):
            inputs = [values[id(tensor)] for tensor in node.inputs]
            given = inputs if node.takes_list else inputs[0]
            extra: dict[str, Any] = {"logits": True} if id(node) in bare else {}
            seen = _masks_of(node, masks)
            if seen is not None and node.layer.uses_mask:
                extra["mask"] = seen
            y, cache = work.forward(given, training=training, **extra)
            for tensor, value in zip(node.outputs, y if node.gives_list else [y], strict=True):
                values[id(tensor)] = value
            passed_on = cache.masks if isinstance(cache, Tape) else as_list(node.layer.compute_mask(given, seen))
            masks.update(zip(map(id, node.outputs), passed_on, strict=False))
            caches.append(cache)
        found = [values[id(tensor)] for tensor in self.outputs]
        tape = Tape(caches, [masks.get(id(tensor)) for tensor in self.outputs])
        return (found if self.gives_list else found[0]), tape

    def _converted(self, x: Array, tensor: SymbolicTensor) -> Array:
        """Bring ``x`` to the input's dtype, on the device where it lies."""
        xp = backend.array_namespace(x)
        wanted = getattr(xp, tensor.dtype)
        return x if x.dtype == wanted else xp.astype(x, wanted)

    def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Array]]:
        """Run the chain rule through the layers in reverse.

        Arguments:
            dy: Gradient with respect to the output (a list for several outputs).
            cache: The tape of the forward.
            input_gradient: Whether dx is wanted; without it nothing is computed that only dx needs.

        Returns:
            dx (a list for several inputs, None if not wanted) and the gradients, keyed as ``params``.
        """
        wanted = self._gradients_wanted(input_gradient)
        gradient: dict[int, Array] = {}

        def arrive(tensor: SymbolicTensor, value: Array) -> None:
            # A tensor used in several places receives the sum of the gradients from all of them.
            gradient[id(tensor)] = gradient[id(tensor)] + value if id(tensor) in gradient else value

        for tensor, value in zip(self.outputs, as_list(dy), strict=True):
            if value is not None:
                arrive(tensor, value)
        grads: dict[str, Array] = {}
        for node, work, tape in zip(reversed(self.nodes), reversed(self._work), reversed(cache), strict=True):
            dys = [gradient.get(id(tensor)) for tensor in node.outputs]
            needs_dx = any(id(tensor) in wanted for tensor in node.inputs)
            if all(d is None for d in dys) or not (needs_dx or _learns(node.layer)):
                continue
            dx, own = work.backward(dys if node.gives_list else dys[0], tape, input_gradient=needs_dx)
            if node.layer.trainable:
                for key, value in own.items():
                    path = f"{node.layer.name}/{key}"
                    grads[path] = grads[path] + value if path in grads else value
            if needs_dx:
                for tensor, value in zip(node.inputs, dx if node.takes_list else [dx], strict=True):
                    arrive(tensor, value)
        dxs = [gradient.get(id(tensor)) for tensor in self.inputs] if input_gradient else [None] * len(self.inputs)
        return (dxs if self.takes_list else dxs[0]), {key: grads[key] for key in self.params if key in grads}

    def _gradients_wanted(self, input_gradient: bool) -> set[int]:
        """Return the ids of the tensors whose gradient somebody needs: those above a weight that learns."""
        wanted = {id(tensor) for tensor in self.inputs} if input_gradient else set()
        for node in self.nodes:
            if _learns(node.layer) or any(id(tensor) in wanted for tensor in node.inputs):
                wanted.update(id(tensor) for tensor in node.outputs)
        return wanted

    def flops(self, input_shape: Any) -> int:
        """Return the floating-point operations of one forward on one sample."""
        return sum(self.flops_by_node().values())

    def flops_by_node(self) -> dict[int, int]:
        """Return the floating-point operations of each node on one sample, keyed by the node's place."""
        found = {}
        for place, node in enumerate(self.nodes):
            given = [(1, *tensor.shape[1:]) for tensor in node.inputs]
            found[place] = node.layer.flops(given if node.takes_list else given[0])
        return found

    # --- architecture ------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the layers and how they are wired, as plain data."""
        from tinymed.models.saving import graph_config

        return graph_config(self)

    @classmethod
    def from_config(cls, config: Any) -> Model:
        """Build the model that ``get_config`` described."""
        from tinymed.models.saving import graph_from_config

        return graph_from_config(config)

    def save(self, path: Any, metadata: dict[str, str] | None = None, include_optimizer: bool = True) -> None:
        """Write architecture, weights and optimizer state to one safetensors file (see ``models.saving``)."""
        from tinymed.models.saving import save_model

        save_model(self, path, metadata, include_optimizer)

    def save_weights(self, path: Any) -> None:
        """Write the weights alone to a safetensors file (see ``models.weights``)."""
        from tinymed.models.weights import save_weights

        save_weights(self, path)

    def load_weights(self, path: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
        """Take over the weights of a file that ``save_weights`` or ``save`` wrote.

        Arguments:
            path: The file.
            by_name: Take what belongs to layers of the same names, and leave the other layers as they are.
            skip_mismatch: Pass over weights of another shape, with a warning, where otherwise that is an error.
        """
        from tinymed.models.weights import load_weights

        load_weights(self, path, by_name, skip_mismatch)

    def summary(self, print_fn: Any = print) -> None:
        """Print every layer with its output shape, weights, memory kept for backward, and arithmetic."""
        from tinymed.models.summary import summary_text

        print_fn(summary_text(self))


def _masks_of(node: Node, masks: dict[int, Any]) -> Any:
    """Return the mask of a node's input, or a list of them as its layer takes inputs; None if there is none."""
    found = [masks.get(id(tensor)) for tensor in node.inputs]
    if all(mask is None for mask in found):
        return None
    return found if node.takes_list else found[0]


def _learns(layer: Layer) -> bool:
    return layer.trainable and bool(layer.params)

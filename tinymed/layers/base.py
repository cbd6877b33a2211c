"""What every layer has: weights, a forward and a backward, a name, and a place in a graph."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, initializers, regularizers
from tinymed.backend import Array
from tinymed.configurable import Configurable, check_arguments
from tinymed.ops.registry import Operation

if TYPE_CHECKING:
    from tinymed.layers.symbolic import Node

Shape = tuple[int | None, ...]
"""A shape with the batch axis first; None stands for a size that is not fixed."""

_names_given: Counter[str] = Counter()


def snake_case(class_name: str) -> str:
    """Spell a class name as Keras spells layer names: ``MaxPooling2D`` becomes ``max_pooling2d``."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def unique_name(base: str) -> str:
    """Return ``base``, then ``base_1``, ``base_2`` ... as Keras numbers its layers."""
    count = _names_given[base]
    _names_given[base] += 1
    return f"{base}_{count}" if count else base


def reset_names() -> None:
    """Start the numbering of layer names again (Keras: ``clear_session``)."""
    _names_given.clear()


class Layer(Configurable):
    """An operation that owns its weights.

    A subclass writes ``build`` (make the weights), ``compute_output_shape``, ``forward`` and ``backward``:

        y, cache = layer.forward(x, training=True)
        dx, grads = layer.backward(dy, cache)

    The cache belongs to the call: a layer may run forward several times before it runs backward.
    ``layer(x)`` is inference on arrays, and on a symbolic :class:`Input` adds a node to the graph.

    Arguments:
        name: Unique within a model; made from the class name if omitted.
        trainable: Whether the optimizer may change ``params``.
        dtype: dtype name of the weights; ``backend.floatx()`` if omitted.
        input_shape: Shape of one sample, for the first layer of a ``Sequential`` (older Keras spelling).
    """

    axes: tuple[str, ...] = ()
    """Symbols of the input's axes, such as ``("N", "H", "W", "C")``; ``("N", "...", "D")`` for any rank from two."""

    supports_masking: bool = False
    """Whether the mask of a sequence's steps passes through; at other layers it ends."""

    uses_mask: bool = False
    """Whether ``forward`` takes ``mask=``: which steps of the input count, (N, T)."""

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: tuple[int | None, ...] | None = None,
        **unknown: Any,
    ) -> None:
        check_arguments(type(self).__name__, unknown, self._argument_names())
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.trainable = trainable
        self.dtype = dtype or backend.floatx()
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self._start_without_weights()
        self.built = False
        self.built_shape: Shape | list[Shape] | None = None
        self.node: Node | None = None

    def _start_without_weights(self) -> None:
        self.params: dict[str, Array] = {}
        self.state: dict[str, Array] = {}
        self.regularizers: dict[str, regularizers.Regularizer] = {}

    # --- to be written by each layer ---------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (batch axis first). Layers without weights inherit this."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for an input of this shape; the same shape unless a layer says otherwise."""
        return input_shape

    def forward(self, x: Any, training: bool = False) -> tuple[Any, Any]:
        """Return ``(y, cache)``; the cache is what ``backward`` needs to know about this call."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Array]]:
        """Return ``(dx, grads)`` with ``grads`` keyed as ``params``.

        ``input_gradient=False`` permits a layer with weights to return None for dx where nobody needs it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return which steps of the output count, from what is known of the input's; None if all do.

        As in Keras the mask passes on unchanged, or ends with a warning where a layer does not support masking.
        """
        if mask is not None and not self.supports_masking:
            warnings.warn(
                f"{self.name} does not pass masks on: the layers behind it take padded steps for real ones",
                UserWarning,
                stacklevel=2,
            )
        return mask if self.supports_masking else None

    def flops(self, input_shape: Any) -> int:
        """Return the floating-point operations of one forward on one sample; one per output value by default."""
        return int(np.prod(self.compute_output_shape(input_shape)[1:], dtype=np.int64))

    # --- weights -----------------------------------------------------------------------------------------------

    def add_weight(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any = "glorot_uniform",
        regularizer: Any = None,
        trainable: bool = True,
    ) -> None:
        """Draw a weight on the host and put it on the device, in ``params`` or (not trained) in ``state``."""
        host = initializers.get(initializer)(shape, dtype=self.dtype)
        (self.params if trainable else self.state)[name] = backend.asarray(host, dtype=self.dtype)
        if regularizer is not None:
            self.regularizers[name] = regularizers.get(regularizer)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights as NumPy arrays, in Keras's order: trained ones, then the others."""
        return [np.array(backend.to_host(w)) for w in (*self.params.values(), *self.state.values())]

    def set_weights(self, weights: list[Any]) -> None:
        """Set all weights from a list in the order of ``get_weights``.

        Raises:
            ValueError: If the number of weights or a shape differs; the message names the first one that does.
        """
        places = [(store, key) for store in (self.params, self.state) for key in store]
        if len(places) != len(weights):
            hint = "" if self.built else "; the layer has no weights yet, call it on data or give input_shape first"
            raise ValueError(f"{self.name} has {len(places)} weights but got {len(weights)}{hint}")
        for (store, key), new in zip(places, weights, strict=True):
            if tuple(store[key].shape) != np.shape(new):
                raise ValueError(f"{self.name}/{key} has shape {tuple(store[key].shape)} but got {np.shape(new)}")
        for (store, key), new in zip(places, weights, strict=True):
            store[key] = backend.asarray(np.array(new), dtype=self.dtype)

    def count_params(self) -> int:
        """Return the number of weights, trained or not."""
        return sum(int(np.prod(w.shape)) for w in (*self.params.values(), *self.state.values()))

    # --- use ---------------------------------------------------------------------------------------------------

    def prepare(self, x: Any) -> None:
        """Build at the first call, and check at every call that ``x`` fits; the first line of each ``forward``."""
        shape = [tuple(item.shape) for item in x] if isinstance(x, list | tuple) else tuple(x.shape)
        if not self.built:
            self.build_once(shape)
        self.check_shape(shape)

    def build_once(self, input_shape: Any) -> None:
        """Check the shape and make the weights, if that has not been done."""
        if not self.built:
            self.check_shape(input_shape)
            self.build(input_shape)
            self.built_shape = input_shape
            self.built = True

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError, with the likely fix, unless an input of this shape fits the layer."""
        if not self.axes:
            return
        wanted = list(self.axes)
        if self.built_shape is not None and self.params:
            wanted[-1] = str(self.built_shape[-1])
        any_rank = "..." in self.axes
        rank_fits = len(shape) >= 2 if any_rank else len(shape) == len(self.axes)
        channels_fit = not wanted[-1].isdigit() or shape[-1] is None or str(shape[-1]) == wanted[-1]
        if rank_fits and channels_fit:
            return
        message = f"{self.name} expects ({', '.join(wanted)}) but got {tuple(shape)}: "
        raise ValueError(message + _shape_advice(tuple(shape), wanted, rank_fits))

    def __call__(self, x: Any) -> Any:
        """Return ``forward(x)`` in inference mode, or for a symbolic tensor the layer's symbolic output."""
        first = x[0] if isinstance(x, list | tuple) else x
        if hasattr(first, "producer"):
            from tinymed.layers.symbolic import add_node

            return add_node(self, x)
        return self.forward(x, training=False)[0]

    @property
    def input(self) -> Any:
        """The symbolic tensor (or list of them) that the layer was first called on."""
        node = self._first_node()
        return node.inputs if node.takes_list else node.inputs[0]

    @property
    def output(self) -> Any:
        """The symbolic tensor (or list of them) of the layer's first call, from which a graph can go on.

        ``Model(base.input, Dense(2)(base.layers[-2].output))`` gives a network a new head.
        """
        node = self._first_node()
        return node.outputs if node.gives_list else node.outputs[0]

    def _first_node(self) -> Node:
        if self.node is None:
            raise ValueError(f"{self.name} has no input and no output yet: it has not been called on a symbolic tensor")
        return self.node

    def _activate(self, z: Array, logits: bool) -> tuple[Array, Any]:
        """Apply ``self.activation`` to ``z``, unless the caller wants the values before it (``logits``)."""
        if logits or self.activation.name == "linear":
            return z, None
        return self.activation.forward(z)

    def _activate_backward(self, dy: Array, cache: Any) -> Array:
        return dy if cache is None else self.activation.backward(dy, cache)

    activation: Operation

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _shape_advice(shape: tuple, wanted: list[str], rank_fits: bool) -> str:
    """Guess what went wrong with an input's shape."""
    if not rank_fits and "..." not in wanted:
        if len(shape) == len(wanted) - 1:
            return (
                "one axis is missing; add the channels with x[..., np.newaxis], "
                "or the batch axis of a single sample with x[np.newaxis]"
            )
        return f"it has {len(shape)} axes instead of {len(wanted)}" + (
            "; a Flatten layer before it makes each sample one row" if len(wanted) == 2 else ""
        )
    if len(shape) > 2 and str(shape[1]) == wanted[-1]:
        return "channels seem to be first; move them last with np.moveaxis(x, 1, -1)"
    return f"the last axis has {shape[-1]} values instead of {wanted[-1]}; the layer was built for {wanted[-1]}"

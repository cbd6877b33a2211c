"""Layers around layers: both directions of time, and the same layer at every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Literal

from tinymed.backend import Array, array_namespace
from tinymed.configurable import serialize
from tinymed.layers.base import Layer, Shape
from tinymed.layers.cells import first_shape


class _Joined(MutableMapping[str, Array]):
    """The weights of several layers as one mapping: reading and writing reach the layers' own arrays."""

    def __init__(self, layers: dict[str, Layer], store: Literal["params", "state", "regularizers"]) -> None:
        self.stores = {name: getattr(layer, store) for name, layer in layers.items()}

    def _place(self, key: str) -> tuple[Any, str]:
        name, _, rest = key.partition("/")
        return self.stores[name], rest

    def __getitem__(self, key: str) -> Array:
        store, rest = self._place(key)
        return store[rest]

    def __setitem__(self, key: str, value: Array) -> None:
        store, rest = self._place(key)
        store[rest][...] = value  # in place: the mapping of a model inside is made anew each time

    def __delitem__(self, key: str) -> None:
        raise TypeError("weights of a wrapped layer cannot be taken away")

    def __iter__(self) -> Iterator[str]:
        return (f"{name}/{key}" for name, store in self.stores.items() for key in store)

    def __len__(self) -> int:
        return sum(map(len, self.stores.values()))


class _Wrapper(Layer):
    """A layer whose weights are those of the layers inside it."""

    def inner(self) -> dict[str, Layer]:
        """Return the layers inside by their places (a wrapped layer's own name may differ between copies)."""
        raise NotImplementedError

    def _start_without_weights(self) -> None:
        self._trainable = True

    @property
    def params(self) -> Any:  # type: ignore[override]
        """Weights that the optimizer changes, keyed by place, ``"layer/kernel"``."""
        return _Joined(self.inner(), "params")

    @property
    def state(self) -> Any:  # type: ignore[override]
        """Weights that it does not change, keyed alike."""
        return _Joined(self.inner(), "state")

    @property
    def regularizers(self) -> Any:  # type: ignore[override]
        """Penalties, keyed as ``params``."""
        return _Joined(self.inner(), "regularizers")

    @property
    def trainable(self) -> bool:
        """Whether the layers inside train; setting it sets it for them."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in self.inner().values():
            layer.trainable = value

    def _take_layer(self, layer: Any, argument: str = "layer") -> Layer:
        """Return a layer from a layer or its description."""
        if isinstance(layer, Mapping):
            from tinymed.models.saving import layer_classes

            known = layer_classes()
            if layer["class_name"] not in known:
                raise ValueError(f"a wrapped layer has the class {layer['class_name']!r}, which is not known here")
            return known[layer["class_name"]].from_config(layer["config"])
        if not isinstance(layer, Layer):
            hint = f"; write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"{type(self).__name__} needs {argument} to be a layer, got {type(layer).__name__}{hint}")
        return layer


class TimeDistributed(_Wrapper):
    """Applies one layer, with the same weights, at every step of a sequence: ``TimeDistributed(Conv2D(8, 3))``.

    All steps of all samples go through the layer as one large batch. (Batch normalisation inside therefore uses the
    statistics of all steps together; Keras takes the steps one by one.)

    Arguments:
        layer: The layer.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T, ...)``, output ``(N, T, *what the layer makes of one step)``.
    """

    supports_masking = True

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        self.layer: Layer | None = None
        trainable = kwargs.pop("trainable", None)
        super().__init__(**kwargs)
        self.layer = self._take_layer(layer)
        if trainable is not None:
            self.trainable = trainable

    def inner(self) -> dict[str, Layer]:
        """Return the layer."""
        return {} if self.layer is None else {"layer": self.layer}

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless this is a sequence whose steps fit the layer."""
        if len(shape) < 3:
            raise ValueError(f"{self.name} expects sequences (N, T, ...) of at least three axes but got {tuple(shape)}")
        self._layer.check_shape(_step(shape))

    @property
    def _layer(self) -> Layer:
        return self.inner()["layer"]

    def build(self, input_shape: Shape) -> None:
        """Make the layer's weights."""
        self._layer.build_once(_step(input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, T, ...)."""
        out = self._layer.compute_output_shape(_step(input_shape))
        return (input_shape[0], input_shape[1], *out[1:])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the layer's output at every step."""
        self.prepare(x)
        xp = array_namespace(x)
        N, T, *rest = x.shape
        y, tape = self._layer.forward(xp.reshape(x, (N * T, *rest)), training=training)
        return xp.reshape(y, (N, T, *y.shape[1:])), (tape, y.shape, x.shape)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """Return dx and the gradients of the layer's weights."""
        tape, y_shape, x_shape = cache
        xp = array_namespace(dy)
        dx, grads = self._layer.backward(xp.reshape(dy, y_shape), tape, input_gradient=input_gradient)
        named = {f"layer/{key}": value for key, value in grads.items()}
        return None if dx is None else xp.reshape(dx, x_shape), named

    def flops(self, input_shape: Shape) -> int:
        """Return the layer's number for each step."""
        return (input_shape[1] or 0) * self._layer.flops((1, *input_shape[2:]))


MERGE_MODES = ("concat", "sum", "ave", "mul", None)


class Bidirectional(_Wrapper):
    """Runs a recurrent layer over each sequence in both directions.

    Arguments:
        layer: The recurrent layer; a copy of it runs forwards.
        merge_mode: What becomes of the two outputs: ``"concat"``, ``"sum"``, ``"ave"``, ``"mul"``, or None for a list.
        backward_layer: The layer that runs backwards (it has ``go_backwards=True``); another copy of ``layer`` if None.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T, D)``; output as the layer's, with 2U instead of U for ``"concat"``.

    Source:
        Schuster and Paliwal 1997, IEEE Transactions on Signal Processing 45.
    """

    supports_masking = uses_mask = True

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", *, backward_layer: Any = None, **kwargs: Any
    ) -> None:
        self.forward_layer: Any = None
        trainable = kwargs.pop("trainable", None)
        super().__init__(**kwargs)
        if merge_mode not in MERGE_MODES:
            raise ValueError(f"{self.name} has no merge_mode {merge_mode!r}; choose one of {MERGE_MODES}")
        given = self._take_layer(layer)
        if not hasattr(given, "go_backwards"):
            raise TypeError(f"{self.name} needs a recurrent layer such as LSTM, got {type(given).__name__}")
        self.merge_mode = merge_mode
        forward_layer = self._copy(given, "forward_")
        if backward_layer is None:
            self.backward_layer: Any = self._copy(given, "backward_", go_backwards=not given.go_backwards)
        else:
            self.backward_layer = self._take_layer(backward_layer, "backward_layer")
        self.forward_layer = forward_layer
        self._check_pair()
        for one in self.inner().values():
            one.zero_output_for_mask = one.return_sequences  # type: ignore[attr-defined]
        if trainable is not None:
            self.trainable = trainable

    def _copy(self, layer: Layer, prefix: str, **changes: Any) -> Any:
        config = serialize(layer)["config"] | changes | {"name": prefix + layer.name.removeprefix(prefix)}
        return type(layer).from_config(config)

    def _check_pair(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == getattr(other, "go_backwards", None):
            raise ValueError(f"{self.name}: backward_layer must have go_backwards={not one.go_backwards}")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(one, name) != getattr(other, name, None):
                raise ValueError(f"{self.name}: layer and backward_layer must have the same {name}")

    @property
    def layer(self) -> Any:
        """The layer that runs forwards."""
        return self.forward_layer

    def inner(self) -> dict[str, Layer]:
        """Return both layers."""
        if self.forward_layer is None:
            return {}
        return {"forward_layer": self.forward_layer, "backward_layer": self.backward_layer}

    def reset_state(self) -> None:
        """Forget the states of both directions."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    # --- shapes ------------------------------------------------------------------------------------------------

    def _halves(self, x: Any) -> tuple[Any, Any]:
        """Give each direction the sequence and its half of the states (works for arrays and for shapes)."""
        if not isinstance(x, list) or len(x) == 1:
            return x, x
        half = 1 + (len(x) - 1) // 2
        return x[:half], [x[0], *x[half:]]

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError unless sequences of this shape, and the states given with them, fit both layers."""
        for layer, half in zip(self.inner().values(), self._halves(shape), strict=True):
            layer.check_shape(half)

    def build(self, input_shape: Any) -> None:
        """Make the weights of both layers."""
        for layer in self.inner().values():
            layer.build_once(first_shape(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the merged output's shape, or the two outputs', followed by the states'."""
        y, *states = _as_list(self.forward_layer.compute_output_shape(input_shape))
        if self.merge_mode == "concat":
            y = (*y[:-1], 2 * y[-1])
        ys = [y, y] if self.merge_mode is None else [y]
        return [*ys, *states, *states] if len(ys) + len(states) > 1 else y

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of each output."""
        kept, *states = _as_list(self.forward_layer.compute_mask(x, mask))
        masks = [kept, kept] if self.merge_mode is None else [kept]
        return [*masks, *states, *states] if len(masks) + len(states) > 1 else kept

    def __call__(self, x: Any, initial_state: Any = None, mask: Any = None) -> Any:
        """Return the output; ``initial_state`` lists the states of both directions, ``mask`` which steps count."""
        if initial_state is not None:
            x = [x, *initial_state]
        if mask is None or hasattr(_as_list(x)[0], "producer"):
            return super().__call__(x)
        return self.forward(x, mask=mask)[0]

    # --- forward and backward ----------------------------------------------------------------------------------

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> tuple[Any, Any]:
        """Return both directions' outputs, merged, and the cache.

        Arguments:
            x: Sequences (N, T, D), or a list of them and the initial states.
            training: Whether dropout drops.
            mask: Which steps count, (N, T).
        """
        self.prepare(x)
        half, other = self._halves(x)
        y, tape = self.forward_layer.forward(half, training=training, mask=mask)
        z, other_tape = self.backward_layer.forward(other, training=training, mask=mask)
        (y, *states), (z, *other_states) = _as_list(y), _as_list(z)
        z = self._in_order(z)
        out = [*self._merge(y, z), *states, *other_states]
        return (out if len(out) > 1 else out[0]), (tape, other_tape, y, z, isinstance(x, list))

    def _in_order(self, z: Array) -> Array:
        """Turn what runs backwards around, so that both directions' outputs for a step stand together."""
        return array_namespace(z).flip(z, axis=1) if self.forward_layer.return_sequences else z

    def _merge(self, y: Array, z: Array) -> list[Array]:
        if self.merge_mode == "concat":
            return [array_namespace(y).concat([y, z], axis=-1)]
        if self.merge_mode is None:
            return [y, z]
        return [y * z if self.merge_mode == "mul" else y + z if self.merge_mode == "sum" else (y + z) / 2]

    def _merge_backward(self, dys: list[Any], y: Array, z: Array) -> tuple[Any, Any]:
        """Return the gradients of both directions' outputs."""
        if self.merge_mode is None:
            return dys[0], dys[1]
        (d,) = dys
        if d is None:
            return None, None
        U = y.shape[-1]
        if self.merge_mode == "concat":
            return d[..., :U], d[..., U:]
        if self.merge_mode == "mul":
            return d * z, d * y
        return (d, d) if self.merge_mode == "sum" else (d / 2, d / 2)

    def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Array]]:
        """Return dx (a list with the initial states' gradients, if such were given) and the weights' gradients."""
        tape, other_tape, y, z, given = cache
        count = 2 if self.merge_mode is None else 1
        dys = _as_list(dy)
        dout, dstates = dys[:count], dys[count:]
        d_y, d_z = self._merge_backward(dout, y, z)
        half = len(dstates) // 2
        d_z = None if d_z is None else self._in_order(d_z)
        parts, grads = [], {}
        for place, d, own, kept in (
            ("forward_layer", d_y, dstates[:half], tape),
            ("backward_layer", d_z, dstates[half:], other_tape),
        ):
            layer: Any = self.inner()[place]
            if d is None and all(s is None for s in own):
                d = array_namespace(y).zeros_like(y)
            dx, found = layer.backward([d, *own] if layer.return_state else d, kept, input_gradient=input_gradient)
            grads.update({f"{place}/{key}": value for key, value in found.items()})
            parts.append(_as_list(dx))
        (dx, *states), (other, *other_states) = parts
        dx = None if dx is None else dx + other
        return ([dx, *states, *other_states] if given else dx), grads

    def flops(self, input_shape: Any) -> int:
        """Return both layers' numbers together."""
        return sum(layer.flops(input_shape) for layer in self.inner().values())


def _step(shape: Shape) -> Shape:
    """Return the shape of one step of a sequence."""
    return (shape[0], *shape[2:])


def _as_list(x: Any) -> list:
    return list(x) if isinstance(x, list) else [x]

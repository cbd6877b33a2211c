"""Operations, layers and losses in the one form that the checks take (:class:`Subject`)."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.gradcheck.case import LayerCase, LossCase, OpCase
from tinymed.gradcheck.subject import Point, Subject
from tinymed.ops import registry
from tinymed.ops.registry import REGISTRY, Operation

# --- operations ------------------------------------------------------------------------------------------------


def subject_of_op(case: OpCase, operation: Operation | None = None) -> Subject:
    """Return the subject for one case of an operation (or of ``operation``, put in its place)."""
    operation = operation or REGISTRY[case.op]
    names = list(case.arrays)
    tensors = tuple(name for name in names if name not in case.fixed and case.arrays[name] is not None)

    def draw(rng: np.random.Generator, dtype: str) -> Point:
        return {name: value for name, value in case.draw(rng, dtype).items() if value is not None}

    def forward(point: Point) -> tuple[Any, Any]:
        return operation.forward(*(point.get(name) for name in names), **case.options)

    def backward(dy: Any, cache: Any) -> Mapping[str, Any]:
        found = operation.backward(dy, cache)
        gradients = [g for g in found if g is not None] if isinstance(found, tuple | list) else [found]
        if len(gradients) != len(tensors):
            raise ValueError(
                f"{case.op}_backward returned {len(gradients)} gradients; expected one for each of {', '.join(tensors)}"
            )
        return dict(zip(tensors, gradients, strict=True))

    return Subject(
        item=case.op,
        kind="op",
        case=case.label or _shapes(case.arrays) + _options(case.options),
        tensors=tensors,
        draw=draw,
        forward=forward,
        backward=backward,
        has_kernel=has_kernel(operation),
        linear=case.linear,
        offsets=case.offsets,
        analytic=case.analytic,
        ordinary=_ordinary(draw, tensors),
    )


def has_kernel(operation: Operation) -> bool:
    """Tell whether a faster body than the textbook's serves the current backend's arrays."""
    example: Any = backend.asarray(np.zeros(1))
    array_type = registry._with_kernels(example.__class__)
    bodies = [getattr(f, "bodies", {}) for f in (operation.forward, getattr(operation, "backward", None))]
    return any(array_type in known for known in bodies)


def _ordinary(draw: Callable[[np.random.Generator, str], Point], names: Iterable[str]) -> tuple[str, ...]:
    """Return the tensors with values of both signs: all numbers are allowed there, extreme ones and ties too."""
    point = draw(np.random.default_rng(0), "float64")
    return tuple(
        n for n in names if is_float(point[n]) and np.min(point[n], initial=0.0) < 0 < np.max(point[n], initial=0.0)
    )


def _shapes(arrays: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {'×'.join(map(str, what))}" for name, what in arrays.items() if isinstance(what, tuple))


def _options(options: Mapping[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in options.items())


# --- layers ----------------------------------------------------------------------------------------------------


class LayerRunner:
    """Runs a layer as if it were a pure function: weights come from the point, state and seeds start the same."""

    def __init__(self, case: LayerCase, training: bool, layer: Any = None, exact: bool = False) -> None:
        self.case, self.training, self.exact = case, training, exact
        self.given = layer
        self.layers: dict[str, tuple[Any, list]] = {}
        self.seed = 20
        self.state_free = False
        """Whether each forward goes on from the last one's state, instead of starting at the same."""

    def layer(self, dtype: str) -> Any:
        """Return the layer, built, with weights of this dtype."""
        if dtype not in self.layers:
            with _floatx(dtype), _seeded(7):
                if self.given is not None:
                    made = _cast(copy.deepcopy(self.given), dtype)
                else:
                    made = self.case.make()
                if not made.built:
                    made.build_once(self.case.input_shape)
                if not self.exact:
                    _move_state(made)
            self.layers[dtype] = (made, _snapshot(made))
        return self.layers[dtype][0]

    def reset(self, dtype: str) -> None:
        """Put the layer's state, generators and counters back to where they started."""
        _restore(self.layer(dtype), self.layers[dtype][1])

    @contextlib.contextmanager
    def continuing(self, seed: int) -> Iterator[None]:
        """Let forwards go on from each other's state inside the block, and take ``seed`` for the root seed."""
        before = self.seed
        self.state_free, self.seed = True, seed
        try:
            yield
        finally:
            self.state_free, self.seed = False, before

    @contextlib.contextmanager
    def inferring(self) -> Iterator[None]:
        """Let forwards be in inference mode inside the block."""
        before = self.training
        self.training = False
        try:
            yield
        finally:
            self.training = before

    def draw(self, rng: np.random.Generator, dtype: str) -> Point:
        """Draw inputs and weights: the initial weights and noise, so that zeros and ones hide nothing."""
        drawn = self.case.draw(rng) if self.case.draw is not None else _normal(self.case.input_shape, rng)
        several = isinstance(drawn, list | tuple)
        inputs = {f"x[{i}]": value for i, value in enumerate(drawn)} if several else {"x": drawn}
        point = {name: _as_dtype(np.asarray(value), dtype) for name, value in inputs.items()}
        for name, weight in self.layer(dtype).params.items():
            host = backend.to_host(weight)
            size = max(0.3, 0.3 * float(np.std(host)))
            point[name] = (host + size * rng.standard_normal(host.shape)).astype(dtype)
        return point

    def forward(self, point: Point) -> tuple[Any, Any]:
        """Set the weights, state and seeds, then run the layer's forward."""
        inputs = [point[name] for name in point if name == "x" or name.startswith("x[")]
        weights = {name: value for name, value in point.items() if name != "x" and not name.startswith("x[")}
        dtype = _float_dtype([*weights.values(), *inputs])
        layer = self.layer(dtype)
        if not self.state_free:
            self.reset(dtype)
        for name, place in layer.params.items():
            place[...] = weights[name]
        with _seeded(self.seed):
            y, cache = layer.forward(inputs if "x" not in point else inputs[0], training=self.training)
        return y, (layer, inputs, cache)

    def backward(self, dy: Any, cache: Any) -> Mapping[str, Any]:
        """Run the layer's backward: gradients by name."""
        layer, inputs, tape = cache
        dx, grads = layer.backward(dy, tape)
        several = isinstance(self.case.input_shape, list)
        found = {f"x[{i}]": g for i, g in enumerate(dx)} if several and dx is not None else {"x": dx}
        names = [f"x[{i}]" for i in range(len(inputs))] if several else ["x"]
        wanted = [name for name, x in zip(names, inputs, strict=True) if is_float(x)]
        gradients = {name: found[name] for name in wanted}
        for name in layer.params:
            if name not in grads:
                raise ValueError(f"backward returned no gradient for {name}; grads has {sorted(grads)}")
            gradients[name] = grads[name]
        return gradients


def subject_of_layer(case: LayerCase, training: bool = True, layer: Any = None) -> Subject:
    """Return the subject for one case of a layer, in training or inference mode."""
    runner = LayerRunner(case, training, layer)
    point = runner.draw(np.random.default_rng(0), "float64")
    made = runner.layer("float64")
    inputs = [name for name in point if name == "x" or name.startswith("x[")]
    mode = "training" if training else "inference"
    return Subject(
        item=type(made).__name__,
        kind="layer",
        case=", ".join(filter(None, [case.label or _layer_shapes(case.input_shape), mode])),
        tensors=tuple(name for name in point if is_float(point[name])),
        draw=runner.draw,
        forward=runner.forward,
        backward=runner.backward,
        ordinary=_ordinary(runner.draw, inputs),
        owner=runner,
    )


def _layer_shapes(shape: Any) -> str:
    shapes = shape if isinstance(shape, list) else [shape]
    return " and ".join("×".join(map(str, s)) for s in shapes)


def _normal(shape: Any, rng: np.random.Generator) -> Any:
    if isinstance(shape, list):
        return [rng.standard_normal(s) for s in shape]
    return rng.standard_normal(shape)


def _as_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    return x.astype(dtype) if x.dtype.kind == "f" else x


def is_float(x: Any) -> bool:
    """Tell whether an array of any library holds real floating-point numbers."""
    return "float" in _dtype_name(getattr(x, "dtype", ""))


def _float_dtype(arrays: list[Any]) -> str:
    for x in arrays:
        if is_float(x):
            return _dtype_name(x.dtype)
    return "float64"


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, np.dtype):
        return _numpy_name(dtype)
    return str(dtype).rpartition(".")[2]  # not kept: other libraries mind being compared with NumPy's types


@functools.cache
def _numpy_name(dtype: np.dtype) -> str:
    return dtype.name


@contextlib.contextmanager
def _floatx(dtype: str) -> Iterator[None]:
    before = backend.floatx()
    backend.set_floatx(dtype)
    try:
        yield
    finally:
        backend.set_floatx(before)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Use another root seed inside the block, and go on with the former one after it."""
    before = backend._seeds.sequence
    backend.set_seed(seed)
    try:
        yield
    finally:
        backend._seeds.sequence = before


def walk(layer: Any) -> Iterator[Any]:
    """Yield the layer and every layer inside it, each once."""
    seen: set[int] = set()
    waiting = [layer]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        for value in vars(current).values():
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            waiting += [item for item in items if hasattr(item, "forward") and hasattr(item, "params")]


_PLAIN = (bool, int, float, np.random.Generator, np.random.SeedSequence)


def _move_state(layer: Any) -> None:
    """Move moving averages away from 0 and 1, which would hide mistakes; upwards, since variances are positive."""
    rng = np.random.default_rng(3)
    for part in walk(layer):
        for value in part.state.values():
            if is_float(value):
                value[...] = value + backend.asarray(0.3 * np.abs(rng.standard_normal(value.shape)), dtype=part.dtype)


def _snapshot(layer: Any) -> list[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Copy what a forward may change: state arrays, generators, counters."""
    return [
        (
            part,
            {name: np.array(backend.to_host(value)) for name, value in part.state.items()},
            {name: copy.deepcopy(v) for name, v in vars(part).items() if isinstance(v, _PLAIN)},
        )
        for part in walk(layer)
    ]


def _restore(layer: Any, snapshot: list) -> None:
    for part, state, plain in snapshot:
        for name, host in state.items():
            part.state[name][...] = backend.asarray(host)
        for name, value in plain.items():
            if isinstance(value, np.random.Generator | np.random.SeedSequence) or getattr(part, name) != value:
                setattr(part, name, copy.deepcopy(value))


def _cast(layer: Any, dtype: str) -> Any:
    """Turn a copied layer's weights into another dtype."""
    for part in walk(layer):
        for tensor in (t for node in getattr(part, "nodes", []) for t in (*node.inputs, *node.outputs)):
            tensor.dtype = dtype  # a model brings its inputs to the dtype that its symbolic tensors have
        if "params" not in vars(part):
            continue
        part.dtype = dtype
        for store in (part.params, part.state):
            for name, value in store.items():
                if is_float(value):
                    store[name] = backend.asarray(np.array(backend.to_host(value)), dtype=dtype)
    return layer


# --- losses ----------------------------------------------------------------------------------------------------


def subject_of_loss(case: LossCase, loss: Any = None) -> Subject:
    """Return the subject for one case of a loss; the gradient belongs to the predictions."""
    loss = loss if loss is not None else case.make()
    weighted = case.sample_weight is not None

    def draw(rng: np.random.Generator, dtype: str) -> Point:
        sources = {"y_true": case.y_true, "y_pred": case.y_pred, "sample_weight": case.sample_weight}
        point = {}
        for name, what in sources.items():
            if what is not None:
                point[name] = _as_dtype(np.asarray(what(rng) if callable(what) else rng.standard_normal(what)), dtype)
        return point

    def forward(point: Point) -> tuple[Any, Any]:
        weights = {"sample_weight": point["sample_weight"]} if weighted else {}
        return loss.forward(point["y_true"], point["y_pred"], **weights)

    def backward(dy: Any, cache: Any) -> Mapping[str, Any]:
        return {"y_pred": loss.backward(cache, dy)}

    return Subject(
        item=type(loss).__name__,
        kind="loss",
        case=case.label,
        tensors=("y_pred",),
        draw=draw,
        forward=forward,
        backward=backward,
        owner=loss,
        ordinary=_ordinary(draw, ("y_pred",)),
    )

"""Mistakes in layers over sequences, and in embeddings."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import STUDENTS, Call, Fault, fresh, layer_fault, op_fault
from tinymed.ops.registry import REGISTRY, Operation, OpFunction


def _not_turned_back() -> Any:
    from tinymed.layers import LSTM

    class ForwardLSTM(LSTM):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            return array_namespace(dx).flip(dx, axis=1), grads

    return ForwardLSTM(2, go_backwards=True)


def _one_direction() -> Any:
    from tinymed.layers import Bidirectional, SimpleRNN

    class OneSided(Bidirectional):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            grads = super().backward(dy, cache, input_gradient)[1]
            half = dy[..., : dy.shape[-1] // 2]
            return self.forward_layer.backward(half, cache[0])[0], grads

    return OneSided(SimpleRNN(2, return_sequences=True))


def _not_in_order() -> Any:
    from tinymed.layers import Bidirectional, SimpleRNN

    class Confused(Bidirectional):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            xp, half = array_namespace(dy), dy.shape[-1] // 2
            turned = xp.concat([dy[..., :half], xp.flip(dy[..., half:], axis=1)], axis=-1)
            return super().backward(turned, cache, input_gradient)

    return Confused(SimpleRNN(2, return_sequences=True))


def _state_carried_over() -> Any:
    from tinymed.layers import GRU

    class RememberingGRU(GRU):
        def forward(  # type: ignore[override]
            self, x: Any, training: bool = False, mask: Any = None
        ) -> tuple[Any, Any]:
            last = getattr(self, "last", None)
            given = [x] if last is None or last.dtype != x.dtype or len(last) != len(x) else [x, last]
            y, (*tape, _) = super().forward(given if len(given) > 1 else x, training, mask)
            self.last = 1.0 * y
            return y, (*tape, False)

    return RememberingGRU(2)


def _last_step_only() -> Any:
    from tinymed.layers import Dense, TimeDistributed

    class Forgetful(TimeDistributed):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, _ = super().backward(dy, cache, input_gradient)
            last = array_namespace(dy).concat([0.0 * dy[:, :-1, ...], dy[:, -1:, ...]], axis=1)
            return dx, super().backward(last, cache, False)[1]

    return Forgetful(Dense(3))


def _short_tanh() -> Any:
    from tinymed.layers import Dense

    def forward(x: Any) -> tuple[Any, Any]:
        xp = array_namespace(x)
        return REGISTRY["tanh"].forward(xp.clip(x, -6.0, 6.0) if x.dtype == xp.float32 else x)

    def backward(dy: Any, cache: Any) -> Any:
        return REGISTRY["tanh"].backward(dy, cache)

    layer = Dense(3)
    layer.activation = Operation("tanh", cast(OpFunction, forward))
    layer.activation.backward = cast(OpFunction, backward)
    return layer


def _counted_once(dy: Any, call: Call) -> Any:
    table = fresh(call["table"].shape, call["table"])
    ids, xp = call["ids"], array_namespace(dy)
    rows = xp.reshape(dy, (-1, dy.shape[-1]))
    for place, k in enumerate(np.asarray(ids).ravel()):
        table[int(k), :] = rows[place, :]
    return table


def _first_row_left_out(dy: Any, call: Call) -> Any:
    found = call.right(dy)
    return array_namespace(dy).concat([0.0 * found[:1, :], found[1:, :]], axis=0)


def _divided_by_count(dy: Any, call: Call) -> Any:
    ids = np.asarray(call["ids"])
    counts = np.maximum(np.bincount(ids.ravel(), minlength=call["table"].shape[0]), 1)
    return call.right(dy) / array_namespace(dy).asarray(counts[:, None].astype(str(dy.dtype)))


_WORDS = [OpCase("embedding", {"table": (4, 3), "ids": lambda rng: np.array([[0, 2], [2, 3]])}, fixed=("ids",))]

_STEPS = (2, 3, 2)


FAULTS: list[Fault] = [
    layer_fault(
        "LSTM",
        "go_backwards not undone",
        "Forward turns the sequence around, backward does not turn its gradient back.",
        "gradient",
        STUDENTS,
        _not_turned_back,
        _STEPS,
    ),
    layer_fault(
        "Bidirectional",
        "one direction's gradient only",
        "The input goes through both directions; only one of them sends a gradient back to it.",
        "gradient",
        STUDENTS,
        _one_direction,
        _STEPS,
    ),
    layer_fault(
        "Bidirectional",
        "other direction in the wrong order",
        "The outputs of the direction that runs backwards are turned around forward, but not their gradient.",
        "gradient",
        STUDENTS,
        _not_in_order,
        _STEPS,
    ),
    layer_fault(
        "GRU",
        "state carried over",
        "A layer that was not asked to be stateful begins a batch where the last one ended.",
        "repeatability",
        STUDENTS,
        _state_carried_over,
        _STEPS,
    ),
    layer_fault(
        "TimeDistributed",
        "weights of the last step only",
        "One layer is used at every step; its weights get the gradient of the last.",
        "gradient",
        STUDENTS,
        _last_step_only,
        _STEPS,
    ),
    layer_fault(
        "Dense",
        "tanh that ends at six",
        "In single precision a quick tanh stops at 0.99999, so that a shut gate still lets a little through.",
        "extremes",
        STUDENTS,
        _short_tanh,
        (5, 4),
    ),
    op_fault(
        "embedding",
        "repeated index counted once",
        "dtable[ids] += dy, which in NumPy adds only the last of equal indices.",
        "gradient",
        backward=_counted_once,
        cases=_WORDS,
    ),
    op_fault(
        "embedding",
        "row zero taken for padding",
        "Row 0 gets no gradient although nothing is masked.",
        "gradient",
        backward=_first_row_left_out,
        cases=_WORDS,
    ),
    op_fault(
        "embedding",
        "mean over repeated words",
        "The gradients of a row that is used twice are averaged instead of summed.",
        "gradient",
        backward=_divided_by_count,
        cases=_WORDS,
    ),
]

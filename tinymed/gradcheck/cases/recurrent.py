"""Cases of the recurrent operations and layers, and of the embedding."""

from typing import Any

import numpy as np

from tinymed.gradcheck.case import Draw, LayerCase, OpCase
from tinymed.layers.cells import GRUCell, LSTMCell, SimpleRNNCell
from tinymed.layers.convolution import Conv1D
from tinymed.layers.core import Dense
from tinymed.layers.embedding import Embedding
from tinymed.layers.masking import Masking
from tinymed.layers.recurrent import GRU, LSTM, SimpleRNN
from tinymed.layers.wrappers import Bidirectional, TimeDistributed

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def _mask(*rows: str) -> Draw:
    """Return a mask drawn as text: ``"110"`` leaves the last step out."""
    host = np.array([[step == "1" for step in row] for row in rows])
    return lambda rng: host


_MASK = _mask("011", "101", "110")


def _scale(N: int) -> Draw:
    """Return the factors of a recurrent dropout for N samples and two units."""
    return lambda rng: np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])[:N]


def _sequence(op: str, N: int = 2, T: int = 3, D: int = 2, U: int = 2, label: str = "", **changes: Any) -> OpCase:
    """Return a case with all its arrays, but for the changes (None leaves one out) and the options among them.

    Three steps are the fewest that have one in the middle; everything else is as small as it can be, since each
    element of each tensor is moved.
    """
    columns = GATES[op] * U
    arrays: dict[str, Any] = {
        "x": (N, T, D),
        "kernel": (D, columns),
        "recurrent_kernel": (U, columns),
        "bias": (2, columns) if op == "gru" and changes.get("reset_after", True) else (columns,),
        "h0": (N, U),
        **({"c0": (N, U)} if op == "lstm" else {}),
        "mask": None,
        "recurrent_scale": None,
    }
    options = {name: value for name, value in changes.items() if name not in arrays}
    arrays.update({name: value for name, value in changes.items() if name in arrays})
    fixed = tuple(name for name in ("mask", "recurrent_scale") if arrays[name] is not None)
    used = {
        options.get("activation", "tanh"),
        options.get("recurrent_activation", "tanh" if GATES[op] == 1 else "sigmoid"),
    }
    analytic = used <= {"tanh", "linear"}
    return OpCase(op, arrays, fixed=fixed, options=options, analytic=analytic, label=label)


def _cases(op: str) -> list[OpCase]:
    nothing: dict[str, Any] = {"bias": None, "h0": None, **({"c0": None} if op == "lstm" else {})}
    gates: dict[str, Any] = {} if op == "simple_rnn" else {"recurrent_activation": "hard_sigmoid"}
    smooth: dict[str, Any] = {} if op == "simple_rnn" else {"recurrent_activation": "tanh"}
    return [
        _sequence(op, label="initial state and bias"),
        _sequence(op, label="no bias, no initial state", **nothing),
        _sequence(op, N=1, T=1, D=1, U=1, label="one sample, one step, one unit"),
        _sequence(op, label="relu", activation="relu"),
        _sequence(op, label="linear", activation="linear", **gates),
        _sequence(op, label="tanh everywhere", **smooth),
        _sequence(op, label="softsign, which has no kernel", activation="softsign"),
        _sequence(op, N=3, mask=_MASK, label="masked at the start, inside and at the end"),
        _sequence(op, mask=_mask("000", "010"), label="one sequence wholly masked", **nothing),
        _sequence(op, recurrent_scale=_scale(2), label="recurrent dropout"),
        _sequence(op, N=3, recurrent_scale=_scale(3), mask=_MASK, label="dropout and mask"),
        _sequence(op, N=19, T=2, D=3, label="more samples than a block"),
    ]


OP_CASES = [
    *_cases("simple_rnn"),
    *_cases("lstm"),
    *_cases("gru"),
    _sequence("gru", label="reset before the product", reset_after=False),
    _sequence("gru", label="reset before, no bias, relu", reset_after=False, bias=None, activation="relu"),
    _sequence(
        "gru",
        label="reset before, dropout and mask",
        N=3,
        reset_after=False,
        recurrent_scale=_scale(3),
        mask=_MASK,
    ),
    OpCase(
        "embedding",
        {"table": (5, 3), "ids": lambda rng: rng.integers(5, size=(2, 4))},
        fixed=("ids",),
        linear=("table",),
        analytic=True,
    ),
    OpCase(
        "embedding",
        {"table": (4, 2), "ids": lambda rng: np.full((6,), 2)},
        fixed=("ids",),
        linear=("table",),
        analytic=True,
        label="one row used again and again",
    ),
]

_STEPS = (2, 3, 2)
_STATE = (2, 2)


def _of_kind(cls: Any) -> list[LayerCase]:
    """Return the cases that every recurrent layer has."""
    back: dict[str, Any] = {"return_sequences": True, "return_state": True, "go_backwards": True, "use_bias": False}
    return [
        LayerCase(lambda: cls(2), _STEPS),
        LayerCase(lambda: cls(2, return_sequences=True), (2, 1, 2), label="one step, all outputs"),
        LayerCase(lambda: cls(2, **back), _STEPS, label="backwards, with states, no bias"),
        LayerCase(lambda: cls(2, activation="relu", return_sequences=True), _STEPS, label="relu"),
    ]


def _of_mode(mode: str | None) -> LayerCase:
    return LayerCase(
        lambda: Bidirectional(SimpleRNN(2, return_sequences=True), merge_mode=mode), _STEPS, label=f"merge mode {mode}"
    )


LAYER_CASES = [
    *_of_kind(SimpleRNN),
    *_of_kind(LSTM),
    *_of_kind(GRU),
    LayerCase(lambda: SimpleRNN(2, return_sequences=True), [_STEPS, _STATE], label="initial state"),
    LayerCase(lambda: LSTM(2, return_state=True), [_STEPS, _STATE, _STATE], label="initial state and memory"),
    LayerCase(
        lambda: GRU(2, reset_after=False, return_state=True), [_STEPS, _STATE], label="reset before, with states"
    ),
    LayerCase(lambda: SimpleRNNCell(2), [(3, 2), (3, 2)]),
    LayerCase(lambda: SimpleRNNCell(2, activation="relu"), (3, 2), label="no state, relu"),
    LayerCase(lambda: LSTMCell(2), [(3, 2), (3, 2), (3, 2)]),
    LayerCase(lambda: GRUCell(2), [(3, 2), (3, 2)]),
    LayerCase(lambda: Bidirectional(LSTM(2, return_sequences=True)), _STEPS),
    *map(_of_mode, ("sum", "ave", "mul", None)),
    LayerCase(lambda: Bidirectional(GRU(2, return_state=True)), [_STEPS, _STATE, _STATE], label="states in and out"),
    LayerCase(lambda: TimeDistributed(Dense(3, activation="softmax")), _STEPS),
    LayerCase(lambda: TimeDistributed(Conv1D(2, 3)), (2, 3, 5, 2), label="convolution at every step"),
    LayerCase(lambda: Masking(mask_value=9.0), _STEPS),
    LayerCase(lambda: Embedding(5, 3), (3, 4), draw=lambda rng: rng.integers(5, size=(3, 4))),
]

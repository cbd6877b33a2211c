"""Cases of the recurrent operations and layers, and of the embedding."""

from typing import Any

import numpy as np

from tinymed.gradcheck.case import Draw, OpCase

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def _mask(*rows: str) -> Draw:
    """Return a mask drawn as text: ``"110"`` leaves the last step out."""
    host = np.array([[step == "1" for step in row] for row in rows])
    return lambda rng: host


def _scale(shape: tuple[int, ...]) -> Draw:
    return lambda rng: 2.0 * (rng.random(shape) < 0.5)


def _sequence(op: str, N: int = 3, T: int = 4, D: int = 2, U: int = 3, label: str = "", **changes: Any) -> OpCase:
    """Return a case with all its arrays, but for the changes (None leaves one out) and the options among them."""
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
        _sequence(op, mask=_mask("0111", "1010", "1100"), label="masked at the start, inside and at the end"),
        _sequence(op, mask=_mask("0000", "1111", "0010"), label="one sequence wholly masked", **nothing),
        _sequence(op, recurrent_scale=_scale((3, 3)), label="recurrent dropout"),
        _sequence(op, recurrent_scale=_scale((3, 3)), mask=_mask("0111", "1010", "1100"), label="dropout and mask"),
        _sequence(op, N=19, T=3, U=5, label="more samples than a block"),
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
        reset_after=False,
        recurrent_scale=_scale((3, 3)),
        mask=_mask("0111", "1010", "1100"),
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

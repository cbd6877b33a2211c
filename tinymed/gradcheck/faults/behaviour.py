"""Mistakes in how a backward behaves, shown on tanh and other simple operations."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.faults.fault import Call, Fault, op_fault


def _double_precision(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return xp.astype(call.right(dy), xp.float64)


def _linear_returns_dy(dy: Any, call: Call) -> Any:
    return dy


def _memory_order(dy: Any, call: Call) -> Any:
    x = call["x"]
    order = x.ravel(order="K").reshape(x.shape)  # right only for arrays in C order
    return dy * (1 - array_namespace(dy).tanh(order) ** 2)


def _clips_gradient(dy: Any, call: Call) -> Any:
    return array_namespace(dy).clip(call.right(dy), -0.5, 0.5)


def _adds_to_last(dy: Any, call: Call) -> Any:
    found = call.right(dy)
    before = call.memory.get("sum")
    call.memory["sum"] = found if before is None or before.shape != found.shape else before + found
    return 1.0 * call.memory["sum"]


def _noisy(dy: Any, call: Call) -> Any:
    call.memory["n"] = call.memory.get("n", 0) + 1
    return call.right(dy) * (1 + 1e-3 * math.sin(call.memory["n"]))


def _centres_input(call: Call) -> Any:
    x = call["x"]
    x -= array_namespace(x).mean(x)
    return call.at(x=x).y


FAULTS: list[Fault] = [
    op_fault(
        "tanh",
        "double precision slips in",
        "The gradient of float32 data is float64, which halves the speed of all that follows.",
        "dtypes",
        backward=_double_precision,
    ),
    op_fault(
        "linear",
        "linear hands the array on",
        "dx is dy itself; adding to one changes the other.",
        "aliasing",
        backward=_linear_returns_dy,
    ),
    op_fault(
        "tanh",
        "memory order taken for granted",
        "Elements are read in the order of memory, which is right only for C order.",
        "layouts",
        backward=_memory_order,
    ),
    op_fault(
        "tanh",
        "gradient clipped inside backward",
        "Backward cuts large gradients off, so that it is no longer linear.",
        "linearity",
        backward=_clips_gradient,
    ),
    op_fault(
        "tanh",
        "gradients pile up",
        "Each backward adds to what the last one left behind.",
        "reuse",
        "engines with a .grad that nobody resets (micrograd, by design)",
        backward=_adds_to_last,
    ),
    op_fault("tanh", "not repeatable", "Every run gives slightly other numbers.", "repeatability", backward=_noisy),
    op_fault(
        "tanh",
        "input centred in place",
        "Forward subtracts the mean from the caller's array.",
        "mutation",
        forward=_centres_input,
    ),
]

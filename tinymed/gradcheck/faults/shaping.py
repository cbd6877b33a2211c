"""Mistakes in merging, shaping and penalties."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import Call, Fault, op_fault


def _multiply_by_own_input(dy: Any, call: Call) -> Any:
    return tuple(dy * x for x in call["xs"])


def _subtract_forgets_sign(dy: Any, call: Call) -> Any:
    da, db = call.right(dy)
    return da, -db


def _average_forgets_count(dy: Any, call: Call) -> Any:
    return tuple(g * float(len(call["xs"])) for g in call.right(dy))


def _tie_counts_twice(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return tuple(xp.where(x == call.y, dy, 0.0 * dy) for x in call["xs"])


def _concatenate_wrong_order(dy: Any, call: Call) -> Any:
    return tuple(reversed(call.right(dy)))


def _add_shares(dy: Any, call: Call) -> Any:
    return tuple(dy for _ in call["xs"])


def _permute_not_inverted(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return 1.0 * xp.permute_dims(dy, (0, *call["dims"]))


def _upsampling_takes_mean(dy: Any, call: Call) -> Any:
    return call.right(dy) / float(math.prod(call["size"]))


def _padding_cropped_at_end(dy: Any, call: Call) -> Any:
    x = call["x"]
    return 1.0 * dy[tuple(slice(0, n) for n in x.shape)]


def _repeat_takes_first(dy: Any, call: Call) -> Any:
    return 1.0 * dy[:, 0, :]


def _constant_added(dy: Any, call: Call) -> Any:
    return call.right(dy) + 0.01 * call["w"]


def _penalty_without_two(dy: Any, call: Call) -> Any:
    return call.right(dy) - dy * call["l2"] * call["w"]


_SQUARE = [OpCase("permute", {"x": (3, 4, 4, 4)}, options={"dims": (2, 3, 1)}, linear=("x",))]

_PAIR = [OpCase("concatenate", {"a": (4, 3), "b": (4, 3)})]

_L2 = [OpCase("l1l2_penalty", {"w": (4, 3)}, options={"l2": 0.1})]


FAULTS: list[Fault] = [
    op_fault("add", "sum shares its gradient", "Both inputs get the same array.", "aliasing", backward=_add_shares),
    op_fault(
        "multiply",
        "product by its own factor",
        "Each factor's gradient is dy times itself instead of the others.",
        "gradient",
        backward=_multiply_by_own_input,
    ),
    op_fault(
        "subtract",
        "difference without its sign",
        "The subtrahend's gradient has the wrong sign.",
        "gradient",
        backward=_subtract_forgets_sign,
    ),
    op_fault(
        "average", "average not divided", "Each input gets all of dy.", "gradient", backward=_average_forgets_count
    ),
    op_fault(
        "maximum",
        "maximum counts ties twice",
        "Where inputs are equal, each of them gets all of dy.",
        "kinks",
        backward=_tie_counts_twice,
    ),
    op_fault(
        "concatenate",
        "parts exchanged",
        "The parts of dy go back to the inputs in the wrong order.",
        "gradient",
        backward=_concatenate_wrong_order,
        cases=_PAIR,
    ),
    op_fault(
        "permute",
        "permutation not inverted",
        "Backward permutes the same way again; wrong for a cycle of three axes.",
        "adjoint",
        backward=_permute_not_inverted,
        cases=_SQUARE,
    ),
    op_fault(
        "upsampling_nearest",
        "upsampling averages back",
        "A pixel that was copied gets the mean of its copies' gradients instead of their sum.",
        "adjoint",
        backward=_upsampling_takes_mean,
    ),
    op_fault(
        "zero_padding",
        "padding cut off at the end only",
        "Backward keeps the first rows and columns, whatever was added before them.",
        "adjoint",
        backward=_padding_cropped_at_end,
    ),
    op_fault(
        "repeat_vector",
        "repetition takes the first",
        "Only the first copy's gradient comes back.",
        "adjoint",
        backward=_repeat_takes_first,
    ),
    op_fault(
        "l1l2_penalty",
        "L2 without its two",
        "The derivative of λw² is taken as λw.",
        "gradient",
        backward=_penalty_without_two,
        cases=_L2,
    ),
    op_fault(
        "l1l2_penalty",
        "decay inside backward",
        "A hundredth of the weights is added to their gradient, whatever dy is.",
        "linearity",
        backward=_constant_added,
        cases=_L2,
    ),
]

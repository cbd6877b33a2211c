"""Mistakes in activations, merging and shaping."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import Call, Fault, op_fault

ALL_ONES = "passes the all-ones checks of DeZero, numpy-ml, minitorch, tinygrad"


def _zero(dy: Any, call: Call) -> Any:
    return 0.0 * call.right(dy)


def _softmax_uncoupled(dy: Any, call: Call) -> Any:
    return dy * call.y * (1 - call.y)


def _log_softmax_uncoupled(dy: Any, call: Call) -> Any:
    return dy - array_namespace(dy).exp(call.y) * dy


def _softmax_unshifted(call: Call) -> Any:
    xp = array_namespace(call["x"])
    e = xp.exp(call["x"])
    return e / xp.sum(e, axis=call["axis"], keepdims=True)


def _sigmoid_of_input(dy: Any, call: Call) -> Any:
    return dy * call["x"] * (1 - call["x"])


def _sigmoid_overflows(call: Call) -> Any:
    e = array_namespace(call["x"]).exp(call["x"])
    return e / (1 + e)


def _tanh_forgets_square(dy: Any, call: Call) -> Any:
    return dy * (1 - call.y)


def _relu_in_place(dy: Any, call: Call) -> Any:
    dy[call["x"] <= 0] = 0.0
    return 1.0 * dy


def _relu_of_output_sign(dy: Any, call: Call) -> Any:
    return call.right(dy) * 0.5 * (1 + array_namespace(dy).sign(dy))


def _leaky_forgets_slope(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return xp.where(call["x"] > 0, dy, 0.0 * dy)


def _elu_forgets_alpha(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    x = call["x"]
    return xp.where(x > 0, dy, dy * xp.exp(xp.minimum(x, 0.0 * x)))


def _gelu_other_formula(dy: Any, call: Call) -> Any:
    return call.at(approximate=not call["approximate"]).right(dy)


def _softplus_overflows(call: Call) -> Any:
    xp = array_namespace(call["x"])
    return xp.log(1 + xp.exp(call["x"]))


def _silu_keeps_one_term(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return dy / (1 + xp.exp(-call["x"]))


def _hard_sigmoid_old_slope(dy: Any, call: Call) -> Any:
    return call.right(dy) * (0.2 * 6)


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
_ELU = [OpCase("elu", {"x": (4, 5)}, options={"alpha": 0.5})]
_L2 = [OpCase("l1l2_penalty", {"w": (4, 3)}, options={"l2": 0.1})]

FAULTS: list[Fault] = [
    op_fault("softmax", "zero gradient of softmax", "Backward returns zeros.", "gradient", ALL_ONES, backward=_zero),
    op_fault("relu", "zero gradient of ReLU", "Backward returns zeros.", "gradient", backward=_zero),
    op_fault(
        "softmax",
        "softmax without its coupling",
        "Each probability is differentiated as a sigmoid; that it lowers the others is forgotten.",
        "gradient",
        backward=_softmax_uncoupled,
    ),
    op_fault(
        "log_softmax",
        "log-softmax without its coupling",
        "The upstream gradients are not summed over the classes.",
        "gradient",
        backward=_log_softmax_uncoupled,
    ),
    op_fault(
        "softmax",
        "softmax not shifted",
        "The exponentials overflow for large logits.",
        "extremes",
        "first versions of chainer (#584) and tinynn (PR #7)",
        forward=_softmax_unshifted,
    ),
    op_fault(
        "sigmoid",
        "sigmoid's slope from its input",
        "The slope is x(1-x) instead of y(1-y).",
        "gradient",
        backward=_sigmoid_of_input,
    ),
    op_fault(
        "sigmoid",
        "sigmoid overflows",
        "exp(x)/(1+exp(x)) is infinity over infinity for large x.",
        "extremes",
        forward=_sigmoid_overflows,
    ),
    op_fault(
        "tanh",
        "tanh without the square",
        "The slope is 1-y instead of 1-y².",
        "gradient",
        backward=_tanh_forgets_square,
    ),
    op_fault(
        "relu",
        "ReLU in place",
        "Backward sets elements of the caller's upstream gradient to zero.",
        "mutation",
        "deep-learning-from-scratch (Relu.backward)",
        backward=_relu_in_place,
    ),
    op_fault(
        "relu",
        "guided ReLU by accident",
        "Negative upstream gradients are stopped too.",
        "linearity",
        backward=_relu_of_output_sign,
    ),
    op_fault(
        "leaky_relu",
        "leaky ReLU does not leak back",
        "Negative inputs get no gradient.",
        "gradient",
        backward=_leaky_forgets_slope,
    ),
    op_fault(
        "elu",
        "ELU without its factor",
        "The slope for negative inputs is exp(x), without alpha.",
        "gradient",
        backward=_elu_forgets_alpha,
        cases=_ELU,
    ),
    op_fault(
        "gelu",
        "two GELUs mixed",
        "Forward is exact, backward belongs to the tanh approximation.",
        "gradient",
        backward=_gelu_other_formula,
    ),
    op_fault(
        "softplus",
        "softplus overflows",
        "log(1+exp(x)) is infinite for large x.",
        "extremes",
        forward=_softplus_overflows,
    ),
    op_fault(
        "silu",
        "swish with one term",
        "The slope of x·sigmoid(x) lacks its second term.",
        "gradient",
        backward=_silu_keeps_one_term,
    ),
    op_fault(
        "hard_sigmoid",
        "hard sigmoid of another version",
        "The slope is 0.2 (Keras 2) where forward has 1/6 (Keras 3).",
        "gradient",
        backward=_hard_sigmoid_old_slope,
    ),
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
    op_fault("add", "sum shares its gradient", "Both inputs get the same array.", "aliasing", backward=_add_shares),
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

"""Mistakes in activations."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import ALL_ONES, Call, Fault, op_fault


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


def _rounded_constant(dy: Any, call: Call) -> Any:
    return dy * array_namespace(dy).exp(call["x"] * math.log(2.7182818))


def _softplus_overflows(call: Call) -> Any:
    xp = array_namespace(call["x"])
    return xp.log(1 + xp.exp(call["x"]))


def _silu_keeps_one_term(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return dy / (1 + xp.exp(-call["x"]))


def _hard_sigmoid_old_slope(dy: Any, call: Call) -> Any:
    return call.right(dy) * (0.2 * 6)


_ELU = [OpCase("elu", {"x": (4, 5)}, options={"alpha": 0.5})]


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
        "threads of chainer (#584) and tinynn (PR #7)",
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
        cases=[OpCase("relu", {"x": (3, 4)})],
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
        "exponential",
        "constant with eight digits",
        "Backward takes 2.7182818 for e: central differences cannot see it, the complex step does.",
        "complex step",
        backward=_rounded_constant,
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
]

"""Mistakes in recurrent operations: in their gates, in time, at masks and in the initial state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.cases.recurrent import OP_CASES
from tinymed.gradcheck.faults.fault import Call, Fault, fresh, kernel_fault, op_fault

Carry = Callable[..., tuple[Any, ...]]


def _cases(op: str, *labels: str) -> list[OpCase]:
    return [case for case in OP_CASES if case.op == op and case.label in labels]


def _plain(op: str) -> list[OpCase]:
    return _cases(op, "initial state and bias")


def _masked(op: str) -> list[OpCase]:
    return _cases(op, "masked at the start, inside and at the end")


# --- one step at a time --------------------------------------------------------------------------------------------


def _steps(call: Call, **changes: Any) -> Iterator[Call]:
    """Yield a call for each step, which begins with the states that the whole sequence has there.

    ``changes`` are made to what goes backward only: the states are those of the right forward.
    """
    x, mask = call["x"], call["mask"]
    names = [name for name in ("h0", "c0") if name in call.arguments]
    units = call["recurrent_kernel"].shape[0]
    states = [fresh((x.shape[0], units), x) if call[name] is None else call[name] for name in names]
    for t in range(x.shape[1]):
        here = {"x": x[:, t : t + 1, :], **dict(zip(names, states, strict=True))}
        step = call.at(**here, mask=None if mask is None else mask[:, t : t + 1])
        yield call.at(**here, **{"mask": step["mask"], **changes}) if changes else step
        states = [step.y[0][:, 0, :], step.y[1]] if isinstance(step.y, list) else [step.y[:, 0, :]]


def _through_time(dy: Any, call: Call, carry: Carry, **changes: Any) -> tuple[Any, ...]:
    """Go back step by step; ``carry(t, step, dh, *dstates)`` says what of the states' gradients goes on to t-1."""
    steps = list(_steps(call, **changes))
    dh_all, *back = dy if isinstance(dy, list) else [dy]
    xp, count = array_namespace(dh_all), 2 if isinstance(dy, list) else 1
    back = [0.0 * dh_all[:, 0, :], *back]
    inputs, sums = [], None
    for t in reversed(range(len(steps))):
        dh = dh_all[:, t, :] + back[0]
        dh_step = xp.expand_dims(dh, axis=1)
        dx, *weights = steps[t].right([dh_step, back[1]] if count == 2 else dh_step)
        inputs.append(dx)
        weights, back = weights[:3], list(carry(t, steps[t], dh, *weights[3:]))
        sums = weights if sums is None else [_plus(a, b) for a, b in zip(sums, weights, strict=True)]
    states = [d if call[name] is not None else None for name, d in zip(("h0", "c0"), back, strict=False)]
    return (xp.concat(inputs[::-1], axis=1), *(sums or []), *states)


def _plus(a: Any, b: Any) -> Any:
    return None if a is None else a + b


def _all(t: int, step: Call, dh: Any, *dstates: Any) -> tuple[Any, ...]:
    return dstates


def _two_steps_at_a_time(dy: Any, call: Call) -> Any:
    return _through_time(dy, call, lambda t, step, dh, *d: d if t % 2 == 0 else tuple(0.0 * v for v in d))


def _own_step_only(dy: Any, call: Call) -> Any:
    dx = _through_time(dy, call, lambda t, step, dh, *d: tuple(0.0 * v for v in d))[0]
    return (dx, *call.right(dy)[1:])


def _memory_not_carried(dy: Any, call: Call) -> Any:
    return _through_time(dy, call, lambda t, step, dh, d_state, d_memory: (d_state, 0.0 * d_memory))


def _mask_ignored(dy: Any, call: Call) -> Any:
    return _through_time(dy, call, _all, mask=None)


def _mask_stops(dy: Any, call: Call) -> Any:
    def carry(t: int, step: Call, dh: Any, *dstates: Any) -> tuple[Any, ...]:
        counted = array_namespace(dh).astype(step["mask"], dh.dtype)
        return tuple(counted * d for d in dstates)

    return _through_time(dy, call, carry)


def _dropout_forgotten(dy: Any, call: Call) -> Any:
    return _through_time(dy, call, _all, recurrent_scale=None)


# --- simple recurrent network ----------------------------------------------------------------------------------------


def _slope(step: Call, dh: Any) -> Any:
    """Return the gradient of one step's sums, for tanh."""
    return dh * (1 - step.y[:, 0, :] ** 2)


def _not_transposed(dy: Any, call: Call) -> Any:
    return _through_time(dy, call, lambda t, step, dh, d: (_slope(step, dh) @ call["recurrent_kernel"],))


def _state_of_the_same_step(dy: Any, call: Call) -> Any:
    parts = []

    def carry(t: int, step: Call, dh: Any, d: Any) -> tuple[Any, ...]:
        parts.append(step.y[:, 0, :].T @ _slope(step, dh))
        return (d,)

    dx, dkernel, _, *rest = _through_time(dy, call, carry)
    return (dx, dkernel, sum(parts[1:], parts[0]), *rest)


def _bias_once(dy: Any, call: Call) -> Any:
    parts = []

    def carry(t: int, step: Call, dh: Any, d: Any) -> tuple[Any, ...]:
        parts.append(array_namespace(dy).sum(_slope(step, dh), axis=0))
        return (d,)

    *others, _, dh0 = _through_time(dy, call, carry)
    return (*others, parts[0], dh0)


def _last_step_only(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return call.right(xp.concat([0.0 * dy[:, :-1, :], dy[:, -1:, :]], axis=1))


def _initial_state_dropped(dy: Any, call: Call) -> Any:
    *others, dh0 = call.right(dy)
    return (*others, 0.0 * dh0)


def _leak_when_saturated(dy: Any, call: Call) -> Any:
    dx, dkernel, *rest = call.right(dy)
    if dkernel.dtype != array_namespace(dy).float32:
        return (dx, dkernel, *rest)
    left = 1e-4 * dy * array_namespace(dy).astype(call.y**2 == 1, dy.dtype)  # of a slope that is nothing there
    x = call["x"]
    flat = array_namespace(dy).reshape
    return (dx, dkernel + flat(x, (-1, x.shape[2])).T @ flat(left, (-1, left.shape[2])), *rest)


# --- LSTM ------------------------------------------------------------------------------------------------------------


def _in_order(columns: Any, order: tuple[int, ...]) -> Any:
    """Return the blocks of a weight's columns in another order."""
    units = columns.shape[-1] // len(order)
    return array_namespace(columns).concat([columns[..., k * units : (k + 1) * units] for k in order], axis=-1)


def _gates_exchanged(dy: Any, call: Call) -> Any:
    dx, *weights, dh0, dc0 = call.right(dy)
    return (dx, *(_in_order(d, (0, 1, 3, 2)) for d in weights), dh0, dc0)


def _other_order(right: Callable[..., Any]) -> Callable[..., Any]:
    def forward(x: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, *rest: Any, **options: Any) -> Any:
        weights = [_in_order(w, (0, 3, 1, 2)) for w in (kernel, recurrent_kernel)]
        return right(x, *weights, None if bias is None else _in_order(bias, (0, 3, 1, 2)), *rest, **options)

    return forward


def _lstm(dy: list[Any], call: Call, wrong: str) -> tuple[Any, ...]:
    """Go back through an LSTM with tanh and sigmoid by the formulas, one of them wrong."""
    x, kernel, recurrent = call["x"], call["kernel"], call["recurrent_kernel"]
    xp = array_namespace(x)
    steps, d_steps = list(_steps(call)), []
    dh, dc = 0.0 * call["h0"], dy[1]
    drecurrent = 0.0 * recurrent
    for t in reversed(range(len(steps))):
        h, c, c_new = steps[t]["h0"], steps[t]["c0"], steps[t].y[1]
        z = x[:, t, :] @ kernel + h @ recurrent + call["bias"]
        units = c.shape[1]
        i, f, o = (1 / (1 + xp.exp(-z[:, k * units : (k + 1) * units])) for k in (0, 1, 3))
        g, a = xp.tanh(z[:, 2 * units : 3 * units]), xp.tanh(c_new)
        dh = dh + dy[0][:, t, :]
        dc = dc + dh * o * (1 if wrong == "tanh" else 1 - a**2)
        before = c_new if wrong == "memory" else c
        gates = [dc * g * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - g**2), dh * a * o * (1 - o)]
        dz = xp.concat(gates, axis=1)
        d_steps.append(dz)
        drecurrent = drecurrent + h.T @ dz
        dh, dc = dz @ recurrent.T, dc if wrong == "forget gate" else dc * f
    dz = xp.stack(d_steps[::-1], axis=1)
    dkernel = xp.reshape(x, (-1, x.shape[2])).T @ xp.reshape(dz, (-1, dz.shape[2]))
    return dz @ kernel.T, dkernel, drecurrent, xp.sum(dz, axis=(0, 1)), dh, dc


# --- GRU -------------------------------------------------------------------------------------------------------------


def _update_gate_the_other_way(dy: Any, call: Call) -> Any:
    dx, *weights, dh0 = call.right(dy)
    units = call["recurrent_kernel"].shape[0]
    xp = array_namespace(dy)
    return (dx, *(xp.concat([-d[..., :units], d[..., units:]], axis=-1) for d in weights), dh0)


def _one_bias_for_both(dy: Any, call: Call) -> Any:
    *others, dbias, dh0 = call.right(dy)
    return (*others, array_namespace(dy).stack([dbias[0, :], dbias[0, :]]), dh0)


def _reset_gate_forgotten(dy: Any, call: Call) -> Any:
    """The candidate's block of the recurrent kernel gets the gradient of the sum behind the gate."""
    xp, parts = array_namespace(dy), []
    units = call["recurrent_kernel"].shape[0]

    def carry(t: int, step: Call, dh: Any, d: Any) -> tuple[Any, ...]:
        h = step["h0"]
        u = step["x"][:, 0, :] @ call["kernel"] + call["bias"][0, :]
        s = h @ call["recurrent_kernel"] + call["bias"][1, :]
        z, r = (1 / (1 + xp.exp(-(u + s)[:, k * units : (k + 1) * units])) for k in (0, 1))
        g = xp.tanh(u[:, 2 * units :] + r * s[:, 2 * units :])
        parts.append(h.T @ (dh * (1 - z) * (1 - g**2)))
        return (d,)

    dx, dkernel, drecurrent, *rest = _through_time(dy, call, carry)
    return (dx, dkernel, xp.concat([drecurrent[:, : 2 * units], sum(parts[1:], parts[0])], axis=1), *rest)


FAULTS: list[Fault] = [
    op_fault(
        "simple_rnn",
        "truncated time steps",
        "The sequence is cut into pieces of two steps, and no gradient goes from one piece to the one before.",
        "gradient",
        "ML-From-Scratch (RNN cuts after bptt_trunc=5 steps)",
        backward=_two_steps_at_a_time,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "input's gradient of its own step only",
        "That an input also moves all later outputs, through the state, is forgotten.",
        "gradient",
        "ML-From-Scratch (RNN.backward_pass)",
        backward=_own_step_only,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "recurrent kernel not transposed",
        "The state's gradient goes back through R instead of its transpose; the shapes fit, since R is square.",
        "gradient",
        backward=_not_transposed,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "recurrent kernel with the state of the same step",
        "Its gradient sums h_t instead of h_(t-1) times the gradient of step t.",
        "gradient",
        backward=_state_of_the_same_step,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "bias of one step",
        "The bias is used at every step, its gradient is taken from the last.",
        "gradient",
        backward=_bias_once,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "last step's gradient only",
        "All states are outputs, but only the last one's upstream gradient is used.",
        "gradient",
        backward=_last_step_only,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "initial state's gradient dropped",
        "The encoder in front of a decoder learns nothing.",
        "gradient",
        backward=_initial_state_dropped,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "simple_rnn",
        "saturated slope leaks",
        "In single precision a shut tanh keeps a slope of 0.0001, as from a table that ends too early.",
        "extremes",
        backward=_leak_when_saturated,
        cases=_plain("simple_rnn"),
    ),
    op_fault(
        "lstm",
        "LSTM gate order",
        "The weights' gradients come back in the order i, f, o, g while the weights have i, f, g, o.",
        "gradient",
        backward=_gates_exchanged,
        cases=_plain("lstm"),
    ),
    kernel_fault(
        "lstm",
        "fast body with another gate order",
        "It takes the weights' blocks for those of a library that has i, o, f, g.",
        body=_other_order,
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "cell path forgotten",
        "The memory's gradient does not go on to the step before: what the gates protect is lost.",
        "gradient",
        backward=_memory_not_carried,
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "cell path without its gate",
        "The memory's gradient goes on to the step before without the forget gate.",
        "gradient",
        backward=lambda dy, call: _lstm(dy, call, "forget gate"),
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "forget gate with the new memory",
        "The forget gate's gradient has c_t where c_(t-1) belongs.",
        "gradient",
        backward=lambda dy, call: _lstm(dy, call, "memory"),
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "memory's tanh forgotten",
        "The state's gradient reaches the memory without the slope of tanh(c).",
        "gradient",
        backward=lambda dy, call: _lstm(dy, call, "tanh"),
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "last memory's gradient ignored",
        "The memory is an output too, but nobody asks what comes back to it.",
        "gradient",
        backward=lambda dy, call: call.right([dy[0], None]),
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "initial memory's gradient dropped",
        "The initial state gets its gradient, the initial memory none.",
        "gradient",
        "deep-learning-from-scratch-2 (TimeLSTM keeps dh only)",
        backward=_initial_state_dropped,
        cases=_plain("lstm"),
    ),
    op_fault(
        "lstm",
        "mask ignored in backward",
        "Steps that are left out forward get a gradient all the same.",
        "gradient",
        backward=_mask_ignored,
        cases=_masked("lstm"),
    ),
    op_fault(
        "gru",
        "masked step stops the gradient",
        "At a step that is left out the state's gradient is set to zero instead of going on as it is.",
        "gradient",
        backward=_mask_stops,
        cases=_masked("gru"),
    ),
    op_fault(
        "gru",
        "recurrent dropout forgotten in backward",
        "States that were left out on their way into the product get a gradient.",
        "gradient",
        backward=_dropout_forgotten,
        cases=_cases("gru", "dropout and mask"),
    ),
    op_fault(
        "gru",
        "reset gate on the other side",
        "Forward applies it after the product with R (reset_after), backward before it.",
        "gradient",
        backward=lambda dy, call: call.at(reset_after=False).right(dy),
        cases=_cases("gru", "no bias, no initial state"),
    ),
    op_fault(
        "gru",
        "reset gate forgotten",
        "The candidate's block of the recurrent kernel gets its gradient without r.",
        "gradient",
        backward=_reset_gate_forgotten,
        cases=_plain("gru"),
    ),
    op_fault(
        "gru",
        "update gate the other way round",
        "Two papers mixed: forward keeps z of the old state, backward's gate keeps 1-z of it.",
        "gradient",
        backward=_update_gate_the_other_way,
        cases=_plain("gru"),
    ),
    op_fault(
        "gru",
        "one bias for both",
        "With reset_after there are two biases; the second gets the gradient of the first.",
        "gradient",
        backward=_one_bias_for_both,
        cases=_plain("gru"),
    ),
]

"""Mistakes in optimizers and learning-rate schedules."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.faults.fault import STUDENTS, Fault
from tinymed.gradcheck.report import Row
from tinymed.gradcheck.updates import check_optimizer, check_schedule, optimizer_classes, schedule_classes

Step = Callable[[Any, Any, Any, tuple, float], None]
"""A wrong step: optimizer, weight, gradient, slots, learning rate; writes into weight and slots."""


def _optimizer_fault(target: str, name: str, wrong: str, step: Step, seen_in: str = STUDENTS) -> Fault:
    def rows(seed: int) -> Iterator[Row]:
        right = optimizer_classes()[target]
        cls = type(target, (right,), {"step": lambda self, *args: step(self, *args)})
        yield from check_optimizer(cls, seed)

    return Fault(name, wrong, target, "updates", seen_in, rows=rows)


def _schedule_fault(target: str, name: str, wrong: str, rate: Callable[[Any, int], float]) -> Fault:
    def rows(seed: int) -> Iterator[Row]:
        right = schedule_classes()[target]
        cls = type(target, (right,), {"__call__": lambda self, step: rate(right.__call__.__get__(self), step)})
        yield from check_schedule(cls)

    return Fault(name, wrong, target, "updates", STUDENTS, rows=rows)


def _right(optimizer: Any, *args: Any) -> None:
    type(optimizer).__mro__[1].step(optimizer, *args)  # type: ignore[attr-defined]


def _adam_without_correction(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    m, v = slots[:2]
    m[...] = o.beta_1 * m + (1 - o.beta_1) * g
    v[...] = o.beta_2 * v + (1 - o.beta_2) * g * g
    w[...] = w - rate * m / (array_namespace(w).sqrt(v) + o.epsilon)


def _adam_counts_from_two(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    o.iterations += 1
    try:
        _right(o, w, g, slots, rate)
    finally:
        o.iterations -= 1


def _adam_epsilon_inside(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    m, v = slots[:2]
    t = o.iterations + 1
    m[...] = o.beta_1 * m + (1 - o.beta_1) * g
    v[...] = o.beta_2 * v + (1 - o.beta_2) * g * g
    m_hat, v_hat = m / (1 - o.beta_1**t), v / (1 - o.beta_2**t)
    w[...] = w - rate * m_hat / array_namespace(w).sqrt(v_hat + o.epsilon)


def _decay_twice(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    w[...] = w - rate * (o.weight_decay or 0.0) * w
    _right(o, w, g, slots, rate)


def _decay_through_gradient(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    decay, o.weight_decay = o.weight_decay, 0.0
    try:
        _right(o, w, g + (decay or 0.0) * w, slots, rate)
    finally:
        o.weight_decay = decay


def _amsgrad_forgets_maximum(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    if slots[2] is not None:
        slots[2][...] = 0.0 * slots[2]
    _right(o, w, g, slots, rate)


def _momentum_damped(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    _right(o, w, (1 - o.momentum) * g, slots, rate)


def _nesterov_forgotten(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    nesterov, o.nesterov = o.nesterov, False
    try:
        _right(o, w, g, slots, rate)
    finally:
        o.nesterov = nesterov


def _sgd_uphill(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    _right(o, w, -g, slots, rate)


def _rho_exchanged(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    rho, o.rho = o.rho, 1 - o.rho
    try:
        _right(o, w, g, slots, rate)
    finally:
        o.rho = rho


def _centered_forgotten(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    if slots[2] is not None:
        slots[2][...] = -(1 - o.rho) / o.rho * g
    _right(o, w, g, slots, rate)


def _adagrad_forgets(o: Any, w: Any, g: Any, slots: tuple, rate: float) -> None:
    slots[0][...] = 0.0 * slots[0] + o.initial_accumulator_value
    _right(o, w, g, slots, rate)


def _clips_each_tensor(seed: int) -> Iterator[Row]:
    """Shorten each gradient to the common limit, instead of all of them together."""
    right = optimizer_classes()["SGD"]

    def update(self: Any, params: Any, grads: Any) -> None:
        limit = self.global_clipnorm
        if limit:
            norms = importlib.import_module("tinymed.ops.clipping")
            grads = {name: norms.clip_by_norm(g, limit) for name, g in grads.items()}
            self.global_clipnorm = None
        try:
            right.update(self, params, grads)  # type: ignore[attr-defined]
        finally:
            self.global_clipnorm = limit

    yield from check_optimizer(type("SGD", (right,), {"update": update}), seed)


def _schedule_late(seed: int) -> Iterator[Row]:
    """Ask the schedule for the step after this one."""
    right = optimizer_classes()["Adam"]

    def current(self: Any) -> float:
        rate = self.learning_rate
        return float(rate(self.iterations + 1)) if callable(rate) else float(rate)

    yield from check_optimizer(type("Adam", (right,), {"current_learning_rate": current}), seed)


FAULTS: list[Fault] = [
    _optimizer_fault(
        "Adam",
        "Adam without bias correction",
        "The means start at zero and nothing makes up for it: the first steps are wrong.",
        _adam_without_correction,
    ),
    _optimizer_fault("Adam", "Adam counts from two", "The step is counted before it is used.", _adam_counts_from_two),
    _optimizer_fault(
        "Adam",
        "Adam's epsilon inside the root",
        "sqrt(v + ε) instead of sqrt(v) + ε.",
        _adam_epsilon_inside,
    ),
    _optimizer_fault(
        "Adam",
        "AMSGrad without its memory",
        "The largest mean of squares so far is forgotten at each step.",
        _amsgrad_forgets_maximum,
    ),
    _optimizer_fault("AdamW", "weight decay applied twice", "The weights shrink twice per step.", _decay_twice),
    _optimizer_fault(
        "AdamW",
        "weight decay through the gradient",
        "The decay is added to the gradient, where Adam's scaling undoes most of it.",
        _decay_through_gradient,
        "Adam with an L2 penalty, before AdamW (Loshchilov and Hutter 2019)",
    ),
    _optimizer_fault("SGD", "uphill", "The gradient is added instead of subtracted.", _sgd_uphill),
    _optimizer_fault("SGD", "momentum damped", "The gradient enters with 1-μ, as in Adam.", _momentum_damped),
    _optimizer_fault("SGD", "Nesterov forgotten", "nesterov=True does nothing.", _nesterov_forgotten),
    _optimizer_fault("RMSprop", "ρ and 1-ρ exchanged", "The mean of squares forgets almost all.", _rho_exchanged),
    _optimizer_fault(
        "RMSprop", "centered RMSprop not centered", "The mean gradient is not subtracted.", _centered_forgotten
    ),
    _optimizer_fault("Adagrad", "Adagrad forgets", "The sum of squares starts anew at each step.", _adagrad_forgets),
    Fault(
        "global norm clipped one by one",
        "Each gradient is shortened to the limit by itself, which changes the direction of the whole step.",
        "SGD",
        "updates",
        STUDENTS,
        rows=_clips_each_tensor,
    ),
    Fault(
        "schedule asked one step late",
        "The optimizer asks for the learning rate of the next step.",
        "Adam",
        "updates",
        STUDENTS,
        rows=_schedule_late,
    ),
    _schedule_fault(
        "ExponentialDecay",
        "schedule off by one",
        "The rate falls one step early.",
        lambda right, step: right(step + 1),
    ),
    _schedule_fault(
        "PiecewiseConstantDecay",
        "boundary counted to the next piece",
        "At a boundary the next value holds already.",
        lambda right, step: right(step + 1),
    ),
    _schedule_fault(
        "CosineDecay",
        "cosine turns up again",
        "Beyond its end the cosine rises again instead of staying down.",
        lambda right, step: right(step if step <= 6 else max(0, 12 - step)),
    ),
]

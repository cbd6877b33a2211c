"""What a fault is, and how a wrong body is put in the place of the right one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from tinymed.backend import array_namespace, device_of
from tinymed.gradcheck.adapters import subject_of_layer, subject_of_loss, subject_of_op
from tinymed.gradcheck.case import LayerCase, LossCase, OpCase
from tinymed.gradcheck.cases import op_cases
from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Subject
from tinymed.ops.registry import REGISTRY, Operation, OpFunction

STUDENTS = "students"
"""Seen in coursework, in no named engine."""

ALL_ONES = "passes the all-ones checks of DeZero, numpy-ml, minitorch, tinygrad"
"""Invisible to a check whose upstream gradient is all ones, as these engines' checks have it."""


@dataclass(frozen=True)
class Fault:
    """A plausible mistake, and the check that must find it.

    Arguments:
        name: In a few words.
        wrong: What is wrong, in one sentence.
        target: The operation, layer, loss, optimizer or schedule whose place it takes.
        caught_by: Name of the check that must fail.
        seen_in: The public engine that had it, or "students".
        subjects: Yields what to check, with the mistake built in; for optimizers and schedules see ``rows``.
        rows: Yields findings directly, given a seed, where there is no backward to check.
    """

    name: str
    wrong: str
    target: str
    caught_by: str
    seen_in: str
    subjects: Callable[[], Iterable[Subject]] | None = None
    rows: Callable[[int], Iterable[Row]] | None = None

    def findings(self, seed: int = 0, only: Iterable[str] | None = None) -> Iterator[Row]:
        """Yield the checks' findings on the faulty thing."""
        from tinymed.gradcheck.runner import run_checks

        if self.rows is not None:
            yield from self.rows(seed)
        for subject in self.subjects() if self.subjects is not None else ():
            yield from run_checks(subject, seed, only)

    def catch(self, seed: int = 0) -> Row | None:
        """Return the first finding of the expected check that fails, or None if the mistake gets through.

        An exception counts as a catch only where the mistake is one that raises.
        """
        for row in self.findings(seed, [self.caught_by]):
            if not row.ok and row.check == self.caught_by and not row.note.startswith(_CRASHES):
                return row
        return None


_CRASHES = ("AttributeError", "NameError", "TypeError", "KeyError", "ImportError")


@dataclass
class Call:
    """One call of a right operation: its arguments, its result, and its right backward."""

    operation: Operation
    arguments: dict[str, Any]
    y: Any = None
    cache: Any = None
    memory: dict[str, Any] = field(default_factory=dict)
    """What a mistake remembers from call to call, shared by all calls of one faulty operation."""

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.operation.forward).parameters
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for name, value in self.arguments.items():
            if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                positional += value
            elif not positional and not keywords:
                positional.append(value)
            else:
                keywords[name] = value
        self.y, self.cache = self.operation.forward(*positional, **keywords)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def right(self, dy: Any) -> Any:
        """Return the right gradients."""
        return self.operation.backward(dy, self.cache)

    def at(self, **changes: Any) -> Call:
        """Return the same call with other arguments: much that goes wrong is the right backward of the wrong thing."""
        return Call(self.operation, {**self.arguments, **changes}, memory=self.memory)


def fresh(shape: tuple[int, ...], like: Any) -> Any:
    """Return zeros of the library, device and dtype of ``like``."""
    return array_namespace(like).zeros(shape, dtype=like.dtype, device=device_of(like))


WrongForward = Callable[[Call], Any]
WrongBackward = Callable[[Any, Call], Any]


def faulty(right: Operation, forward: WrongForward | None = None, backward: WrongBackward | None = None) -> Operation:
    """Return an operation like ``right`` with another output or another gradient."""
    signature = inspect.signature(right.forward)
    memory: dict[str, Any] = {}

    @functools.wraps(right.forward, updated=())
    def wrong_forward(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        call = Call(right, dict(bound.arguments), memory=memory)
        return (call.y if forward is None else forward(call)), call

    def wrong_backward(dy: Any, call: Call) -> Any:
        return call.right(dy) if backward is None else backward(dy, call)

    operation = Operation(right.name, cast(OpFunction, wrong_forward))
    operation.backward = cast(OpFunction, wrong_backward)
    return operation


def op_fault(
    target: str,
    name: str,
    wrong: str,
    caught_by: str,
    seen_in: str = STUDENTS,
    *,
    forward: WrongForward | None = None,
    backward: WrongBackward | None = None,
    cases: Iterable[OpCase] | None = None,
) -> Fault:
    """Return the fault of an operation whose forward or backward is replaced; ``cases`` as the operation has them."""

    def subjects() -> Iterator[Subject]:
        operation = faulty(REGISTRY[target], forward, backward)
        for case in cases if cases is not None else [c for c in op_cases() if c.op == target]:
            yield dataclasses.replace(subject_of_op(case, operation), textbook_only=True)

    return Fault(name, wrong, target, caught_by, seen_in, subjects)


def kernel_fault(
    target: str,
    name: str,
    wrong: str,
    body: Callable[..., Any],
    caught_by: str = "agreement",
    seen_in: str = STUDENTS,
    cases: Iterable[OpCase] | None = None,
) -> Fault:
    """Return the fault of a fast body: ``body(right_forward)`` makes the forward that NumPy arrays get."""

    def subjects() -> Iterator[Subject]:
        from tinymed.ops.registry import _dispatching

        right = REGISTRY[target]
        operation = Operation(target, _dispatching(right.forward.textbook))
        operation.forward.register(np.ndarray)(body(right.forward))
        operation.backward = right.backward
        for case in cases if cases is not None else [c for c in op_cases() if c.op == target]:
            yield subject_of_op(case, operation)

    return Fault(name, wrong, target, caught_by, seen_in, subjects)


def layer_fault(
    target: str,
    name: str,
    wrong: str,
    caught_by: str,
    seen_in: str,
    make: Callable[[], Any],
    input_shape: Any,
    *,
    training: bool = True,
    random: bool = False,
) -> Fault:
    """Return the fault of a layer; ``make`` builds the wrong one."""

    def subjects() -> Iterator[Subject]:
        subject = subject_of_layer(LayerCase(make, input_shape), training)
        subject.random = random
        yield subject

    return Fault(name, wrong, target, caught_by, seen_in, subjects)


def loss_fault(
    target: str,
    name: str,
    wrong: str,
    caught_by: str,
    seen_in: str,
    case: Callable[[], LossCase],
    *,
    forward: Callable[..., Any] | None = None,
    backward: Callable[[Any, Mapping[str, Any]], Any] | None = None,
) -> Fault:
    """Return the fault of a loss.

    ``forward(right, y_true, y_pred, sample_weight)`` gives the wrong loss, ``backward(right, arguments)`` the wrong
    gradient from the right one and the call's arguments (with ``loss``, the loss object).
    """

    def subjects() -> Iterator[Subject]:
        chosen = case()
        yield subject_of_loss(chosen, _FaultyLoss(chosen.make(), forward, backward))

    return Fault(name, wrong, target, caught_by, seen_in, subjects)


class _FaultyLoss:
    """A loss whose value or gradient is replaced."""

    def __init__(self, right: Any, forward: Any, backward: Any) -> None:
        self.right, self.wrong_forward, self.wrong_backward = right, forward, backward

    def forward(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Any, Any]:
        loss, cache = self.right.forward(y_true, y_pred, sample_weight=sample_weight)
        arguments = {"loss": self.right, "y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
        if self.wrong_forward is not None:
            loss = self.wrong_forward(loss, y_true, y_pred, sample_weight)
        return loss, (cache, arguments)

    def backward(self, cache: Any, dloss: Any = 1.0) -> Any:
        tape, arguments = cache
        if self.wrong_backward is None:
            return self.right.backward(tape, dloss)
        return dloss * self.wrong_backward(self.right.backward(tape), arguments)

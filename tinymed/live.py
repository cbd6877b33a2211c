"""Numbers that change from step to step, such as a learning rate or the counter of random draws (floor 0).

A GPU may record a whole training step and replay it (see :mod:`tinymed.models.capturing`). What is a Python number then
is the same at every replay. A number that is to change takes this way instead:

* who knows the number says ``live(function)`` in the place of ``function()``;
* who computes with it says ``number(like, formula, *arguments)`` in the place of ``formula(*arguments)``.

Outside a recording both return what the function returns, a Python number, and nothing else happens:

>>> rate = live(lambda: 0.5)
>>> rate, number(None, lambda rate, decay: rate * decay, rate, 0.1)
(0.5, 0.05)

Inside, ``live`` returns the function itself, wrapped, and ``number`` a place on the device (a 0-d array) into which the
formula's value is written before each replay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol

from tinymed.backend import Array


class Live:
    """A number that must be asked for at each step; it can be called, and nothing else.

    Arguments:
        function: Returns the number of the next step.
        shared: Whether all who ask within one step mean the same number (a learning rate), so that one place will do;
            otherwise each asks for a new one (random draws).
    """

    __slots__ = ("function", "shared")

    def __init__(self, function: Callable[[], Any], shared: bool = False) -> None:
        self.function, self.shared = function, shared

    def __call__(self) -> Any:
        """Return the number of the next step."""
        return self.function()

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Live) and self.shared and other.shared and self.function == other.function
        return self is other or same

    def __hash__(self) -> int:
        return hash(self.function) if self.shared else id(self)

    def __bool__(self) -> bool:
        raise TypeError("a number that changes from step to step decides nothing in a step that is recorded")


class Recorder(Protocol):
    """What records a step."""

    def place(self, like: Array, formula: Callable[..., Any], arguments: tuple[Any, ...], dtype: str | None) -> Array:
        """Return the place on the device of ``like`` that will hold ``formula(*arguments)`` at each replay."""


_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Let ``recorder`` find places for the numbers that change, inside the ``with`` block."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def live(function: Callable[[], Any], shared: bool = False) -> Any:
    """Return ``function()``; in a step that is being recorded, what asks the function at each replay.

    Arguments:
        function: Returns the number of the next step.
        shared: Whether all who ask within one step mean the same number.
    """
    return function() if _recorder.get() is None else Live(function, shared)


def number(like: Array, formula: Callable[..., Any], *arguments: Any, dtype: str | None = None) -> Any:
    """Return ``formula(*arguments)``; if one of them is live, the place on the device where its value will stand.

    Arguments:
        like: An array on the device where the number is needed; the place has its dtype, unless told.
        formula: A pure function on Python numbers.
        *arguments: Numbers, some of them perhaps live.
        dtype: dtype name of the place.
    """
    recorder = _recorder.get()
    if recorder is not None and any(isinstance(a, Live) for a in arguments):
        return recorder.place(like, formula, arguments, dtype)
    return formula(*arguments)


def itself(x: Any) -> Any:
    """Return ``x``: the formula of a number that is needed as it is."""
    return x


def value(formula: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return ``formula(*arguments)``, live arguments having been asked."""
    return formula(*(a() if isinstance(a, Live) else a for a in arguments))

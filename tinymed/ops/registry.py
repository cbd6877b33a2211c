"""The register of operations: each formula, its backward, and the faster bodies that kernels add.

``@op`` registers a forward function, ``@backward_of(forward)`` its backward. Both become dispatchers on
the type of their first argument: NumPy arrays may get a Numba body, CuPy arrays a CUDA body, every other
array the textbook body that stands in the source. The kernels are loaded when the first such array arrives.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, cast


class OpFunction(Protocol):
    """A dispatching function: call it, read its ``textbook`` body, or ``register(type)`` a faster one."""

    __name__: str
    textbook: Callable[..., Any]
    register: Callable[[type], Callable[[Callable[..., Any]], Callable[..., Any]]]
    bodies: dict[type, Callable[..., Any]]
    body_for: Callable[[Any], Callable[..., Any]]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the body for the type of the first argument."""


@dataclass
class Operation:
    """A forward function and its backward, under one name.

    ``forward(x, ...)`` returns ``(y, cache)``; ``backward(dy, cache)`` returns the gradient of the one
    differentiable input, or a tuple of gradients in the order of the forward's arguments.
    """

    name: str
    forward: OpFunction
    backward: OpFunction = field(init=False)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __deepcopy__(self, memo: Any) -> Operation:
        """Return the operation itself: a copied layer has the registered operation, as every layer has."""
        return self


REGISTRY: dict[str, Operation] = {}

UPDATES: dict[str, OpFunction] = {}
"""The optimizers' formulas, which have no backward; they dispatch as operations do."""

HELPERS: dict[str, OpFunction] = {}
"""Other functions that have no backward (random masks); they dispatch on the type of their first argument too."""

_KERNELS = {"numpy": "tinymed.kernels.cpu", "cupy": "tinymed.kernels.gpu"}
_textbook_only: ContextVar[bool] = ContextVar("textbook_only", default=False)


@functools.cache
def _with_kernels(cls: Any) -> Any:
    """Load the kernels for the library that the class ``cls`` comes from, if there are any, and return ``cls``."""
    module = _KERNELS.get(cls.__module__.partition(".")[0])
    if module is not None:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            # Kernels are an addition: without the package everything still works, only slower.
            if not (error.name or "").startswith("tinymed.kernels"):
                raise
    return cls


@contextlib.contextmanager
def textbook() -> Iterator[None]:
    """Run only the textbook bodies inside the ``with`` block: for reading, debugging and comparison.

    >>> import numpy as np
    >>> from tinymed.ops import dense
    >>> with textbook():
    ...     y, cache = dense(np.ones((1, 2)), np.ones((2, 1)))
    >>> y
    array([[2.]])
    """
    token = _textbook_only.set(True)
    try:
        yield
    finally:
        _textbook_only.reset(token)


def _dispatching(function: Callable[..., Any], widens: bool = True) -> OpFunction:
    by_type = functools.singledispatch(function)

    def body_for(first: Any) -> Callable[..., Any]:
        return function if _textbook_only.get() else by_type.dispatch(_with_kernels(first.__class__))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        first: Any = _first_array(args[0] if args else next(iter(kwargs.values()), None))
        body = body_for(first)
        for x in (first, *args) if widens else ():
            if hasattr(x, "dtype") and _is_half(x):
                return _in_single_precision(body, args, kwargs)
        return body(*args, **kwargs)

    result = cast(Any, call)
    result.textbook = function
    result.register = by_type.register
    result.bodies = by_type.registry
    result.body_for = body_for
    return cast(OpFunction, result)


def _first_array(x: Any) -> Any:
    """Return ``x``, or the first array of a list: the gradients of an operation with several outputs."""
    return next((item for item in x if item is not None), None) if isinstance(x, list) else x


def _is_half(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    return getattr(dtype, "itemsize", 0) == 2 and getattr(dtype, "kind", "") == "f"


def _in_single_precision(body: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Run ``body`` on float16 arrays in float32, so that its sums do not overflow, and round only the results."""
    half = next(x.dtype for x in map(_first_array, args) if _is_half(x))

    def wide(x: Any) -> Any:
        if isinstance(x, list):
            return [wide(item) for item in x]
        return x.astype("float32") if _is_half(x) else x

    def narrow(x: Any) -> Any:
        if isinstance(x, list):
            return [narrow(item) for item in x]
        return x.astype(half) if getattr(getattr(x, "dtype", None), "kind", "") == "f" else x

    result = body(*map(wide, args), **{name: wide(x) for name, x in kwargs.items()})
    if not isinstance(result, tuple):
        return narrow(result)
    return tuple(narrow(item) for item in result)  # a forward's cache is no array: it stays in float32


def op(function: Callable[..., Any]) -> OpFunction:
    """Register ``function`` as the forward of a new operation; its backward must follow."""
    name = function.__name__
    if name in REGISTRY:
        raise ValueError(f"an operation named {name!r} is registered already")
    forward = _dispatching(function)
    REGISTRY[name] = Operation(name, forward)
    return forward


def backward_of(forward: OpFunction) -> Callable[[Callable[..., Any]], OpFunction]:
    """Register the decorated function as the backward of ``forward``."""

    def decorate(function: Callable[..., Any]) -> OpFunction:
        backward = _dispatching(function)
        REGISTRY[forward.__name__].backward = backward
        return backward

    return decorate


def update(function: Callable[..., Any]) -> OpFunction:
    """Register ``function`` as one step of an optimizer: ``(param, grad, slots...) -> (param, slots...)``.

    What is called takes lists of weights too, with lists of gradients, of each slot, and in ``out``: a body that says
    ``takes_lists`` takes the step for all of them at once, any other body for one after the other.
    """
    name = function.__name__
    if name in UPDATES:
        raise ValueError(f"an update named {name!r} is registered already")
    one = _dispatching(function)

    @functools.wraps(one)
    def call(*args: Any, out: Any = None, **options: Any) -> Any:
        if not args or not isinstance(args[0], list) or getattr(one.body_for(args[0][0]), "takes_lists", False):
            return one(*args, **options) if out is None else one(*args, out=out, **options)
        results = []
        for i in range(len(args[0])):
            own = (a[i] if isinstance(a, list) else a for a in args)
            target = None if out is None else tuple(None if a is None else a[i] for a in out)
            results.append(one(*own, out=target, **options))
        return tuple(None if slot[0] is None else list(slot) for slot in zip(*results, strict=True))

    UPDATES[name] = cast(OpFunction, call)
    return UPDATES[name]


def helper(function: Callable[..., Any]) -> OpFunction:
    """Register ``function``, which has no backward, so that kernels may replace it.

    Its first argument is an array; float16 is passed on as it is.
    """
    name = function.__name__
    if name in HELPERS:
        raise ValueError(f"a helper named {name!r} is registered already")
    HELPERS[name] = _dispatching(function, widens=False)
    return HELPERS[name]

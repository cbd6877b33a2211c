"""Activations by name, with Keras's names and arguments (floor 4).

Each function takes an array and returns only the result; the formula and its backward are the operation of the same
name in :mod:`tinymed.ops.activations`, :mod:`tinymed.ops.activations_smooth` or :mod:`tinymed.ops.softmax`.

>>> relu([-1.0, 2.0])
array([0., 2.], dtype=float32)
>>> pair("relu")
<operation relu>

Layers use :func:`pair`, because they need the backward too. An activation of one's own is a pair of functions under
``@op`` and ``@backward_of`` (see :mod:`tinymed.ops.registry`); the first of them is then a valid ``activation=``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tinymed import backend, ops
from tinymed.backend import Array, array_namespace
from tinymed.configurable import resolve
from tinymed.ops.registry import REGISTRY, Operation, OpFunction

Function = Callable[..., Array]


def _function(operation: OpFunction) -> Function:
    """Make the function that returns only ``y`` of ``(y, cache)``."""

    def function(x: Any, *args: Any, **kwargs: Any) -> Array:
        return operation(_floating(x), *args, **kwargs)[0]

    name, summary = operation.__name__, (operation.__doc__ or "").partition("\n")[0]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{summary}\n\nReturns only y; the formula and its backward: ``tinymed.ops.{name}``."
    signature = inspect.signature(operation.textbook)
    function.__signature__ = signature.replace(return_annotation="Array")  # type: ignore[attr-defined]
    return function


def _floating(x: Any) -> Array:
    """Return ``x`` as an array of floating-point numbers."""
    x = x if hasattr(x, "dtype") else backend.asarray(x, dtype=backend.floatx())
    xp = array_namespace(x)
    return x if xp.isdtype(x.dtype, ("real floating", "complex floating")) else backend.asarray(x, backend.floatx())


elu = _function(ops.elu)
exponential = _function(ops.exponential)
gelu = _function(ops.gelu)
hard_sigmoid = _function(ops.hard_sigmoid)
leaky_relu = _function(ops.leaky_relu)
linear = _function(ops.linear)
log_softmax = _function(ops.log_softmax)
mish = _function(ops.mish)
relu = _function(ops.relu)
relu6 = _function(ops.relu6)
selu = _function(ops.selu)
sigmoid = _function(ops.sigmoid)
silu = swish = _function(ops.silu)
softmax = _function(ops.softmax)
softplus = _function(ops.softplus)
softsign = _function(ops.softsign)
tanh = _function(ops.tanh)

_FUNCTIONS: dict[str, Function] = {
    function.__name__: function
    for function in (
        elu,
        exponential,
        gelu,
        hard_sigmoid,
        leaky_relu,
        linear,
        log_softmax,
        mish,
        relu,
        relu6,
        selu,
        sigmoid,
        silu,
        softmax,
        softplus,
        softsign,
        tanh,
    )
}
_NAMES: dict[str, str] = {name: name for name in _FUNCTIONS} | {"swish": "silu"}


def get(identifier: Any) -> Function:
    """Return the function that a name means; a function is returned as it is, and None means :func:`linear`.

    >>> get("swish").__name__
    'silu'
    """
    if callable(identifier) and not _is_operation(identifier):
        return identifier
    operation = pair(identifier)
    return _FUNCTIONS.get(operation.name) or _function(operation.forward)


def pair(identifier: Any) -> Operation:
    """Return the operation, forward and backward, that an ``activation=`` argument means.

    Args:
        identifier: None (linear), a name, a function of this module, or an operation (one's own included).

    Raises:
        ValueError: If the name is unknown; the message says which valid name is nearest.
        TypeError: If it is a function without a backward.
    """
    if identifier is None:
        return REGISTRY["linear"]
    if isinstance(identifier, Operation):
        return identifier
    if isinstance(identifier, str):
        return REGISTRY[resolve(identifier, _NAMES, "activation")]
    name = getattr(identifier, "__name__", "")
    if _is_operation(identifier) or _FUNCTIONS.get(name) is identifier:
        return REGISTRY[name]
    if hasattr(identifier, "forward"):
        raise TypeError(f"activation={identifier!r} is a layer; leave activation out and add the layer after this one")
    what = "is no name or function" if not callable(identifier) else "has no backward"
    raise TypeError(
        f"activation={identifier!r} {what}. Use a name such as 'relu', or write the function and its derivative as a "
        "pair under @tinymed.ops.op and @tinymed.ops.backward_of, and give the first of them"
    )


def _is_operation(identifier: Any) -> bool:
    operation = REGISTRY.get(getattr(identifier, "__name__", ""))
    return isinstance(identifier, Operation) or (operation is not None and operation.forward is identifier)

"""Objects that know their own arguments, and names that find their objects (floor 0).

One rule keeps this short: *every constructor argument is kept under its own name*. ``get_config`` reads
the arguments back from the attributes, ``from_config`` calls the constructor with them.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T", bound="Configurable")


class Configurable:
    """Base of layers, initializers, regularizers, losses, metrics, optimizers and schedules."""

    @classmethod
    def _argument_names(cls) -> list[str]:
        names: list[str] = []
        for base in cls.__mro__:
            if "__init__" not in vars(base) or base is object:
                continue
            parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
            names += [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
        return list(dict.fromkeys(names))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values that JSON can hold."""
        return {name: serialize(getattr(self, name)) for name in self._argument_names() if hasattr(self, name)}

    @classmethod
    def from_config(cls: type[T], config: Mapping[str, Any]) -> T:
        """Build an object from what ``get_config`` returned."""
        return cls(**config)


def serialize(value: Any) -> Any:
    """Turn an argument into plain data: objects become ``{"class_name", "config"}``, functions their name."""
    if isinstance(value, Configurable):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if isinstance(value, list | tuple):
        return [serialize(item) for item in value]
    if isinstance(value, dict):
        return {key: serialize(item) for key, item in value.items()}
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if hasattr(value, "name") and hasattr(value, "forward"):  # an Operation used as an activation
        return value.name
    if callable(value):
        return value.__name__
    return value


def resolve(identifier: Any, choices: Mapping[str, Any], what: str) -> Any:
    """Find the object that a name means, ``choices`` being every valid name.

    ``identifier`` may be a name, a ``{"class_name", "config"}`` mapping, a class, or an object (returned as it is).

    >>> resolve("sgdd", {"sgd": 1, "adam": 2}, "optimizer")
    Traceback (most recent call last):
    ...
    ValueError: unknown optimizer 'sgdd'; did you mean 'sgd'?
    """
    config: Mapping[str, Any] = {}
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        identifier, config = identifier["class_name"], identifier["config"]
    if isinstance(identifier, str):
        found = choices.get(identifier, choices.get(identifier.lower()))
        if found is None:
            near = difflib.get_close_matches(identifier.lower(), [name.lower() for name in choices], n=1, cutoff=0.5)
            names = {name.lower(): name for name in reversed(list(choices))}
            advice = f"did you mean {names[near[0]]!r}?" if near else f"choose one of {', '.join(sorted(choices))}"
            raise ValueError(f"unknown {what} {identifier!r}; {advice}")
        identifier = found
    if isinstance(identifier, type):
        return identifier(**config)
    return identifier


def check_arguments(owner: str, kwargs: Mapping[str, Any], allowed: Mapping[str, Any] | list[str]) -> None:
    """Raise TypeError for the first of ``kwargs`` that ``owner`` does not take, with the nearest name that it does."""
    for name in kwargs:
        near = difflib.get_close_matches(name, list(allowed), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"{owner} takes no argument {name!r}{hint}")

"""Everything that belongs to a model, by its place: to see what a step changes, and to go back.

Nobody declares what a step changes; it is found by looking before and after. That holds for layers, losses and
metrics of one's own too.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from tinymed import backend
from tinymed.backend import Array, array_namespace
from tinymed.configurable import Configurable
from tinymed.models.objective import Objective
from tinymed.models.scores import Scores

Place = tuple[Any, Any, Any]
"""A container (an object's attributes, a dict, a list), a key in it, and what was found there."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_PASSED_OVER = frozenset(("stop_training", "history", "metadata", "capture_reason", "_compiled"))
_LIVE = frozenset(("_learning_rate",))  # asked for at each step, if it is a number


class Places:
    """What belongs to a model at one moment: layers, optimizer, losses and metrics, down to arrays and numbers.

    Arguments:
        model: The model.

    Attributes:
        inner: The places of what contains others, by path.
        leaves: The places of all the rest.
    """

    def __init__(self, model: Any) -> None:
        self.inner: dict[str, Place] = {}
        self.leaves: dict[str, Place] = {}
        self._seen: set[int] = set()
        self._enter("model", {"": model}, "")

    def _enter(self, path: str, container: Any, key: Any) -> None:
        found = container[key]
        an_object = isinstance(found, Configurable | Objective | Scores)
        inside = vars(found) if an_object else found
        if _plain(found) or not isinstance(inside, dict | list | tuple) or id(inside) in self._seen:
            self.leaves[path] = container, key, found
            return
        self._seen.add(id(inside))
        self.inner[path] = container, key, found
        if an_object and isinstance(getattr(found, "name", None), str):
            path = f"{path}({found.name})"
        for name in list(inside) if isinstance(inside, dict) else range(len(inside)):
            if not an_object:
                self._enter(f"{path}[{name}]", inside, name)
            elif name not in _PASSED_OVER:
                self._enter(f"{path}.{name}", inside, name)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays on the device."""
        return {path: found for path, (_, _, found) in self.leaves.items() if on_device(found)}

    def settings(self) -> dict[str, Any]:
        """Return what is neither an array nor a number that is asked for at each step."""
        return {
            path: found
            for path, (_, key, found) in self.leaves.items()
            if not on_device(found) and not (key in _LIVE and isinstance(found, float))
        }


class Saved:
    """A model's state at one moment, to compare with and to go back to.

    Arguments:
        model: The model; copies are made of all its arrays.
    """

    def __init__(self, model: Any) -> None:
        self.places = Places(model)
        self.values = {path: copied(array) for path, array in self.places.arrays().items()}

    def restore(self) -> None:
        """Put everything back: containers, numbers, arrays, and the arrays' values."""
        places = [*self.places.inner.values(), *self.places.leaves.values()]
        keys: dict[int, set] = {}
        for container, key, found in places:
            keys.setdefault(id(container), set()).add(key)
            if not isinstance(container, tuple):
                container[key] = found
        for _, _, found in self.places.inner.values():
            for key in list(found) if isinstance(found, dict) else []:
                if key not in keys.get(id(found), ()):
                    del found[key]
        for path, array in self.places.arrays().items():
            array[...] = self.values[path]

    def first_difference(self, model: Any) -> str | None:
        """Return the path of what is different in the model now, None if nothing is."""
        now = Places(model)
        if self.places.leaves.keys() != now.leaves.keys():
            return min(self.places.leaves.keys() ^ now.leaves.keys())
        settings, arrays = now.settings(), now.arrays()
        for path, setting in self.places.settings().items():
            if path not in settings or not same(setting, settings[path]):
                return path
        for path, array in self.values.items():
            if not alike(array, arrays.get(path)) or not _equal(array, arrays[path]):
                return path
        return None


def on_device(x: Any) -> bool:
    """Tell whether ``x`` is an array that lies on a device."""
    return hasattr(x, "dtype") and hasattr(x, "shape") and hasattr(x, "ndim") and not backend.is_host(x)


def copied(x: Array) -> Array:
    """Return a copy of an array."""
    return array_namespace(x).asarray(x, copy=True)


def alike(a: Array, b: Any) -> bool:
    """Tell whether ``b`` is an array of the shape and dtype of ``a``."""
    return on_device(b) and a.shape == b.shape and a.dtype == b.dtype


def same(a: Any, b: Any) -> bool:
    """Tell whether two settings are the same: one object, or equal numbers, names or methods."""
    return a is b or (type(a) is type(b) and (_plain(a) or isinstance(a, MethodType)) and a == b)


def _plain(x: Any) -> bool:
    return isinstance(x, _PLAIN) or (isinstance(x, tuple) and all(map(_plain, x)))


def _equal(a: Array, b: Array) -> bool:
    """Tell whether two arrays hold the same; two NaNs are the same."""
    xp = array_namespace(a)
    equal = a == b
    if xp.isdtype(a.dtype, "real floating"):
        equal = equal | ((a != a) & (b != b))
    return bool(backend.to_host(xp.all(equal)))

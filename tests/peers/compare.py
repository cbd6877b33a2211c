"""How close is equal, and what two constructors have in common."""

import inspect
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.configurable import serialize

OUTPUTS = 1e-5
"""Largest error of an output, as a part of the largest value in the tensor."""

GRADIENTS = 1e-4
"""The same for gradients."""


@dataclass(frozen=True)
class Row:
    """One configuration of one class, built in both libraries with the same arguments."""

    cls: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __str__(self):
        spelled = ",".join(f"{key}={value}" for key, value in self.kwargs.items())
        return f"{self.cls}({self.label or spelled})".replace(" ", "")


def generator(row):
    """Return random numbers that belong to one row, whatever other rows there are."""
    return np.random.default_rng(zlib.crc32(str(row).encode()))


def assert_close(actual, expected, tolerance, what):
    """Compare two arrays, relative to the largest expected value; shapes must be equal and NaN is never right."""
    actual, expected = host(actual), host(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape} instead of {expected.shape}"
    assert np.all(np.isfinite(expected)), f"{what}: the peer's values are not finite, which compares nothing"
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    scale = np.max(np.abs(expected), initial=0.0) or 1.0
    error = float(np.max(difference, initial=0.0) / scale)
    assert error <= tolerance, f"{what}: relative error {error:.2e} above {tolerance:.0e}"  # false for NaN


def host(x):
    """Return an array of any of the libraries as a NumPy array."""
    if hasattr(x, "detach"):
        return x.detach().numpy()
    if hasattr(x, "numpy"):
        return np.asarray(x.numpy())
    return backend.to_host(x)


def arguments(cls):
    """Return the constructor's parameters by name, inherited ones included where ``**kwargs`` passes them on."""
    found = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def keras_arguments(cls):
    """Return the parameters that Keras's constructor itself lists by name."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def positional(cls):
    """Return the names of the arguments that may be given by position, in order."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def plain(value):
    """Return a default or a configured argument in the form that both libraries share."""
    if isinstance(value, dict) and "class_name" in value:
        config = {key: plain(item) for key, item in value["config"].items() if key not in ("name", "dtype")}
        return {"class_name": value["class_name"], "config": config}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", value).lower() if value[:1].isupper() else value
    return serialize(value)


def same_meaning(ours, theirs):
    """Tell whether two arguments mean the same: 2 and (2, 2), ``((2, 1),)`` and ``(2, 1)``, names and objects."""
    ours, theirs = plain(ours), plain(theirs)
    for one, other in ((ours, theirs), (theirs, ours)):
        if isinstance(one, list) and one and all(item == other or item == [other, other] for item in one):
            return True
        if isinstance(one, dict) and isinstance(other, str):
            return plain(one["class_name"]) == other
    return ours == theirs


def check_arguments(ours, theirs, left_out):
    """Check names, order and defaults of a constructor's arguments against Keras's, which lack ``left_out`` here."""
    mine, keras_has = arguments(ours), keras_arguments(theirs)
    missing = set(keras_has) - set(mine) - set(left_out)
    assert not missing, f"{ours.__name__} lacks {sorted(missing)}"
    for name, wanted in keras_has.items():
        if name in mine and name != "name" and wanted.default is not wanted.empty:
            assert same_meaning(mine[name].default, wanted.default), (
                f"{ours.__name__}: {name} is {mine[name].default!r} by default, in Keras {wanted.default!r}"
            )
    by_place = [name for name in positional(ours) if name in keras_has]
    assert by_place == positional(theirs)[: len(by_place)], f"{ours.__name__}: other order than Keras"

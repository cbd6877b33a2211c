"""Optimizers and learning-rate schedules under Keras's names.

>>> import numpy as np
>>> weights = {"w": np.array([1.0])}
>>> optimizer = get("sgd")
>>> optimizer.update(weights, {"w": np.array([10.0])})
>>> weights["w"], optimizer.iterations
(array([0.9]), 1)
"""

from __future__ import annotations

from typing import Any

from tinymed.configurable import resolve
from tinymed.optimizers import schedules
from tinymed.optimizers.adagrad import Adagrad
from tinymed.optimizers.adam import Adam, AdamW
from tinymed.optimizers.base import Optimizer
from tinymed.optimizers.rmsprop import RMSprop
from tinymed.optimizers.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]

_CHOICES = {cls.__name__.lower(): cls for cls in (Adagrad, Adam, AdamW, RMSprop, SGD)}


def get(identifier: Any) -> Optimizer:
    """Return an optimizer.

    Args:
        identifier: A name (``"adam"``, ``"Adam"``), a ``{"class_name", "config"}`` mapping, a class, or an object.

    Raises:
        ValueError: If the name is unknown (the nearest one is named) or the object is no optimizer.
    """
    optimizer = resolve(identifier, _CHOICES, "optimizer")
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"an optimizer is a name or an object of tinymed.optimizers, got {identifier!r}")
    return optimizer

"""Penalties on weights under Keras's names, added to the loss of a model.

>>> import numpy as np
>>> L2(0.01)(np.array([3.0, 4.0]))
array(0.25)
"""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import Array, array_namespace, device_of
from tinymed.configurable import Configurable, resolve
from tinymed.ops.penalties import l1l2_penalty, l1l2_penalty_backward


class Regularizer(Configurable):
    """Base of all regularizers: ``forward`` gives the penalty, ``backward`` its gradient."""

    def forward(self, w: Array) -> tuple[Array, Any]:
        """Return ``(penalty, cache)`` for the weights ``w``; the penalty is one number on their device."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, cache: Any) -> Array:
        """Return ``dw``, the gradient of the penalty."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, w: Array) -> Array:
        """Return the penalty."""
        return self.forward(w)[0]


class L1L2(Regularizer):
    r"""The sum of both: $\lambda_1 \sum |w| + \lambda_2 \sum w^2$.

    Arguments:
        l1: Factor of the sizes; 0 (or None) leaves the term out.
        l2: Factor of the squares; 0 (or None) leaves the term out.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(l1, "l1", self)
        self.l2 = _factor(l2, "l2", self)

    def forward(self, w: Array) -> tuple[Array, Any]:
        """Return ``(penalty, cache)`` for the weights ``w``."""
        return l1l2_penalty(w, self.l1, self.l2)

    def backward(self, cache: Any) -> Array:
        """Return ``dw``, the gradient of the penalty."""
        w = cache[0]
        one = array_namespace(w).ones((), dtype=w.dtype, device=device_of(w))
        return l1l2_penalty_backward(one, cache)


class L1(L1L2):
    r"""$\lambda_1 \sum |w|$: drives weights that are of little use to exactly zero."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    r"""$\lambda_2 \sum w^2$: keeps weights small."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


def _factor(value: Any, name: str, owner: Regularizer) -> float:
    value = 0.0 if value is None else value
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{type(owner).__name__} needs {name}, a number from 0 up, but got {value!r}")
    return float(value)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Return an :class:`L1L2`; by default with both terms (older Keras spelling)."""
    return L1L2(l1, l2)


l1 = L1
l2 = L2

_CHOICES: dict[str, Any] = {"l1": L1, "l2": L2, "l1_l2": L1L2, "L1": L1, "L2": L2, "L1L2": L1L2, "l1l2": L1L2}


def get(identifier: Any) -> Any:
    """Return a regularizer.

    Args:
        identifier: A name (``"l1"``, ``"l2"``, ``"l1_l2"``; the factors are 0.01 then), a ``{"class_name", "config"}``
            mapping, a class, or an object with ``forward`` and ``backward``. None means none.

    Raises:
        ValueError: If the name is unknown or the object is no regularizer.
    """
    if identifier is None:
        return None
    if identifier in ("l1_l2", "l1l2", "L1L2"):
        return l1_l2()
    found = resolve(identifier, _CHOICES, "regularizer")
    if not hasattr(found, "forward") or not hasattr(found, "backward"):
        raise ValueError(
            f"a regularizer is a name or an object with forward and backward, got {identifier!r}; "
            "derive functions of your own from tinymed.regularizers.Regularizer"
        )
    return found

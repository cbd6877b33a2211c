"""What a check needs to know of an operation or a layer: example inputs, and what can be said about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator], np.ndarray]
"""Draws a float64 (or integer) host array."""


@dataclass(frozen=True)
class OpCase:
    """One configuration of an operation to check.

    Arguments:
        op: Name in the registry.
        arrays: The array arguments by name, in the forward's order: a shape (drawn from a normal distribution),
            or a function of a generator where the values matter (labels, probabilities, masks), or None for an
            array that is left out. They are passed by position, in this order (``add(*xs)`` has no names for them).
        fixed: Names of the arrays that have no gradient (labels, masks); the backward returns one gradient for
            each of the others, in order (None for an array that was None).
        options: The other arguments, passed by name.
        linear: Names of the arrays in which the forward is linear when each is varied alone and every array in
            ``offsets`` is zero: the adjoint identity is checked for them.
        offsets: Arrays that make the forward affine rather than linear (a bias); zero in the adjoint check.
        analytic: Whether the textbook body also accepts complex numbers and is analytic, so that the complex
            step applies.
        label: What is special about it ("stride does not divide"), for the report.
    """

    op: str
    arrays: Mapping[str, tuple[int, ...] | Draw | None]
    fixed: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    linear: tuple[str, ...] = ()
    offsets: tuple[str, ...] = ()
    analytic: bool = False
    label: str = ""

    def draw(self, rng: np.random.Generator, dtype: str = "float64") -> dict[str, np.ndarray | None]:
        """Return the array arguments; floating ones in ``dtype``, others as their function draws them."""
        drawn: dict[str, np.ndarray | None] = {}
        for name, what in self.arrays.items():
            if what is None:
                drawn[name] = None
                continue
            array = what(rng) if callable(what) else rng.standard_normal(what)
            drawn[name] = array.astype(dtype) if array.dtype.kind == "f" else array
        return drawn


@dataclass(frozen=True)
class LayerCase:
    """One configuration of a layer to check.

    Arguments:
        make: Builds the layer (float64 where the check says so through ``backend.set_floatx``).
        input_shape: Shape of the input with the batch axis, or a list of shapes for a layer of several inputs.
        label: What is special about it.
        draw: Draws the input, if a normal distribution will not do.
    """

    make: Callable[[], Any]
    input_shape: tuple[int, ...] | list[tuple[int, ...]]
    label: str = ""
    draw: Draw | None = None


@dataclass(frozen=True)
class LossCase:
    """One configuration of a loss to check.

    Arguments:
        make: Builds the loss object (``forward(y_true, y_pred, sample_weight=None)``, ``backward(cache)``).
        y_true: The targets: a shape (drawn from a normal distribution) or a function of a generator (labels, masks).
        y_pred: The predictions, likewise; they get the gradient.
        sample_weight: Weights of the samples, likewise, or None.
        label: What is special about it.
    """

    make: Callable[[], Any]
    y_true: tuple[int, ...] | Draw
    y_pred: tuple[int, ...] | Draw
    sample_weight: tuple[int, ...] | Draw | None = None
    label: str = ""

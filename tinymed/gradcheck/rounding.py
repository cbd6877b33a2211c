r"""What single precision may do to a result: the exact computation again, disturbed by as much as it rounds.

A sum of $n$ products is computed with an error of at most $(n + \text{few})\,u\,\sum_i |w_i||x_i|$, where $u = 2^{-24}$
is half the distance of 1 from the next single-precision number: the same as if each factor had been another by so many
parts. Behind a gate the error goes on through the gate's slope, which is nearly nothing where the gate is shut, and
the slope itself, computed as $1 - y^2$ or $y(1 - y)$, is right to a few $u$, not to a few $u$ of itself.

Both are done to the exact computation here, at random, some times over. How far its results move, element by element,
is how far single precision may be from them.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from tinymed import backend
from tinymed.backend import array_namespace
from tinymed.gradcheck.adapters import walk
from tinymed.gradcheck.subject import Point, Subject, flat, like
from tinymed.ops.registry import REGISTRY, Operation, OpFunction

UNIT = 2.0**-24
"""Largest relative error of rounding one number to single precision."""

FEW = 4
"""Roundings beside those of the sum: the factors', the bias's, the activation's."""

SAFETY = 4.0
"""How many standard deviations of the disturbed results are allowed."""

RUNS = 16
"""Disturbed computations before a difference counts; one is enough for most."""

SMALLEST = float(np.finfo(np.float32).smallest_normal)
"""The smallest number with all its digits; below it come the denormal ones, in even steps."""

STEP = float(np.finfo(np.float32).smallest_subnormal)

CURVED = ("elu", "gelu", "log_softmax", "mish", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh")
"""Activations whose slope is a difference, so that rounding leaves something of it where it should be nothing."""


class Allowance:
    """How far each element of each result may be from the exact one; grows surer with every disturbed run.

    Arguments:
        subject: What is checked; its textbook body computes in double precision.
        point: The arguments, in double precision.
        dy: The upstream gradient, a flat vector.
        wanted: The exact results by name.
        rng: Draws the disturbances.
    """

    def __init__(
        self, subject: Subject, point: Point, dy: np.ndarray, wanted: Mapping[str, Any], rng: np.random.Generator
    ) -> None:
        self.subject = dataclasses.replace(subject, textbook_only=True)
        self.point, self.dy, self.rng = point, dy, rng
        self.exact = {name: flat(value) for name, value in wanted.items()}
        self.squares = {name: np.zeros_like(value) for name, value in self.exact.items()}
        self.runs = 0
        terms = {name: value.size // max(value.shape[-1:], default=1) for name, value in point.items() if value.size}
        every = max(terms.values(), default=1)
        kernels = [count for name, count in terms.items() if name.endswith("kernel")]
        self.forward_unit = UNIT * (FEW + max(kernels, default=1))
        self.backward_unit = UNIT * (FEW + every)
        self.smallest = SMALLEST * (FEW + every)

    def run(self) -> None:
        """Disturb everything that goes in, and every activation, and see how far the results move."""
        point = {
            name: self._disturbed(value) if value.dtype.kind == "f" else value for name, value in self.point.items()
        }
        with rounded_activations(self.rng):
            y, cache = self.subject.run(point)
            dy = self.dy * (1 + self.backward_unit * self.rng.standard_normal(self.dy.shape))
            moved = {"output": y} | self.subject.gradients(like(dy, y), cache)
        for name, value in self.exact.items():
            self.squares[name] += (flat(moved[name]) - value) ** 2
        self.runs += 1

    def _disturbed(self, value: np.ndarray) -> np.ndarray:
        """Change numbers by some units, and at least by some of the steps in which the smallest numbers come."""
        noise = self.rng.standard_normal(value.shape)
        return value + noise * np.maximum(self.forward_unit * np.abs(value), self.forward_unit / UNIT * STEP)

    def of(self, name: str) -> np.ndarray:
        """Return the allowed errors of one result."""
        return SAFETY * np.sqrt(self.squares[name] / self.runs) + self.smallest


def applies(subject: Subject) -> bool:
    """Tell whether this is the whole story: one operation or layer of tinymed's own, with its own activations.

    In a model other sums lie between, of gradients that may cancel altogether (a bias in front of batch normalisation
    has none), and how an activation of one's own rounds is not known.
    """
    if subject.kind == "op":
        return _is_own(subject.item)
    layer = subject.owner.layer("float64")
    parts = list(walk(layer))
    used = {value.name for part in parts for value in vars(part).values() if isinstance(value, Operation)}
    own = all(type(part).__module__.startswith("tinymed.") for part in parts)
    return own and not hasattr(layer, "nodes") and all(map(_is_own, used))


def _is_own(name: str) -> bool:
    return name in REGISTRY and REGISTRY[name].forward.textbook.__module__.startswith("tinymed.")


@contextlib.contextmanager
def rounded_activations(rng: np.random.Generator) -> Iterator[None]:
    """Disturb the curved activations, and their slopes, by a few units inside the block."""
    before = {name: (REGISTRY[name].forward, REGISTRY[name].backward) for name in CURVED}
    try:
        for name in before:
            _disturb(REGISTRY[name], rng)
        yield
    finally:
        for name, (forward, backward) in before.items():
            REGISTRY[name].forward, REGISTRY[name].backward = forward, backward


def _disturb(operation: Operation, rng: np.random.Generator) -> None:
    right_forward, right_backward = operation.forward, operation.backward

    def noise(x: Any, size: float = FEW * UNIT) -> Any:
        return backend.asarray(size * rng.standard_normal(tuple(x.shape)))

    def forward(*args: Any, **options: Any) -> tuple[Any, Any]:
        y, cache = right_forward(*args, **options)
        return y * (1 + noise(y)) + noise(y, FEW * SMALLEST), cache

    def backward(dy: Any, cache: Any) -> Any:
        dx = right_backward(dy, cache)
        return dx * (1 + noise(dx)) + array_namespace(dy).abs(dy) * noise(dy)

    operation.forward, operation.backward = cast(OpFunction, forward), cast(OpFunction, backward)

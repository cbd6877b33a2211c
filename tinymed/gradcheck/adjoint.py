"""Two identities of linear algebra that need no step size and so hold in every dtype and on every device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Subject, flat, like, upstream

ROUNDING = {"float64": 1e-12, "float32": 2e-5}
"""Tolerances for results that differ by rounding only."""


def check_adjoint(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check <Ax, y> = <x, A* y> for each tensor in which the operation is linear: backward is the adjoint A*."""
    for dtype, tolerance in ROUNDING.items():
        for name in subject.linear:
            point = subject.draw(rng, dtype)
            point.update({k: np.zeros_like(point[k]) for k in subject.offsets if k != name and k in point})
            y, cache = subject.run(point)
            dy = upstream(y, rng)
            back = flat(subject.gradients(dy, cache)[name])
            ahead, dy, x = flat(y), flat(dy), flat(point[name])
            if back.size != x.size:
                yield subject.row("adjoint", name, np.inf, tolerance, "the gradient has another shape than the tensor")
                continue
            scale = max(float(np.linalg.norm(ahead) * np.linalg.norm(dy)), 1e-300)
            error = abs(float(ahead @ dy) - float(x @ back)) / scale
            note = f"{dtype}: <Ax, y> = {ahead @ dy:.9g}, <x, A*y> = {x @ back:.9g}" if error > tolerance else ""
            yield subject.row("adjoint", f"{name} ({dtype})", error, tolerance, note)


def check_linearity(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check B(a dy1 + b dy2) = a B(dy1) + b B(dy2): every backward is linear in the upstream gradient."""
    point = subject.draw(rng, "float64")
    y, cache = subject.run(point)
    one, two = flat(upstream(y, rng)), flat(upstream(y, rng))
    a, b = 1.75, -0.6
    alone = [{k: flat(g) for k, g in subject.gradients(like(dy, y), cache).items()} for dy in (one, two)]
    joint = subject.gradients(like(a * one + b * two, y), cache)
    for name in subject.tensors:
        wanted = a * alone[0][name] + b * alone[1][name]
        floor = max(np.max(np.abs(alone[0][name]), initial=0.0), np.max(np.abs(alone[1][name]), initial=0.0))
        yield subject.compare("linearity", name, joint[name], wanted, 1e-10, float(floor))

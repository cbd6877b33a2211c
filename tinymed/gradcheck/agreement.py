"""The fast bodies against the textbook's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Point, Subject, flat, like, upstream

TOLERANCES = {"float64": 1e-12, "float32": 2e-5}
"""Largest difference between two bodies, relative to the largest value."""

ATTEMPTS = 40
"""Points that are drawn before one is taken at which the textbook itself has lost digits."""

SAMPLES = 3
"""Rounding errors that are looked at for each point: one may be small by luck."""

MARGIN = 0.25
"""Largest part of the tolerance that they may take."""


def check_agreement(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Compare the kernel's outputs and gradients with the textbook's, in double and single precision."""
    if not subject.has_kernel or subject.textbook_only:
        return
    reference = dataclasses.replace(subject, textbook_only=True)
    for dtype, tolerance in TOLERANCES.items():
        point, dy, wanted = _clear_point(reference, rng, dtype, tolerance)
        y, cache = subject.run(point)
        yield subject.compare("agreement", f"output ({dtype})", y, wanted["output"], tolerance)
        if flat(y).size != dy.size:
            continue
        found = subject.gradients(like(dy, y), cache)
        for name in subject.tensors:
            yield subject.compare("agreement", f"{name} ({dtype})", found[name], wanted[name], tolerance)


def _clear_point(
    reference: Subject, rng: np.random.Generator, dtype: str, tolerance: float
) -> tuple[Point, np.ndarray, dict[str, Any]]:
    """Draw a point, an upstream gradient, and what the textbook makes of them.

    At some points the digits that are to be compared are lost on the way: the slope 1 - y² of a shut gate, or a sum of
    terms that cancel. The textbook's own rounding errors tell, its results in single precision beside those in double
    (in double precision they are as many times smaller as its numbers are finer); such a point is drawn again.
    """
    finer = float(np.finfo(np.float32).eps / np.finfo(dtype).eps)
    for _ in range(ATTEMPTS):
        point = reference.draw(rng, dtype)
        y, cache = reference.run(point)
        dy = flat(upstream(y, rng))
        wanted = {"output": y} | reference.gradients(like(dy, y), cache)
        if all(_lost_digits(reference, point, dy, rng) <= MARGIN * tolerance * finer for _ in range(SAMPLES)):
            break
    return point, dy, wanted


def _lost_digits(reference: Subject, point: Point, dy: np.ndarray, rng: np.random.Generator) -> float:
    """Return the largest relative rounding error of the textbook in single precision, beside a point."""
    narrow = {
        name: (v * (1 + 1e-6 * rng.standard_normal(v.shape))).astype(np.float32) if v.dtype.kind == "f" else v
        for name, v in point.items()
    }
    wide = {name: v.astype(np.float64) if v.dtype.kind == "f" else v for name, v in narrow.items()}
    single, double = (reference.run(here) for here in (narrow, wide))
    found = {"output": single[0]} | reference.gradients(like(dy, single[0]), single[1])
    exact = {"output": double[0]} | reference.gradients(like(dy, double[0]), double[1])
    return max(reference.compare("", "", found[k], exact[k], np.inf).error for k in ("output", *reference.tensors))

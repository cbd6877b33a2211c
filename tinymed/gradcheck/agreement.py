"""The fast bodies against the textbook's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Subject, flat, like, upstream

TOLERANCES = {"float64": 1e-12, "float32": 2e-5}
"""Largest difference between two bodies, relative to the largest value."""


def check_agreement(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Compare the kernel's outputs and gradients with the textbook's, in double and single precision."""
    if not subject.has_kernel or subject.textbook_only:
        return
    reference = dataclasses.replace(subject, textbook_only=True)
    for dtype, tolerance in TOLERANCES.items():
        point = subject.draw(rng, dtype)
        y_wanted, cache_wanted = reference.run(point)
        y, cache = subject.run(point)
        dy = flat(upstream(y_wanted, rng))
        yield subject.compare("agreement", f"output ({dtype})", y, y_wanted, tolerance)
        if flat(y).size != dy.size:
            continue
        found = subject.gradients(like(dy, y), cache)
        wanted = reference.gradients(like(dy, y_wanted), cache_wanted)
        for name in subject.tensors:
            yield subject.compare("agreement", f"{name} ({dtype})", found[name], wanted[name], tolerance)

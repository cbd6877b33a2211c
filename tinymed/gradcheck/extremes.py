"""Inputs at the edge: large logits, CT values with little contrast, denormal numbers, constant images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinymed.gradcheck.report import Row
from tinymed.gradcheck.rounding import RUNS, Allowance, applies
from tinymed.gradcheck.subject import Subject, flat, largest, like, upstream

EXTREMES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logits of ±10000": lambda x: 1e4 * x,
    "near -1000 HU": lambda x: -1000.0 + 0.2 * x,
    "denormals": lambda x: 1e-41 * x,
    "all zeros": np.zeros_like,
    "all ones": np.ones_like,
}

TOLERANCE = 5e-3
"""Largest difference between single and double precision, relative to the largest value, at extreme inputs."""

ATTEMPTS = 10
"""Points that are drawn before one is taken that lies on a kink."""


def check_extremes(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Compare single with double precision at extreme inputs; both must be finite, and silent."""
    name = next((n for n in subject.ordinary if n in ("x", "x[0]", "y_pred", "logits", *subject.tensors[:1])), None)
    if name is None:
        return
    for label, change in EXTREMES.items():
        for _ in range(ATTEMPTS):
            row, on_kink = _at(subject, name, label, change, rng)
            if not on_kink:
                break
        if row is not None:
            yield row


def _at(
    subject: Subject, name: str, label: str, change: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> tuple[Row | None, bool]:
    """Return the worst finding at one extreme input, and whether it lies so near a kink that rounding may cross it."""
    narrow = subject.draw(rng, "float32")
    with np.errstate(under="ignore"):
        narrow[name] = change(narrow[name].astype(np.float64)).astype(np.float32)
    wide = {key: v.astype(np.float64) if v.dtype.kind == "f" else v for key, v in narrow.items()}
    with np.errstate(all="ignore"):
        y_wide, cache = subject.run(wide)
        exact = flat(y_wide)
        weights = flat(upstream(y_wide, rng)).astype(np.float32).astype(np.float64)
        wanted = {"output": y_wide} | subject.gradients(like(weights, y_wide), cache)
    if largest(exact) > 1e37 or (np.any(np.isinf(exact)) and "xponential" in f"{subject.item} {subject.case}"):
        return None, False  # the true result does not fit into single precision
    with warnings.catch_warnings(), np.errstate(divide="warn", over="warn", invalid="warn"):
        warnings.simplefilter("error", RuntimeWarning)
        try:
            y, cache = subject.run(narrow)
            found = {"output": y} | subject.gradients(like(weights, y), cache)
        except RuntimeWarning as warning:
            return subject.row("extremes", label, np.inf, TOLERANCE, f"warns: {warning}"), False
    results = ("output", *subject.tensors)
    if bad := [key for key in results if not np.all(np.isfinite(flat(wanted[key])))]:
        return subject.row("extremes", f"{bad[0]}, {label}", np.inf, TOLERANCE, "not finite in float64"), False
    dy, x = largest(weights), largest(flat(narrow[name]))
    floors = {key: _floor(subject, key, dy, x) for key in results}
    if _behind_product(subject) and applies(subject):
        allowance = Allowance(subject, wide, weights, wanted, rng)
        rows, on_kink = _within_rounding(subject, label, {key: found[key] for key in results}, floors, allowance)
    else:
        rows, on_kink = [], False
        for key, floor in floors.items():
            rows.append(subject.compare("extremes", f"{key}, {label}", found[key], wanted[key], TOLERANCE, floor))
    return max(rows, key=lambda row: row.error), on_kink


def _behind_product(subject: Subject) -> bool:
    """Tell whether activations stand behind a product with weights, whose rounding they pass on."""
    return any(name.endswith("kernel") for name in subject.tensors) and not subject.linear


def _floor(subject: Subject, tensor: str, dy: float, x: float) -> float:
    """Return how large a result must be to be compared with itself; a smaller one is compared with this.

    The slope of a saturated activation is what rounding leaves of 1 - y. Behind a product, whose sum of large terms is
    rounded first, this is only the upper end: there the allowed error is that of :mod:`.rounding`, if it is smaller.
    """
    if _behind_product(subject):
        return 1e-3 if tensor == "output" else 0.1 * dy * max(1.0, x)
    return 1e-30 if tensor == "output" else 1e-4 * dy


def _within_rounding(
    subject: Subject, label: str, found: dict[str, Any], floors: dict[str, float], allowance: Allowance
) -> tuple[list[Row], bool]:
    """Compare each element with what rounding allows it; disturbed runs are added while something is outside.

    Where rounding allows more than the tolerance does, because a ReLU or a maximum may turn over, the tolerance holds;
    the second result tells that this alone is why something fails.
    """
    while True:
        allowance.run()
        rows, explained = [], True
        for key, value in found.items():
            single, exact = flat(value), allowance.exact[key]
            if single.shape != exact.shape or not np.all(np.isfinite(single)):
                rows.append(subject.compare("extremes", f"{key}, {label}", single, exact, 0.0))
                explained = False
                continue
            difference, allowed = np.abs(single - exact), allowance.of(key)
            most = TOLERANCE * max(largest(single), largest(exact), floors[key])
            parts = difference / np.minimum(allowed, most)
            worst = int(np.argmax(parts)) if parts.size else 0
            error = float(parts[worst]) if parts.size else 0.0
            note = f"at element {worst}: {single[worst]:.9g} instead of {exact[worst]:.9g}" if error > 1 else ""
            rows.append(subject.row("extremes", f"{key}, {label}", error, 1.0, note))
            explained = explained and bool(np.all(difference <= allowed))
        right = all(row.ok for row in rows)
        if right or allowance.runs >= RUNS:
            return rows, explained and not right


EMPTY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as drawn": lambda x: x,
    "all zeros": np.zeros_like,
    "all ones": np.ones_like,
}


def check_finiteness(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that a loss and its gradient are finite for every pair of empty and full targets and predictions."""
    if "y_pred" not in subject.tensors or "y_true" not in subject.draw(rng, "float64"):
        return
    for true_label, change_true in EMPTY.items():
        for label, change in EMPTY.items():
            point = subject.draw(rng, "float32")
            if point["y_true"].dtype.kind == "f":
                point["y_true"] = change_true(point["y_true"])
            point["y_pred"] = change(point["y_pred"])
            y, cache = subject.run(point)
            results = {"loss": y} | subject.gradients(upstream(y, rng), cache)
            for name, value in results.items():
                bad = int(np.sum(~np.isfinite(flat(value))))
                note = f"targets {true_label}, predictions {label}: {bad} values are NaN or infinite" if bad else ""
                yield subject.row("finiteness", name, float(bad), 0.0, note)

"""Inputs at the edge: large logits, CT values with little contrast, denormal numbers, constant images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np

from tinymed.gradcheck.report import Row
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


def check_extremes(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Compare single with double precision at extreme inputs; both must be finite, and silent."""
    name = next((n for n in subject.ordinary if n in ("x", "x[0]", "y_pred", "logits", *subject.tensors[:1])), None)
    if name is None:
        return
    for label, change in EXTREMES.items():
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
            continue  # the true result does not fit into single precision
        with warnings.catch_warnings(), np.errstate(divide="warn", over="warn", invalid="warn"):
            warnings.simplefilter("error", RuntimeWarning)
            try:
                y, cache = subject.run(narrow)
                found = {"output": y} | subject.gradients(like(weights, y), cache)
            except RuntimeWarning as warning:
                yield subject.row("extremes", label, np.inf, TOLERANCE, f"warns: {warning}")
                continue
        rows = []
        for key in ("output", *subject.tensors):
            if not np.all(np.isfinite(flat(wanted[key]))):
                rows.append(subject.row("extremes", f"{key}, {label}", np.inf, TOLERANCE, "not finite in float64"))
            else:
                floor = _floor(subject, key, largest(weights), largest(flat(narrow[name])))
                rows.append(subject.compare("extremes", f"{key}, {label}", found[key], wanted[key], TOLERANCE, floor))
        yield max(rows, key=lambda row: row.error)


def _floor(subject: Subject, tensor: str, dy: float, x: float) -> float:
    """Return how large a result must be to be compared with itself; a smaller one is compared with this.

    The slope of a saturated activation is what rounding leaves of 1 - y. In a layer, and in a recurrent operation, it
    stands behind a matrix product, whose sum of large terms is rounded first: a weight's gradient is then right to a
    part of dy times x only, and a gate that is nearly shut may be shut.
    """
    after_product = subject.kind == "layer" or ("kernel" in subject.tensors and not subject.linear)
    if tensor == "output":
        return 1e-3 if after_product else 1e-30
    return 0.1 * dy * max(1.0, x) if after_product else 1e-4 * dy


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

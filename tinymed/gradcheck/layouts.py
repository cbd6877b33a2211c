"""Shapes and memory layouts that break things."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinymed import backend
from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Point, Subject, flat, leaves, upstream


def _every_second(x: np.ndarray) -> np.ndarray:
    roomy = np.full((*x.shape[:-1], 2 * x.shape[-1]), 77, dtype=x.dtype)
    roomy[..., ::2] = x
    return roomy[..., ::2]


def _back_to_front(x: np.ndarray) -> np.ndarray:
    flip = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[flip])[flip]


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "every second element": _every_second,
    "back to front": _back_to_front,
    "Fortran order": np.asfortranarray,
    "read-only": lambda x: _locked(x),
}


def _locked(x: np.ndarray) -> np.ndarray:
    locked = np.array(x)
    locked.flags.writeable = False
    return locked


def check_layouts(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that arrays in other memory layouts give the same outputs and gradients."""
    if backend.get_backend() != "numpy":
        return
    point = subject.draw(rng, "float64")
    y, cache = subject.run(point)
    dy = upstream(y, rng)
    wanted = {"output": y} | {name: subject.gradients(dy, cache)[name] for name in subject.tensors}
    for layout, relay in LAYOUTS.items():
        relaid = {name: relay(v) if isinstance(v, np.ndarray) and v.ndim else v for name, v in point.items()}
        y, cache = subject.run(relaid)
        relaid_dy = relay(dy) if isinstance(dy, np.ndarray) and dy.ndim else dy
        found = {"output": y} | subject.gradients(relaid_dy, cache)
        rows = [
            subject.compare("layouts", f"{name}, {layout}", found[name], w, 1e-11, 1e-3) for name, w in wanted.items()
        ]
        yield max(rows, key=lambda row: row.error)


def check_shapes(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check the shapes of outputs and gradients, and a batch of a single sample."""
    point = subject.draw(rng, "float64")
    y, gradients = subject.at(point, rng=rng)
    yield from _gradient_shapes(subject, "", point, gradients)
    if subject.kind != "layer":
        return
    layer = subject.owner.layer("float64")
    inputs = [name for name in point if name == "x" or name.startswith("x[")]
    for label, size in (("", None), (", one sample", 1)):
        cut = {name: v[:size] if name in inputs else v for name, v in point.items()}
        y, gradients = subject.at(cut, rng=rng)
        shapes = [cut[name].shape for name in inputs]
        announced = layer.compute_output_shape(shapes[0] if "x" in point else shapes)
        wanted = [tuple(s) for s in announced] if isinstance(y, list | tuple) else [tuple(announced)]
        found = [tuple(leaf.shape) for leaf in leaves(y)]
        fits = len(found) == len(wanted) and all(
            len(f) == len(w) and all(b is None or a == b for a, b in zip(f, w, strict=True))
            for f, w in zip(found, wanted, strict=False)
        )
        note = "" if fits else f"output {found}, announced {wanted}"
        yield subject.row("shapes", f"output{label}", float(not fits), 0.0, note)
        if size:
            yield from _gradient_shapes(subject, label, cut, gradients)
            bad = not all(np.all(np.isfinite(flat(g))) for g in gradients.values())
            yield subject.row("shapes", "one sample, finite", float(bad), 0.0, "NaN or infinity" if bad else "")


def _gradient_shapes(subject: Subject, label: str, point: Point, gradients: dict) -> Iterator[Row]:
    for name in subject.tensors:
        found = tuple(gradients[name].shape)
        fits = found == point[name].shape
        note = "" if fits else f"gradient {found}, tensor {point[name].shape}"
        yield subject.row("shapes", f"{name}{label}", float(not fits), 0.0, note)

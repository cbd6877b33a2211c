"""One form for everything that is checked: tensors in, outputs and gradients out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.gradcheck.report import Row
from tinymed.ops.registry import textbook

Point = dict[str, Any]
"""Arguments by name: host arrays, before they are put on the backend."""


@dataclass
class Subject:
    """An operation, layer, loss or model in one configuration, ready to be checked.

    ``forward`` and ``backward`` take and return arrays of the current backend; ``draw`` gives host arrays.
    """

    item: str
    kind: str
    case: str
    tensors: tuple[str, ...]
    """Names of the arguments that have gradients."""
    draw: Callable[[np.random.Generator, str], Point]
    forward: Callable[[Point], tuple[Any, Any]]
    backward: Callable[[Any, Any], Mapping[str, Any]]
    has_kernel: bool = False
    """Whether a faster body than the textbook's serves this backend."""
    textbook_only: bool = False
    """Whether to run the textbook's bodies."""
    linear: tuple[str, ...] = ()
    offsets: tuple[str, ...] = ()
    analytic: bool = False
    random: bool = False
    """Whether two calls with the same seed state differ unless the seed is set anew (dropout)."""
    ordinary: tuple[str, ...] = ()
    """Names of the tensors in which all numbers are allowed, so that others may replace the drawn ones."""
    owner: Any = None
    """The layer, loss or model."""

    # --- running -----------------------------------------------------------------------------------------------

    def run(self, point: Point) -> tuple[Any, Any]:
        """Put the point on the backend and run forward: ``(y, cache)``."""
        with self.body():
            return self.forward({name: on_device(value) for name, value in point.items()})

    def outputs(self, point: Point) -> np.ndarray:
        """Return all outputs at a point as one flat host vector."""
        return flat(self.run(point)[0])

    def gradients(self, dy: Any, cache: Any) -> dict[str, Any]:
        """Run backward: the gradient of each tensor, on the backend."""
        with self.body():
            return dict(self.backward(dy, cache))

    def at(self, point: Point, dy: Any = None, rng: np.random.Generator | None = None) -> tuple[Any, dict[str, Any]]:
        """Run forward and backward at a point; ``dy`` is drawn from ``rng`` if it is not given."""
        y, cache = self.run(point)
        if dy is None:
            dy = upstream(y, rng or np.random.default_rng(0))
        return y, self.gradients(dy, cache)

    def along(self, point: Point, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """Return the outputs as a function of one tensor, the others held (and put on the backend once)."""
        held = {key: on_device(value) for key, value in point.items() if key != name}

        def outputs(value: np.ndarray) -> np.ndarray:
            with self.body():
                return flat(self.forward({key: held[key] if key != name else on_device(value) for key in point})[0])

        return outputs

    @contextlib.contextmanager
    def body(self) -> Iterator[None]:
        """Use the textbook's bodies inside the block, if this subject is to."""
        with textbook() if self.textbook_only else contextlib.nullcontext():
            yield

    # --- findings ----------------------------------------------------------------------------------------------

    def row(self, check: str, tensor: str, error: float, tolerance: float, note: str = "") -> Row:
        """Return a finding about this subject."""
        case = f"{self.case}, textbook body" if self.textbook_only and self.has_kernel else self.case
        return Row(self.item, case.removeprefix(", "), check, tensor, float(error), tolerance, note)

    def compare(
        self,
        check: str,
        tensor: str,
        found: Any,
        wanted: Any,
        tolerance: float,
        floor: float = 0.0,
        absolute: bool = False,
    ) -> Row:
        """Compare two arrays by their largest difference, relative to the largest value (or ``floor``).

        Infinities and NaNs must stand in the same places.
        """
        found, wanted = flat(found), flat(wanted)
        if found.shape != wanted.shape:
            return self.row(check, tensor, np.inf, tolerance, f"{found.size} values instead of {wanted.size}")
        if not found.size:
            return self.row(check, tensor, 0.0, tolerance)
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        with np.errstate(invalid="ignore"):
            difference = np.where(same, 0.0, np.abs(found - wanted))
        difference = np.where(np.isnan(difference), np.inf, difference)
        scale = 1.0 if absolute else max(largest(found), largest(wanted), floor, 1e-300)
        worst = int(np.argmax(difference))
        error = float(difference[worst]) / scale
        note = f"at element {worst}: {found[worst]:.9g} instead of {wanted[worst]:.9g}" if error > tolerance else ""
        return self.row(check, tensor, error, tolerance, note)


def largest(x: np.ndarray) -> float:
    """Return the largest finite absolute value, 0 if there is none."""
    finite = np.abs(x[np.isfinite(x)])
    return float(np.max(finite, initial=0.0))


def on_device(value: Any) -> Any:
    """Put an array, or each array of a list, on the current backend."""
    if isinstance(value, list | tuple):
        return [on_device(item) for item in value]
    return backend.asarray(value) if isinstance(value, np.ndarray) else value


def leaves(value: Any) -> list[Any]:
    """Return the arrays of a value that is an array or a list of arrays; None gives none."""
    if value is None:
        return []
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def flat(value: Any) -> np.ndarray:
    """Return an array, or a list of arrays, as one flat host vector of float64 (or complex128)."""
    parts = [np.ravel(backend.to_host(leaf)) for leaf in leaves(value)]
    joined = np.concatenate(parts) if parts else np.zeros(0)
    return joined if joined.dtype.kind == "c" else joined.astype(np.float64, copy=False)


def upstream(y: Any, rng: np.random.Generator) -> Any:
    """Draw a random upstream gradient with the shape and dtype of ``y``: never ones.

    Ones would hide mistakes: softmax sums to one, so with ones its gradient is zero, and a backward that returns
    zeros would pass.
    """
    if isinstance(y, list | tuple):
        return [upstream(item, rng) for item in y]
    host = rng.standard_normal(tuple(y.shape))
    return backend.asarray(host.astype(dtype_name(y)))


def like(values: np.ndarray, y: Any) -> Any:
    """Return flat host values as an array (or list of arrays) with the shapes and dtypes of ``y``."""
    if not isinstance(y, list | tuple):
        return backend.asarray(values.reshape(tuple(y.shape)).astype(dtype_name(y)))
    sizes = [int(np.prod(item.shape)) for item in leaves(y)]
    parts = iter(np.split(values, np.cumsum(sizes)[:-1]))
    return [like(next(parts), item) for item in leaves(y)]


def dtype_name(x: Any) -> str:
    """Return the name of an array's dtype, such as ``float32``, for any library."""
    return str(x.dtype).rpartition(".")[2]

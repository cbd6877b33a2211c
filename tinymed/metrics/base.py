"""What every metric has: sums on the device of the data, a name, and a result.

Sums are kept in float64 wherever the device has it (NumPy and CuPy do). A float32 sum stops counting at
2**24, about 16 million, which the pixels of a few hundred images reach; a float64 sum counts exactly to 2**53.
``update_state`` only adds on the device: nothing is copied to the host before somebody reads ``result()``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array, array_namespace, device_of
from tinymed.configurable import Configurable
from tinymed.layers.base import snake_case, unique_name

EPSILON = 1e-7
"""Keras's small number against division by zero."""


class Metric(Configurable):
    """A number about predictions, added up over batches.

        metric.update_state(y_true, y_pred, sample_weight=None)
        metric.result()
        metric.reset_state()

    A subclass writes ``update_state``, which calls ``self.add(name=amount)``, and ``compute``, which makes the
    result of the sums in ``self.state``.

    Arguments:
        name: Key in the history; made from the class name and numbered if omitted (``auc``, ``auc_1``).
        dtype: dtype name of the result; ``"float32"`` if omitted.
    """

    direction: str | None = None
    """``"up"`` if more is better, ``"down"`` if less is; None where that depends on what is measured."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = dtype or "float32"
        self.state: dict[str, Array] = {}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state")

    def compute(self) -> Array:
        """Make the result of the sums in ``self.state``."""
        raise NotImplementedError(f"{type(self).__name__} has no compute")

    def add(self, **amounts: Array) -> None:
        """Add to the sums, which begin at zero on the device of the first amount."""
        for name, amount in amounts.items():
            self.state[name] = self.state[name] + amount if name in self.state else amount

    def result(self) -> Array:
        """Return the metric over everything since the last reset, zero if there was nothing."""
        if not self.state:
            return backend.asarray(np.zeros(self.empty_shape()), dtype=self.dtype)
        value = self.compute()
        return array_namespace(value).astype(value, getattr(array_namespace(value), self.dtype))

    def empty_shape(self) -> tuple[int, ...]:
        """Return the shape of the result before any data has arrived."""
        return ()

    def reset_state(self) -> None:
        """Forget all batches."""
        self.state = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Array:
        """Add a batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Sum(Metric):
    """The weighted sum of values.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.
    """

    def __init__(self, name: str | None = "sum", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add ``values``, each multiplied by its weight."""
        values, _ = per_sample(values, sample_weight, mean=False)
        self.add(total=total(values))

    def compute(self) -> Array:
        """Return the sum."""
        return self.state["total"]


class Mean(Metric):
    r"""The weighted mean of values, $\sum_n w_n v_n / \sum_n w_n$; zero where the weights add up to zero.

    Arguments:
        name: Key in the history.
        dtype: dtype name of the result.

    Example:
        >>> mean = Mean()
        >>> mean.update_state([1.0, 3.0], sample_weight=[3.0, 1.0])
        >>> float(mean.result())
        1.5
    """

    def __init__(self, name: str | None = "mean", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add ``values`` (N, ...), of which all but the first axis are averaged, with weights of the leading axes."""
        values, weights = per_sample(values, sample_weight)
        if weights is None:
            samples = total(values)
            count = array_namespace(samples).full_like(samples, float(math.prod(values.shape[:1])))
            self.add(total=samples, count=count)
        else:
            self.add(total=total(values), count=total(weights))

    def compute(self) -> Array:
        """Return the mean."""
        return divide_no_nan(self.state["total"], self.state["count"])


class MeanMetricWrapper(Mean):
    """The mean over samples of what a function returns for them.

    Arguments:
        fn: ``fn(y_true, y_pred, **kwargs)`` returns one value per sample; or its name.
        name: Key in the history; the function's name if omitted.
        dtype: dtype name of the result.
        **kwargs: Passed to ``fn`` at each call.
    """

    def __init__(
        self, fn: Callable[..., Array] | str, name: str | None = None, dtype: str | None = None, **kwargs: Any
    ) -> None:
        if isinstance(fn, str):  # from a saved configuration
            from tinymed.metrics import function

            fn = function(fn)
        super().__init__(name or getattr(fn, "__name__", None), dtype)
        self.fn: Callable[..., Array] = fn
        self.fn_kwargs = kwargs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the function by its name."""
        config = super().get_config()
        return {**config, **self.fn_kwargs} if "fn" in config else config

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add the function's values for a batch."""
        y_true, y_pred = together(y_true, y_pred)
        super().update_state(self.fn(y_true, y_pred, **self.fn_kwargs), sample_weight)


# --- helpers for all metrics -------------------------------------------------------------------------------------


def on_device_of(like: Array, x: Any) -> Array:
    """Put host data where ``like`` lies; an array of another device is returned as it is."""
    if x is None or not backend.is_host(x):
        return x
    host = x if isinstance(x, np.ndarray) else np.asarray(x)
    if host is not x and host.dtype == np.float64:  # Python floats
        host = host.astype(np.float32)
    if backend.is_host(like):
        return host
    return array_namespace(like).asarray(host, device=device_of(like))


def together(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Bring labels and predictions to one device: host data goes to the other's device."""
    y_pred = on_device_of(y_true, y_pred)
    return on_device_of(y_pred, y_true), y_pred


def same_rank(a: Array, b: Array, expand: bool = True) -> tuple[Array, Array]:
    """Add or remove a last axis of one value where the ranks of ``a`` and ``b`` differ by one.

    ``(N,)`` beside ``(N, 1)`` becomes ``(N, 1)`` (unless ``expand`` is False: then both are ``(N,)``);
    ``(N, T, 1)`` beside ``(N, T)`` loses its last axis.
    """
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[..., None]) if b.ndim == 1 and expand else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[..., None], b) if a.ndim == 1 and expand else (a, b[..., 0])
    return a, b


def check_same_shape(owner: str, y_true: Array, y_pred: Array) -> None:
    """Raise ValueError unless labels and predictions have one shape."""
    if tuple(y_true.shape) == tuple(y_pred.shape):
        return
    advice = ""
    if y_true.ndim == y_pred.ndim - 1 or y_true.shape[-1:] == (1,):
        advice = (
            "; the labels seem to be class numbers: make them one-hot with utils.to_categorical, "
            "or use a metric whose name begins with 'sparse'"
        )
    raise ValueError(
        f"{owner} expects y_true and y_pred of one shape but got {tuple(y_true.shape)} "
        f"and {tuple(y_pred.shape)}{advice}"
    )


def as_float(x: Array) -> Array:
    """Return ``x`` in float32, or in float64 if it is float64."""
    xp = array_namespace(x)
    return x if x.dtype in (xp.float32, xp.float64) else xp.astype(x, xp.float32)


_has_float64: dict[tuple[str, str], bool] = {}  # by library and device; CuPy's devices are no keys, their names are


def sum_dtype(x: Array) -> Any:
    """Return the dtype in which sums over ``x`` are kept: float64 if its device has it, else float32."""
    xp, device = array_namespace(x), device_of(x)
    key = xp.__name__, str(device)
    if key not in _has_float64:
        info = getattr(xp, "__array_namespace_info__", None)
        _has_float64[key] = info is None or "float64" in info().dtypes(device=device, kind="real floating")
    return xp.float64 if _has_float64[key] else xp.float32


def total(x: Array, axis: int | None = None) -> Array:
    """Sum ``x`` in the dtype in which sums are kept."""
    return array_namespace(x).sum(x, axis=axis, dtype=sum_dtype(x))


def divide_no_nan(a: Array, b: Array) -> Array:
    """Return ``a / b``, and zero where ``b`` is zero."""
    xp = array_namespace(a)
    zero = b == 0
    return xp.where(zero, xp.zeros_like(a), a / xp.where(zero, xp.ones_like(b), b))


def per_sample(values: Any, sample_weight: Any = None, mean: bool = True) -> tuple[Array, Array | None]:
    """Reduce ``values`` to one number per sample and multiply by the weights.

    Weights may have as many leading axes of ``values`` as they like: ``(N,)`` weights samples, ``(N, T)`` steps.

    Returns:
        The weighted values and the weights, each with the first axis only.
    """
    values = as_float(on_device_of(values, values))
    xp = array_namespace(values)
    reduce = xp.mean if mean else xp.sum
    if sample_weight is not None:
        if isinstance(sample_weight, int | float):
            weights = xp.full_like(values, float(sample_weight))
        else:
            weights = xp.astype(on_device_of(values, sample_weight), values.dtype)
        values, weights = same_rank(values, weights)
        if values.ndim > weights.ndim:
            values = reduce(values, axis=tuple(range(weights.ndim, values.ndim)))
        try:
            weights = xp.broadcast_to(weights, values.shape)
        except ValueError as error:
            message = (
                f"sample_weight of shape {tuple(weights.shape)} does not fit values of shape {tuple(values.shape)}"
            )
            raise ValueError(message) from error
        values = values * weights
        if weights.ndim > 1:
            weights = reduce(weights, axis=tuple(range(1, weights.ndim)))
    else:
        weights = None
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weights

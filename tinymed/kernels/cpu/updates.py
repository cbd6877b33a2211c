"""Optimizer steps in one pass over memory, in place, for contiguous float32 and float64 arrays.

Every value is computed by the textbook's operations in the textbook's order and precision, each on its own, so the
results are the same bits, for any number of threads. The loops count from zero over slices of their range: an index
that might be negative, for all the compiler knows, keeps it from using vector instructions. Other arrays (strided,
mixed dtypes) go to the textbook body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.threads import run
from tinymed.ops import updates

Slots = tuple[Any, ...]

SHARED_FROM = 1 << 16
"""Weights with at least so many values are shared between threads; for smaller ones that takes longer than it saves."""


@jit
def _sgd(first: int, last: int, w: Any, g: Any, m: Any, lr: Any, mu: Any, nesterov: bool, decay: Any) -> None:
    has_momentum = m.size > 0
    w, g, m = w[first:last], g[first:last], m[first:last]
    for i in range(w.size):
        if decay:
            w[i] = w[i] - decay * w[i]
        if not has_momentum:
            w[i] = w[i] - lr * g[i]
        else:
            m[i] = mu * m[i] - lr * g[i]
            w[i] = w[i] + (mu * m[i] - lr * g[i] if nesterov else m[i])


@jit
def _adam(
    first: int,
    last: int,
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    v_max: Any,
    alpha: Any,
    c1: Any,
    c2: Any,
    eps: Any,
    decay: Any,
) -> None:
    has_max = v_max.size > 0
    w, g, m, v, v_max = w[first:last], g[first:last], m[first:last], v[first:last], v_max[first:last]
    for i in range(w.size):
        if decay:
            w[i] = w[i] - decay * w[i]
        m[i] = m[i] + c1 * (g[i] - m[i])
        v[i] = v[i] + c2 * (g[i] * g[i] - v[i])
        spread = v[i]
        if has_max:
            if spread > v_max[i] or spread != spread:  # NaN goes through, as in np.maximum
                v_max[i] = spread
            spread = v_max[i]
        w[i] = w[i] - alpha * m[i] / (np.sqrt(spread) + eps)


@jit
def _rmsprop(
    first: int,
    last: int,
    w: Any,
    g: Any,
    v: Any,
    m: Any,
    a: Any,
    lr: Any,
    rho: Any,
    rest: Any,
    mu: Any,
    eps: Any,
    decay: Any,
) -> None:
    has_momentum, centered = m.size > 0, a.size > 0
    w, g, v, m, a = w[first:last], g[first:last], v[first:last], m[first:last], a[first:last]
    for i in range(w.size):
        if decay:
            w[i] = w[i] - decay * w[i]
        v[i] = rho * v[i] + rest * (g[i] * g[i])
        spread = v[i]
        if centered:
            a[i] = rho * a[i] + rest * g[i]
            spread = v[i] - a[i] * a[i]
            if spread < 0:
                spread = v[i] - v[i]  # zero, in the array's precision
        d = lr * g[i] / np.sqrt(spread + eps)
        if has_momentum:
            m[i] = mu * m[i] + d
            d = m[i]
        w[i] = w[i] - d


@jit
def _adagrad(first: int, last: int, w: Any, g: Any, s: Any, lr: Any, eps: Any, decay: Any) -> None:
    w, g, s = w[first:last], g[first:last], s[first:last]
    for i in range(w.size):
        if decay:
            w[i] = w[i] - decay * w[i]
        s[i] = s[i] + g[i] * g[i]
        w[i] = w[i] - lr * g[i] / np.sqrt(s[i] + eps)


_NOTHING = {np.dtype(kind): np.empty(0, kind) for kind in ("float32", "float64")}


def _ready(
    param: np.ndarray, grad: np.ndarray, slots: Slots, out: Slots | None
) -> tuple[Slots, list[np.ndarray]] | None:
    """Return the arrays that the step changes and flat views of them, or None if the kernels cannot take them."""
    nothing = _NOTHING.get(param.dtype)
    if nothing is None or grad.dtype != param.dtype or grad.shape != param.shape:
        return None
    arrays: Slots = (param, *slots)
    if out is None:
        arrays = tuple(None if a is None else np.array(a, order="C") for a in arrays)
    elif any(target is not array for target, array in zip(out, arrays, strict=True)):
        return None
    flat = []
    for array in arrays:
        if array is None:
            flat.append(nothing)
            continue
        flags = array.flags
        if array.dtype != param.dtype or array.shape != param.shape or not (flags.c_contiguous and flags.writeable):
            return None
        flat.append(array.reshape(-1))
    return arrays, flat


def _run(kernel: Callable[..., Any], w: np.ndarray, *arguments: Any) -> None:
    """Run a kernel over all values, by one thread or several."""
    if w.size < SHARED_FROM:
        kernel(0, w.size, w, *arguments)
    else:
        run(kernel, w.size, w, *arguments)


@updates.sgd_update.register(np.ndarray)
def _sgd_update(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray | None = None,
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    ready = _ready(param, grad, (m,), out)
    if ready is None:
        return updates.sgd_update.textbook(param, grad, m, learning_rate, momentum, nesterov, weight_decay, out)
    arrays, (w, m_flat) = ready
    number = param.dtype.type
    decay = number(learning_rate * weight_decay)
    _run(_sgd, w, grad.reshape(-1), m_flat, number(learning_rate), number(momentum), bool(nesterov), decay)
    return arrays


@updates.adam_update.register(np.ndarray)
def _adam_update(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    v_max: np.ndarray | None = None,
    step: int = 1,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    ready = _ready(param, grad, (m, v, v_max), out)
    if ready is None:
        options = (step, learning_rate, beta_1, beta_2, epsilon, weight_decay, out)
        return updates.adam_update.textbook(param, grad, m, v, v_max, *options)
    arrays, (w, *slots) = ready
    number = param.dtype.type
    alpha = updates.adam_step_size(step, learning_rate, beta_1, beta_2)
    numbers = (alpha, 1 - beta_1, 1 - beta_2, epsilon, learning_rate * weight_decay)
    _run(_adam, w, grad.reshape(-1), *slots, *map(number, numbers))
    return arrays


@updates.rmsprop_update.register(np.ndarray)
def _rmsprop_update(
    param: np.ndarray,
    grad: np.ndarray,
    v: np.ndarray,
    m: np.ndarray | None = None,
    average: np.ndarray | None = None,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    ready = _ready(param, grad, (v, m, average), out)
    if ready is None:
        options = (learning_rate, rho, momentum, epsilon, weight_decay, out)
        return updates.rmsprop_update.textbook(param, grad, v, m, average, *options)
    arrays, (w, *slots) = ready
    numbers = (learning_rate, rho, 1 - rho, momentum, epsilon, learning_rate * weight_decay)
    _run(_rmsprop, w, grad.reshape(-1), *slots, *map(param.dtype.type, numbers))
    return arrays


@updates.adagrad_update.register(np.ndarray)
def _adagrad_update(
    param: np.ndarray,
    grad: np.ndarray,
    accumulator: np.ndarray,
    learning_rate: float = 0.001,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    ready = _ready(param, grad, (accumulator,), out)
    if ready is None:
        return updates.adagrad_update.textbook(param, grad, accumulator, learning_rate, epsilon, weight_decay, out)
    arrays, (w, s) = ready
    numbers = (learning_rate, epsilon, learning_rate * weight_decay)
    _run(_adagrad, w, grad.reshape(-1), s, *map(param.dtype.type, numbers))
    return arrays

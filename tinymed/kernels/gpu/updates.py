"""Optimizer steps on the GPU, in place: all weights of a model in one launch.

The arguments of an update are those of one weight, or lists of them for several weights (see
:func:`tinymed.ops.registry.update`). What the kernels cannot take (mixed dtypes, strided weights, results that go
elsewhere) the textbook's body does, weight by weight.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, launch, load, on_gpu, supported
from tinymed.kernels.gpu.reading import ARRAYS
from tinymed.live import Live, itself, number
from tinymed.ops import updates as ops

load("updates")

Slots = tuple[Any, ...]
"""Arrays, or lists of them, or None."""


def _lists(arrays: tuple[Any, ...]) -> list[list[Array] | None]:
    """Return each argument as a list of arrays, or None."""
    return [None if a is None else a if isinstance(a, list) else [a] for a in arrays]


def _apply(
    kernel: str,
    arrays: tuple[Any, ...],
    out: Slots | None,
    flags: tuple[bool, ...],
    rates: tuple[Any, Any],
    numbers: tuple[float, ...],
) -> Slots | None:
    """Launch a kernel on weights, gradients and slots; return weights and slots, None if the kernel cannot take them.

    Args:
        kernel: Its name.
        arrays: Weights, gradients, slots.
        out: None, or the weights and slots themselves.
        flags: Which slots there are.
        rates: Size of the step and decay: numbers, or places on the device.
        numbers: The others.
    """
    weights, grads, *slots = _lists(arrays)
    if weights is None or grads is None:
        return None
    given = [weights, *slots]
    if not _fit(weights, grads, slots):
        return None
    if out is None:
        xp = array_namespace(weights[0])
        given = [None if a is None else [xp.asarray(contiguous(one), copy=True) for one in a] for a in given]
    elif not _same(_lists(out), given):
        return None
    grads = [contiguous(g) for g in grads]
    for first in range(0, len(weights), ARRAYS):
        here = slice(first, first + ARRAYS)
        ends, total = [], 0
        for w in weights[here]:
            total += math.prod(w.shape)
            ends.append(total)
        lists = [[] if a is None else a[here] for a in (given[0], grads, *given[1:])]
        values = [0.0 if hasattr(r, "dtype") else r for r in rates]
        places = [r if hasattr(r, "dtype") else None for r in rates]
        arguments = (*lists, ends, len(ends), *flags, *values, *places, *numbers)
        launch(kernel, blocks(total), THREADS, arguments)
    if isinstance(arrays[0], list):
        return tuple(given)
    return tuple(None if a is None else a[0] for a in given)


def _fit(weights: list[Array], grads: list[Array], slots: list[list[Array] | None]) -> bool:
    """Tell whether all arrays have one dtype, and each weight, its gradient and its slots one shape."""
    columns = [weights, grads, *(s for s in slots if s is not None)]
    if not weights or any(len(c) != len(weights) for c in columns):
        return False
    if not supported(*(a for c in columns for a in c)):
        return False
    return all(a.shape == w.shape for c in columns for a, w in zip(c, weights, strict=True))


def _same(out: list[list[Array] | None], given: list[list[Array] | None]) -> bool:
    """Tell whether the results go where the arguments lie, in C order."""
    for targets, arrays in zip(out, given, strict=True):
        if targets is None or arrays is None:
            if targets is not arrays:
                return False
            continue
        if any(t is not a or not a.flags.c_contiguous for t, a in zip(targets, arrays, strict=True)):
            return False
    return True


def _one_by_one(function: Any, arrays: tuple[Any, ...], options: tuple[Any, ...], out: Slots | None) -> Slots:
    """Take the step with the textbook's body, for one weight or for each of a list."""
    if not isinstance(arrays[0], list):
        return function.textbook(*arrays, *options, out)
    results = []
    for i in range(len(arrays[0])):
        one = tuple(None if a is None else a[i] for a in arrays)
        target = None if out is None else tuple(None if a is None else a[i] for a in out)
        results.append(function(*one, *options, target))
    return tuple(None if column[0] is None else list(column) for column in zip(*results, strict=True))


def _decay(param: Any, learning_rate: float | Live, weight_decay: float) -> Any:
    """Return the part of itself by which a weight shrinks."""
    return number(_first(param), operator.mul, learning_rate, weight_decay) if weight_decay else 0.0


def _first(param: Any) -> Array:
    return param[0] if isinstance(param, list) else param


def _takes_lists(body: Callable[..., Any]) -> Callable[..., Any]:
    body.takes_lists = True  # type: ignore[attr-defined]  # what ops.registry.update looks for
    return body


@on_gpu(ops.sgd_update)
@_takes_lists
def _sgd_update(
    param: Any,
    grad: Any,
    m: Any = None,
    learning_rate: float | Live = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    rates = (number(_first(param), itself, learning_rate), _decay(param, learning_rate, weight_decay))
    found = _apply("sgd", (param, grad, m), out, (m is not None,), rates, (momentum, nesterov))
    options = (learning_rate, momentum, nesterov, weight_decay)
    return _one_by_one(ops.sgd_update, (param, grad, m), options, out) if found is None else found


@on_gpu(ops.adam_update)
@_takes_lists
def _adam_update(
    param: Any,
    grad: Any,
    m: Any,
    v: Any,
    v_max: Any = None,
    step: int | Live = 1,
    learning_rate: float | Live = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    arrays = (param, grad, m, v, v_max)
    rate = number(_first(param), ops.adam_step_size, step, learning_rate, beta_1, beta_2)
    rates = (rate, _decay(param, learning_rate, weight_decay))
    found = _apply("adam", arrays, out, (v_max is not None,), rates, (1 - beta_1, 1 - beta_2, epsilon))
    options = (step, learning_rate, beta_1, beta_2, epsilon, weight_decay)
    return _one_by_one(ops.adam_update, arrays, options, out) if found is None else found


@on_gpu(ops.rmsprop_update)
@_takes_lists
def _rmsprop_update(
    param: Any,
    grad: Any,
    v: Any,
    m: Any = None,
    average: Any = None,
    learning_rate: float | Live = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    arrays, flags = (param, grad, v, m, average), (m is not None, average is not None)
    rates = (number(_first(param), itself, learning_rate), _decay(param, learning_rate, weight_decay))
    found = _apply("rmsprop", arrays, out, flags, rates, (rho, 1 - rho, momentum, epsilon))
    options = (learning_rate, rho, momentum, epsilon, weight_decay)
    return _one_by_one(ops.rmsprop_update, arrays, options, out) if found is None else found


@on_gpu(ops.adagrad_update)
@_takes_lists
def _adagrad_update(
    param: Any,
    grad: Any,
    accumulator: Any,
    learning_rate: float | Live = 0.001,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: Slots | None = None,
) -> Slots:
    arrays = (param, grad, accumulator)
    rates = (number(_first(param), itself, learning_rate), _decay(param, learning_rate, weight_decay))
    found = _apply("adagrad", arrays, out, (), rates, (epsilon,))
    options = (learning_rate, epsilon, weight_decay)
    return _one_by_one(ops.adagrad_update, arrays, options, out) if found is None else found

"""Mistakes in pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed.backend import array_namespace, device_of
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import Call, Fault, fresh, kernel_fault, op_fault


def _overlaps_overwritten(dy: Any, call: Call) -> Any:
    """Take each pixel's gradient from the last window that holds it, instead of all of them."""
    dx = fresh(call["x"].shape, dy)
    size, step = call["pool_size"], call["strides"]
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            one = fresh(dy.shape, dy)
            one[:, i, j, :] = dy[:, i, j, :]
            rows = slice(i * step[0], i * step[0] + size[0])
            columns = slice(j * step[1], j * step[1] + size[1])
            dx[:, rows, columns, :] = call.right(one)[:, rows, columns, :]
    return dx


def _all_ties(dy: Any, call: Call) -> Any:
    """Give the whole gradient to every element that equals its window's maximum."""
    xp = array_namespace(dy)
    x, (h, w) = call["x"], call["pool_size"]
    dx = fresh(x.shape, dy)
    for p in range(h):
        for q in range(w):
            rows, columns = slice(p, h * dy.shape[1], h), slice(q, w * dy.shape[2], w)
            dx[:, rows, columns, :] = xp.where(x[:, rows, columns, :] == call.y, dy, 0.0 * dy)
    return dx


def _mean_instead_of_max(dy: Any, call: Call) -> Any:
    from tinymed.ops.pooling import average_pool2d, average_pool2d_backward

    _, cache = average_pool2d(call["x"], call["pool_size"], call["strides"], call["padding"])
    return average_pool2d_backward(dy, cache)


def _square_window(dy: Any, call: Call) -> Any:
    h, w = call["pool_size"]
    return call.right(dy) * (float(h * w) / float(h * h))


def _pads_counted(dy: Any, call: Call) -> Any:
    """Divide by the whole window at the edge too, where forward counts only what lies inside the image."""
    xp = array_namespace(dy)
    ones = xp.ones(call["x"].shape, dtype=dy.dtype, device=device_of(dy))
    big = call.at(x=ones, padding="same")
    inside = _count_inside(big)
    return call.right(dy * inside / float(math.prod(call["pool_size"])))


def _count_inside(call: Call) -> Any:
    """Return how many pixels of the image each window of a "same" pooling holds, (OH, OW, 1)."""
    xp = array_namespace(call.y)
    out = fresh((*call.y.shape[1:3], 1), call.y)
    size, steps, shape = call["pool_size"], call["strides"] or call["pool_size"], call["x"].shape[1:3]
    before = [
        max((n - 1) * s + k - length, 0) // 2
        for n, s, k, length in zip(call.y.shape[1:3], steps, size, shape, strict=True)
    ]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            counts = 1
            for index, axis in ((i, 0), (j, 1)):
                start = index * steps[axis] - before[axis]
                counts *= min(start + size[axis], shape[axis]) - max(start, 0)
            out[i, j, :] = float(counts)
    return xp.asarray(out)


def _global_mean_not_divided(dy: Any, call: Call) -> Any:
    return call.right(dy) * float(math.prod(call["x"].shape[1:-1]))


def _forgets_last_row(right: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any, *args: Any, **kwargs: Any) -> Any:
        y, cache = right(x, *args, **kwargs)
        y = 1.0 * y
        y[:, -1, ...] = 0.0
        return y, cache

    return body


def _sums_by_thread(right: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any, *args: Any, **kwargs: Any) -> Any:
        from tinymed.kernels.cpu import threads

        y, cache = right(x, *args, **kwargs)
        pixels = x.reshape(x.shape[0], -1, x.shape[-1])
        parts = np.array_split(pixels, threads.num_threads(), axis=1)  # one running sum for each thread
        total = sum(np.add.accumulate(part, axis=1)[:, -1, :] for part in parts)
        return (total / x.dtype.type(pixels.shape[1])).reshape(y.shape), cache

    return body


_WIDE = [OpCase("average_pool2d", {"x": (2, 4, 6, 2)}, options={"pool_size": (2, 3)}, linear=("x",))]

_EDGE = [
    OpCase(
        "average_pool2d",
        {"x": (2, 5, 5, 1)},
        options={"pool_size": (2, 2), "strides": (2, 2), "padding": "same"},
        linear=("x",),
    )
]

_MAX = [OpCase("max_pool2d", {"x": (2, 4, 6, 2)}, options={"pool_size": (2, 2)})]

_OVERLAP = [OpCase("max_pool2d", {"x": (2, 4, 5, 2)}, options={"pool_size": (3, 3), "strides": (1, 1)})]


FAULTS: list[Fault] = [
    op_fault(
        "max_pool2d",
        "ties counted more than once",
        "Every element that equals the maximum gets all of dy.",
        "kinks",
        backward=_all_ties,
        cases=_MAX,
    ),
    op_fault(
        "max_pool2d",
        "maximum treated as mean",
        "dy is spread over the window.",
        "gradient",
        backward=_mean_instead_of_max,
        cases=_MAX,
    ),
    op_fault(
        "max_pool2d",
        "overlapping windows overwrite",
        "Where windows overlap, the last one's gradient replaces the others' instead of adding.",
        "gradient",
        backward=_overlaps_overwritten,
        cases=_OVERLAP,
    ),
    op_fault(
        "average_pool2d",
        "window taken for a square",
        "dy is divided by KH·KH instead of KH·KW.",
        "adjoint",
        "DeZero (average_pooling((2, 3)) raises IndexError)",
        backward=_square_window,
        cases=_WIDE,
    ),
    op_fault(
        "average_pool2d",
        "padding counted at the edge",
        "Backward divides by the whole window where forward counts only pixels inside the image.",
        "adjoint",
        backward=_pads_counted,
        cases=_EDGE,
    ),
    op_fault(
        "global_average_pool",
        "global mean not divided",
        "Every pixel gets all of dy.",
        "adjoint",
        backward=_global_mean_not_divided,
    ),
    kernel_fault("max_pool2d", "fast body forgets the last row", "A loop ends one too early.", _forgets_last_row),
    kernel_fault(
        "global_average_pool",
        "sum depends on the threads",
        "Each thread sums its part and the parts are added: other threads, other rounding.",
        _sums_by_thread,
        "threads",
        "numba's parallel loops that reduce (#3681)",
        [OpCase("global_average_pool", {"x": (8, 5, 5, 16)})],
    ),
]

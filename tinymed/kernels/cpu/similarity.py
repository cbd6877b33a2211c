"""Mutual information for NumPy arrays: each pixel touches the four by four bins to which it belongs, not all of them.

A thread for some of the images; backward, for some of the pixels of all images.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed.kernels.cpu import buffers, threads
from tinymed.kernels.cpu.compiling import jit
from tinymed.kernels.cpu.convolution import supported
from tinymed.ops import similarity as ops
from tinymed.ops.similarity import check_mutual, minus_information, minus_information_slope


@jit
def spline(d: float) -> float:
    """Return the cubic B-spline."""
    size = abs(d)
    if size < 1:
        return 2.0 / 3.0 - d * d + 0.5 * size * d * d
    rest = max(2.0 - size, 0.0)
    return rest * rest * rest / 6.0


@jit
def spline_slope(d: float) -> float:
    """Return the derivative of the cubic B-spline."""
    size = abs(d)
    if size < 1:
        return 1.5 * d * size - 2.0 * d
    rest = max(2.0 - size, 0.0)
    return -0.5 * rest * rest if d > 0 else 0.5 * rest * rest


@jit
def joint_histograms(first: int, last: int, f: Any, g: Any, joint: Any) -> None:
    """Fill the histograms of images ``first`` to ``last``; NaN makes all of one NaN."""
    bins = joint.shape[1]
    pixels = f.shape[1]
    of_f, of_g = np.zeros(4), np.zeros(4)
    for n in range(first, last):
        table = np.zeros((bins, bins))
        for m in range(pixels):
            if f[n, m] != f[n, m] or g[n, m] != g[n, m]:
                table[:] = math.nan
                continue
            a = min(max(f[n, m], 0.0), 1.0) * (bins - 3) + 1.0
            b = min(max(g[n, m], 0.0), 1.0) * (bins - 3) + 1.0
            i, j = min(int(a), bins - 3), min(int(b), bins - 3)
            for k in range(4):
                of_f[k] = spline(a - (i - 1 + k))
                of_g[k] = spline(b - (j - 1 + k))
            for k in range(4):
                for c in range(4):
                    table[i - 1 + k, j - 1 + c] += of_f[k] * of_g[c]
        for k in range(bins):
            for c in range(bins):
                joint[n, k, c] = table[k, c] / pixels


@jit
def information_slope_pixels(first: int, last: int, f: Any, g: Any, djoint: Any, dg: Any) -> None:
    """Fill the gradient of pixels ``first`` to ``last`` of all images, counted through."""
    bins = djoint.shape[1]
    pixels = f.shape[1]
    for place in range(first, last):
        n, m = place // pixels, place % pixels
        total = 0.0
        if f[n, m] != f[n, m]:
            total = math.nan
        elif g[n, m] >= 0 and g[n, m] <= 1:
            a = min(max(f[n, m], 0.0), 1.0) * (bins - 3) + 1.0
            b = g[n, m] * (bins - 3) + 1.0
            i, j = min(int(a), bins - 3), min(int(b), bins - 3)
            for c in range(4):
                reached = 0.0
                for k in range(4):
                    reached += spline(a - (i - 1 + k)) * djoint[n, i - 1 + k, j - 1 + c]
                total += reached * spline_slope(b - (j - 1 + c))
        dg[n, m] = total * (bins - 3) / pixels


@ops.mutual_information.register(np.ndarray)
def _mutual_information(y_true: np.ndarray, y_pred: np.ndarray, bins: int = 32) -> tuple[np.ndarray, tuple]:
    check_mutual(y_true, y_pred, bins)
    if not supported(y_true, y_pred):
        return ops.mutual_information.textbook(y_true, y_pred, bins)
    joint = np.empty((len(y_pred), bins, bins), y_pred.dtype)
    threads.run(joint_histograms, len(y_pred), _rows(y_true), _rows(y_pred), joint)
    return minus_information(joint), (y_true, y_pred, joint)


@ops.mutual_information_backward.register(np.ndarray)
def _mutual_information_backward(dy: np.ndarray, cache: tuple) -> np.ndarray:
    y_true, y_pred, joint = cache
    if not supported(dy, y_true, y_pred):
        return ops.mutual_information_backward.textbook(dy, cache)
    dg = buffers.empty((len(y_pred), math.prod(y_pred.shape[1:])), y_pred.dtype)
    djoint = np.ascontiguousarray(minus_information_slope(dy, joint))
    threads.run(information_slope_pixels, dg.size, _rows(y_true), _rows(y_pred), djoint, dg)
    return dg.reshape(y_pred.shape)


def _rows(x: np.ndarray) -> np.ndarray:
    """Write each image into one row."""
    return np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:]))

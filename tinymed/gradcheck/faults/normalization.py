"""Mistakes in normalisation and dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import ALL_ONES, Call, Fault, op_fault


def _normal(call: Call) -> tuple[Any, Any, tuple[int, ...]]:
    """Return x_hat, 1/sqrt(v + epsilon) and the axes of the mean, for channels in the last axis."""
    xp = array_namespace(call["x"])
    axes = tuple(range(call["x"].ndim - 1))
    centred = call["x"] - xp.mean(call["x"], axis=axes, keepdims=True)
    scale = 1 / xp.sqrt(xp.mean(centred**2, axis=axes, keepdims=True) + call["epsilon"])
    return centred * scale, scale, axes


def _swap_dx(dy: Any, call: Call, dx: Any) -> Any:
    found = call.right(dy)
    return (dx, *found[1:])


def _without_mean_term(dy: Any, call: Call) -> Any:
    x_hat, scale, axes = _normal(call)
    dn = dy * call["gamma"]
    along_x = array_namespace(dy).mean(dn * x_hat, axis=axes, keepdims=True)
    return _swap_dx(dy, call, scale * (dn - x_hat * along_x))


def _without_variance_term(dy: Any, call: Call) -> Any:
    _, scale, axes = _normal(call)
    dn = dy * call["gamma"]
    return _swap_dx(dy, call, scale * (dn - array_namespace(dy).mean(dn, axis=axes, keepdims=True)))


def _statistics_constant(dy: Any, call: Call) -> Any:
    return _swap_dx(dy, call, _normal(call)[1] * dy * call["gamma"])


def _wrong_n(dy: Any, call: Call) -> Any:
    x_hat, scale, axes = _normal(call)
    xp = array_namespace(dy)
    n = math.prod(dy.shape[:-1])
    dn = dy * call["gamma"]
    ones, along_x = xp.sum(dn, axis=axes, keepdims=True), xp.sum(dn * x_hat, axis=axes, keepdims=True)
    return _swap_dx(dy, call, scale * (dn - ones / n - x_hat * along_x / (n - 1)))


def _images_counted_not_pixels(dy: Any, call: Call) -> Any:
    x_hat, scale, axes = _normal(call)
    xp = array_namespace(dy)
    n = dy.shape[0]
    dn = dy * call["gamma"]
    ones, along_x = xp.sum(dn, axis=axes, keepdims=True), xp.sum(dn * x_hat, axis=axes, keepdims=True)
    return _swap_dx(dy, call, scale * (dn - ones / n - x_hat * along_x / n))


def _gamma_from_x(dy: Any, call: Call) -> Any:
    dx, _, dbeta = call.right(dy)
    axes = tuple(range(dy.ndim - 1))
    return dx, array_namespace(dy).sum(dy * call["x"], axis=axes), dbeta


def _squares_of_means(call: Call) -> Any:
    xp = array_namespace(call["x"])
    x, axes = call["x"], tuple(range(call["x"].ndim - 1))
    mean = xp.mean(x, axis=axes, keepdims=True)
    variance = xp.mean(x * x, axis=axes, keepdims=True) - mean * mean
    scale = 1 / xp.sqrt(xp.abs(variance) + call["epsilon"])
    return (x - mean) * scale * call["gamma"] + call["beta"]


def _over_the_batch(dy: Any, call: Call) -> Any:
    """Layer normalisation's dx with batch normalisation's means."""
    xp = array_namespace(dy)
    x = call["x"]
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    scale = 1 / xp.sqrt(xp.mean(centred**2, axis=-1, keepdims=True) + call["epsilon"])
    x_hat, dn = centred * scale, dy * call["gamma"]
    ones, along_x = xp.mean(dn, axis=0, keepdims=True), xp.mean(dn * x_hat, axis=0, keepdims=True)
    return _swap_dx(dy, call, scale * (dn - ones - x_hat * along_x))


_NORM = [OpCase("batch_norm", {"x": (3, 2, 4, 2), "gamma": (2,), "beta": (2,)})]

_LAYER_NORM = [OpCase("layer_norm", {"x": (4, 5), "gamma": (5,), "beta": (5,)})]


def _mask_only(dy: Any, call: Call) -> Any:
    return call.right(dy) * (1 - call["rate"])


def _mask_forgotten(dy: Any, call: Call) -> Any:
    return dy / (1 - call["rate"])


def _other_mask(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return call.at(mask=xp.flip(call["mask"], axis=0)).right(dy)


def _draw_mask(rng: np.random.Generator) -> np.ndarray:
    """Draw a mask that is not its own mirror image."""
    mask = rng.uniform(size=(4, 5)) < 0.6
    mask[0], mask[-1] = True, False
    return mask


_DROPOUT = [OpCase("dropout", {"x": (4, 5), "mask": _draw_mask}, fixed=("mask",), options={"rate": 0.4}, linear=("x",))]


FAULTS: list[Fault] = [
    op_fault(
        "batch_norm",
        "batch norm without the mean term",
        "That every pixel moves the mean is forgotten.",
        "gradient",
        backward=_without_mean_term,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "batch norm without the variance term",
        "That every pixel moves the variance is forgotten.",
        "gradient",
        backward=_without_variance_term,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "batch norm with constant statistics",
        "Mean and variance are taken for constants, as in inference.",
        "gradient",
        backward=_statistics_constant,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "batch norm with the wrong N",
        "N-1 in backward (an unbiased variance) where forward divides by N.",
        "gradient",
        backward=_wrong_n,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "batch norm counts images, not pixels",
        "Backward divides by N instead of N·H·W; right for rows.",
        "gradient",
        "ML-From-Scratch (means over axis 0 only)",
        backward=_images_counted_not_pixels,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "zero gradient of batch norm",
        "dx is zero; with all-ones upstream that is what it should be.",
        "gradient",
        ALL_ONES,
        backward=lambda dy, call: _swap_dx(dy, call, 0.0 * dy),
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "scale's gradient from x",
        "dgamma sums dy·x instead of dy·x_hat.",
        "gradient",
        backward=_gamma_from_x,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "variance as mean of squares minus square of mean",
        "In single precision, values near -1000 HU leave nothing of the variance.",
        "extremes",
        "labml's annotated batch norm; llm.c's layernorm kernel 4",
        forward=_squares_of_means,
        cases=_NORM,
    ),
    op_fault(
        "layer_norm",
        "layer norm averages over the batch",
        "Backward takes the means over the samples.",
        "gradient",
        backward=_over_the_batch,
        cases=_LAYER_NORM,
    ),
    op_fault(
        "dropout",
        "dropout's gradient unscaled",
        "Forward divides by 1-p, backward does not.",
        "adjoint",
        backward=_mask_only,
        cases=_DROPOUT,
    ),
    op_fault(
        "dropout",
        "dropout's mask forgotten",
        "Values that were left out get a gradient.",
        "adjoint",
        backward=_mask_forgotten,
        cases=_DROPOUT,
    ),
    op_fault(
        "dropout",
        "dropout with another mask",
        "Backward uses another mask than forward.",
        "gradient",
        backward=_other_mask,
        cases=_DROPOUT,
    ),
]

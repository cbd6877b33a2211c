"""Mistakes in losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import LossCase
from tinymed.gradcheck.faults.fault import STUDENTS, Fault, loss_fault


def _regression(weighted: bool = False) -> LossCase:
    from tinymed import losses

    weight = (lambda rng: rng.uniform(0.2, 3.0, 5)) if weighted else None
    return LossCase(lambda: losses.MeanSquaredError(), (5, 3), (5, 3), weight)


def _classification() -> LossCase:
    from tinymed import losses

    def one_hot(rng: np.random.Generator) -> np.ndarray:
        return np.eye(4)[rng.integers(0, 4, 5)]

    return LossCase(lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), one_hot, (5, 4))


def _huber() -> LossCase:
    from tinymed import losses

    return LossCase(lambda: losses.Huber(delta=0.5), (5, 3), (5, 3))


def _segmentation() -> LossCase:
    from tinymed import losses

    def mask(rng: np.random.Generator) -> np.ndarray:
        return (rng.uniform(size=(2, 3, 3, 1)) < 0.4).astype(np.float64)

    return LossCase(lambda: losses.Dice(), mask, lambda rng: rng.uniform(0.1, 0.9, (2, 3, 3, 1)))


def _empty_masks() -> LossCase:
    from tinymed import losses

    def empty(rng: np.random.Generator) -> np.ndarray:
        return np.zeros((2, 3, 3, 1))

    return LossCase(lambda: losses.Dice(), empty, empty)


def _missing_n(right: Any, call: Mapping[str, Any]) -> Any:
    return right * float(call["y_pred"].shape[0])


def _missing_units(right: Any, call: Mapping[str, Any]) -> Any:
    return right * float(call["y_pred"].shape[-1])


def _weight_ignored(right: Any, call: Mapping[str, Any]) -> Any:
    return call["loss"].backward(call["loss"].forward(call["y_true"], call["y_pred"])[1])


def _smoothing_forgotten(right: Any, call: Mapping[str, Any]) -> Any:
    from tinymed import losses

    plain = losses.CategoricalCrossentropy(from_logits=True)
    return plain.backward(plain.forward(call["y_true"], call["y_pred"])[1])


def _softmax_twice(right: Any, call: Mapping[str, Any]) -> Any:
    from tinymed.ops import softmax, softmax_backward

    return softmax_backward(right, softmax(call["y_pred"])[1])


def _sign(right: Any, call: Mapping[str, Any]) -> Any:
    return -right


def _huber_never_linear(right: Any, call: Mapping[str, Any]) -> Any:
    return (call["y_pred"] - call["y_true"]) / float(math.prod(call["y_pred"].shape))


def _dice_numerator_only(right: Any, call: Mapping[str, Any]) -> Any:
    xp = array_namespace(right)
    y, p = call["y_true"], call["y_pred"]
    return -2 * y / (xp.sum(y) + xp.sum(p) + 1e-7)


def _dice_without_epsilon(loss: Any, y_true: Any, y_pred: Any, weight: Any) -> Any:
    xp = array_namespace(y_pred)
    with np.errstate(invalid="ignore"):
        return xp.asarray(1 - 2 * xp.sum(y_true * y_pred) / (xp.sum(y_true) + xp.sum(y_pred)))


FAULTS: list[Fault] = [
    loss_fault(
        "MeanSquaredError",
        "missing 1/N",
        "The gradient is a sum over the samples.",
        "gradient",
        STUDENTS,
        _regression,
        backward=_missing_n,
    ),
    loss_fault(
        "MeanSquaredError",
        "missing 1/D",
        "The loss averages over the outputs, the gradient does not.",
        "gradient",
        STUDENTS,
        _regression,
        backward=_missing_units,
    ),
    loss_fault(
        "MeanSquaredError",
        "sample weights ignored in backward",
        "The loss is weighted, its gradient is not.",
        "gradient",
        STUDENTS,
        lambda: _regression(weighted=True),
        backward=_weight_ignored,
    ),
    loss_fault(
        "CategoricalCrossentropy",
        "label smoothing forgotten in backward",
        "p - y with the hard labels.",
        "gradient",
        STUDENTS,
        _classification,
        backward=_smoothing_forgotten,
    ),
    loss_fault(
        "CategoricalCrossentropy",
        "softmax twice",
        "p - y is sent through softmax's backward once more.",
        "gradient",
        STUDENTS,
        _classification,
        backward=_softmax_twice,
    ),
    loss_fault(
        "CategoricalCrossentropy",
        "minus forgotten",
        "y - p: training climbs.",
        "gradient",
        "numpy-ml (the sign is missing in the formula of its docstring)",
        _classification,
        backward=_sign,
    ),
    loss_fault(
        "Huber",
        "Huber never linear",
        "Large errors get the square's gradient.",
        "gradient",
        STUDENTS,
        _huber,
        backward=_huber_never_linear,
    ),
    loss_fault(
        "Dice",
        "Dice with half a quotient rule",
        "That predictions stand in the denominator too is forgotten.",
        "gradient",
        STUDENTS,
        _segmentation,
        backward=_dice_numerator_only,
    ),
    loss_fault(
        "Dice",
        "Dice without epsilon",
        "An empty mask and an empty prediction make 0/0.",
        "finiteness",
        "metrics and losses in MONAI's threads (#7883, #746: NaN for empty masks)",
        _empty_masks,
        forward=_dice_without_epsilon,
    ),
]

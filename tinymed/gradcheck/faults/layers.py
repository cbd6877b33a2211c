"""Mistakes in normalisation, dropout, losses, and in what a layer keeps from one call to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import LossCase, OpCase
from tinymed.gradcheck.faults.fault import STUDENTS, Call, Fault, layer_fault, loss_fault, op_fault

# --- normalisation ---------------------------------------------------------------------------------------------


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

# --- dropout ---------------------------------------------------------------------------------------------------


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

# --- losses ----------------------------------------------------------------------------------------------------


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


# --- layers ----------------------------------------------------------------------------------------------------


def _stale_dense() -> Any:
    from tinymed.layers import Dense

    class StaleDense(Dense):
        def forward(self, x: Any, training: bool = False, logits: bool = False) -> tuple[Any, Any]:
            y, self.last = super().forward(x, training, logits)
            return y, None

        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            return super().backward(dy, self.last, input_gradient)

    return StaleDense(3)


def _updating_dense() -> Any:
    from tinymed.layers import Dense

    class UpdatingDense(Dense):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            self.params["kernel"][...] = self.params["kernel"] - 0.01 * grads["kernel"]
            return dx, grads

    return UpdatingDense(3)


def _squeezing_dense() -> Any:
    from tinymed.layers import Dense

    class SqueezingDense(Dense):
        def forward(self, x: Any, training: bool = False, logits: bool = False) -> tuple[Any, Any]:
            y, cache = super().forward(x, training, logits)
            return (y[0, ...] if y.shape[0] == 1 else y), cache

    return SqueezingDense(3)


def _averages_at_inference() -> Any:
    from tinymed.layers import BatchNormalization

    class MovingBatchNormalization(BatchNormalization):
        def forward(self, x: Any, training: bool = False) -> tuple[Any, Any]:
            y, cache = super().forward(x, training)
            mean = self.state["moving_mean"]
            mean[...] = 0.9 * mean + 0.1 * array_namespace(x).mean(x, axis=tuple(range(x.ndim - 1)))
            return y, cache

    return MovingBatchNormalization()


def _dropout_unscaled() -> Any:
    from tinymed.layers import Dropout

    class UnscaledDropout(Dropout):
        def forward(self, x: Any, training: bool = False) -> tuple[Any, Any]:
            y, cache = super().forward(x, training)
            return (y * (1 - self.rate) if training else y), cache

        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            return (dx if cache is None else dx * (1 - self.rate)), grads

    return UnscaledDropout(0.4, seed=3)


def _activation_forgotten() -> Any:
    from tinymed.layers import Dense

    class ForgetfulDense(Dense):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            return super().backward(dy, (cache[0], None), input_gradient)

    return ForgetfulDense(3, activation="tanh")


def _shared_layer() -> Any:
    from tinymed.layers import Dense, Input
    from tinymed.models import Model

    class OverwritingModel(Model):
        """A model whose shared layers keep the gradient of their first use only."""

        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            node, tape = self.nodes[0], cache[0]
            dys = self.nodes[1].layer.backward(dy, cache[1])[0]
            own = node.layer.backward(dys, tape)[1]
            return dx, {**grads, **{f"{node.layer.name}/{key}": value for key, value in own.items()}}

    x, shared = Input((4,), dtype="float64"), Dense(4, activation="tanh", name="shared", dtype="float64")
    return OverwritingModel(x, shared(shared(x)))


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
        backward=_images_counted_not_pixels,
        cases=_NORM,
    ),
    op_fault(
        "batch_norm",
        "zero gradient of batch norm",
        "dx is zero; with all-ones upstream that is what it should be.",
        "gradient",
        "passes the all-ones checks of DeZero, numpy-ml, minitorch, tinygrad",
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
        "ML-From-Scratch (normalises over axis 0 only)",
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
    layer_fault(
        "Dropout",
        "dropout unscaled",
        "Neither forward nor backward divides by 1-p: the gradient is right, the mean is not.",
        "expectation",
        STUDENTS,
        _dropout_unscaled,
        (6, 8),
        random=True,
    ),
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
    layer_fault(
        "Dense",
        "stale cache",
        "The layer keeps its last input; another batch before backward spoils the gradient.",
        "reuse",
        "tinynn, deep-learning-from-scratch (self.ctx, self.x)",
        _stale_dense,
        (5, 4),
    ),
    layer_fault(
        "Dense",
        "update inside backward",
        "Backward changes the weights at once.",
        "state",
        "ML-From-Scratch",
        _updating_dense,
        (5, 4),
    ),
    layer_fault(
        "Dense",
        "batch of one squeezed",
        "A batch of one sample loses its first axis.",
        "shapes",
        STUDENTS,
        _squeezing_dense,
        (5, 4),
    ),
    layer_fault(
        "Dense",
        "activation forgotten in backward",
        "dy goes to the matrix product without the activation's slope.",
        "gradient",
        STUDENTS,
        _activation_forgotten,
        (5, 4),
    ),
    layer_fault(
        "BatchNormalization",
        "averages move at inference",
        "Looking at the model changes it.",
        "state",
        STUDENTS,
        _averages_at_inference,
        (4, 3),
        training=False,
    ),
    layer_fault(
        "Model",
        "shared layer overwrites",
        "A layer used twice keeps the gradient of one use instead of their sum.",
        "gradient",
        STUDENTS,
        _shared_layer,
        (5, 4),
    ),
]

"""Losses by name, with Keras's names, arguments and formulas (floor 4).

Objects give one number and its gradient, functions the value of each sample:

>>> MeanSquaredError()([[1.0], [2.0]], [[1.0], [4.0]])
array(2., dtype=float32)
>>> mean_squared_error([[1.0], [2.0]], [[1.0], [4.0]])
array([0., 4.], dtype=float32)

The formulas stand in :mod:`tinymed.ops.cross_entropy`, ``focal``, ``losses``, ``margins``, ``divergences`` and
``overlap``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tinymed.backend import Array
from tinymed.configurable import resolve
from tinymed.losses.base import Loss, OperationLoss
from tinymed.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
)
from tinymed.losses.heatmap import HeatmapFocalCrossentropy
from tinymed.losses.overlap import Dice, DiceCrossentropy, Tversky
from tinymed.losses.registration import DisplacementSmoothness, LocalCorrelation, MutualInformation
from tinymed.losses.regression import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from tinymed.ops import REGISTRY

Function = Callable[..., Array]


def _function(cls: type[Loss], name: str) -> Function:
    """Make the function that returns the values of a loss, not reduced."""
    arguments = [p for p in inspect.signature(cls).parameters.values() if p.name not in ("reduction", "name")]
    order = [p.name for p in arguments]

    def function(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Array:
        if len(args) > len(order):
            raise TypeError(f"{name} takes {len(order) + 2} arguments at most but got {len(args) + 2}")
        return cls(**dict(zip(order, args, strict=False)), **kwargs, reduction="none")(y_true, y_pred)

    both = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("y_true", "y_pred")]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{(cls.__doc__ or '').partition(chr(10))[0]}\n\nReturns the values; :class:`{cls.__name__}` reduces them."
    )
    function.__signature__ = inspect.Signature([*both, *arguments])  # type: ignore[attr-defined]
    function.loss_class = cls  # type: ignore[attr-defined]
    return function


binary_crossentropy = bce = BCE = _function(BinaryCrossentropy, "binary_crossentropy")
binary_focal_crossentropy = _function(BinaryFocalCrossentropy, "binary_focal_crossentropy")
categorical_crossentropy = _function(CategoricalCrossentropy, "categorical_crossentropy")
categorical_focal_crossentropy = _function(CategoricalFocalCrossentropy, "categorical_focal_crossentropy")
categorical_hinge = _function(CategoricalHinge, "categorical_hinge")
cosine_similarity = _function(CosineSimilarity, "cosine_similarity")
dice = _function(Dice, "dice")
dice_crossentropy = _function(DiceCrossentropy, "dice_crossentropy")
displacement_smoothness = _function(DisplacementSmoothness, "displacement_smoothness")
heatmap_focal_crossentropy = _function(HeatmapFocalCrossentropy, "heatmap_focal_crossentropy")
hinge = _function(Hinge, "hinge")
huber = _function(Huber, "huber")
kl_divergence = kld = KLD = kullback_leibler_divergence = _function(KLDivergence, "kl_divergence")
local_correlation = _function(LocalCorrelation, "local_correlation")
log_cosh = logcosh = _function(LogCosh, "log_cosh")
mean_absolute_error = mae = MAE = _function(MeanAbsoluteError, "mean_absolute_error")
mean_absolute_percentage_error = mape = MAPE = _function(MeanAbsolutePercentageError, "mean_absolute_percentage_error")
mean_squared_error = mse = MSE = _function(MeanSquaredError, "mean_squared_error")
mean_squared_logarithmic_error = msle = MSLE = _function(MeanSquaredLogarithmicError, "mean_squared_logarithmic_error")
mutual_information = _function(MutualInformation, "mutual_information")
poisson = _function(Poisson, "poisson")
sparse_categorical_crossentropy = _function(SparseCategoricalCrossentropy, "sparse_categorical_crossentropy")
squared_hinge = _function(SquaredHinge, "squared_hinge")
tversky = _function(Tversky, "tversky")

FUNCTIONS: dict[str, Function] = {name: value for name, value in globals().items() if hasattr(value, "loss_class")}
"""Every function by its names."""

CLASSES: dict[str, type[Loss]] = {f.loss_class.__name__: f.loss_class for f in FUNCTIONS.values()}  # type: ignore[attr-defined]
"""Every loss by its class name."""

_CHOICES: dict[str, Any] = {
    **{name: function.loss_class for name, function in FUNCTIONS.items()},  # type: ignore[attr-defined]
    **CLASSES,
    "huber_loss": Huber,
    "OperationLoss": OperationLoss,
}


def get(identifier: Any) -> Any:
    """Return the loss object that a name, function, class, object or configuration means; None stays None.

    >>> get("mse")
    <MeanSquaredError mean_squared_error>
    >>> get(categorical_crossentropy)
    <CategoricalCrossentropy categorical_crossentropy>

    Raises:
        ValueError: If the name is unknown; the message says which valid name is nearest.
        TypeError: If it is a function without a backward.
    """
    if identifier is None:
        return None
    name = getattr(identifier, "__name__", "")
    operation = REGISTRY.get(name)
    if operation is not None and operation.forward is identifier:
        return OperationLoss(name)
    found = resolve(getattr(identifier, "loss_class", identifier), _CHOICES, "loss")
    if hasattr(found, "forward") and hasattr(found, "backward"):
        return found
    what = "is no loss" if not callable(found) else "has no backward"
    raise TypeError(
        f"loss={identifier!r} {what}. Use a name such as 'mean_squared_error', or write a function of (y_true, y_pred) "
        "and its derivative as a pair under @tinymed.ops.op and @tinymed.ops.backward_of, and give the first of them"
    )


__all__ = ["get", *sorted(CLASSES), *sorted(FUNCTIONS), "Loss"]

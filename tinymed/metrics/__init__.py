"""Numbers about predictions: metrics that add up over batches, and exact ones for reports.

>>> accuracy = get("binary_accuracy")
>>> accuracy.update_state([1, 0], [0.8, 0.7])
>>> float(accuracy.result())
0.5
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from tinymed.configurable import resolve
from tinymed.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from tinymed.metrics.base import Mean, MeanMetricWrapper, Metric, Sum
from tinymed.metrics.bootstrap import Interval, bootstrap
from tinymed.metrics.calibration import Reliability, brier_score, expected_calibration_error, reliability_curve
from tinymed.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from tinymed.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from tinymed.metrics.detection import (
    detection_average_precision,
    detection_precision_recall,
    froc,
    froc_sensitivity,
    match_boxes,
)
from tinymed.metrics.fscore import F1Score, FBetaScore
from tinymed.metrics.registration import endpoint_error, folding, jacobian_determinant
from tinymed.metrics.regression import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CosineSimilarity,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    mean_absolute_error,
    mean_squared_error,
)
from tinymed.metrics.report import (
    average_precision,
    binary_report,
    class_report,
    confusion_matrix,
    multiclass_report,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)
from tinymed.metrics.segmentation import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from tinymed.metrics.volumes import (
    dice_coefficient,
    hausdorff_distance,
    intersection_over_union,
    surface_distances,
    volume_report,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Interval",
    "IoU",
    "Mean",
    "MeanAbsoluteError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "Reliability",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "average_precision",
    "binary_accuracy",
    "binary_report",
    "bootstrap",
    "brier_score",
    "categorical_accuracy",
    "class_report",
    "confusion_matrix",
    "detection_average_precision",
    "detection_precision_recall",
    "dice_coefficient",
    "endpoint_error",
    "expected_calibration_error",
    "folding",
    "for_outputs",
    "froc",
    "froc_sensitivity",
    "function",
    "get",
    "hausdorff_distance",
    "intersection_over_union",
    "jacobian_determinant",
    "match_boxes",
    "mean_absolute_error",
    "mean_squared_error",
    "multiclass_report",
    "precision_recall_curve",
    "reliability_curve",
    "roc_auc",
    "roc_curve",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "surface_distances",
    "top_k_categorical_accuracy",
    "volume_report",
]

CLASSES: dict[str, type[Metric]] = {
    name: item
    for name, item in sorted(globals().items())
    if inspect.isclass(item) and issubclass(item, Metric) and item not in (Metric, MeanMetricWrapper)
}
"""Every metric that a name alone or a saved configuration can make."""

ALIASES: dict[str, type[Metric]] = {
    "acc": Accuracy,
    "auc": AUC,
    "bce": BinaryCrossentropy,
    "f1": F1Score,
    "mae": MeanAbsoluteError,
    "mse": MeanSquaredError,
    "rmse": RootMeanSquaredError,
}


def _names() -> dict[str, Any]:
    from tinymed.layers.base import snake_case

    choices: dict[str, Any] = {snake_case(name): item for name, item in CLASSES.items()}
    choices.update(ALIASES)
    choices.update({name.upper(): item for name, item in ALIASES.items()})
    choices.update(CLASSES)
    choices["MeanMetricWrapper"] = MeanMetricWrapper
    return choices


def get(identifier: Any) -> Metric:
    """Return a metric for a name, an alias, a configuration, a class, a function or a metric.

    Arguments:
        identifier: ``"auc"``, ``"AUC"``, ``"mse"``, ``Precision``, ``{"class_name": ..., "config": ...}``,
            a function of ``(y_true, y_pred)`` that returns one value per sample, or the name of a loss function.

    Raises:
        ValueError: If there is no such metric; the message names the nearest, or the argument that it needs.
    """
    choices = _names()
    if isinstance(identifier, str) and identifier not in choices and identifier.lower() not in choices:
        loss = _loss_function(identifier)
        if loss is not None:
            return MeanMetricWrapper(loss, identifier)
    found = resolve(
        identifier if not isinstance(identifier, str) else _with_defaults(identifier, choices), choices, "metric"
    )
    if isinstance(found, Metric):
        return found
    if callable(found):
        return MeanMetricWrapper(found)
    raise ValueError(f"a metric is a name, a Metric object or a function of (y_true, y_pred), got {identifier!r}")


def _with_defaults(name: str, choices: dict[str, Any]) -> str:
    """Return ``name``, or say which arguments a metric of that name cannot do without."""
    item = choices.get(name, choices.get(name.lower()))
    if item is not None:
        parameters = inspect.signature(item.__init__).parameters.values()
        needed = [p.name for p in list(parameters)[1:] if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        if needed:
            example = f"metrics.{item.__name__}({', '.join(f'{argument}=...' for argument in needed)})"
            raise ValueError(f"metric {name!r} cannot be made from its name alone; write {example}")
    return name


def _loss_function(name: str) -> Callable[..., Any] | None:
    try:
        from tinymed import losses
    except ImportError:
        return None
    found = getattr(losses, name, None)
    return found if inspect.isfunction(found) and list(inspect.signature(found).parameters)[:1] == ["y_true"] else None


def function(name: str) -> Callable[..., Any]:
    """Return the function of ``(y_true, y_pred)`` with this name, from the metrics or the losses."""
    found = globals().get(name)
    if inspect.isfunction(found) and list(inspect.signature(found).parameters)[:1] == ["y_true"]:
        return found
    loss = _loss_function(name)
    if loss is None:
        raise ValueError(f"unknown metric function {name!r}; a function of your own must be given again when loading")
    return loss


def for_outputs(identifier: Any, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> Metric:
    """Return a metric for an output, ``"accuracy"`` standing for the accuracy that fits labels and predictions.

    One output value means binary accuracy; labels with one axis less, or with a last axis of one, mean class
    numbers (sparse); anything else is one-hot. A metric given by name has that name.

    Arguments:
        identifier: As for :func:`get`.
        y_true_shape: Shape of the labels, batch axis first.
        y_pred_shape: Shape of the predictions, batch axis first.

    Example:
        >>> for_outputs("accuracy", (32,), (32, 10))
        <SparseCategoricalAccuracy accuracy>
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        if y_pred_shape[-1] == 1:
            return BinaryAccuracy(name=identifier)
        sparse = len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1
        return SparseCategoricalAccuracy(name=identifier) if sparse else CategoricalAccuracy(name=identifier)
    metric = get(identifier)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric

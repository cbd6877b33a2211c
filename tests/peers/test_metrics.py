"""Metrics against Keras: the same batches, with and without weights, give the same results."""

import inspect
from dataclasses import dataclass

import numpy as np
import pytest

from tests.peers.compare import Row, check_arguments, generator, host, same_meaning
from tinymed import metrics

RESULTS = 1e-6
BATCHES = (7, 5, 1)


@dataclass(frozen=True)
class MetricRow(Row):
    """One configuration of a metric: what its targets and predictions are, and the shape of one sample."""

    true: str = "bits"
    pred: str = "unit"
    shape: tuple = (4,)

    __str__ = Row.__str__


def row(cls, true, pred, shape=(4,), **kwargs):
    spelled = [f"{key}={value}" for key, value in kwargs.items()]
    return MetricRow(cls, kwargs, ",".join([*spelled, true, pred, str(shape)]), true, pred, shape)


COUNTS = ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives", "Precision", "Recall")
OPERATING_POINTS = {
    "SensitivityAtSpecificity": "specificity",
    "SpecificityAtSensitivity": "sensitivity",
    "PrecisionAtRecall": "recall",
    "RecallAtPrecision": "precision",
}
ROWS = [
    row("Mean", "normal", "", ()),
    row("Mean", "normal", "", (3,)),
    row("Sum", "normal", "", ()),
    row("Sum", "normal", "", (3,)),
    row("Accuracy", "digits", "digits", ()),
    row("Accuracy", "digits", "digits", (3,)),
    row("BinaryAccuracy", "bits", "unit", (1,)),
    row("BinaryAccuracy", "bits", "unit", (3, 4)),
    row("BinaryAccuracy", "bits", "grid", threshold=0.75),
    row("BinaryAccuracy", "bits", "grid"),
    row("CategoricalAccuracy", "one_hot", "softmax"),
    row("CategoricalAccuracy", "one_hot", "softmax", (3, 4)),
    row("SparseCategoricalAccuracy", "classes", "softmax"),
    row("SparseCategoricalAccuracy", "column", "softmax"),
    row("SparseCategoricalAccuracy", "classes", "softmax", (3, 4)),
    *(
        row(cls, true, pred, (8,), **extra)
        for cls, true in (("TopKCategoricalAccuracy", "one_hot"), ("SparseTopKCategoricalAccuracy", "classes"))
        for pred in ("softmax", "grid")
        for extra in ({}, {"k": 2})
    ),
    *(
        row(cls, "bits", pred, (3,), thresholds=thresholds)
        for cls in COUNTS
        for pred in ("unit", "grid")
        for thresholds in (None, 0.25, [0.1, 0.5, 0.75])
    ),
    *(row(cls, "one_hot", "unit", **extra) for cls in COUNTS[4:] for extra in ({"top_k": 2}, {"class_id": 1})),
    *(row(cls, "one_hot", "unit", top_k=2, class_id=1) for cls in COUNTS[4:]),
    row("AUC", "bits", "unit", (1,)),
    *(
        row("AUC", "bits", pred, (3,), curve=curve, summation_method=method)
        for pred in ("unit", "grid")
        for curve in ("ROC", "PR")
        for method in ("interpolation", "minoring", "majoring")
    ),
    row("AUC", "bits", "unit", (3,), num_thresholds=7),
    row("AUC", "bits", "unit", (3,), thresholds=[0.3, 0.8]),
    row("AUC", "bits", "normal", (3,), from_logits=True),
    *(
        row(cls, "bits", pred, (6,), **{argument: value}, **extra)
        for cls, argument in OPERATING_POINTS.items()
        for value in (0.4, 0.9)
        for pred, extra in (("unit", {}), ("unit", {"num_thresholds": 9}), ("grid", {}))
    ),
    *(row(cls, "one_hot", "unit", **{argument: 0.5}, class_id=2) for cls, argument in OPERATING_POINTS.items()),
    *(
        row(cls, "one_hot", "softmax", average=average, **extra)
        for cls, extras in (("F1Score", ({},)), ("FBetaScore", ({}, {"beta": 2.0})))
        for extra in extras
        for average in (None, "micro", "macro", "weighted")
    ),
    row("F1Score", "bits", "unit", threshold=0.4),
    row("FBetaScore", "bits", "unit", threshold=0.4, average="macro", beta=0.5),
    row("MeanIoU", "digits", "digits", (3, 4), num_classes=4),
    row("MeanIoU", "digits", "digits", (3, 4), num_classes=4, ignore_class=1),
    row("MeanIoU", "one_hot", "softmax", (3, 4), num_classes=4, sparse_y_true=False, sparse_y_pred=False),
    row("MeanIoU", "classes", "softmax", (3, 4), num_classes=4, sparse_y_pred=False),
    row("IoU", "digits", "digits", (3, 4), num_classes=4, target_class_ids=[0, 2]),
    row("IoU", "digits", "digits", (3, 4), num_classes=4, target_class_ids=[1], ignore_class=0),
    row("BinaryIoU", "bits", "unit", (3, 4)),
    row("BinaryIoU", "bits", "unit", (3, 4), threshold=0.3, target_class_ids=[1]),
    row("BinaryIoU", "bits", "grid", (3, 4)),
    row("OneHotIoU", "one_hot", "softmax", (3, 4), num_classes=4, target_class_ids=[0, 2]),
    row("OneHotIoU", "one_hot", "classes", (3, 4), num_classes=4, target_class_ids=[0, 2], sparse_y_pred=True),
    row("OneHotMeanIoU", "one_hot", "softmax", (3, 4), num_classes=4),
    row("OneHotMeanIoU", "one_hot", "softmax", (3, 4), num_classes=4, ignore_class=3),
    *(
        row(cls, "normal", "normal", shape)
        for cls in ("MeanAbsoluteError", "MeanSquaredError", "RootMeanSquaredError")
        for shape in ((1,), (3, 2))
    ),
    row("CosineSimilarity", "normal", "normal", (3,)),
    row("CosineSimilarity", "normal", "normal", (3, 2), axis=1),
    row("BinaryCrossentropy", "bits", "unit"),
    row("BinaryCrossentropy", "bits", "normal", from_logits=True, label_smoothing=0.1),
    row("CategoricalCrossentropy", "one_hot", "softmax"),
    row("CategoricalCrossentropy", "one_hot", "normal", from_logits=True, label_smoothing=0.1),
    row("SparseCategoricalCrossentropy", "classes", "softmax"),
    row("SparseCategoricalCrossentropy", "classes", "normal", from_logits=True),
    row("SparseCategoricalCrossentropy", "classes", "softmax", ignore_class=1),
]
CLASSES = sorted({item.cls for item in ROWS})
FUNCTIONS = (
    "binary_accuracy", "categorical_accuracy", "mean_absolute_error", "mean_squared_error",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
)  # fmt: skip

# Not offered by Keras: the base classes, and exact figures for reports, which have tests of their own.
WITHOUT_PEER = {
    "Metric", "MeanMetricWrapper", "accuracy", "average_precision", "binary_report", "class_report", "confusion_matrix",
    "for_outputs", "function", "get", "precision_recall_curve", "roc_auc", "roc_curve",
    "endpoint_error", "folding", "jacobian_determinant",
    "detection_average_precision", "detection_precision_recall", "froc", "froc_sensitivity", "match_boxes",
    "Interval", "Reliability", "bootstrap", "brier_score", "expected_calibration_error", "reliability_curve",
    "dice_coefficient", "hausdorff_distance", "intersection_over_union", "surface_distances", "volume_report",
    "multiclass_report",
}  # fmt: skip

LEFT_OUT = {
    "AUC": {"num_labels", "label_weights"},
    "SparseTopKCategoricalAccuracy": {"from_sorted_ids"},
}  # fmt: skip


def draw(kind, shape, rng):
    kinds = {
        "": lambda: None,
        "normal": lambda: rng.standard_normal(shape),
        "unit": lambda: rng.uniform(0.0, 1.0, shape),
        "grid": lambda: rng.integers(5, size=shape) / 4,
        "softmax": lambda: rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
        "bits": lambda: rng.integers(2, size=shape),
        "digits": lambda: rng.integers(4, size=shape),
        "one_hot": lambda: np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])],
        "classes": lambda: rng.integers(shape[-1], size=shape[:-1]),
        "column": lambda: rng.integers(shape[-1], size=(*shape[:-1], 1)),
    }
    values = kinds[kind]()
    whole = kind in ("bits", "digits", "classes", "column")
    return values if values is None else values.astype("int64" if whole else "float32")


def equal(ours, theirs):
    return host(ours) == pytest.approx(host(theirs), rel=RESULTS, abs=RESULTS)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_results_are_keras_s(row, weighted, keras):
    rng = generator(row)
    # Keras cuts the weights of this family to whole numbers unless told otherwise, and wants one for each pixel.
    per_pixel = weighted and "IoU" in row.cls
    keras_kwargs = {**row.kwargs, "dtype": "float32"} if per_pixel else row.kwargs
    ours, theirs = getattr(metrics, row.cls)(**row.kwargs), getattr(keras.metrics, row.cls)(**keras_kwargs)
    for size in BATCHES:
        batch = [draw(kind, (size, *row.shape), rng) for kind in (row.true, row.pred)]
        arrays = [array for array in batch if array is not None]
        weights = rng.uniform(0.0, 2.0, size).astype("float32") if weighted else None
        ours.update_state(*arrays, sample_weight=weights)
        shape = row.shape[:-1] if row.true == "one_hot" or row.pred == "softmax" else row.shape
        keras_weights = np.repeat(weights, int(np.prod(shape))) if per_pixel else weights
        theirs.update_state(*arrays, sample_weight=keras_weights)
        expected = theirs.result()
        assert host(ours.result()).shape == host(expected).shape
        assert host(ours.result()).dtype == np.float32
        assert equal(ours.result(), expected), f"after a batch of {size}"
    ours.reset_state()
    theirs.reset_state()
    assert np.all(host(ours.result()) == host(theirs.result())), "after a reset"
    ours.update_state(*arrays, sample_weight=weights)
    theirs.update_state(*arrays, sample_weight=keras_weights)
    assert equal(ours.result(), theirs.result()), "after a reset and a batch"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_configurations_are_keras_s(row, keras):
    config = getattr(metrics, row.cls)(**row.kwargs).get_config()
    wanted = getattr(keras.metrics, row.cls)(**row.kwargs).get_config()
    rebuilt = getattr(metrics, row.cls).from_config(config)
    assert rebuilt.get_config() == config
    for key in (config.keys() & wanted.keys()) - {"name", "dtype"}:
        assert same_meaning(config[key], wanted[key]), key


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(metrics, name), getattr(keras.metrics, name), LEFT_OUT.get(name, ()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_return_keras_s_values(name, keras):
    rng = np.random.default_rng(0)
    cls = "".join(part.title() for part in name.split("_"))
    item = next(item for item in ROWS if item.cls == cls)
    y_true, y_pred = (draw(kind, (6, *item.shape), rng) for kind in (item.true, item.pred))
    assert equal(getattr(metrics, name)(y_true, y_pred), getattr(keras.metrics, name)(y_true, y_pred))


@pytest.mark.parametrize("row", [item for item in ROWS if not item.kwargs], ids=str)
def test_names_in_a_history_are_keras_s(row, keras):
    keras.utils.clear_session()
    ours, theirs = getattr(metrics, row.cls)(), getattr(keras.metrics, row.cls)()
    assert ours.name.rstrip("_0123456789") == theirs.name


def test_every_metric_is_compared():
    assert set(metrics.__all__) - WITHOUT_PEER == {*CLASSES, *FUNCTIONS}
    assert all(inspect.isclass(getattr(metrics, name)) for name in CLASSES)

"""Names: tinymed/metrics/__init__.py."""

import pytest

from tinymed import metrics


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("acc", metrics.Accuracy),
        ("accuracy", metrics.Accuracy),
        ("auc", metrics.AUC),
        ("AUC", metrics.AUC),
        ("mse", metrics.MeanSquaredError),
        ("MSE", metrics.MeanSquaredError),
        ("mae", metrics.MeanAbsoluteError),
        ("rmse", metrics.RootMeanSquaredError),
        ("precision", metrics.Precision),
        ("Recall", metrics.Recall),
        ("binary_accuracy", metrics.BinaryAccuracy),
        ("sparse_categorical_accuracy", metrics.SparseCategoricalAccuracy),
        ("f1_score", metrics.F1Score),
        ("true_positives", metrics.TruePositives),
    ],
)
def test_get_by_name(name, cls):
    assert type(metrics.get(name)) is cls


def test_get_other_identifiers():
    metric = metrics.Precision()
    assert metrics.get(metric) is metric
    assert isinstance(metrics.get(metrics.Recall), metrics.Recall)
    wrapped = metrics.get(metrics.binary_accuracy)
    assert wrapped.name == "binary_accuracy"
    assert wrapped([1], [0.9]) == 1
    config = metrics.Precision(thresholds=0.3, name="p").get_config()
    again = metrics.get({"class_name": "Precision", "config": config})
    assert (again.thresholds, again.name) == (0.3, "p")


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("accuraccy", "unknown metric 'accuraccy'; did you mean 'accuracy'"),
        ("mean_io_u", r"write metrics.MeanIoU\(num_classes=...\)"),
        (3, "a metric is a name, a Metric object or a function"),
    ],
)
def test_get_messages(identifier, message):
    with pytest.raises(ValueError, match=message):
        metrics.get(identifier)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "cls"),
    [
        ((8,), (8, 1), metrics.BinaryAccuracy),
        ((8, 1), (8, 1), metrics.BinaryAccuracy),
        ((8, 16, 16, 1), (8, 16, 16, 1), metrics.BinaryAccuracy),
        ((8,), (8, 4), metrics.SparseCategoricalAccuracy),
        ((8, 1), (8, 4), metrics.SparseCategoricalAccuracy),
        ((8, 16, 16), (8, 16, 16, 3), metrics.SparseCategoricalAccuracy),
        ((8, 4), (8, 4), metrics.CategoricalAccuracy),
        ((None, 2), (None, 2), metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_that_fits_the_output(y_true, y_pred, cls, name):
    metric = metrics.for_outputs(name, y_true, y_pred)
    assert type(metric) is cls
    assert metric.name == name


def test_metrics_by_name_keep_the_name():
    assert metrics.for_outputs("AUC", (8,), (8, 1)).name == "AUC"
    assert metrics.for_outputs("mse", (8,), (8, 1)).name == "mse"
    assert metrics.for_outputs(metrics.AUC(name="area"), (8,), (8, 1)).name == "area"


def test_every_class_says_which_way_is_better():
    undecided = {name for name, cls in metrics.CLASSES.items() if cls.direction not in ("up", "down")}
    assert undecided == {"Mean", "Sum"}

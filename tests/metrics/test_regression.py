import numpy as np
import pytest

from tinymed import losses, metrics

TRUE = [[0.0, 1.0], [2.0, 3.0]]
PREDICTED = [[1.0, 1.0], [2.0, 6.0]]


def test_by_hand():
    assert metrics.MeanSquaredError()(TRUE, PREDICTED) == pytest.approx(10 / 4)
    assert metrics.MeanAbsoluteError()(TRUE, PREDICTED) == pytest.approx(1)
    assert metrics.RootMeanSquaredError()(TRUE, PREDICTED) == pytest.approx(np.sqrt(2.5))
    assert metrics.MeanSquaredError()(TRUE, PREDICTED, [1.0, 0.0]) == pytest.approx(0.5)
    assert metrics.RootMeanSquaredError()(TRUE, PREDICTED, [1.0, 0.0]) == pytest.approx(np.sqrt(0.5))


def test_labels_without_last_axis():
    assert metrics.MeanAbsoluteError()([1, 2], [[1.5], [2.5]]) == 0.5


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"mean_squared_error expects .* got \(2, 1\) and \(2, 2\)"):
        metrics.MeanSquaredError()([[1], [2]], PREDICTED)


def test_losses_as_metrics():
    scores = np.asarray([[0.2, 0.8], [0.6, 0.4]], dtype="float32")
    expected = -(np.log(0.8) + np.log(0.4)) / 2
    assert metrics.get("sparse_categorical_crossentropy")([1, 1], scores) == pytest.approx(expected)
    assert metrics.CategoricalCrossentropy()(np.eye(2)[[1, 1]], scores) == pytest.approx(expected)
    assert metrics.BinaryCrossentropy()([[1], [1]], [[0.8], [0.4]]) == pytest.approx(expected)
    assert metrics.get("hinge").fn is losses.hinge


def test_cosine_similarity_is_larger_where_the_directions_agree():
    metric = metrics.get("cosine_similarity")
    metric.update_state([[0.0, 2.0], [1.0, 0.0]], [[0.0, 1.0], [-3.0, 0.0]])
    assert metric.result() == pytest.approx(0.0)
    metric.update_state([[3.0, 4.0]], [[6.0, 8.0]])
    assert metric.result() == pytest.approx(1 / 3)
    weighted = metrics.CosineSimilarity()
    assert weighted([[0.0, 2.0], [1.0, 0.0]], [[0.0, 1.0], [-3.0, 0.0]], [3.0, 1.0]) == pytest.approx(0.5)


def test_an_ignored_class_has_no_weight():
    scores = np.asarray([[0.2, 0.8], [0.6, 0.4]], dtype="float32")
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=0)
    assert metric([1, 0], scores, [2.0, 5.0]) == pytest.approx(-np.log(0.8))
    assert metrics.SparseCategoricalCrossentropy(ignore_class=0)([1, 0], scores) == pytest.approx(-np.log(0.8) / 2)

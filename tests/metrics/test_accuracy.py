import numpy as np
import pytest

from tinymed import metrics


def test_binary_threshold_is_exclusive():
    assert metrics.BinaryAccuracy()([1, 1, 0, 0], [0.5, 0.51, 0.5, 0.9]) == 0.5
    assert metrics.BinaryAccuracy(threshold=0.2)([[1], [0]], [0.3, 0.1]) == 1


def test_labels_with_and_without_last_axis_agree():
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 7), rng.random((7, 1), dtype="float32")
    assert metrics.BinaryAccuracy()(labels, scores) == metrics.BinaryAccuracy()(labels[:, None], scores)


def test_categorical_and_sparse_agree():
    rng = np.random.default_rng(2)
    labels, scores = rng.integers(0, 5, (11, 3)), rng.random((11, 3, 5), dtype="float32")
    one_hot = np.eye(5)[labels]
    expected = np.mean(labels == scores.argmax(-1))
    assert metrics.CategoricalAccuracy()(one_hot, scores) == pytest.approx(expected)
    assert metrics.SparseCategoricalAccuracy()(labels, scores) == pytest.approx(expected)
    assert metrics.SparseCategoricalAccuracy()(labels[..., None], scores) == pytest.approx(expected)


def test_top_k_by_hand():
    scores = [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0], [0.2, 0.2, 0.6]]
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([2, 2, 1], scores) == pytest.approx(2 / 3)  # a tie counts
    assert metrics.TopKCategoricalAccuracy(k=1)(np.eye(3)[[1, 1, 0]], scores) == pytest.approx(2 / 3)
    assert metrics.SparseTopKCategoricalAccuracy(k=3)([0, 9, 1], scores) == pytest.approx(2 / 3)  # class 9: never found


def test_top_k_finds_nothing_in_nan():
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([0], [[np.nan, 1.0, 2.0]]) == 0


def test_messages_name_shapes_and_the_fix():
    scores = np.ones((4, 3), dtype="float32")
    with pytest.raises(ValueError, match=r"\(4,\) and \(4, 3\); the labels seem to be class numbers"):
        metrics.CategoricalAccuracy()(np.zeros(4), scores)
    with pytest.raises(ValueError, match="one-hot labels need the metric without 'sparse'"):
        metrics.SparseCategoricalAccuracy()(np.ones((4, 3)), scores)
    with pytest.raises(ValueError, match="binary_accuracy expects y_true and y_pred of one shape"):
        metrics.BinaryAccuracy()(np.zeros((4, 2)), scores)
    with pytest.raises(ValueError, match="accuracy expects"):
        metrics.Accuracy()(np.zeros((5, 3)), scores)

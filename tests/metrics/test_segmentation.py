import numpy as np
import pytest

from tinymed import metrics
from tinymed.metrics import segmentation


def test_by_hand():
    # Confusion matrix [[1, 1], [1, 1]]: each class 1 / 3.
    assert metrics.MeanIoU(2)([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(1 / 3)
    # Weights [[0.3, 0.3], [0.3, 0.1]]: 0.3 / 0.9 and 0.1 / 0.7.
    weighted = metrics.MeanIoU(2)([0, 0, 1, 1], [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.1])
    assert weighted == pytest.approx((0.3 / 0.9 + 0.1 / 0.7) / 2)


def test_classes_that_do_not_occur_are_left_out():
    assert metrics.MeanIoU(5)([0, 1], [0, 1]) == pytest.approx(1)
    assert metrics.IoU(5, [4])([0, 1], [0, 1]) == 0


def test_ignored_and_out_of_range_labels_do_not_count():
    assert metrics.MeanIoU(2, ignore_class=255)([0, 1, 255], [0, 1, 1]) == pytest.approx(1)
    assert metrics.MeanIoU(2)([0, 1, 7, -1], [0, 1, 1, 0]) == pytest.approx(1)


def test_binary_threshold_is_inclusive_as_in_keras():
    assert metrics.BinaryIoU(target_class_ids=[1])([0, 1], [0.4, 0.5]) == pytest.approx(1)


def test_foreground_iou_against_sets():
    rng = np.random.default_rng(0)
    truth, scores = rng.random((3, 8, 8, 1)) > 0.5, rng.random((3, 8, 8, 1), dtype="float32")
    called = scores >= 0.3
    expected = (truth & called).sum() / (truth | called).sum()
    assert metrics.BinaryIoU([1], threshold=0.3)(truth, scores) == pytest.approx(expected, rel=1e-5)


def test_counting_in_parts(monkeypatch):
    rng = np.random.default_rng(1)
    true, predicted = rng.integers(0, 3, (2, 5, 7)), rng.integers(0, 3, (2, 5, 7))
    whole = metrics.MeanIoU(3)(true, predicted)
    monkeypatch.setattr(segmentation, "_ROWS", 16)
    parts = metrics.MeanIoU(3)
    assert parts(true, predicted) == whole
    np.testing.assert_array_equal(parts.state["confusion_matrix"], metrics.confusion_matrix(true, predicted))


def test_one_hot_agrees_with_class_numbers():
    rng = np.random.default_rng(2)
    true, scores = rng.integers(0, 3, (2, 4, 4)), rng.random((2, 4, 4, 3), dtype="float32")
    expected = metrics.MeanIoU(3)(true, scores.argmax(-1))
    assert metrics.OneHotMeanIoU(3)(np.eye(3)[true], scores) == expected
    assert metrics.OneHotIoU(3, [0, 1, 2])(np.eye(3)[true], scores) == expected


def test_messages():
    with pytest.raises(ValueError, match="has classes 0 to 1; class 2 is out of range"):
        metrics.IoU(2, [0, 2])
    with pytest.raises(ValueError, match="need sparse_y_true=False or sparse_y_pred=False"):
        metrics.MeanIoU(3)(np.zeros((2, 4, 4)), np.zeros((2, 4, 4, 3)))


def test_a_weight_for_each_sample_counts_for_all_of_its_pixels():
    y_true, y_pred = np.asarray([[0, 1], [1, 1]]), np.asarray([[0, 1], [0, 0]])
    first_only = metrics.MeanIoU(num_classes=2)
    first_only.update_state(y_true, y_pred, sample_weight=[1.0, 0.0])
    assert first_only.result() == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\) but the labels have shape \(2, 2\)"):
        metrics.MeanIoU(num_classes=2).update_state(y_true, y_pred, sample_weight=[1.0, 0.0, 1.0])

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymed import metrics

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=30).filter(
    lambda pairs: len({label for label, _ in pairs}) == 2
)


@given(SCORED)
def test_auc_is_the_probability_that_a_positive_scores_higher(pairs):
    positives = [score for label, score in pairs if label]
    negatives = [score for label, score in pairs if not label]
    wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    labels, scores = zip(*pairs, strict=True)
    area = metrics.roc_auc(labels, scores)
    assert area == pytest.approx(np.mean(wins), abs=1e-12)
    x, y, _ = metrics.roc_curve(labels, scores)
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(area, abs=1e-12)


@given(SCORED)
def test_curves_against_counting(pairs):
    labels, scores = (np.asarray(column) for column in zip(*pairs, strict=True))
    x, y, thresholds = metrics.roc_curve(labels, scores)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    precision, recall, limits = metrics.precision_recall_curve(labels, scores)
    np.testing.assert_array_equal(limits, thresholds[1:])
    for i, limit in enumerate(limits):
        called = scores >= limit
        assert y[i + 1] == recall[i] == np.mean(called[labels])
        assert x[i + 1] == np.mean(called[~labels])
        assert precision[i] == pytest.approx(np.mean(labels[called]))


def test_known_area_and_average_precision():
    assert metrics.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    assert metrics.average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == pytest.approx(5 / 6)


def test_several_classes_average_one_against_the_rest():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, 40), rng.random((40, 3))
    expected = np.mean([metrics.roc_auc(labels == c, scores[:, c]) for c in range(3)])
    assert metrics.roc_auc(labels[:, None], scores) == pytest.approx(expected)
    assert metrics.roc_auc(np.eye(3)[labels], scores) == pytest.approx(expected)
    with pytest.raises(ValueError, match="class 2 does not occur"):
        metrics.roc_auc(labels % 2, scores)


def test_confusion_matrix():
    matrix = metrics.confusion_matrix([0, 0, 1, 2], [0, 2, 1, 2], num_classes=4)
    np.testing.assert_array_equal(matrix, [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert metrics.confusion_matrix([], []).shape == (1, 1)


def test_binary_report_by_hand():
    report = metrics.binary_report([[0], [0], [1], [1]], [0.1, 0.6, 0.4, 0.9])
    assert report["confusion_matrix"] == [[1, 1], [1, 1]]
    assert report["accuracy"] == report["precision"] == report["recall"] == report["f1"] == 0.5
    assert report["auc"] == 0.75
    assert report["undefined"] == {}
    assert report["samples"] == 4


def test_binary_report_says_what_is_not_defined():
    report = metrics.binary_report([0, 0], [0.1, 0.2])
    assert report["accuracy"] == report["specificity"] == 1
    assert report["undefined"] == {
        "precision": "no score exceeds 0.5",
        "recall": "no label is 1",
        "f1": "no label is 1 and no score exceeds 0.5",
        "auc": "all labels are 0",
    }
    assert all(math.isnan(report[name]) for name in report["undefined"])


def test_class_report():
    report = metrics.class_report([0, 0, 1], [0, 1, 1], ["benign", "malignant", "other"])
    assert report["benign"] == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3), "samples": 2}
    assert math.isnan(report["other"]["f1"])
    assert list(metrics.class_report([0, 1], [0, 1])) == ["0", "1"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), "roc_auc is not defined: all 2 labels are 1"),
        (lambda: metrics.roc_curve([0], [0.1]), "all 1 labels are 0"),
        (lambda: metrics.precision_recall_curve([0], [0.1]), "none of the 1 labels is 1"),
        (lambda: metrics.roc_auc([0, 1, 2], [0.1, 0.2, 0.3]), "labels 0 or 1 but found 2"),
        (lambda: metrics.roc_auc([0, 1], [0.1]), "one score for each label"),
        (lambda: metrics.roc_auc([0, 1], [0.1, math.nan]), "number 1 is NaN"),
        (lambda: metrics.binary_report([], []), "at least one sample"),
        (lambda: metrics.confusion_matrix([0, 1], [0]), "2 labels but 1 predictions"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 0.5]), "expects class numbers"),
        (lambda: metrics.confusion_matrix([0, 3], [0, 1], 2), "has 2 classes but found class 3"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- several classes -----------------------------------------------------------------------------------------------


def test_multiclass_report_by_hand():
    scores = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
    report = metrics.multiclass_report([0, 0, 1, 1, 2], scores)
    assert report["confusion_matrix"] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert report["accuracy"] == 0.8 and report["samples"] == 5
    assert report["precision"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert report["recall"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert report["f1"] == pytest.approx((0.8 + 2 / 3 + 1) / 3)
    assert report["auc"] == pytest.approx(metrics.roc_auc([0, 0, 1, 1, 2], scores))
    assert report["undefined"] == {}
    again = metrics.multiclass_report(np.array([[0], [0], [1], [1], [2]]), scores)
    assert again == report


def test_multiclass_report_of_rare_classes():
    scores = np.eye(4)[[0, 0, 1]]
    report = metrics.multiclass_report([0, 2, 1], scores)  # class 2 never predicted, class 3 does not occur
    assert report["precision"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert report["recall"] == pytest.approx(2 / 3)
    one = metrics.multiclass_report([1, 1], scores[:2])
    assert np.isnan(one["auc"]) and one["undefined"] == {"auc": "all labels are 1"}


@pytest.mark.parametrize(
    "labels, scores, words",
    [
        ([0, 1], np.ones((2, 1)), r"expects scores \(N, classes\)"),
        ([0, 1], np.ones((3, 2)), "for 2 labels"),
        ([], np.ones((0, 2)), "N from 1"),
        ([0, 1], np.array([[0.5, 0.5], [np.nan, 1]]), "row 1 has NaN"),
        ([0, 5], np.ones((2, 3)), "found class 5"),
    ],
)
def test_multiclass_report_refuses(labels, scores, words):
    with pytest.raises(ValueError, match=words):
        metrics.multiclass_report(labels, scores)

"""Exact numbers for reports, from all labels and scores of an evaluation, on the host.

The metrics that can be added up over batches read the ROC curve at a fixed number of thresholds; these functions
use every score. Arguments may be NumPy arrays, lists, or arrays of the current backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymed import backend


def labels_and_scores(owner: str, y_true: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as booleans and scores as floats, both (N,), or say what is wrong with them."""
    labels, values = backend.to_host(y_true), np.asarray(backend.to_host(scores), dtype=np.float64)
    if labels.size != values.size:
        raise ValueError(
            f"{owner} expects one score for each label but got {labels.shape} labels and {values.shape} scores"
        )
    labels, values = labels.reshape(-1), values.reshape(-1)
    if labels.size == 0:
        raise ValueError(f"{owner} needs at least one sample but got none")
    wrong = ~np.isin(labels, (0, 1))
    if wrong.any():
        raise ValueError(f"{owner} expects labels 0 or 1 but found {labels[wrong][0]}")
    if np.isnan(values).any():
        first = int(np.flatnonzero(np.isnan(values))[0])
        raise ValueError(f"{owner} expects numbers as scores but number {first} is NaN")
    return labels.astype(bool), values


def _need_both_classes(owner: str, labels: np.ndarray) -> None:
    if labels.all() or not labels.any():
        raise ValueError(f"{owner} is not defined: all {labels.size} labels are {int(labels[0])}")


def roc_auc(y_true: Any, scores: Any) -> float:
    r"""Return the exact area under the ROC curve.

    It is the probability that a random positive scores higher than a random negative, ties counting one half
    (Mann and Whitney's U): with the ranks $r_n$ of all scores, $(\sum_{n: y_n = 1} r_n - P(P + 1)/2) / (P N)$ for
    P positives and N negatives.

    Arguments:
        y_true: Labels 0 or 1, (N,) or (N, 1); class numbers if ``scores`` has several columns.
        scores: Any numbers that grow with the probability of class 1, (N,) or (N, 1); or (N, C) with a column for
            each of C > 1 classes, which gives the mean over the classes of one class against the rest.

    Returns:
        The area, from 0 to 1.

    Raises:
        ValueError: If there is no positive or no negative (for several classes: if a class does not occur).

    Example:
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75

    Source:
        J. A. Hanley, B. J. McNeil, The meaning and use of the area under a ROC curve, Radiology 143 (1982).
    """
    from scipy.stats import rankdata

    values = backend.to_host(scores)
    if values.ndim == 2 and values.shape[1] > 1:
        classes = backend.to_host(y_true)
        if classes.shape == values.shape:
            classes = classes.argmax(axis=1)
        classes = classes.reshape(-1)
        areas = []
        for number in range(values.shape[1]):
            if not (classes == number).any():
                raise ValueError(f"roc_auc is not defined: class {number} does not occur among the labels")
            areas.append(roc_auc(classes == number, values[:, number]))
        return float(np.mean(areas))
    labels, values = labels_and_scores("roc_auc", y_true, scores)
    _need_both_classes("roc_auc", labels)
    positives = int(labels.sum())
    negatives = labels.size - positives
    ranks = rankdata(values)
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc_curve(y_true: Any, scores: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ROC curve, one point for each different score.

    Arguments:
        y_true: Labels 0 or 1.
        scores: Numbers that grow with the probability of class 1.

    Returns:
        ``(false_positive_rate, true_positive_rate, thresholds)``, from (0, 0) to (1, 1); a sample is positive at a
        threshold if its score reaches it, and the first threshold is infinite.

    Raises:
        ValueError: If there is no positive or no negative.

    Example:
        >>> roc_curve([0, 1], [0.2, 0.7])[:2]
        (array([0., 0., 1.]), array([0., 1., 1.]))
    """
    labels, values = labels_and_scores("roc_curve", y_true, scores)
    _need_both_classes("roc_curve", labels)
    hits, alarms, thresholds = _counts_at_each_score(labels, values)
    start = np.zeros(1)
    return (
        np.concatenate([start, alarms / alarms[-1]]),
        np.concatenate([start, hits / hits[-1]]),
        np.concatenate([[np.inf], thresholds]),
    )


def precision_recall_curve(y_true: Any, scores: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision and recall, one point for each different score, from the highest threshold to the lowest.

    Arguments:
        y_true: Labels 0 or 1.
        scores: Numbers that grow with the probability of class 1.

    Returns:
        ``(precision, recall, thresholds)``; a sample is positive at a threshold if its score reaches it.

    Raises:
        ValueError: If there is no positive, because recall is not defined then.
    """
    labels, values = labels_and_scores("precision_recall_curve", y_true, scores)
    if not labels.any():
        raise ValueError(f"precision_recall_curve is not defined: none of the {labels.size} labels is 1")
    hits, alarms, thresholds = _counts_at_each_score(labels, values)
    return hits / (hits + alarms), hits / hits[-1], thresholds


def average_precision(y_true: Any, scores: Any) -> float:
    """Return the sum of the precisions at each score, weighted by the recall that is gained there.

    Arguments:
        y_true: Labels 0 or 1.
        scores: Numbers that grow with the probability of class 1.

    Example:
        >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.8333
    """
    precision, recall, _ = precision_recall_curve(y_true, scores)
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


def _counts_at_each_score(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true positives, false positives and the score, for each different score in falling order."""
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)  # the last sample of each score
    hits = np.cumsum(labels)[last].astype(np.float64)
    return hits, last + 1.0 - hits, scores[last]


def confusion_matrix(y_true: Any, y_pred: Any, num_classes: int | None = None) -> np.ndarray:
    """Count the pairs of true and predicted class: row i, column j holds how often class i was taken for class j.

    Arguments:
        y_true: Class numbers.
        y_pred: Class numbers.
        num_classes: Number of classes; one more than the largest class that occurs if omitted.

    Returns:
        Integers, (classes, classes).

    Example:
        >>> confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1])
        array([[1, 1],
               [0, 2]])
    """
    true, predicted = (backend.to_host(a).reshape(-1) for a in (y_true, y_pred))
    if true.size != predicted.size:
        raise ValueError(f"confusion_matrix got {true.size} labels but {predicted.size} predictions")
    both = np.concatenate([true, predicted])
    if both.size and ((both != np.floor(both)) | (both < 0)).any():
        raise ValueError("confusion_matrix expects class numbers 0, 1, 2, ...; apply argmax or a threshold first")
    count = int(both.max(initial=0)) + 1 if num_classes is None else num_classes
    if both.size and both.max() >= count:
        raise ValueError(f"confusion_matrix has {count} classes but found class {int(both.max())}")
    pairs = true.astype(np.int64) * count + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def binary_report(y_true: Any, scores: Any, threshold: float = 0.5) -> dict[str, Any]:
    """Return the numbers that describe a classifier of two classes.

    A sample is called positive if its score exceeds the threshold, as the metrics do. A number that is not defined
    is ``nan``, and ``"undefined"`` says why: precision if nothing is called positive, recall if there is no
    positive, F1 if there is neither, AUC if there is only one class.

    Arguments:
        y_true: Labels 0 or 1.
        scores: Probabilities of class 1.
        threshold: Scores above it mean class 1.

    Returns:
        ``samples``, ``threshold``, ``accuracy``, ``precision``, ``recall``, ``specificity``, ``f1``, ``auc``,
        ``confusion_matrix`` (``[[TN, FP], [FN, TP]]``) and ``undefined`` (reasons by name, usually empty).

    Raises:
        ValueError: If there is no sample, a label other than 0 and 1, or NaN among the scores.

    Example:
        >>> report = binary_report([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.9])
        >>> report["accuracy"], report["recall"], report["auc"], report["confusion_matrix"]
        (0.75, 1.0, 1.0, [[1, 1], [0, 2]])
    """
    labels, values = labels_and_scores("binary_report", y_true, scores)
    matrix = confusion_matrix(labels, values > threshold, 2)
    (tn, fp), (fn, tp) = matrix.tolist()
    undefined: dict[str, str] = {}

    def ratio(name: str, part: float, whole: float, reason: str) -> float:
        if whole:
            return part / whole
        undefined[name] = reason
        return math.nan

    report: dict[str, Any] = {
        "samples": labels.size,
        "threshold": threshold,
        "accuracy": (tp + tn) / labels.size,
        "precision": ratio("precision", tp, tp + fp, f"no score exceeds {threshold}"),
        "recall": ratio("recall", tp, tp + fn, "no label is 1"),
        "specificity": ratio("specificity", tn, tn + fp, "no label is 0"),
        "f1": ratio("f1", 2 * tp, 2 * tp + fp + fn, f"no label is 1 and no score exceeds {threshold}"),
    }
    if labels.any() and not labels.all():
        report["auc"] = roc_auc(labels, values)
    else:
        report["auc"] = ratio("auc", 0, 0, f"all labels are {int(labels[0])}")
    return {**report, "confusion_matrix": matrix.tolist(), "undefined": undefined}


def multiclass_report(y_true: Any, scores: Any) -> dict[str, Any]:
    """Return the numbers that describe a classifier of several classes, of which each sample has one.

    The class with the highest score is predicted. Precision, recall and F1 are *macro* averages: the mean over the
    classes, so that a rare class counts as much as a frequent one. A class that occurs but is never predicted has
    precision 0; a class that does not occur is left out of the averages. AUC is the mean of one class against the
    rest; if there is only one class it is ``nan``, and ``"undefined"`` says why.

    Arguments:
        y_true: Class numbers (N,) or (N, 1).
        scores: Probabilities (N, C), a column for each class.

    Returns:
        ``samples``, ``accuracy``, ``precision``, ``recall``, ``f1``, ``auc``, ``confusion_matrix`` (a row for each
        true class) and ``undefined`` (reasons by name, usually empty).

    Raises:
        ValueError: If there is no sample, a class without a column, or NaN among the scores.

    Example:
        >>> report = multiclass_report([0, 1, 2, 2], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0, 0.1, 0.9], [0.6, 0, 0.4]])
        >>> report["accuracy"], report["confusion_matrix"]
        (0.75, [[1, 0, 0], [0, 1, 0], [1, 0, 1]])
        >>> round(report["precision"], 4), round(report["recall"], 4)
        (0.8333, 0.8333)
    """
    labels = backend.to_host(y_true).reshape(-1)
    values = np.asarray(backend.to_host(scores), dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2 or len(values) != len(labels) or not len(labels):
        raise ValueError(
            f"multiclass_report expects scores (N, classes) for N labels, N from 1, but got scores {values.shape} "
            f"for {len(labels)} labels"
        )
    if np.isnan(values).any():
        raise ValueError(
            f"multiclass_report expects numbers as scores but row {np.argwhere(np.isnan(values))[0][0]} has NaN"
        )
    count = values.shape[1]
    matrix = confusion_matrix(labels, values.argmax(axis=1), count)
    hits, occurs, called = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    there = np.flatnonzero(occurs)
    report: dict[str, Any] = {
        "samples": len(labels),
        "accuracy": float(hits.sum() / len(labels)),
        "precision": float((hits / np.maximum(called, 1))[there].mean()),
        "recall": float((hits / np.maximum(occurs, 1))[there].mean()),
        "f1": float((2 * hits / np.maximum(occurs + called, 1))[there].mean()),
        "auc": math.nan,
    }
    undefined = {}
    if len(there) > 1:
        report["auc"] = float(np.mean([roc_auc(labels == k, values[:, k]) for k in there]))
    else:
        undefined["auc"] = f"all labels are {int(there[0])}"
    return {**report, "confusion_matrix": matrix.tolist(), "undefined": undefined}


def class_report(y_true: Any, y_pred: Any, class_names: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and number of labels for each class.

    A number that is not defined (no label and no prediction of a class) is ``nan``.

    Arguments:
        y_true: Class numbers.
        y_pred: Class numbers.
        class_names: Keys of the result; the class numbers if omitted.
    """
    matrix = confusion_matrix(y_true, y_pred, None if class_names is None else len(class_names))
    names = class_names or [str(number) for number in range(len(matrix))]
    report = {}
    for number, name in enumerate(names):
        hits, labels, called = int(matrix[number, number]), int(matrix[number].sum()), int(matrix[:, number].sum())
        report[name] = {
            "precision": hits / called if called else math.nan,
            "recall": hits / labels if labels else math.nan,
            "f1": 2 * hits / (labels + called) if labels + called else math.nan,
            "samples": labels,
        }
    return report

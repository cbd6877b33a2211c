"""What the test of a classifier says: its numbers, how far they can be trusted, its pictures and its table.

The scores of two classes are the probability of the second one, (N,); those of several are (N, classes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymed import metrics, plots
from tinymed.applications.run import Rows
from tinymed.plots.evaluation import reliability


def measure(labels: np.ndarray, scores: np.ndarray, threshold: float = 0.5, groups: Any = None) -> dict[str, Any]:
    """Return accuracy, precision, recall, F1, AUC and confusion matrix, and how far the AUC and scores can be trusted.

    Args:
        labels: Class numbers (N,).
        scores: Probabilities, see above.
        threshold: With two classes, scores above it mean the second.
        groups: Whose each image is, (N,), if that is known.
    """
    if scores.ndim == 1:
        numbers = metrics.binary_report(labels, scores, threshold)
    else:
        numbers = metrics.multiclass_report(labels, scores)
    return {**numbers, **trust(labels, scores, groups)}


def trust(labels: np.ndarray, scores: np.ndarray, groups: Any = None) -> dict[str, Any]:
    """Return how sure and how calibrated a result is.

    Args:
        labels: Class numbers (N,).
        scores: Probabilities, see above.
        groups: Whose each image is: all images of a patient say less than as many images of as many patients.

    Returns:
        ``expected_calibration_error`` and, with two classes, ``brier_score`` and ``average_precision``; and the ends
        of the 95 % bootstrap interval of the AUC, ``auc_interval``, None where it is not defined (one class only).
    """
    right, probabilities = calibrated(labels, scores)
    found: dict[str, Any] = {"expected_calibration_error": metrics.expected_calibration_error(right, probabilities)}
    if scores.ndim == 1:
        found["brier_score"] = metrics.brier_score(labels, scores)
        found["average_precision"] = metrics.average_precision(labels, scores) if np.any(labels) else float("nan")
    # For several classes an area for each: fewer draws, and none of the corrections that leave each image out once.
    few: dict[str, Any] = {} if scores.ndim == 1 else {"method": "percentile", "samples": 400}
    try:
        interval = metrics.bootstrap(metrics.roc_auc, labels, scores, groups=groups, **few).numbers()
    except ValueError:  # one class only, or a class so rare that most draws miss it
        interval = None
    return {**found, "auc_interval": interval}


def calibrated(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what happened, 0 or 1, and the probability it was given: of class 1, or of being right among several.

    >>> right, probabilities = calibrated(np.array([0, 2]), np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]))
    >>> right.tolist(), probabilities.tolist()
    ([1, 0], [0.5, 0.8])
    """
    if scores.ndim == 1:
        return labels, scores
    return (scores.argmax(axis=1) == labels).astype(np.int64), scores.max(axis=1)


# --- the pictures --------------------------------------------------------------------------------------------------


def write_pictures(
    work: Any,
    history: Mapping[str, Sequence[float]],
    images: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    threshold: float,
) -> None:
    """Draw learning curves, ROC curve, calibration, confusion matrix, and right and wrong predictions.

    Args:
        work: Where to, a path or a workspace.
        history: Losses and metrics by epoch.
        images: The test images, as they shall be shown.
        labels: Their classes.
        scores: Probability of the second class for each image, or (N, C) of each of several classes.
        classes: Names of the classes.
        threshold: With two classes, scores above it mean the second.
    """
    plots.learning_curves(history, path=work / "learning_curves.png")
    if scores.ndim == 1:
        plots.roc(labels, scores, path=work / "roc.png")
        predicted, told = scores > threshold, classes[1]
    else:
        plots.roc_of_classes(labels, scores, classes, path=work / "roc.png")
        predicted, told = scores.argmax(axis=1), "the predicted class"
    reliability(*calibrated(labels, scores), path=work / "calibration.png", of=told)
    matrix = metrics.confusion_matrix(labels, predicted, len(classes))
    plots.confusion(matrix, classes, path=work / "confusion_matrix.png")
    plots.prediction_sheet(images, labels, scores, classes, path=work / "predictions.png", threshold=threshold)


# --- the table -------------------------------------------------------------------------------------------------


def rows(numbers: dict[str, Any]) -> Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    classes = numbers["classes"]
    lines = [("images", str(numbers["samples"]))]
    for key in ("accuracy", "precision", "recall", "f1", "auc"):
        reason = numbers["undefined"].get(key)
        name = key.upper() if key in ("f1", "auc") else key
        if len(classes) > 2 and key != "accuracy":
            name += ", mean of classes"
        value = f"- ({reason})" if reason else f"{numbers[key]:.4f}"
        if key == "auc" and numbers.get("auc_interval"):
            name, value = f"{name} (95 % interval)", "{} ({:.3f} to {:.3f})".format(value, *numbers["auc_interval"])
        lines.append((name, value))
    if "expected_calibration_error" in numbers:
        lines.append(("expected calibration error", f"{numbers['expected_calibration_error']:.4f}"))
    for number, (label, row) in enumerate(zip(classes, numbers["confusion_matrix"], strict=True)):
        lines.append((f"{label}:", _taken(number, row, classes)))
    return lines


def _taken(number: int, row: Sequence[int], classes: Sequence[str]) -> str:
    """Say as what the images of a class were taken: by all names if there are two, else right and most often wrong."""
    if len(classes) == 2:
        return ", ".join(f"{count} as {other}" for count, other in zip(row, classes, strict=True))
    words = f"{row[number]} of {sum(row)}"
    wrong = [0 if k == number else count for k, count in enumerate(row)]
    if any(wrong):
        words += f", {max(wrong)} as {classes[int(np.argmax(wrong))]}"
    return words

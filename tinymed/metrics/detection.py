"""How well boxes were found: average precision, and sensitivity against false alarms (FROC), on the host.

For each image, ``found`` holds a pair of boxes (M, 4) and scores (M,), ``true`` the true boxes (K, 4); boxes are
(y0, x0, y1, x1) in pixels. From the best score down, a found box is a hit if it overlaps a true box, that no better
one has hit yet, by at least ``iou_threshold``; else it is a false alarm. A second box on the same lesion is therefore a
false alarm too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.ops.boxes import box_iou

Found = Sequence[tuple[Any, Any]]

RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""False alarms for each image at which the sensitivity is usually stated."""


def match_boxes(boxes: Any, scores: Any, true: Any, iou_threshold: float = 0.5) -> np.ndarray:
    """Return for each found box of an image the number of the true box that it hits, -1 for a false alarm.

    Arguments:
        boxes: Found boxes (M, 4).
        scores: Their scores (M,).
        true: True boxes (K, 4).
        iou_threshold: Least overlap (intersection over union) of a hit.

    Raises:
        ValueError: If the arrays do not belong together, a score is NaN, or the threshold is no share above 0.

    Example:
        >>> match_boxes([[0, 0, 4, 4], [0, 0, 4, 3]], [0.4, 0.9], [[0, 0, 4, 4]])
        array([-1,  0])
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must lie above 0 and not above 1, got {iou_threshold}")
    boxes, true = _boxes(boxes), _boxes(true)
    values = np.asarray(backend.to_host(scores), dtype=np.float64).reshape(-1)
    if len(values) != len(boxes):
        raise ValueError(f"{len(boxes)} found boxes need as many scores but got {len(values)}")
    if np.isnan(values).any():
        raise ValueError("a score is NaN; did the training diverge?")
    overlaps = box_iou(boxes, true)
    hit = np.full(len(boxes), -1)
    free = np.ones(len(true), dtype=bool)
    for m in np.argsort(-values, kind="stable"):
        candidates = np.where(free, overlaps[m], -1.0)
        if len(true) and candidates.max() >= iou_threshold:
            hit[m] = int(candidates.argmax())
            free[hit[m]] = False
    return hit


def _boxes(boxes: Any) -> np.ndarray:
    values = np.asarray(backend.to_host(boxes), dtype=np.float64)
    return values.reshape(0, 4) if not values.size else values


def _curve(found: Found, true: Sequence[Any], iou_threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return hits and false alarms down to each different score, the scores, and the number of lesions."""
    if len(found) != len(true) or not len(true):
        raise ValueError(
            f"found boxes of {len(found)} images do not belong to the true boxes of {len(true)} images; "
            "give a pair (boxes, scores) and an array of true boxes for each image, empty where there are none"
        )
    lesions = sum(len(_boxes(boxes)) for boxes in true)
    if not lesions:
        raise ValueError("no image has a true box; sensitivity and precision are not defined")
    hits = [match_boxes(*pair, boxes, iou_threshold) >= 0 for pair, boxes in zip(found, true, strict=True)]
    scores = np.concatenate([np.asarray(backend.to_host(pair[1]), dtype=np.float64).reshape(-1) for pair in found])
    order = np.argsort(-scores, kind="stable")
    scores, hit = scores[order], np.concatenate(hits)[order]
    last = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1) if scores.size else np.empty(0, dtype=int)
    right = np.cumsum(hit)[last]
    return right, last + 1 - right, scores[last], lesions


def detection_precision_recall(
    found: Found, true: Sequence[Any], iou_threshold: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision and recall of the boxes down to each score, and the scores, falling.

    Arguments:
        found: For each image a pair of boxes and scores.
        true: For each image the true boxes.
        iou_threshold: Least overlap of a hit.

    Raises:
        ValueError: If the lists do not belong together, or no image has a lesion.
    """
    right, wrong, scores, lesions = _curve(found, true, iou_threshold)
    return right / np.maximum(right + wrong, 1), right / lesions, scores


def detection_average_precision(found: Found, true: Sequence[Any], iou_threshold: float = 0.5) -> float:
    r"""Return the area under precision and recall of found boxes, the precision made to fall.

    All-point interpolation (PASCAL VOC from 2010 on): with $\hat p(r)$ the best precision at recall $r$ or more,
    $\mathrm{AP} = \sum_k (r_k - r_{k-1})\, \hat p(r_k)$. Lesions that no box reaches keep it below 1.

    Arguments:
        found: For each image a pair of boxes and scores.
        true: For each image the true boxes.
        iou_threshold: Least overlap of a hit.

    Raises:
        ValueError: If the lists do not belong together, or no image has a lesion.

    Example:
        >>> true = [[[0, 0, 4, 4]], [[2, 2, 6, 6]]]
        >>> found = [([[0, 0, 4, 4], [8, 8, 9, 9]], [0.9, 0.8]), ([[2, 2, 6, 7]], [0.7])]
        >>> round(detection_average_precision(found, true), 4)
        0.8333
    """
    precision, recall, _ = detection_precision_recall(found, true, iou_threshold)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def froc(found: Found, true: Sequence[Any], iou_threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the FROC curve: false alarms for each image, sensitivity, and the scores that they belong to.

    The free-response ROC curve has no true negatives: there is no number of places without a lesion.

    Arguments:
        found: For each image a pair of boxes and scores.
        true: For each image the true boxes.
        iou_threshold: Least overlap of a hit.

    Raises:
        ValueError: If the lists do not belong together, or no image has a lesion.
    """
    right, wrong, scores, lesions = _curve(found, true, iou_threshold)
    return wrong / len(true), right / lesions, scores


def froc_sensitivity(
    found: Found, true: Sequence[Any], rates: Sequence[float] = RATES, iou_threshold: float = 0.5
) -> np.ndarray:
    """Return the share of the lesions found at given numbers of false alarms for each image.

    Their mean at 1/8, 1/4, 1/2, 1, 2, 4 and 8 is the competition performance metric (CPM) of LUNA16 and ANODE09. The
    curve is a staircase: the sensitivity at a rate is that of the lowest score with no more false alarms.

    Arguments:
        found: For each image a pair of boxes and scores.
        true: For each image the true boxes.
        rates: False alarms for each image.
        iou_threshold: Least overlap of a hit (LUNA16 asks only for the centre to lie in the lesion).

    Raises:
        ValueError: If the lists do not belong together, or no image has a lesion.

    Example:
        >>> true = [[[0, 0, 4, 4]], [[2, 2, 6, 6]]]
        >>> found = [([[0, 0, 4, 4], [8, 8, 9, 9]], [0.9, 0.8]), ([[2, 2, 6, 7]], [0.7])]
        >>> froc_sensitivity(found, true, rates=(0.25, 0.5))
        array([0.5, 1. ])
    """
    alarms, sensitivity, _ = froc(found, true, iou_threshold)
    return np.array([max(sensitivity[alarms <= rate], default=0.0) for rate in rates])

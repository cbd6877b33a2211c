"""Average precision and FROC against cases worked out by hand, and a loop over thresholds."""

import numpy as np
import pytest

from tinymed import metrics
from tinymed.metrics.detection import RATES

A, B, C = [0.0, 0, 4, 4], [10.0, 10, 14, 16], [20.0, 20, 25, 25]
FAR = [40.0, 40, 44, 44]


def test_a_lesion_is_hit_once_by_the_best_box():
    boxes = [A, [0, 0, 4, 5], B, FAR]
    assert metrics.match_boxes(boxes, [0.5, 0.9, 0.3, 0.8], [B, A]).tolist() == [-1, 1, 0, -1]


def test_a_box_hits_the_lesion_that_it_overlaps_most():
    near, here = [0.0, 1, 4, 5], [0.0, 0, 4, 4]
    assert metrics.match_boxes([[0, 0.2, 4, 4.2]], [1.0], [near, here]).tolist() == [1]
    # ... of those that are still free.
    assert metrics.match_boxes([here, [0, 0.2, 4, 4.2]], [1.0, 0.5], [near, here]).tolist() == [1, 0]


def test_the_threshold_of_a_hit():
    half = [0, 0, 4, 2]  # IoU with A is exactly one half
    assert metrics.match_boxes([half], [1.0], [A], 0.5).tolist() == [0]
    assert metrics.match_boxes([half], [1.0], [A], 0.51).tolist() == [-1]


def test_average_precision_by_hand():
    """Scores .9 hit, .8 false, .7 hit, .6 false; three lesions: 1/3 * 1 + 1/3 * 2/3."""
    found = [([A, FAR], [0.9, 0.8]), ([B, FAR], [0.7, 0.6])]
    true = [[A], [B, C]]
    precision, recall, scores = metrics.detection_precision_recall(found, true)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall, [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(scores, [0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(metrics.detection_average_precision(found, true), 1 / 3 + 2 / 9)


def test_precision_is_made_to_fall():
    """A false alarm with the best score costs at the first lesion what it still costs at the last."""
    found, true = [([FAR, A, B], [0.9, 0.8, 0.7])], [[A, B]]
    np.testing.assert_allclose(metrics.detection_average_precision(found, true), 2 / 3)


def test_equal_scores_count_together():
    found, true = [([FAR], [0.5]), ([A], [0.5])], [[], [A]]
    for order in (1, -1):
        np.testing.assert_allclose(metrics.detection_average_precision(found[::order], true[::order]), 0.5)


def test_perfect_and_nothing():
    true = [[A], [B, C], []]
    perfect = [(boxes, [0.9] * len(boxes)) for boxes in true]
    assert metrics.detection_average_precision(perfect, true) == 1
    np.testing.assert_array_equal(metrics.froc_sensitivity(perfect, true), np.ones(7))
    nothing = [([], [])] * 3
    assert metrics.detection_average_precision(nothing, true) == 0
    np.testing.assert_array_equal(metrics.froc_sensitivity(nothing, true), np.zeros(7))


def test_froc_is_that_of_a_loop_over_thresholds():
    rng = np.random.default_rng(0)
    true = [np.array([A, B, C])[: rng.integers(0, 4)] for _ in range(30)]
    found = []
    for boxes in true:
        mine = [b for b in boxes.tolist() if rng.random() < 0.8] + [FAR] * int(rng.integers(0, 3))
        found.append((mine, rng.random(len(mine)).round(2)))
    alarms, sensitivity, thresholds = metrics.froc(found, true)
    lesions = sum(map(len, true))
    for x, y, t in zip(alarms, sensitivity, thresholds, strict=True):
        hits = wrong = 0
        for (boxes, scores), here in zip(found, true, strict=True):
            matched = metrics.match_boxes(boxes, scores, here)
            hits += np.sum((matched >= 0) & (scores >= t))
            wrong += np.sum((matched < 0) & (scores >= t))
        assert (x, y) == (pytest.approx(wrong / 30), pytest.approx(hits / lesions))
    at = metrics.froc_sensitivity(found, true)
    wanted = [max([y for x, y in zip(alarms, sensitivity, strict=True) if x <= rate], default=0) for rate in RATES]
    np.testing.assert_allclose(at, wanted)
    assert (np.diff(at) >= 0).all() and 0 < at[0] < at[-1]


def test_what_does_not_belong_together():
    with pytest.raises(ValueError, match="2 images do not belong to the true boxes of 1 images"):
        metrics.froc([([], []), ([], [])], [[A]])
    with pytest.raises(ValueError, match="no image has a true box"):
        metrics.detection_average_precision([([A], [0.5])], [[]])
    with pytest.raises(ValueError, match="1 found boxes need as many scores but got 2"):
        metrics.match_boxes([A], [0.5, 0.6], [A])
    with pytest.raises(ValueError, match="NaN"):
        metrics.match_boxes([A], [np.nan], [A])
    with pytest.raises(ValueError, match="iou_threshold"):
        metrics.match_boxes([A], [1.0], [A], 0)

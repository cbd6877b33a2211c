import numpy as np
import pytest

from tinymed import metrics
from tinymed.metrics.confusion import weight_above

LABELS = [0, 1, 1, 1, 0]
SCORES = [0.6, 0.4, 0.9, 0.7, 0.1]


def test_counts_by_hand():
    assert metrics.TruePositives()(LABELS, SCORES) == 2
    assert metrics.FalsePositives()(LABELS, SCORES) == 1
    assert metrics.TrueNegatives()(LABELS, SCORES) == 1
    assert metrics.FalseNegatives()(LABELS, SCORES) == 1
    weights = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert metrics.TruePositives()(LABELS, SCORES, weights) == 7
    assert metrics.FalseNegatives()(LABELS, SCORES, weights) == 2


def test_several_thresholds():
    np.testing.assert_array_equal(metrics.TruePositives(thresholds=[0.3, 0.8])(LABELS, SCORES), [3, 1])
    np.testing.assert_allclose(metrics.Precision(thresholds=[0.3, 0.8])(LABELS, SCORES), [3 / 4, 1])
    assert metrics.Precision(thresholds=[0.3, 0.8]).result().shape == (2,)


@pytest.mark.parametrize("count", [3, 50])
def test_weight_above_against_a_plain_loop(count):
    rng = np.random.default_rng(count)
    p = rng.integers(0, 60, 200) / 60
    weights = rng.random((2, 200))
    thresholds = np.sort(rng.integers(0, 60, count) / 60)
    expected = [[sum(w[n] for n in range(200) if p[n] > t) for t in thresholds] for w in weights]
    np.testing.assert_allclose(weight_above(p, thresholds, weights), expected, atol=1e-12)


@pytest.mark.parametrize("thresholds", [0.5, list(np.linspace(0.01, 0.9, 20))])
def test_nan_is_above_no_threshold(thresholds):
    result = metrics.TruePositives(thresholds=thresholds)([1, 1], [np.nan, 0.95])
    assert np.all(result == 1)


def test_precision_and_recall_by_hand():
    assert metrics.Precision()(LABELS, SCORES) == pytest.approx(2 / 3)
    assert metrics.Recall()(LABELS, SCORES) == pytest.approx(2 / 3)
    assert metrics.Precision()([1, 1], [0.1, 0.2]) == 0
    assert metrics.Recall()([0, 0], [0.9, 0.2]) == 0


def test_top_k_and_class():
    y_true = [[0, 1, 1], [1, 0, 0]]
    y_pred = [[0.9, 0.8, 0.1], [0.3, 0.2, 0.9]]
    assert metrics.Precision(top_k=1)(y_true, y_pred) == 0
    assert metrics.Recall(top_k=2)(y_true, y_pred) == pytest.approx(2 / 3)
    assert metrics.Recall(class_id=1)(y_true, y_pred) == 1
    equal = metrics.TruePositives()
    equal.top_k = 1
    assert equal([[1, 1]], [[0.7, 0.7]]) == 1  # of equal predictions only the first is kept


def test_sample_weights_of_images_reach_every_pixel():
    masks = np.ones((2, 3, 3, 1), dtype="float32")
    assert metrics.TruePositives()(masks, masks, [1.0, 2.0]) == 27


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision(thresholds=1.5), r"thresholds are probabilities from 0 to 1, got 1.5"),
        (lambda: metrics.Recall(thresholds=[0.1, None]), "got None"),
        (lambda: metrics.Precision(top_k=0), "top_k, a positive whole number"),
        (lambda: metrics.Recall()([0, 1, 1], [0.1, 0.2]), r"got \(3,\) and \(2,\)"),
        (lambda: metrics.Recall(class_id=3)(np.ones((2, 3)), np.ones((2, 3))), "looks at class 3"),
        (lambda: metrics.Recall(class_id=0)([0, 1], [0.1, 0.2]), "looks at class 0"),
    ],
)
def test_messages(make, message):
    with pytest.raises(ValueError, match=message):
        make()

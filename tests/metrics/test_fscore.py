import numpy as np
import pytest

from tinymed import metrics

LABELS = [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
SCORES = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]]


def test_by_hand():
    # Predicted classes 0, 1, 0, 2: F1 = 2/3, 2/3, 1.
    np.testing.assert_allclose(metrics.F1Score()(LABELS, SCORES), [2 / 3, 2 / 3, 1], rtol=1e-6)
    assert metrics.F1Score("macro")(LABELS, SCORES) == pytest.approx(7 / 9)
    assert metrics.F1Score("micro")(LABELS, SCORES) == pytest.approx(3 / 4)
    assert metrics.F1Score("weighted")(LABELS, SCORES) == pytest.approx((2 / 3 + 2 * 2 / 3 + 1) / 4)


def test_beta_weighs_recall():
    # Class 0: precision 1/2, recall 1.
    score = metrics.FBetaScore(beta=2.0)(LABELS, SCORES)
    assert score[0] == pytest.approx(5 * 0.5 * 1 / (4 * 0.5 + 1))


def test_threshold_and_weights():
    labels, scores = [[1], [1], [0]], [[0.9], [0.2], [0.8]]
    assert metrics.F1Score(threshold=0.5)(labels, scores) == pytest.approx(0.5)
    assert metrics.F1Score(threshold=0.5)(labels, scores, [1.0, 1.0, 0.0]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.F1Score("mean"), "average=None, 'micro', 'macro' or 'weighted', got 'mean'"),
        (lambda: metrics.FBetaScore(beta=0), "positive beta"),
        (lambda: metrics.F1Score(threshold=0), "0 < threshold <= 1"),
        (lambda: metrics.F1Score()([0, 1], [0.1, 0.9]), r"shape \(N, classes\) .* add an axis"),
    ],
)
def test_messages(make, message):
    with pytest.raises(ValueError, match=message):
        make()

import numpy as np
import pytest

from tinymed import metrics


def scores_of(rng, count=400):
    labels = rng.integers(0, 2, count)
    return labels, np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1).astype("float32")


def test_auc_by_hand():
    # Thresholds 0, 0.5, 1: TP = 2, 1, 0; FP = 2, 0, 0 (0.5 is not above 0.5), hence (1,1), (0,1/2), (0,0).
    assert metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]) == pytest.approx(0.75)


def test_auc_comes_near_the_exact_area():
    labels, scores = scores_of(np.random.default_rng(0))
    exact = metrics.roc_auc(labels, scores)
    assert metrics.AUC()(labels, scores) == pytest.approx(exact, abs=2e-3)
    assert metrics.AUC(num_thresholds=2000)(labels, scores) == pytest.approx(exact, abs=1e-4)


def test_minoring_and_majoring_enclose():
    labels, scores = scores_of(np.random.default_rng(1))
    for curve in ("ROC", "PR"):
        low, middle, high = (
            float(metrics.AUC(curve=curve, summation_method=method)(labels, scores))
            for method in ("minoring", "interpolation", "majoring")
        )
        assert low <= middle <= high
        assert high - low < 0.06


def test_precision_recall_area_near_average_precision():
    labels, scores = scores_of(np.random.default_rng(2))
    assert metrics.AUC(curve="PR")(labels, scores) == pytest.approx(metrics.average_precision(labels, scores), abs=5e-3)


def test_logits():
    labels, scores = scores_of(np.random.default_rng(3))
    logits = np.log(np.clip(scores, 1e-3, 1 - 1e-3) / (1 - np.clip(scores, 1e-3, 1 - 1e-3)))
    expected = float(metrics.AUC()(labels, np.clip(scores, 1e-3, 1 - 1e-3)))
    assert metrics.AUC(from_logits=True)(labels, logits) == pytest.approx(expected, abs=1e-3)


def test_one_class_only_is_zero_as_in_keras():
    assert metrics.AUC()([1, 1], [0.2, 0.8]) == 0


def test_given_thresholds():
    metric = metrics.AUC(thresholds=[0.8, 0.2])
    assert metric.thresholds == [0.2, 0.8]
    assert metric.num_thresholds == 4
    assert metric([0, 1], [0.1, 0.9]) == 1


def test_best_under_a_constraint():
    labels, scores = [0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]
    assert metrics.SensitivityAtSpecificity(0.5)(labels, scores) == 0.5
    assert metrics.SpecificityAtSensitivity(0.5)(labels, scores) == pytest.approx(2 / 3)
    assert metrics.PrecisionAtRecall(0.6)(labels, scores) == pytest.approx(0.5)
    assert metrics.RecallAtPrecision(0.5)(labels, scores) == 1
    assert metrics.RecallAtPrecision(0.9)(labels, scores) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.AUC(curve="ROCK"), "curve='ROC' or 'PR', got 'ROCK'"),
        (lambda: metrics.AUC(summation_method="simpson"), "got 'simpson'"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds > 1"),
        (lambda: metrics.AUC(multi_label=True), "one AUC on the column of each label"),
        (lambda: metrics.SensitivityAtSpecificity(1.2), "specificity from 0 to 1, got 1.2"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "num_thresholds > 0"),
    ],
)
def test_messages(make, message):
    with pytest.raises(ValueError, match=message):
        make()

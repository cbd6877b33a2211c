"""How far the numbers of a classifier can be trusted, its pictures, and the lines that are printed."""

import numpy as np
import pytest

from tinymed import metrics
from tinymed.applications import classification_report as report

RNG = np.random.default_rng(3)
SCORES = RNG.random(120)
LABELS = (RNG.random(120) < SCORES).astype(np.int64)
SEVERAL = RNG.dirichlet((0.6, 0.6, 0.6), 120)
KINDS = np.array([RNG.choice(3, p=p) for p in SEVERAL])


def test_two_classes(in_full):
    numbers = report.measure(LABELS, SCORES, 0.4)
    assert numbers["threshold"] == 0.4 and numbers["auc"] == metrics.roc_auc(LABELS, SCORES)
    low, high = numbers["auc_interval"]
    assert low < numbers["auc"] < high and high - low < 0.25
    assert numbers["brier_score"] == pytest.approx(np.mean((SCORES - LABELS) ** 2))
    assert numbers["expected_calibration_error"] == metrics.expected_calibration_error(LABELS, SCORES)


def test_copies_of_patients_make_nothing_surer(in_full):
    """Each image four times: without knowing it the interval would be half as wide."""
    few = slice(0, 60)
    labels, scores = np.repeat(LABELS[few], 4), np.repeat(SCORES[few], 4)
    wide, known, deceived = (
        np.diff(report.trust(*given)["auc_interval"])[0]
        for given in ((LABELS[few], SCORES[few]), (labels, scores, np.repeat(np.arange(60), 4)), (labels, scores))
    )
    assert known == pytest.approx(wide, rel=0.1) and deceived == pytest.approx(wide / 2, rel=0.2)


def test_several_classes(in_full):
    numbers = report.measure(KINDS, SEVERAL)
    assert numbers["auc_interval"][0] < numbers["auc"] < numbers["auc_interval"][1]
    right, sure = SEVERAL.argmax(axis=1) == KINDS, SEVERAL.max(axis=1)
    assert numbers["expected_calibration_error"] == metrics.expected_calibration_error(right, sure)
    assert "brier_score" not in numbers


@pytest.mark.parametrize("scores", [SCORES[:9], SEVERAL[:9]])
def test_one_class_has_no_interval(scores):
    numbers = report.measure(np.zeros(9, dtype=np.int64), scores)
    assert numbers["auc_interval"] is None and np.isnan(numbers["auc"])
    lines = dict(report.rows({**numbers, "classes": ["a", "b", "c"][: max(2, scores.ndim + 1)]}))
    assert any(value == "- (all labels are 0)" for name, value in lines.items() if name.startswith("AUC"))


def test_the_table():
    lines = dict(report.rows({**report.measure(LABELS, SCORES), "classes": ["well", "ill"]}))
    low, high = report.trust(LABELS, SCORES)["auc_interval"]
    assert lines["AUC (95 % interval)"] == f"{metrics.roc_auc(LABELS, SCORES):.4f} ({low:.3f} to {high:.3f})"
    assert lines["expected calibration error"].startswith("0.")
    assert lines["ill:"].endswith("as ill")
    several = dict(report.rows({**report.measure(KINDS, SEVERAL), "classes": ["a", "b", "c"]}))
    assert "AUC, mean of classes (95 % interval)" in several and " of " in several["b:"]


@pytest.mark.parametrize("labels, scores, told", [(LABELS, SCORES, "b"), (KINDS, SEVERAL, "the predicted class")])
def test_pictures(labels, scores, told, tmp_path, monkeypatch, in_full):
    seen = {}
    monkeypatch.setattr(report, "reliability", lambda *given, of, **_: seen.update(of=of, given=given))
    images = np.zeros((120, 8, 8, 1), np.float32)
    report.write_pictures(tmp_path, {"loss": [1.0]}, images, labels, scores, ["a", "b", "c"][: 1 + scores.ndim], 0.5)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"learning_curves.png", "roc.png", "confusion_matrix.png", "predictions.png"}
    assert seen["of"] == told
    assert all(np.array_equal(a, b) for a, b in zip(seen["given"], report.calibrated(labels, scores), strict=True))

"""Calibration, several ROC curves and intervals as pictures."""

import numpy as np
import pytest

from tinymed.metrics import Interval
from tinymed.plots.evaluation import intervals, reliability, roc_curves

RNG = np.random.default_rng(0)
SCORES = RNG.random(80)
LABELS = (RNG.random(80) < SCORES).astype(int)


def test_reliability(tmp_path):
    figure = reliability(LABELS, SCORES, bins=5, path=tmp_path / "r.png")
    upper, lower = figure.axes
    assert "expected calibration error" in upper.texts[0].get_text()
    assert len(lower.patches) == 5
    assert sum(bar.get_height() for bar in lower.patches) == 80
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_reliability_of_certain_predictions_has_bars_inside():
    figure = reliability([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0], bins=4)
    assert figure.axes[0].get_ylim() == (-0.02, 1.02)


def test_roc_curves():
    figure = roc_curves({f"fold {i}": (LABELS[i::4], SCORES[i::4]) for i in range(4)})
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [word.split(":")[0] for word in words] == ["fold 0", "fold 1", "fold 2", "fold 3"]
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 5  # nothing is said by colour alone


def test_intervals():
    figure = intervals(["a", "b"], [Interval(0.8, 0.7, 0.9, 0.95, 100), Interval(0.6, 0.5, 0.7, 0.95, 100)])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="got 1 names and 0 values"):
        intervals(["a"], [])


def test_reliability_names_what_is_predicted():
    upper, lower = reliability(LABELS, SCORES, of="pneumonia").axes
    assert upper.get_ylabel() == "observed frequency of pneumonia"
    assert lower.get_xlabel() == "predicted probability of pneumonia"

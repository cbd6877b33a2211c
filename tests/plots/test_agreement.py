"""Predicted against true numbers."""

import numpy as np
import pytest

from tinymed import plots


def test_the_numbers_in_the_picture(tmp_path):
    true = np.array([10.0, 20.0, 30.0, 40.0])
    pred = true + np.array([1, -1, 3, 1])
    figure = plots.agreement(true, pred, path=tmp_path / "a.png", what="heart rate", unit="beats/min")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    left, right = figure.axes
    assert left.get_title(loc="left") == "Mean absolute error 1.50 beats/min"
    assert left.get_xlabel() == "true heart rate (beats/min)"
    half = 1.96 * np.std([1, -1, 3, 1])
    words = [text.get_text() for text in right.get_legend().get_texts()]
    assert words == ["bias +1.00", f"95 %: {1 - half:+.1f} to {1 + half:+.1f}"]
    assert right.collections[0].get_offsets().tolist() == [[10.5, 1], [19.5, -1], [31.5, 3], [40.5, 1]]


def test_one_value_and_column_vectors():
    figure = plots.agreement([[5.0]], [[5.0]])
    assert figure.axes[0].get_title(loc="left") == "Mean absolute error 0.00"


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="got 2 and 1"):
        plots.agreement([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="got 0 and 0"):
        plots.agreement([], [])

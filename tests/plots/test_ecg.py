"""Strips of signals with beats."""

import numpy as np
import pytest

from tinymed import plots


def test_strips_show_true_found_and_wrong_beats(tmp_path):
    x = np.sin(np.arange(500) / 20)
    records = [(x, 100.0, [1.0, 2.0], [1.01, 3.5]), (x, 100.0, None, None), (x, 100.0, None, [1.0])]
    figure = plots.strips(records, ["a", "b", "c"], path=tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "b", "c"]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["true beats", "found", "found, wrongly"]
    lines = {line.get_label(): line.get_xdata().tolist() for line in figure.axes[0].get_lines()}
    assert lines["found"] == [1.01] and lines["found, wrongly"] == [3.5]


def test_a_flat_line_and_no_beats():
    figure = plots.strips([(np.zeros(10), 10.0, [], [0.5])], ["flat"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true beats", "found, wrongly"]
    assert not plots.strips([(np.zeros(10), 10.0, None, None)], ["flat"]).legends


def test_titles_are_needed():
    with pytest.raises(ValueError, match="a title for each of at least one record, got 1 and 0"):
        plots.strips([(np.zeros(10), 10.0, None, None)], [])
    with pytest.raises(ValueError, match="at least one record"):
        plots.strips([], [])

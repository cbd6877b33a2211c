"""Pictures of boxes: what is drawn where, and how it is told apart."""

import numpy as np
import pytest

from tinymed import plots
from tinymed.applications.detection_search import Finding

A, B, FAR = [2.0, 2, 8, 8], [12.0, 12, 20, 20], [20.0, 2, 26, 6]
IMAGES = np.random.default_rng(0).random((3, 32, 32, 1))
TRUE = [np.array([A, B]), np.array([A]), np.zeros((0, 4))]
FOUND = [
    (np.array([A, FAR]), np.array([0.9, 0.6])),
    (np.array([A]), np.array([0.2])),
    (np.zeros((0, 4)), np.zeros(0)),
]


def boxes_of(ax):
    return [(p.get_y(), p.get_x(), p.get_linestyle()) for p in ax.patches]


def test_hits_false_alarms_and_misses_differ_in_their_lines(tmp_path):
    figure = plots.box_sheet(IMAGES, TRUE, FOUND, 0.5, path=tmp_path / "x.png")
    first, second, third = figure.axes
    assert boxes_of(first) == [(2, 2, "-"), (20, 2, "--"), (12, 12, ":")]
    assert boxes_of(second) == [(2, 2, ":")]  # its score is below the threshold
    assert boxes_of(third) == []
    assert [text.get_text() for text in first.texts] == [".90", ".60"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["1 found", "1 false alarms", "2 missed"]
    assert (tmp_path / "x.png").exists()
    with pytest.raises(ValueError, match="as many of each"):
        plots.box_sheet(IMAGES, TRUE[:2], FOUND, 0.5)


def test_pixels_lie_between_the_edges_that_boxes_are_measured_at():
    figure = plots.box_sheet(IMAGES, TRUE, FOUND, 0.5)
    assert list(figure.axes[0].images[0].get_extent()) == [0, 32, 32, 0]


def test_heat_lies_over_the_image():
    heat = np.zeros((3, 16, 16, 1))
    heat[0, 2, 3] = 0.8
    figure = plots.heat_sheet(IMAGES, heat, TRUE, 2)
    overlay = figure.axes[3].images[1]
    assert list(overlay.get_extent()) == [0, 32, 32, 0]
    assert overlay.get_alpha().max() > 0.8 and overlay.get_alpha()[0, 0] == 0
    assert figure.axes[-1].get_ylabel() == "probability of a centre"


def test_curves_show_area_and_threshold():
    (ax,) = plots.detection_precision_recall(FOUND, TRUE, 0.5).axes
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words[0] == "average precision = 0.556"
    assert words[-1] == "scores from 0.50 on"
    (ax,) = plots.froc(FOUND, TRUE, 0.5).axes
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1/8", "1/4", "1/2", "1", "2", "4", "8"]
    points = next(line for line in ax.lines if "CPM" in str(line.get_label()))
    np.testing.assert_allclose(points.get_ydata(), [1 / 3, 1 / 3, *[2 / 3] * 5])


def test_curves_of_a_detector_that_finds_nothing():
    nothing = [(np.zeros((0, 4)), np.zeros(0))] * 3
    assert plots.detection_precision_recall(nothing, TRUE, 0.5).axes
    assert plots.froc(nothing, TRUE, 0.5).axes


def test_findings_of_a_volume_are_shown_in_their_best_slice():
    findings = [Finding(np.array(A), (0, 1), 0.9), Finding(np.array(FAR), (0, 0), 0.6)]
    figure = plots.findings_sheet(IMAGES, FOUND, findings)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["slice 0"]
    assert len(figure.axes[0].patches) == 2
    figure = plots.findings_sheet(IMAGES, FOUND)
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.images] == ["image 0", "image 1", "image 2"]
    figure = plots.findings_sheet(IMAGES, [FOUND[2]] * 3, [])
    assert figure.axes[0].get_title(loc="left") == "slice 1: nothing found"

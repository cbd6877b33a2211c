"""Numbers of a detector by hand, and what is told and written of its boxes."""

import numpy as np
import pytest

from tinymed.applications import detection_report as report

SMALL, MIDDLE, LARGE, FAR = [2.0, 2, 6, 6], [10.0, 10, 16, 16], [30.0, 30, 42, 42], [50.0, 2, 56, 8]
TRUE = [np.array([SMALL, MIDDLE]), np.array([LARGE]), np.zeros((0, 4))]
FOUND = [
    (np.array([SMALL, MIDDLE]), np.array([0.9, 0.3])),
    (np.array([LARGE, FAR]), np.array([0.8, 0.7])),
    (np.array([FAR]), np.array([0.1])),
]


def test_numbers_by_hand():
    numbers = report.numbers(FOUND, TRUE, 0.5)
    assert (numbers["samples"], numbers["lesions"]) == (3, 3)
    assert (numbers["hits"], numbers["missed"], numbers["false_alarms"]) == (2, 1, 1)
    assert numbers["average_precision"] == pytest.approx(1 / 3 + 1 / 3 + 1 / 3 * 3 / 4)
    assert numbers["froc"]["1/8"] == pytest.approx(2 / 3) and numbers["froc"]["1"] == 1
    assert numbers["cpm"] == pytest.approx((2 * 2 / 3 + 5) / 7)
    assert numbers["found_by_size"] == {
        "3 to 5": {"lesions": 1, "found": 1},
        "5 to 8": {"lesions": 1, "found": 0},
        "8 and more": {"lesions": 1, "found": 1},
    }


def test_rows_name_everything_and_leave_out_sizes_that_do_not_occur():
    rows = dict(report.rows(report.numbers(FOUND, TRUE, 0.5)))
    assert rows["average precision (IoU 0.5)"] == "0.9167"
    assert rows["  1/8"] == "0.6667"
    assert rows["scores from 0.50 on"] == "2 found, 1 missed, 1 false alarms"
    assert rows["  of 5 to 8 pixels"] == "0 of 1 found (0%)"
    few = dict(report.rows(report.numbers(FOUND[1:2], TRUE[1:2], 0.5)))
    assert "  of 5 to 8 pixels" not in few


def test_boxes_are_told_and_written(tmp_path):
    told = [
        *report.told("a.png", [(np.array(SMALL), 0.9123, None)]),
        *report.told("b.mha", [(np.array(LARGE), 0.5, (3, 7))]),
        *report.told("c.png", []),
    ]
    assert told[0].cells == ("0.912", "rows 2.0 to 6.0, columns 2.0 to 6.0", "")
    assert told[1].cells[2] == "slices 3 to 7"
    assert told[2].cells[1] == "no lesion found"
    report.write_boxes(tmp_path / "boxes.csv", told)
    assert (tmp_path / "boxes.csv").read_text().splitlines() == [
        "image,y0,x0,y1,x1,score,first_slice,last_slice",
        "a.png,2.00,2.00,6.00,6.00,0.9123,,",
        "b.mha,30.00,30.00,42.00,42.00,0.5000,3,7",
        "c.png,,,,,,,",
    ]


def test_pictures(in_full, tmp_path, monkeypatch):
    from tinymed.applications import detection_search as search
    from tinymed.datasets.lesions import Lesions

    monkeypatch.setattr(search, "maps", lambda model, images: (np.zeros((3, 32, 32, 1)), None))
    test = Lesions(np.random.default_rng(0).random((3, 64, 64, 1)), TRUE)
    report.draw(tmp_path, {"loss": [0.5, 0.4]}, None, test, FOUND, 0.5)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"learning_curves.png", "precision_recall.png", "froc.png", "boxes.png", "heat_maps.png"}

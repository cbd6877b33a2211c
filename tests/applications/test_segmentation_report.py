"""Means over labels and cases by hand, and the lines that are printed; the pictures are tried in test_segmentation."""

import math

import numpy as np
import pytest

from tinymed.applications import segmentation_report as report
from tinymed.applications.segmentation_cases import Case
from tinymed.datasets.volumes import Volume

AFFINE = np.diag([2.0, 1.0, 1.0, 1.0])
LABELS = {1: "liver", 2: "lesion"}


def case(name, *boxes):
    """A case of 4 x 4 x 4 voxels; each box is a label and a slice of the first axis."""
    truth = np.zeros((4, 4, 4), np.uint8)
    for label, part in boxes:
        truth[part] = label
    return Case(name, Volume(np.zeros((4, 4, 4), np.float32), AFFINE), truth)


CASES = [case("a", (1, slice(0, 2)), (2, slice(3, 4))), case("b", (1, slice(0, 2)))]
FOUND = [
    case("", (1, slice(0, 3)), (2, slice(3, 4))).truth,  # one slice of liver too many
    case("", (1, slice(0, 2))).truth,  # no lesion, rightly
]


def test_means_by_hand():
    table = report.measure(CASES, FOUND, LABELS)
    assert list(table) == ["a", "b"]
    assert table["a"]["liver"] == pytest.approx(
        {"dice": 2 * 32 / 80, "iou": 32 / 48, "hausdorff": 2.0, "volume": 0.064, "volume_pred": 0.096}
    )
    numbers = report.summary(table)
    assert numbers["by_label"]["liver"] == pytest.approx(
        {"dice": (0.8 + 1) / 2, "iou": (2 / 3 + 1) / 2, "hausdorff": 1.0, "dice_least": 0.8}
    )
    assert numbers["by_label"]["lesion"] == pytest.approx({"dice": 1, "iou": 1, "hausdorff": 0, "dice_least": 1})
    assert numbers["dice"] == pytest.approx(0.95) and numbers["hausdorff"] == pytest.approx(0.5)
    assert numbers["samples"] == 2
    assert "dice_interval" not in numbers


def test_a_missed_lesion_costs_what_the_policy_says():
    missed = report.summary(report.measure(CASES[:1], [np.minimum(FOUND[0], 1)], LABELS))["by_label"]["lesion"]
    assert (missed["dice"], missed["iou"]) == (0, 0)
    assert missed["hausdorff"] == pytest.approx(math.dist((0, 0, 0), (8, 4, 4)))


def test_an_interval_over_the_cases():
    many = [case(str(k), (1, slice(0, 2))) for k in range(8)]
    found = [case("", (1, slice(0, 1 + k % 3))).truth for k in range(8)]
    numbers = report.summary(report.measure(many, found, {1: "liver"}))
    low, high = numbers["dice_interval"]
    assert 2 / 3 <= low < numbers["dice"] < high <= 1
    assert report.rows(numbers) == [
        ("cases", "8"),
        ("liver", f"Dice {numbers['dice']:.4f}  IoU {numbers['iou']:.4f}  HD95 {numbers['hausdorff']:.2f} mm"),
        ("mean", f"Dice {numbers['dice']:.4f}  IoU {numbers['iou']:.4f}  HD95 {numbers['hausdorff']:.2f} mm"),
        ("mean Dice of other cases", f"{low:.3f} to {high:.3f} (95 %)"),
    ]

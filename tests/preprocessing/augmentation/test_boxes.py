"""Boxes: outlines, the cut at the border, and what is no box."""

import numpy as np
import pytest

from tinymed.preprocessing.augmentation import Augmentation, Flip, Rotation, Shift, Zoom
from tinymed.preprocessing.augmentation.boxes import BoxRule, checked

IMAGES = np.zeros((1, 20, 30), np.float32)


def turned(degrees, boxes, **options):
    """Rotate by exactly this angle."""
    fixed = type("Fixed", (), {"uniform": staticmethod(lambda low, high, n: np.full(n, degrees))})
    warp = Rotation(90).warp(1, (20, 30), type("R", (fixed,), {"random": staticmethod(lambda n: np.zeros(n))})())
    return BoxRule(**options).moved([np.array(boxes, float)], warp.push, (20, 30))[0]


def test_a_flip_mirrors_edges():
    _, (boxes,) = Flip(vertical=True, probability=1)(IMAGES, boxes=[[[2, 3, 6, 10, 5]]])
    assert boxes.tolist() == [[14, 20, 18, 27, 5]]


def test_a_quarter_turn_changes_sides():
    assert np.allclose(turned(90, [[8, 11, 12, 19]]), [[6, 13, 14, 17]])


def test_corners_grow_and_ellipses_do_not():
    square = [[5, 10, 15, 20]]
    assert np.allclose(turned(45, square), [[10 - 50**0.5, 15 - 50**0.5, 10 + 50**0.5, 15 + 50**0.5]])
    assert np.allclose(turned(45, square, shape="ellipse"), square, atol=0.05)


def test_cut_at_the_border_and_dropped():
    rule = BoxRule(keep=0.5)
    boxes = np.array([[-4.0, 2, 6, 8, 1], [-6, 2, 4, 8, 2], [3, 3, 5, 5, 3], [30, 30, 40, 40, 4]])
    assert rule.cut(boxes, (0, 0, 20, 30)).tolist() == [[0, 2, 6, 8, 1], [3, 3, 5, 5, 3]]
    assert len(BoxRule(keep=0).cut(boxes, (0, 0, 20, 30))) == 3  # what lies wholly outside is always dropped
    found = [
        len(Augmentation([Shift((15, 0), border=0.0)], keep=keep)(IMAGES, boxes=[[[0, 0, 10, 10]]], rng=seed)[1][0])
        for keep in (0.9, 0.1)
        for seed in range(20)
    ]
    assert 0 < sum(found[:20]) < sum(found[20:]) < 20


def test_no_boxes_in_some_images():
    images = np.zeros((3, 20, 30), np.float32)
    for step in (Flip(probability=1), Zoom(), Shift(1)):
        _, boxes = step(images, boxes=[[], np.zeros((0, 5)), [[1, 1, 5, 5]]], rng=0)
        assert [len(group) for group in boxes] == [0, 0, 1]
        assert boxes[1].shape == (0, 5)
    _, boxes = Zoom()(images, boxes=[[], [], []])
    assert [group.shape for group in boxes] == [(0, 4)] * 3


@pytest.mark.parametrize(
    "boxes, words",
    [
        ([[[5, 5, 2, 8]]], r"image 0: \[5.0, 5.0, 2.0, 8.0\] is no box; it takes y0 < y1"),
        ([[[1, 1, 2, np.nan]]], "is no box"),
        ([[[1, 1, 8, 31]]], r"image 0: the box .* reaches out of the image of 20 x 30 pixels"),
        ([[[-1, 1, 8, 3]]], "reaches out"),
        ([[[1, 1, 8]]], r"shape \(1, 3\), expected \(K, 4\)"),
        ([[1, 1, 8, 9]], r"shape \(4,\), expected \(K, 4\)"),
    ],
)
def test_what_is_no_box(boxes, words):
    with pytest.raises(ValueError, match=words):
        checked(boxes, 1, (20, 30))


def test_wrong_rules():
    with pytest.raises(ValueError, match="keep, the part of a box that must remain"):
        Augmentation([], keep=2)
    with pytest.raises(ValueError, match="box_shape must be 'corners' or 'ellipse', got 'round'"):
        Augmentation([], box_shape="round")

"""Overlap, non-maximum suppression, and boxes as maps."""

import array_api_strict
import numpy as np
import pytest

from tinymed import backend
from tinymed.ops.boxes import box_iou, decode_boxes, encode_boxes, non_maximum_suppression

RNG = np.random.default_rng(0)


def boxes_of(count, size=40, rng=RNG):
    corner = rng.uniform(0, size - 12, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(2, 12, (count, 2))], axis=1)


# --- overlap -----------------------------------------------------------------------------------------------------


def test_iou_of_whole_boxes_is_that_of_their_pixels():
    a, b = (np.round(boxes_of(count)) for count in (7, 5))

    def mask(box):
        painted = np.zeros((45, 45), bool)
        y0, x0, y1, x1 = box.astype(int)
        painted[y0:y1, x0:x1] = True
        return painted

    wanted = [[(mask(p) & mask(q)).sum() / (mask(p) | mask(q)).sum() for q in b] for p in a]
    np.testing.assert_allclose(box_iou(a, b), wanted)
    assert np.max(wanted) > 0


def test_iou_of_boxes_without_area_and_without_boxes():
    dot, box = np.array([[1.0, 1, 1, 1]]), np.array([[0.0, 0, 2, 2]])
    assert box_iou(dot, dot)[0, 0] == 0
    assert box_iou(dot, box)[0, 0] == 0
    assert box_iou(np.zeros((0, 4)), box).shape == (0, 1)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(M, 4\) arrays of y0, x0, y1, x1 but got shape \(4,\)"):
        box_iou(np.zeros(4), np.zeros((1, 4)))


# --- suppression -------------------------------------------------------------------------------------------------


def naive_suppression(boxes, scores, threshold):
    left, kept = list(np.argsort(-scores, kind="stable")), []
    while left:
        kept.append(left.pop(0))
        left = [i for i in left if box_iou(boxes[kept[-1:]], boxes[[i]])[0, 0] <= threshold]
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_suppression_is_that_of_a_loop(threshold):
    boxes, scores = boxes_of(60), RNG.uniform(size=60).round(1)  # ties keep their order
    kept = non_maximum_suppression(boxes, scores, threshold)
    assert kept.tolist() == naive_suppression(boxes, scores, threshold)
    assert (len(kept) == 60) == (threshold == 1.0)


def test_a_box_that_is_removed_removes_none():
    """The third overlaps only the second, which the first removes."""
    chain = np.array([[0.0, 0, 4, 4], [0, 2, 4, 6], [0, 4, 4, 8]])
    assert non_maximum_suppression(chain, np.array([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_no_box_is_no_error():
    assert non_maximum_suppression(np.zeros((0, 4)), np.zeros(0)).tolist() == []


def test_wrong_arguments():
    with pytest.raises(ValueError, match="2 boxes need as many scores"):
        non_maximum_suppression(np.zeros((2, 4)), np.zeros(3))
    with pytest.raises(ValueError, match="between 0 and 1, got 50"):
        non_maximum_suppression(np.zeros((2, 4)), np.zeros(2), 50)


# --- maps --------------------------------------------------------------------------------------------------------


def test_by_hand():
    """A box 4 high and 12 wide around (5, 9), with cells of 2 pixels: its centre lies in cell (2, 4)."""
    heat, targets, weights = encode_boxes(np.array([[3.0, 3, 7, 15]]), (6, 8), 2)
    assert heat.shape == (6, 8, 1) and heat.max() == heat[2, 4, 0] == 1
    np.testing.assert_allclose(heat[3, 4, 0], np.exp(-1 / (2 * 0.7**2)))  # 2 cells high: the least sigma
    np.testing.assert_allclose(heat[2, 6, 0], np.exp(-4 / 2))  # 6 cells wide: sigma 1
    np.testing.assert_allclose(targets[2, 4], [0.0, 0.0, np.log(2), np.log(6)], atol=1e-12)
    np.testing.assert_allclose(targets[1, 5], [1.0, -1.0, np.log(2), np.log(6)], atol=1e-12)
    assert weights.sum() == 9 and weights[1:4, 3:6].all()


def test_without_boxes_all_is_zero():
    maps = encode_boxes(np.zeros((0, 4), np.float32), (4, 5), 2)
    assert [m.shape for m in maps] == [(4, 5, 1), (4, 5, 4), (4, 5)]
    assert all(m.dtype == np.float32 and not m.any() for m in maps)


def test_near_two_centres_the_smaller_box_counts():
    large, small = [0.0, 0, 16, 16], [9.0, 7, 12, 10]
    for order in ([large, small], [small, large]):
        _, targets, weights = encode_boxes(np.array(order), (8, 8), 2)
        np.testing.assert_allclose(targets[5, 4, 2:], np.log([1.5, 1.5]))
        np.testing.assert_allclose(targets[3, 3, 2:], np.log([8, 8]))  # only the large one is near
        assert weights[4, 4] == 1


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_decoding_undoes_encoding(stride):
    rng = np.random.default_rng(3)
    corner = np.stack(np.meshgrid([1.0, 17, 33], [2.0, 18, 34]), axis=-1).reshape(-1, 2) + rng.uniform(0, 4, (9, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(3, 9, (9, 2))], axis=1)
    found, scores = decode_boxes(*encode_boxes(boxes, (48 // stride, 48 // stride), stride)[:2], stride)
    assert np.all(scores == 1)
    nearest = np.argmax(box_iou(found, boxes), axis=1)
    assert sorted(nearest) == list(range(9))
    np.testing.assert_allclose(found, boxes[nearest], atol=1e-9)


def test_a_peak_one_cell_off_has_the_right_box():
    box = np.array([[4.0, 5, 9, 11]])
    heat, targets, _ = encode_boxes(box, (8, 8), 2)
    found, _ = decode_boxes(np.roll(heat, 1, axis=1), targets, 2)
    np.testing.assert_allclose(found, box)


def test_only_peaks_above_the_threshold_and_not_too_many():
    heat = np.zeros((6, 6, 1))
    heat[1, 1], heat[1, 2], heat[4, 4], heat[4, 1] = 0.9, 0.8, 0.5, 0.05
    targets = np.zeros((6, 6, 4))
    boxes, scores = decode_boxes(heat, targets, 2, threshold=0.1)
    assert scores.tolist() == [0.9, 0.5]  # 0.8 lies beside a higher one
    np.testing.assert_allclose(boxes, [[2, 2, 4, 4], [8, 8, 10, 10]])
    assert len(decode_boxes(heat, targets, 2, threshold=0.01, most=1)[1]) == 1
    nothing = decode_boxes(heat, targets, 2, threshold=0.95)
    assert nothing[0].shape == (0, 4) and nothing[1].shape == (0,)


def test_sizes_of_a_wild_network_do_not_overflow():
    boxes, _ = decode_boxes(np.ones((1, 1, 1), np.float32), np.full((1, 1, 4), 1e4, np.float32), 2)
    assert np.isfinite(boxes).all()


def test_a_centre_on_the_far_edge_belongs_to_the_last_cell():
    heat, _, _ = encode_boxes(np.array([[6.0, 6, 10, 10]]), (4, 4), 2)
    assert heat[3, 3, 0] == 1


def test_other_libraries_and_devices():
    device = array_api_strict.Device("device1")
    boxes, scores = boxes_of(8), RNG.uniform(size=8)
    there = [array_api_strict.asarray(a, device=device) for a in (boxes, scores)]
    kept = non_maximum_suppression(*there, 0.2)
    maps = encode_boxes(there[0], (20, 20), 2)
    found = decode_boxes(maps[0], maps[1], 2)
    wanted = encode_boxes(boxes, (20, 20), 2)
    for a in (kept, *maps, *found):
        assert a.device == device
    host = [backend.to_host(a) for a in (kept, *maps)]
    assert host[0].tolist() == naive_suppression(boxes, scores, 0.2)
    for a, b in zip(host[1:], wanted, strict=True):
        np.testing.assert_allclose(a, b)

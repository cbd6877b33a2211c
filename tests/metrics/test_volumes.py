"""Masks against masks: values by hand, a naive loop over all pairs of surface voxels, and empty masks."""

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from tinymed import metrics


def boxes():
    a, b = np.zeros((2, 6, 7, 8), bool)
    a[1:4, 2:5, 1:6] = True
    b[2:5, 2:6, 2:6] = True
    return a, b


def naive_distances(a, b, spacing):
    """Distances from each surface voxel of ``a`` to the nearest of ``b``, pair by pair."""

    def surface(mask):
        found = []
        for place in np.argwhere(mask):
            for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
                beside = place.copy()
                beside[axis] += step
                inside = 0 <= beside[axis] < mask.shape[axis]
                if not inside or not mask[tuple(beside)]:
                    found.append(place * np.asarray(spacing))
                    break
        return found

    others = surface(b)
    return sorted(min(math.dist(p, q) for q in others) for p in surface(a))


def test_overlap_by_hand():
    a, b = boxes()
    both, either = 2 * 3 * 4, 45 + 48 - 24
    assert metrics.dice_coefficient(a, b) == 2 * both / (45 + 48)
    assert metrics.intersection_over_union(a, b) == both / either
    dice = metrics.dice_coefficient(a, b)
    assert metrics.intersection_over_union(a, b) == pytest.approx(dice / (2 - dice))
    assert metrics.dice_coefficient(a, a) == metrics.intersection_over_union(a, a) == 1
    assert metrics.hausdorff_distance(a, a) == 0


@pytest.mark.parametrize("spacing", [1.0, (0.5, 2.0, 1.25)])
def test_distances_are_those_of_a_naive_loop(spacing):
    rng = np.random.default_rng(0)
    sizes = np.broadcast_to(spacing, 3)
    for _ in range(5):
        a, b = (ndimage.gaussian_filter(rng.standard_normal((7, 6, 8)), 1.2) > 0.1 for _ in range(2))
        there, back = naive_distances(a, b, sizes), naive_distances(b, a, sizes)
        found = metrics.surface_distances(a, b, spacing)
        np.testing.assert_allclose(np.sort(found[0]), there, atol=1e-12)
        np.testing.assert_allclose(np.sort(found[1]), back, atol=1e-12)
        for percentile in (50, 95, 100):
            wanted = max(np.percentile(there, percentile), np.percentile(back, percentile))
            assert metrics.hausdorff_distance(a, b, percentile, spacing) == pytest.approx(wanted)


def test_full_distance_is_scipy_s_and_symmetric():
    from scipy.spatial.distance import directed_hausdorff

    a, b = boxes()
    wanted = max(directed_hausdorff(np.argwhere(u), np.argwhere(v))[0] for u, v in ((a, b), (b, a)))
    assert metrics.hausdorff_distance(a, b, 100) == wanted
    assert metrics.hausdorff_distance(b, a, 100) == wanted


def test_a_shift_is_as_large_as_it_is():
    a = np.zeros((20, 20), bool)
    a[4:9, 4:9] = True
    assert metrics.hausdorff_distance(a, np.roll(a, 6, axis=0), 100, (0.7, 3.0)) == pytest.approx(4.2)
    speck = a.copy()
    speck[18, 18] = True  # one voxel far away: the maximum sees it, the percentile does not
    assert metrics.hausdorff_distance(a, speck, 100) == pytest.approx(math.dist((8, 8), (18, 18)))
    assert metrics.hausdorff_distance(a, speck, 90) == 0


def test_empty_masks():
    nothing, something = np.zeros((3, 4)), np.eye(3, 4)
    assert metrics.dice_coefficient(nothing, nothing) == metrics.intersection_over_union(nothing, nothing) == 1
    assert metrics.hausdorff_distance(nothing, nothing) == 0
    for pair in ((nothing, something), (something, nothing)):
        assert metrics.dice_coefficient(*pair) == metrics.intersection_over_union(*pair) == 0
        assert metrics.hausdorff_distance(*pair) == 5  # the diagonal of 3 x 4
        assert metrics.hausdorff_distance(*pair, spacing=(2.0, 0.5)) == pytest.approx(math.hypot(6, 2))
        with pytest.raises(ValueError, match="an empty mask has no surface"):
            metrics.surface_distances(*pair)


def test_report_of_labels():
    a, b = boxes()
    true, predicted = a * 1 + 0, b * 1
    true[5, 6, 7] = 2
    report = metrics.volume_report(true, predicted, {1: "box", 2: "speck"}, spacing=(2.0, 1.0, 1.0))
    assert report["box"]["dice"] == metrics.dice_coefficient(a, b)
    assert report["box"]["hausdorff"] == metrics.hausdorff_distance(a, b, 95, (2.0, 1.0, 1.0))
    assert (report["box"]["volume"], report["box"]["volume_pred"]) == pytest.approx((0.090, 0.096))
    assert report["speck"] == pytest.approx(
        {"dice": 0, "iou": 0, "hausdorff": math.dist((0, 0, 0), (12, 7, 8)), "volume": 0.002, "volume_pred": 0}
    )
    assert list(metrics.volume_report(true, predicted, [2, 1])) == [2, 1]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"percentile": 0}, "percentile must lie above 0"),
        ({"spacing": (1.0, 2.0)}, "spacing must be one positive number, or one for each of 3 axes"),
        ({"spacing": 0}, "spacing must be"),
    ],
)
def test_arguments_are_checked(options, words):
    a, b = boxes()
    with pytest.raises(ValueError, match=words):
        metrics.hausdorff_distance(a, b, **options)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"dice_coefficient expects two masks of one shape but got \(2,\) and \(3,\)"):
        metrics.dice_coefficient([0, 1], [0, 1, 1])

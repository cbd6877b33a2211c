r"""How well two masks agree, in overlap and in distance: exact numbers for one image or volume, on the host.

Masks may be empty, and the formulas are then 0/0. The policy of this module:

=====================================  ==========  ==========  ==================================================
masks                                  Dice, IoU   distance    why
=====================================  ==========  ==========  ==================================================
both empty                             1           0           nothing was there and nothing was found: all right
one of them empty                      0           diagonal    the largest distance that fits into the array
=====================================  ==========  ==========  ==================================================

So every number is finite and means over cases are defined, and a missed or invented organ costs as much as it can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymed import backend


def dice_coefficient(y_true: Any, y_pred: Any) -> float:
    r"""Return the Dice coefficient of two masks, $2 |A \cap B| / (|A| + |B|)$, which is F1 of their pixels.

    Arguments:
        y_true: Mask of any shape; what is not zero belongs to it.
        y_pred: Mask of the same shape.

    Returns:
        From 0 to 1; with empty masks see the table above.

    Example:
        >>> dice_coefficient([1, 1, 0, 0], [1, 0, 0, 0]) == 2 / 3
        True
        >>> dice_coefficient([0, 0], [0, 0]), dice_coefficient([0, 0], [0, 1])
        (1.0, 0.0)
    """
    a, b = _masks("dice_coefficient", y_true, y_pred)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else 1.0


def intersection_over_union(y_true: Any, y_pred: Any) -> float:
    r"""Return the intersection over union (Jaccard index) of two masks, $|A \cap B| / |A \cup B|$.

    Arguments:
        y_true: Mask of any shape; what is not zero belongs to it.
        y_pred: Mask of the same shape.

    Returns:
        From 0 to 1; with empty masks see the table above. With the Dice coefficient $D$ it is $D / (2 - D)$.

    Example:
        >>> intersection_over_union([1, 1, 0, 0], [1, 0, 0, 0])
        0.5
    """
    a, b = _masks("intersection_over_union", y_true, y_pred)
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 1.0


def hausdorff_distance(
    y_true: Any, y_pred: Any, percentile: float = 95.0, spacing: float | Sequence[float] = 1.0
) -> float:
    r"""Return the Hausdorff distance between the surfaces of two masks, or a percentile of it.

    With $d(a, B)$ the distance from a surface voxel of A to the nearest surface voxel of B, this is the larger of
    $P_{95}\{d(a, B)\}$ and $P_{95}\{d(b, A)\}$. (Some programs take one percentile of both sets of distances
    together instead, which is at most as large.)

    Arguments:
        y_true: Mask (H, W), (D, H, W), ...; what is not zero belongs to it.
        y_pred: Mask of the same shape.
        percentile: 95 leaves the outermost voxels out; 100 is the distance by definition.
        spacing: Size of a pixel along each axis, in mm; one number for all axes.

    Returns:
        The distance in the unit of ``spacing``; with empty masks see the table above.

    Raises:
        ValueError: If the shapes differ, or ``percentile`` or ``spacing`` cannot be used.

    Example:
        >>> import numpy as np
        >>> a = np.zeros((9, 9)); a[2:5, 2:5] = 1
        >>> hausdorff_distance(a, np.roll(a, 2, axis=1), percentile=100, spacing=(1.0, 0.5))
        1.0

    Source:
        D. P. Huttenlocher, G. A. Klanderman, W. J. Rucklidge, Comparing images using the Hausdorff distance, 1993.
    """
    a, b = _masks("hausdorff_distance", y_true, y_pred)
    if not 0 < percentile <= 100:
        raise ValueError(f"hausdorff_distance: percentile must lie above 0 and up to 100, got {percentile!r}")
    sizes = _spacing("hausdorff_distance", spacing, a.ndim)
    if not a.any() and not b.any():
        return 0.0
    if not a.any() or not b.any():
        return math.dist([0.0] * a.ndim, [n * size for n, size in zip(a.shape, sizes, strict=True)])
    there, back = surface_distances(a, b, sizes)
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


def surface_distances(
    y_true: Any, y_pred: Any, spacing: float | Sequence[float] = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each surface voxel of one mask to the nearest surface voxel of the other.

    A voxel of a mask belongs to its surface if one of its neighbours along the axes does not belong to the mask; what
    lies outside the array does not.

    Arguments:
        y_true: Mask with at least one voxel.
        y_pred: Mask of the same shape with at least one voxel.
        spacing: Size of a pixel along each axis; one number for all axes.

    Returns:
        The distances from ``y_true`` to ``y_pred``, and those back.

    Raises:
        ValueError: If a mask is empty.

    Example:
        >>> surface_distances([1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1], spacing=2.0)
        (array([10.,  6.]), array([6.]))
    """
    from scipy import ndimage

    a, b = _masks("surface_distances", y_true, y_pred)
    sizes = _spacing("surface_distances", spacing, a.ndim)
    if not a.any() or not b.any():
        raise ValueError("surface_distances needs at least one voxel in each mask; an empty mask has no surface")
    box = ndimage.find_objects(np.asarray(a | b, dtype=np.uint8))[0]  # all surfaces lie in it
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (a[box], b[box])]
    to = [ndimage.distance_transform_edt(~surface, sampling=sizes) for surface in surfaces]
    return to[1][surfaces[0]], to[0][surfaces[1]]


def volume_report(
    y_true: Any,
    y_pred: Any,
    labels: Mapping[int, str] | Sequence[int],
    spacing: float | Sequence[float] = 1.0,
    percentile: float = 95.0,
) -> dict[str, dict[str, float]]:
    """Return Dice, IoU, Hausdorff distance and volumes of each label of one case.

    Arguments:
        y_true: Whole numbers, the label of each voxel.
        y_pred: The same, predicted.
        labels: Names by label, or just the labels.
        spacing: Size of a voxel along each axis, in mm.
        percentile: Of the Hausdorff distance.

    Returns:
        For each name ``dice``, ``iou``, ``hausdorff`` (mm) and ``volume``, ``volume_pred`` (millilitres).

    Example:
        >>> volume_report([[0, 1, 1]], [[0, 0, 1]], [1], spacing=10.0)[1]["volume"]
        0.2
    """
    true, predicted = backend.to_host(y_true), backend.to_host(y_pred)
    sizes = _spacing("volume_report", spacing, true.ndim)
    millilitres = math.prod(sizes) / 1000
    found = {}
    for label, name in labels.items() if isinstance(labels, Mapping) else zip(labels, labels, strict=True):
        a, b = true == label, predicted == label
        found[name] = {
            "dice": dice_coefficient(a, b),
            "iou": intersection_over_union(a, b),
            "hausdorff": hausdorff_distance(a, b, percentile, sizes),
            "volume": int(a.sum()) * millilitres,
            "volume_pred": int(b.sum()) * millilitres,
        }
    return found  # type: ignore[return-value]


def _masks(owner: str, y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = backend.to_host(y_true), backend.to_host(y_pred)
    if a.shape != b.shape:
        raise ValueError(f"{owner} expects two masks of one shape but got {a.shape} and {b.shape}")
    return a.astype(bool), b.astype(bool)


def _spacing(owner: str, spacing: float | Sequence[float], axes: int) -> tuple[float, ...]:
    sizes = [float(size) for size in np.atleast_1d(spacing)]
    sizes = sizes * axes if np.ndim(spacing) == 0 else sizes
    if len(sizes) != axes or not all(0 < size < math.inf for size in sizes):
        raise ValueError(
            f"{owner}: spacing must be one positive number, or one for each of {axes} axes; got {spacing!r}"
        )
    return tuple(sizes)

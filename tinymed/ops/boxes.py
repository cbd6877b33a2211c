r"""Boxes: how much they overlap, which of them mean the same thing, and boxes as maps that a network can learn.

These functions have no gradient. A box is (y0, x0, y1, x1) in pixels, measured at the edges of the pixels (y down, x to
the right), so that pixel (i, j) is the box (i, j, i + 1, j + 1); several boxes are an array (M, 4).
"""

from __future__ import annotations

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.pooling import max_pool2d

_LARGEST = 6.0
"""Decoded boxes are at most exp(6) cells wide, so that a network that has learnt nothing yet does not overflow."""


def box_iou(a: Array, b: Array) -> Array:
    r"""Return the overlap of each box in ``a`` with each in ``b``: intersection over union.

    $\mathrm{IoU} = \frac{|A \cap B|}{|A| + |B| - |A \cap B|}$, from 0 to 1

    Shapes:
        ========  ==============
        a         (M, 4)
        b         (K, 4)
        result    (M, K)
        ========  ==============

    Raises:
        ValueError: If the boxes are not (M, 4) and (K, 4).

    Example:
        >>> import numpy as np
        >>> box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [2, 2, 3, 3]])).round(4)
        array([[1.    , 0.1429, 0.    ]])
    """
    for boxes in (a, b):
        if len(boxes.shape) != 2 or boxes.shape[1] != 4:
            raise ValueError(f"boxes are (M, 4) arrays of y0, x0, y1, x1 but got shape {tuple(boxes.shape)}")
    xp = array_namespace(a)
    first, second = a[:, None, :], b[None, :, :]
    height = xp.minimum(first[..., 2], second[..., 2]) - xp.maximum(first[..., 0], second[..., 0])
    width = xp.minimum(first[..., 3], second[..., 3]) - xp.maximum(first[..., 1], second[..., 1])
    common = xp.maximum(height, 0.0) * xp.maximum(width, 0.0)
    union = _area(first) + _area(second) - common
    return xp.where(union > 0, common / xp.where(union > 0, union, xp.ones_like(union)), xp.zeros_like(union))


def _area(boxes: Array) -> Array:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def non_maximum_suppression(boxes: Array, scores: Array, iou_threshold: float = 0.5) -> Array:
    """Return the numbers of the boxes to keep, best score first.

    From the best score down, each box that is still there is kept and removes all others that overlap it by more than
    ``iou_threshold``.

    Arguments:
        boxes: (M, 4).
        scores: (M,).
        iou_threshold: From 0 (boxes that touch at all are one) to 1 (only equal boxes are one).

    Raises:
        ValueError: If there is not one score for each box, or the threshold does not lie between 0 and 1.

    Example:
        >>> import numpy as np
        >>> boxes = np.array([[0.0, 0, 4, 4], [0, 1, 4, 5], [8, 8, 9, 9]])
        >>> non_maximum_suppression(boxes, np.array([0.6, 0.9, 0.7])).tolist()
        [1, 2]
    """
    if tuple(scores.shape) != (boxes.shape[0],):
        raise ValueError(f"{boxes.shape[0]} boxes need as many scores but got shape {tuple(scores.shape)}")
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"iou_threshold must lie between 0 and 1, got {iou_threshold}")
    xp = array_namespace(boxes)
    order = xp.argsort(-scores, stable=True)
    boxes = xp.take(boxes, order, axis=0)
    place = xp.arange(boxes.shape[0], device=device_of(boxes))
    removes = (box_iou(boxes, boxes) > iou_threshold) & (place[None, :] > place[:, None])
    kept = xp.ones(boxes.shape[0], dtype=xp.bool, device=device_of(boxes))
    for i in range(boxes.shape[0]):
        kept = kept & ~(removes[i, :] & kept[i])
    return order[kept]


# --- boxes as maps -----------------------------------------------------------------------------------------------


def encode_boxes(boxes: Array, shape: tuple[int, int], stride: int) -> tuple[Array, Array, Array]:
    r"""Turn the boxes of one image into the maps that a detector with one output for each cell learns.

    With the cell $(i, j)$ covering ``stride`` x ``stride`` pixels, and a box of centre $(c_y, c_x)$, height $h$ and
    width $w$, all in cells, whose centre lies in the cell $(i_c, j_c) = \lfloor c \rfloor$:

        heat      $\exp\left( -\frac{(i - i_c)^2}{2 \sigma_y^2} - \frac{(j - j_c)^2}{2 \sigma_x^2} \right), \quad
        \sigma = \max(0.7, \tfrac{1}{6} \text{size})$: 1 in the middle; of several boxes the largest value
        targets   $c_y - (i + \tfrac12),\ c_x - (j + \tfrac12),\ \log h,\ \log w$
        weights   1 in the cell of the centre and the eight around it, 0 elsewhere

    The neighbours learn the box too, so that an answer one cell off still has the right box. A cell near two centres
    learns the smaller box.

    Arguments:
        boxes: (M, 4) in pixels; M may be 0.
        shape: Height and width of the maps, in cells.
        stride: Pixels for each cell.

    Returns:
        heat (OH, OW, 1), targets (OH, OW, 4), weights (OH, OW), in the dtype of the boxes.

    Example:
        >>> import numpy as np
        >>> heat, targets, weights = encode_boxes(np.array([[2.0, 2, 6, 6]]), (4, 4), stride=2)
        >>> heat[..., 0].round(2)
        array([[0.  , 0.01, 0.02, 0.01],
               [0.01, 0.13, 0.36, 0.13],
               [0.02, 0.36, 1.  , 0.36],
               [0.01, 0.13, 0.36, 0.13]])
        >>> targets[2, 2].round(4), int(weights.sum())
        (array([-0.5   , -0.5   ,  0.6931,  0.6931]), 9)

    Source:
        Zhou, Wang and Krähenbühl, Objects as Points, 2019, with logarithms of sizes, and neighbours.
    """
    xp, dtype, device = array_namespace(boxes), boxes.dtype, device_of(boxes)
    heat = xp.zeros(shape, dtype=dtype, device=device)
    weights = xp.zeros(shape, dtype=dtype, device=device)
    targets = xp.zeros((*shape, 4), dtype=dtype, device=device)
    rows = xp.arange(shape[0], dtype=dtype, device=device)[:, None]
    columns = xp.arange(shape[1], dtype=dtype, device=device)[None, :]
    order = xp.argsort(-_area(boxes), stable=True)  # smaller boxes later: they overwrite
    scaled = xp.take(boxes, order, axis=0) / stride
    for m in range(boxes.shape[0]):
        box = scaled[m, :]
        height, width = box[2] - box[0], box[3] - box[1]
        y, x = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        dy, dx = rows - _cell(y, shape[0]), columns - _cell(x, shape[1])
        sigma_y, sigma_x = xp.maximum(height / 6, 0.7), xp.maximum(width / 6, 0.7)
        heat = xp.maximum(heat, xp.exp(-((dy / sigma_y) ** 2) / 2 - (dx / sigma_x) ** 2 / 2))
        near = (xp.abs(dy) <= 1) & (xp.abs(dx) <= 1)
        own = xp.stack(
            xp.broadcast_arrays(y - (rows + 0.5), x - (columns + 0.5), xp.log(height), xp.log(width)), axis=-1
        )
        targets = xp.where(near[..., None], own, targets)
        weights = xp.where(near, xp.ones_like(weights), weights)
    return heat[..., None], targets, weights


def _cell(place: Array, count: int) -> Array:
    """Return the cell in which a place lies; the far edge of the image belongs to the last."""
    xp = array_namespace(place)
    return xp.minimum(xp.maximum(xp.floor(place), 0.0), float(count - 1))


def decode_boxes(
    heat: Array, targets: Array, stride: int, threshold: float = 0.1, most: int = 100
) -> tuple[Array, Array]:
    """Read boxes off the maps of one image: :func:`encode_boxes` backwards.

    Each cell whose heat is the largest among its neighbours and above the threshold gives a box, its heat the score.

    Arguments:
        heat: (OH, OW, 1), probabilities.
        targets: (OH, OW, 4), centres and logarithms of sizes as :func:`encode_boxes` makes them.
        stride: Pixels for each cell.
        threshold: Least score.
        most: At most so many boxes, the best.

    Returns:
        Boxes (M, 4) in pixels and scores (M,), best first.

    Example:
        >>> import numpy as np
        >>> heat, targets, _ = encode_boxes(np.array([[2.0, 3, 6, 8], [10, 10, 13, 14]]), (8, 8), stride=2)
        >>> boxes, scores = decode_boxes(heat, targets, stride=2)
        >>> boxes.round(4).tolist(), scores.tolist()
        ([[2.0, 3.0, 6.0, 8.0], [10.0, 10.0, 13.0, 14.0]], [1.0, 1.0])
    """
    xp = array_namespace(heat)
    highest, _ = max_pool2d(heat[None, ...], (3, 3), (1, 1), "same")
    peak = (heat == highest[0, ...]) & (heat > threshold)
    rows, columns = xp.nonzero(peak[..., 0])
    flat = rows * heat.shape[1] + columns
    scores = xp.take(xp.reshape(heat, (-1,)), flat)
    order = xp.argsort(-scores, stable=True)[: min(most, int(scores.shape[0]))]
    flat, scores = xp.take(flat, order), xp.take(scores, order)
    dtype = heat.dtype
    y = xp.astype(xp.take(rows, order), dtype) + 0.5
    x = xp.astype(xp.take(columns, order), dtype) + 0.5
    read = xp.take(xp.reshape(targets, (-1, 4)), flat, axis=0)
    half = xp.exp(xp.minimum(read[:, 2:], _LARGEST)) / 2
    y, x = y + read[:, 0], x + read[:, 1]
    boxes = xp.stack([y - half[:, 0], x - half[:, 1], y + half[:, 0], x + half[:, 1]], axis=-1)
    return boxes * stride, scores

"""Mosaic: parts of four images, whole in themselves, with their masks and boxes."""

import numpy as np
import pytest

from tinymed.preprocessing.augmentation import Augmentation, Mosaic


def test_parts_are_pieces_of_images():
    """Every image has a colour of its own and a pixel number: what lies in a part must come from one image."""
    n, height, width = 12, 10, 14
    place = np.arange(height * width).reshape(height, width) / 1000
    images = np.arange(n)[:, None, None] + np.broadcast_to(place, (n, height, width))
    masks = images.astype(int)
    new, new_masks = Mosaic(0.3, probability=1)(images, masks, rng=0)
    assert np.array_equal(new_masks, new.astype(int))
    mixed = 0
    for k in range(n):
        owners = new_masks[k]
        assert owners[0, 0] == k
        down = np.flatnonzero(np.abs(np.diff(np.rint((new[k, :, 0] % 1) * 1000))) != width)
        right = np.flatnonzero(np.abs(np.diff(np.rint((new[k, 0] % 1) * 1000))) != 1)
        assert len(down) <= 1 and len(right) <= 1
        assert all(2 <= seam <= 6 for seam in down) and all(3 <= seam <= 9 for seam in right)
        mixed += len(np.unique(owners)) > 2
    assert mixed > 6


def test_boxes_stay_with_their_pixels():
    rng = np.random.default_rng(0)
    images, boxes = np.zeros((60, 24, 24), np.float32), []
    for n, image in enumerate(images):
        y, x = rng.integers(0, 20, 2)
        image[y : y + 4, x : x + 4] = n + 1
        boxes.append(np.array([[y, x, y + 4, x + 4, n + 1]], float))
    new, new_boxes = Augmentation([Mosaic(probability=1)], keep=1)(images, boxes=boxes, rng=1)
    counts = 0
    for image, group in zip(new, new_boxes, strict=True):
        for box in group:
            y0, x0, y1, x1, owner = box.astype(int)
            assert (image[y0:y1, x0:x1] == owner).all() and (y1 - y0, x1 - x0) == (4, 4)
        counts += len(group)
    assert counts > 30
    cut, cut_boxes = Augmentation([Mosaic(probability=1)], keep=0)(images, boxes=boxes, rng=1)
    assert np.array_equal(cut, new)
    for image, group in zip(cut, cut_boxes, strict=True):  # now every pixel of a square lies in a box
        covered = np.zeros_like(image, bool)
        for y0, x0, y1, x1, _ in group.astype(int):
            covered[y0:y1, x0:x1] = True
        assert covered[image > 0].all()


def test_tiny_images_and_batches_of_one():
    assert Mosaic(probability=1)(np.ones((1, 2, 2)), rng=0).shape == (1, 2, 2)


def test_wrong_numbers():
    with pytest.raises(ValueError, match=r"least must lie above 0 and at most at 0\.5, got 0\.7"):
        Mosaic(0.7)

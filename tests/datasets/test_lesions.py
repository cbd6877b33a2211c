"""Slices with boxes: the right form, the same every time, boxes where the nodules are, vessels as bright as they."""

import numpy as np
import pytest

from tinymed.datasets import anatomy, lesions


@pytest.fixture(scope="module")
def drawn():
    return lesions.draw(192, seed=3)


def test_form(drawn):
    assert drawn.images.shape == (192, 64, 64, 1)
    assert drawn.images.dtype == np.float32
    assert drawn.images.min() >= 0 and drawn.images.max() <= 1
    assert len(drawn) == len(drawn.boxes) == 192
    assert all(boxes.dtype == np.float32 and boxes.shape[1:] == (4,) for boxes in drawn.boxes)
    counts = np.bincount([len(boxes) for boxes in drawn.boxes])
    assert (counts[:4] > 10).all() and len(counts) <= lesions.MOST + 1


def test_boxes_lie_inside_and_have_the_sizes_that_are_said(drawn):
    boxes = np.concatenate(drawn.boxes)
    assert boxes.min() >= 0 and boxes.max() <= 64
    sizes = boxes[:, 2:] - boxes[:, :2]
    assert 2.2 < sizes.min() < 3.5
    assert 14 < sizes.max() < 19
    assert np.quantile(sizes.mean(axis=1), 0.2) < 6  # small ones are not rare


def test_same_seed_same_bits_and_a_larger_draw_begins_with_the_smaller(drawn):
    again = lesions.draw(70, seed=3)
    assert np.array_equal(again.images, drawn.images[:70])
    assert all(np.array_equal(a, b) for a, b in zip(again.boxes, drawn.boxes, strict=False))
    assert not np.array_equal(lesions.draw(64, seed=4).images, drawn.images[:64])
    assert not np.array_equal(drawn.images[:64], drawn.images[64:128])


def test_nodules_do_not_overlap(drawn):
    for boxes in drawn.boxes:
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert max(a[0], b[0]) >= min(a[2], b[2]) - 1 or max(a[1], b[1]) >= min(a[3], b[3]) - 1


def test_boxes_enclose_what_was_painted(monkeypatch):
    """In an empty lung without noise the pixels above half the contrast have the nodule's box."""
    monkeypatch.setattr(anatomy, "parenchyma", lambda rng, n, size, slices: np.full((n, size, size, 3), -865, "f4"))
    monkeypatch.setattr(anatomy, "splat", lambda balls, z, size: np.zeros((len(z), size, size, 3), np.float32))
    monkeypatch.setattr(anatomy, "noise", lambda rng, shape: np.zeros(shape, np.float32))
    slices = lesions.draw(64, seed=0)
    low = (-865 - anatomy.WINDOW[0]) / 1400
    errors = []
    for image, boxes in zip(slices.images[..., 0], slices.boxes, strict=True):
        if image.max() > 0.78:  # a chest wall, or a nodule that may have spikes: compared where it is simple
            continue
        for y0, x0, y1, x1 in boxes:
            rows, columns = (slice(int(a) - 2, int(b) + 3) for a, b in ((y0, y1), (x0, x1)))
            seen = image[rows, columns] > (low + image[rows, columns].max()) / 2
            i, j = np.flatnonzero(seen.any(axis=1)) + int(y0) - 2, np.flatnonzero(seen.any(axis=0)) + int(x0) - 2
            errors.append([i[0] - y0, j[0] - x0, i[-1] + 1 - y1, j[-1] + 1 - x1])
    errors = np.array(errors)
    assert len(errors) > 20
    assert np.abs(np.median(errors, axis=0)).max() < 0.8  # not shifted by a pixel, in either direction
    assert np.median(np.abs(errors)) < 0.8


def test_brightness_alone_does_not_decide(drawn):
    """Bright places outside all boxes, which are vessels, are as many as nodules."""
    low, high = anatomy.WINDOW
    outside = 0
    for image, boxes in zip(drawn.images[..., 0], drawn.boxes, strict=True):
        free = np.ones(image.shape, bool)
        for y0, x0, y1, x1 in boxes:
            free[max(0, int(y0) - 2) : int(y1) + 3, max(0, int(x0) - 2) : int(x1) + 3] = False
        if image.max() < 0.9:  # no rib, so most likely no chest wall
            outside += bool((image[free] > (-400 - low) / (high - low)).any())
    assert outside > 60


def test_other_sizes_have_more_vessels_and_the_same_nodules():
    slices = lesions.draw(3, seed=0, size=96)
    assert slices.images.shape == (3, 96, 96, 1)
    assert not np.array_equal(slices.images[:, :64, :64], lesions.draw(3, seed=0).images)


def test_take(drawn):
    some = drawn.take(np.array([5, 2]))
    assert np.array_equal(some.images, drawn.images[[5, 2]])
    assert np.array_equal(some.boxes[1], drawn.boxes[2])
    named = lesions.Lesions(drawn.images, drawn.boxes, [str(i) for i in range(192)])
    assert named.take(np.array([7])).patients == ["7"]


def test_wrong_numbers():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        lesions.draw(0)
    with pytest.raises(ValueError, match="at least 32 pixels, got 16"):
        lesions.draw(1, size=16)

"""The chain: parts that move together, one interpolation for neighbouring moves, the same seed the same result."""

import numpy as np
import pytest

from tinymed.preprocessing import augmentation
from tinymed.preprocessing.augmentation import (
    Augmentation,
    Brightness,
    Contrast,
    Elastic,
    Flip,
    Gamma,
    Mosaic,
    Noise,
    Rotation,
    Shift,
    Step,
    Zoom,
)

EVERYTHING = [Mosaic(), Flip(vertical=True), Rotation(20), Zoom(), Shift(3), Elastic(), Contrast(), Gamma(), Noise()]


def squares(n, side=32):
    """Draw a bright square in each image, with its mask and its box."""
    rng = np.random.default_rng(3)
    images, boxes = np.full((n, side, side, 1), 0.2, np.float32), []
    for image in images:
        y, x = rng.integers(6, side - 16, 2)
        height, width = rng.integers(5, 10, 2)
        image[y : y + height, x : x + width] = 1.0
        boxes.append(np.array([[y, x, y + height, x + width, 7]], float))
    return images, images[..., 0] > 0.5, boxes


def bounds(mask):
    rows, columns = np.nonzero(mask)
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


def test_returns_what_was_given():
    images, masks, boxes = squares(4)
    augment = Augmentation([Flip()])
    assert isinstance(augment(images), np.ndarray)
    assert [type(part) for part in augment(images, masks)] == [np.ndarray, np.ndarray]
    assert [type(part) for part in augment(images, boxes=boxes)] == [np.ndarray, list]
    assert len(augment(images, masks, boxes)) == 3
    assert Augmentation([])(images) is not None


@pytest.mark.parametrize("step", [Flip(), Rotation(25), Zoom(0.8, 1.3), Shift(4), Elastic(3, 8)], ids=repr)
def test_images_masks_and_boxes_move_together(step):
    images, masks, boxes = squares(40)
    new, new_masks, new_boxes = Augmentation([step], keep=0)(images, masks, boxes, rng=0)
    inside, moved = 0, 0
    for n in range(40):
        # Where a pixel is surely the square or surely not, image and mask agree.
        sure = np.abs(new[n, ..., 0] - 0.6) > 0.25
        assert np.array_equal((new[n, ..., 0] > 0.6)[sure], new_masks[n][sure])
        if not new_masks[n][0].any() and not new_masks[n][-1].any():
            inside += 1
            assert np.abs(np.array(bounds(new_masks[n])) - new_boxes[n][0, :4]).max() <= 1.5
        moved += not np.array_equal(new_masks[n], masks[n])
        assert new_boxes[n][0, 4] == 7  # further columns stay with their box
    assert inside > 20 and moved > 10


def test_moves_are_joined_into_one_interpolation(monkeypatch):
    images, masks, boxes = squares(6)
    count = []
    real = augmentation.base.moved
    monkeypatch.setattr(augmentation.base, "moved", lambda batch, warp: count.append(warp) or real(batch, warp))
    steps = [Rotation(20), Zoom(0.8, 0.9), Shift(3), Elastic(2)]
    joined = Augmentation(steps)(images, masks, boxes, rng=5)
    assert len(count) == 1
    # One after the other, with the same numbers drawn, the result is the same but for the blur of interpolating again.
    rng, alone = np.random.default_rng(5), (images, masks, boxes)
    for step in steps:
        alone = step(*alone, rng=rng)
    assert np.abs(joined[0] - alone[0]).mean() < 0.02
    assert np.mean(joined[1] != alone[1]) < 0.02
    assert all(np.allclose(a, b, atol=2.5) for a, b in zip(joined[2], alone[2], strict=True))
    del count[:]
    Augmentation([Shift(1), Rotation(5, border=0.0), Flip(), Zoom(), Elastic(), Elastic()])(images, rng=0)
    assert len(count) == 4  # another border, a step between, two deformations: joined only where it is exact


def test_nothing_given_is_changed_and_seeds_decide():
    images, masks, boxes = squares(12)
    before = images.copy(), masks.copy(), [group.copy() for group in boxes]
    augment = Augmentation(EVERYTHING)
    first, again, other = (augment(images, masks, boxes, rng=seed) for seed in (1, 1, 2))
    for one, two in zip((images, masks), before[:2], strict=True):
        assert np.array_equal(one, two)
    assert all(np.array_equal(a, b) for a, b in zip(boxes, before[2], strict=True))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert first[0].dtype == np.float32 and first[1].dtype == bool
    assert first[0].min() >= 0 and first[0].max() <= 1
    for group in first[2]:
        y0, x0, y1, x1 = group[:, :4].T
        assert np.all((y0 < y1) & (x0 < x1) & (y0 >= 0) & (x0 >= 0) & (y1 <= 32) & (x1 <= 32))


def test_without_rng_the_seed_of_the_program_decides():
    from tinymed import backend

    images, _, _ = squares(4)
    results = []
    for seed in (3, 3, 4):
        backend.set_seed(seed)
        results.append(Rotation(20)(images))
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])


def test_every_image_draws_its_own_numbers():
    images = np.repeat(squares(1)[0], 20, axis=0)
    for step in (Shift(4), Rotation(20), Zoom(), Elastic(), Brightness(), Contrast(), Gamma(), Noise()):
        assert len({image.tobytes() for image in step(images, rng=0)}) > 10, step


@pytest.mark.parametrize("cls", [Flip, Shift, Rotation, Zoom, Elastic, Brightness, Contrast, Gamma, Noise, Mosaic])
def test_probability(cls):
    images = np.random.default_rng(0).random((400, 16, 16, 1), dtype=np.float32)
    assert np.array_equal(cls(probability=0)(images, rng=0), images)
    changed = (cls(probability=0.5)(images, rng=0) != images).any(axis=(1, 2, 3)).mean()
    assert 0.35 < changed < 0.6, cls
    with pytest.raises(ValueError, match=f"{cls.__name__}: probability must lie between 0 and 1"):
        cls(probability=1.5)


def test_grey_images_and_channels_are_the_same_thing():
    images, masks, _ = squares(5)
    augment = Augmentation([Rotation(20), Elastic()])
    flat, flat_masks = augment(images[..., 0], masks, rng=0)
    coloured, deep_masks = augment(np.repeat(images, 3, axis=3), masks[..., None].astype(np.int64), rng=0)
    assert np.array_equal(coloured[..., 0], flat) and np.array_equal(coloured[..., 2], flat)
    assert np.array_equal(deep_masks[..., 0], flat_masks.astype(int)) and deep_masks.dtype == np.int64


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"images": np.zeros((8, 8))}, r"single image needs a first axis of length 1"),
        ({"images": np.zeros((0, 8, 8))}, r"got shape \(0, 8, 8\)"),
        ({"masks": np.zeros((2, 9, 8))}, r"masks of shape \(2, 9, 8\) do not fit images of shape \(2, 8, 8\)"),
        ({"boxes": [[]]}, "one array .* for each of the 2 images, got 1"),
    ],
)
def test_parts_that_do_not_fit(changes, words):
    parts = {"images": np.zeros((2, 8, 8)), **changes}
    with pytest.raises(ValueError, match=words):
        Augmentation([Flip()])(**parts)


def test_wrong_steps():
    with pytest.raises(TypeError, match=r"list of steps such as Flip\(\).*found 3"):
        Augmentation([Flip(), 3])
    with pytest.raises(NotImplementedError, match=r"Mine must define apply"):
        type("Mine", (Step,), {})()(np.zeros((1, 4, 4)))


def test_exported_steps_are_steps():
    for name in augmentation.__all__:
        found = getattr(augmentation, name)
        assert found is Augmentation or issubclass(found, Step)

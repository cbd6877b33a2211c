"""Chest phantoms: the right form, the same every time, lungs darker than the heart, opacities in the lungs only."""

import numpy as np
import pytest

from tinymed.datasets import chests


@pytest.fixture(scope="module")
def drawn():
    return chests.chests(240, seed=3)


def test_form(drawn):
    x, y = drawn
    assert x.shape == (240, 28, 28, 1)
    assert x.dtype == np.float32
    assert y.shape == (240,)
    assert y.dtype == np.int64
    assert x.min() >= 0
    assert x.max() <= 1
    assert y.sum() == 120
    assert np.array_equal(np.rint(x * 255), x * 255)  # pixels of 8 bits, as real files have them


def test_same_seed_same_bits_and_a_larger_draw_begins_with_the_smaller(drawn):
    x, y = chests.chests(70, seed=3)
    assert np.array_equal(x, drawn[0][:70])
    assert np.array_equal(y, drawn[1][:70])


def test_seeds_blocks_and_splits_share_no_image():
    data = chests.load(40, 30, 20, seed=1)
    assert [len(split) for split in (data.train, data.val, data.test)] == [40, 30, 20]
    assert data.classes == ("normal", "pneumonia")
    other = chests.load(40, 30, 20, seed=2)
    everything = [split.images for d in (data, other) for split in (d.train, d.val, d.test)]
    everything.append(chests.chests(120, seed=50)[0])  # two blocks
    pixels = [image.tobytes() for images in everything for image in images]
    assert len(set(pixels)) == len(pixels)


def test_lungs_are_darker_than_heart_and_belly(drawn):
    x, y = drawn
    mean = x[y == 0, ..., 0].mean(axis=0)
    right_lung, left_lung, middle, belly = mean[8:18, 6:9], mean[6:12, 19:22], mean[8:20, 13:15], mean[24:, 8:20]
    assert max(right_lung.mean(), left_lung.mean()) < min(middle.mean(), belly.mean()) - 0.1
    assert mean[14:20, 17].mean() > mean[14:20, 10].mean() + 0.05  # the heart reaches to the patient's left


def test_an_opacity_brightens_the_lungs_and_nothing_else(drawn):
    x, y = drawn
    difference = x[y == 1, ..., 0].mean(axis=0) - x[y == 0, ..., 0].mean(axis=0)
    assert difference[8:18, 6:9].mean() > 0.06
    assert np.abs(difference[24:, 8:20]).mean() < 0.04
    lung = x[:, 8:18, 5:10, 0].mean(axis=(1, 2))  # brightness alone does not decide
    threshold = np.median(lung)
    assert 0.6 < np.mean((lung > threshold) == y) < 0.9


def test_images_vary(drawn):
    """As real ones do: exposure, size and place of the lungs."""
    x, _ = drawn
    assert 0.04 < x.mean(axis=(1, 2, 3)).std() < 0.1
    flat = x.reshape(len(x), -1)
    variances = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False) ** 2
    assert variances[0] / variances.sum() < 0.5
    assert np.cumsum(variances)[15] / variances.sum() < 0.95


def test_number_of_images():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        chests.chests(0)

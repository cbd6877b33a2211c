"""Drawn digits: the right form, the same every time, typefaces apart; MNIST's and MedMNIST's files."""

import numpy as np
import pytest
from scipy import ndimage

from tinymed.datasets import digits


@pytest.fixture(scope="module")
def drawn():
    return digits.digits(500, seed=3, faces=("DejaVuSans", "cmr10"))


def test_form(drawn):
    x, y = drawn
    assert x.shape == (500, 28, 28, 1) and x.dtype == np.float32
    assert y.shape == (500,) and y.dtype == np.int64
    assert x.min() >= 0 and x.max() <= 1
    assert np.bincount(y).tolist() == [50] * 10


def test_same_seed_same_bits_and_a_larger_draw_begins_with_the_smaller(drawn):
    x, y = digits.digits(260, seed=3, faces=("DejaVuSans", "cmr10"))
    assert np.array_equal(x, drawn[0][:260]) and np.array_equal(y, drawn[1][:260])
    assert not np.array_equal(digits.digits(10, seed=4, faces=("DejaVuSans", "cmr10"))[0], x[:10])
    assert not np.array_equal(drawn[0][:250], drawn[0][250:])


def test_no_typeface_is_in_two_splits():
    names = [name for group in digits.FACES.values() for name in group]
    assert len(set(names)) == len(names)
    drawn = {name: digits._distances(name) for name in names}
    for name, glyphs in drawn.items():
        assert glyphs.shape == (10, 72, 72)
        tall = max(np.ptp(np.flatnonzero(glyph.max(axis=1) > 0)) for glyph in glyphs)
        assert 36 <= tall <= 40, name
        assert (glyphs[:, [0, -1]] < 0).all() and (glyphs[:, :, [0, -1]] < 0).all(), name  # nothing touches the border
        assert all(np.abs(a - b).mean() > 0.3 for i, a in enumerate(glyphs) for b in glyphs[:i]), name
    for test in digits.FACES["test"]:
        for train in digits.FACES["train"]:
            assert np.abs(drawn[test] - drawn[train]).mean() > 0.3, (test, train)


def test_distances_are_distances():
    glyph = digits._distances("DejaVuSans-Bold")[0]
    slope = np.hypot(*np.gradient(glyph))
    assert 0.9 < np.median(slope) < 1.1
    _, count = ndimage.label(glyph < 0)
    assert count == 2  # outside, and the hole of the zero
    assert glyph.max() < 8


def test_all_digits_are_in_the_picture(drawn):
    """Bright pixels are in the middle, seldom cut off, and neither everything nor nothing."""
    x = drawn[0][..., 0]
    bright = x > (x.min(axis=(1, 2), keepdims=True) + x.max(axis=(1, 2), keepdims=True)) / 2
    share = bright.mean(axis=(1, 2))
    assert np.percentile(share, 2) > 0.02 and np.percentile(share, 98) < 0.5
    spread = x.std(axis=0)
    assert spread[8:20, 8:20].mean() > 1.5 * np.concatenate([spread[:3], spread[-3:]]).mean()


def test_mean_brightness_does_not_tell_the_digit(drawn):
    x, y = drawn
    means = np.array([x[y == k].mean() for k in range(10)])
    assert np.ptp(means) < x.mean(axis=(1, 2, 3)).std()


def test_splits_have_their_own_images():
    data = digits.load(20, 20, 20)
    seen = {image.tobytes() for split in (data.train, data.val, data.test) for image in split.images}
    assert len(seen) == 60 and data.classes == tuple("0123456789")


def test_wrong_numbers_and_typefaces():
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        digits.digits(0)
    with pytest.raises(ValueError, match=r"no typeface 'Fraktur' in .*; known are DejaVuSans"):
        digits.digits(1, faces=("Fraktur",))


# --- files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mnist(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (60, 28, 28), dtype=np.uint8), "y_train": np.arange(60, dtype=np.uint8) % 10,
        "x_test": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8), "y_test": np.arange(20, dtype=np.uint8) % 10,
    }  # fmt: skip
    np.savez(tmp_path / "mnist.npz", **arrays)
    return tmp_path / "mnist.npz", arrays


def test_reads_keras_s_mnist(mnist):
    path, arrays = mnist
    data = digits.read(path)
    assert [len(split) for split in (data.train, data.val, data.test)] == [50, 10, 20]
    assert data.train.images.shape == (50, 28, 28, 1) and data.train.images.max() <= 1
    assert np.array_equal(np.rint(data.test.images[..., 0] * 255), arrays["x_test"])
    both = np.concatenate([data.train.images, data.val.images])
    assert len({image.tobytes() for image in both}) == 60
    again = digits.read_split(path, "val", 10)
    assert np.array_equal(again.images, data.val.images) and np.array_equal(again.labels, data.val.labels)
    assert len(digits.read_split(path, "test")) == 20


def test_reads_medmnist_too_and_says_what_is_missing(mnist, tmp_path):
    _, arrays = mnist
    names = {
        f"{split}_{kind}": arrays[f"{'xy'[kind == 'labels']}_test"]
        for split in ("train", "val", "test")
        for kind in ("images", "labels")
    }
    np.savez(tmp_path / "med.npz", **names)
    assert len(digits.read(tmp_path / "med.npz").train) == 20
    np.savez(tmp_path / "half.npz", x_train=arrays["x_train"], x_test=arrays["x_test"])
    with pytest.raises(ValueError, match=r"half\.npz has no array 'train_images'"):
        digits.read(tmp_path / "half.npz")

"""One reader for the tasks that make images."""

import numpy as np
import pytest
from PIL import Image

from tinymed.applications import chest_images


def test_phantoms_unless_a_file_is_given(monkeypatch, xrays, capsys):
    monkeypatch.setattr(chest_images, "SAMPLES", {"train": 6, "val": 4, "test": 2})
    assert [len(split) for split in (chest_images.read().train, chest_images.read(seed=2).test)] == [6, 2]
    images = chest_images.read(xrays, verbose=1)
    assert images.train.images.shape == (64, 28, 28, 1)
    assert str(xrays) in capsys.readouterr().out


def test_one_split(xrays, tmp_path):
    assert chest_images.read_split(xrays, "val").shape == (24, 28, 28, 1)
    with pytest.raises(ValueError, match="val: 24 images are too few; at least 30"):
        chest_images.read_split(xrays, "val", at_least=30)
    np.savez(tmp_path / "small.npz", test_images=np.zeros((3, 14, 14), np.uint8), test_labels=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match=r"small.npz, test: expected images of 28 x 28 x 1 .* found 14 x 14 x 1"):
        chest_images.read_split(tmp_path / "small.npz", "test")


def test_examples_are_the_first_test_images(xrays, tmp_path):
    images = chest_images.read(xrays)
    chest_images.write_examples(tmp_path / "examples.npz", images, count=5)
    np.testing.assert_array_equal(chest_images.read_split(tmp_path / "examples.npz", "test"), images.test.images[:5])


def test_png_has_the_pixels(tmp_path):
    image = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16, 1)
    chest_images.write_png(tmp_path / "new" / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), np.arange(256).reshape(16, 16))

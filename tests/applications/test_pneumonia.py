"""The same network on real X-rays."""

import dataclasses

import numpy as np
import pytest

from tinymed.applications import pneumonia


def test_needs_a_file():
    with pytest.raises(ValueError, match=r"needs --data FILE\.npz"):
        pneumonia.train(verbose=0)


def test_reads_class_names(xrays):
    assert pneumonia.read(xrays).classes == ("normal", "pneumonia")


def test_learns_from_real_xrays(data_folder, tmp_path):
    """One epoch on the real file; the full run is what benchmarks/results records."""
    result = pneumonia.train(
        data=data_folder / "medmnist" / "pneumoniamnist.npz", epochs=1, out=tmp_path / "run", verbose=0
    )
    assert result.metrics["images"] == {"train": 4708, "val": 524, "test": 624}
    assert result.metrics["best_validation_auc"] > 0.9
    assert result.metrics["auc"] > 0.85


def test_shift_moves_each_image_by_itself():
    rng = np.random.default_rng(0)
    images = rng.random((200, 9, 8, 1), dtype=np.float32)
    before = images.copy()
    moved = pneumonia.shift(images, np.random.default_rng(1))
    assert np.array_equal(images, before)
    assert moved.shape == images.shape
    assert moved.dtype == np.float32
    found = set()
    for image, result in zip(images[..., 0], moved[..., 0], strict=True):
        wider = np.pad(image, 2, mode="edge")
        places = [(i, j) for i in range(5) for j in range(5) if np.array_equal(wider[i : i + 9, j : j + 8], result)]
        assert len(places) == 1
        found.update(places)
    assert len(found) == 25  # every shift from -2 to 2 occurs, in both directions


def test_each_epoch_sees_other_images(xrays, tmp_path, monkeypatch):
    seen = []

    def spy(images, rng):
        seen.append(pneumonia.shift(images, rng))
        return seen[-1]

    monkeypatch.setattr(pneumonia, "TASK", dataclasses.replace(pneumonia.TASK, augment=spy))
    result = pneumonia.train(data=xrays, epochs=2, out=tmp_path / "run", verbose=0)
    assert len(seen) == 2
    assert not np.array_equal(*seen)
    assert len(result.history["loss"]) == 2

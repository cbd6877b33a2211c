"""The main job, on fewer phantoms than it uses by default."""

import numpy as np
import pytest

from tinymed.applications import classification, nodules


def test_the_network_is_the_documents(capsys):
    model = nodules.build()
    assert model.count_params() == 3 * 3 * 3 * 32 + 32 + 3 * 3 * 32 * 64 + 64 + 14 * 14 * 64 * 128 + 128 + 128 + 1
    assert [type(layer).__name__ for layer in model.layers] == [
        "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"
    ]  # fmt: skip


def test_splits_and_seeds_share_no_patch(monkeypatch):
    monkeypatch.setattr(nodules, "SAMPLES", {"train": 8, "val": 8, "test": 8})
    first, second = nodules.read(seed=0), nodules.read(seed=1)
    seen = [
        split.images[i].tobytes()
        for data in (first, second)
        for split in (data.train, data.val, data.test)
        for i in range(8)
    ]
    assert len(set(seen)) == 48


def test_trains_and_predicts_its_examples(monkeypatch, tmp_path, in_full):
    monkeypatch.setattr(nodules, "SAMPLES", {"train": 96, "val": 32, "test": 32})
    result = nodules.train(epochs=2, out=tmp_path / "run", verbose=0)
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert result.metrics["data"] == "phantoms"
    found = classification.predict(tmp_path / "run" / "model.safetensors", [tmp_path / "run" / "examples.npz"])
    assert {item.label for item in found} <= {"no nodule", "nodule"}


def test_real_patches_of_the_same_form(tmp_path):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.zeros((4, 64, 64, 3), np.uint8)
        arrays[f"{split}_labels"] = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "mine.npz", **arrays)
    assert nodules.read(tmp_path / "mine.npz").train.images.shape == (4, 64, 64, 3)
    np.savez(tmp_path / "grey.npz", **{k: v[..., 0] if k.endswith("images") else v for k, v in arrays.items()})
    with pytest.raises(ValueError, match="expected images of 64 x 64 x 3"):
        nodules.train(data=tmp_path / "grey.npz", out=tmp_path / "run", verbose=0)

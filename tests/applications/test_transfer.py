"""Transfer: the three networks, what is written, and what cannot be used; with settings cut down to seconds."""

import json

import numpy as np
import pytest

from tinymed.applications import transfer
from tinymed.models import load_model


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(transfer, "FIRST", {"images": 64, "epochs": 1, "batch_size": 32})
    monkeypatch.setattr(transfer, "TEST", 40)
    monkeypatch.setattr(transfer, "WIDTHS", (4, 4))


def test_writes_the_comparison_and_a_model_that_predicts(tmp_path, capsys, in_full):
    result = transfer.train(epochs=3, out=tmp_path / "run", verbose=2)
    names = {path.name for path in result.files}
    assert {"model.safetensors", "first.safetensors", "metrics.json", "history.csv", "roc.png", "examples.npz"} <= names
    numbers = json.loads((tmp_path / "run" / "metrics.json").read_text())
    found = numbers["comparison"]
    assert set(found) == {"first", "scratch", "tuned", "gain"}
    assert found["tuned"]["auc"] == pytest.approx(numbers["auc"])
    assert found["gain"]["auc"] == pytest.approx(found["tuned"]["auc"] - found["scratch"]["auc"])
    for entry in found.values():
        assert entry["interval"][0] <= entry["auc"] <= entry["interval"][1]
    assert numbers["images"] == {"first": 64, "few": 32, "test": 40}
    assert len(result.history["loss"]) == len(result.history["scratch_loss"]) == 3
    words = [line for line, _ in transfer.rows(result.metrics)]
    assert words[-4:] == ["AUC, old scanner only", "AUC, from scratch", "AUC, fine-tuned", "AUC, gain over scratch"]
    assert "the new head learns, all other layers frozen" in capsys.readouterr().out
    said = transfer.predict(tmp_path / "run" / "model.safetensors", [tmp_path / "run" / "examples.npz"])
    assert {item.label for item in said} <= {"no nodule", "nodule"}
    again = transfer.evaluate(tmp_path / "run" / "model.safetensors", tmp_path / "run" / "examples.npz")
    assert transfer.rows(again)[0] == ("images", str(len(said)))


def test_fine_tuning_starts_from_the_first_network(tmp_path):
    sets = transfer.read(seed=1)
    first = transfer.build()
    first.save_weights(tmp_path / "first")
    frozen = {}

    def watch(model, split, settings, augment, verbose, words):
        frozen[words] = [layer.name for layer in model.layers if not layer.trainable]
        for name in ("stem_conv", "stage2_block1_a_norm"):
            for ours, theirs in zip(
                model.get_layer(name).get_weights(), first.get_layer(name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
        return {"loss": [0.0], "accuracy": [0.0]}

    original, transfer.learn = transfer.learn, watch
    try:
        model, _ = transfer.fine_tune(tmp_path / "first", sets, transfer.SETTINGS, 0)
    finally:
        transfer.learn = original
    alone, together = frozen.values()
    assert "new_head" not in alone
    assert len(alone) == len(model.layers) - 1
    assert together == []


def test_same_seed_same_bits(tmp_path):
    one, two, other = (
        transfer.train(epochs=1, seed=seed, out=tmp_path / str(i), verbose=0) for i, seed in enumerate((3, 3, 4))
    )
    assert all(np.array_equal(a, b) for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True))
    assert one.metrics["comparison"] != other.metrics["comparison"]


def test_a_file_of_x_rays(xrays, tmp_path):
    result = transfer.train(data=xrays, epochs=1, out=tmp_path / "run", verbose=0)
    assert result.metrics["images"] == {"first": 64, "few": 32, "test": 20}
    assert result.metrics["classes"] == ["normal", "pneumonia"]
    kept = load_model(tmp_path / "run" / "model.safetensors")
    assert kept.input.shape == (None, 28, 28, 1)


def test_what_cannot_be_used_is_said_and_nothing_stays(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 255, (24, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(24) % 2).astype(np.uint8)
    np.savez(tmp_path / "few.npz", **arrays)
    with pytest.raises(ValueError, match=r"needs 16 training images of each class but found \[12, 12\]"):
        transfer.train(data=tmp_path / "few.npz", out=tmp_path / "run", verbose=0)
    arrays = {key: value[:, :20, :20] if value.ndim == 3 else value for key, value in arrays.items()}
    np.savez(tmp_path / "small.npz", **arrays)
    with pytest.raises(ValueError, match="expected images of 28 x 28 x 1"):
        transfer.train(data=tmp_path / "small.npz", out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=r"diverged|NaN"), np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        transfer.train(learning_rate=1e30, epochs=2, out=tmp_path / "other", verbose=0)


def test_the_new_scanner_shows_the_same_patches():
    old, new = transfer.old_scanner(8, 3), transfer.new_scanner(8, 3)
    np.testing.assert_array_equal(old.labels, new.labels)
    assert old.images.shape == new.images.shape == (8, 32, 32, 3)
    assert new.images.min() >= 0 and new.images.max() <= 1
    for a, b in zip(old.images, new.images, strict=True):
        assert 0.2 < np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1] < 0.99

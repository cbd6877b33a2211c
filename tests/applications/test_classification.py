"""Training writes everything or nothing, keeps the best epoch, repeats itself, and refuses what it cannot use."""

import csv
import json

import numpy as np
import pytest

from tinymed import backend, files, metrics
from tinymed.applications import classification, pneumonia, report, run
from tinymed.models import load_model

WRITTEN = {
    "model.safetensors", "history.csv", "metrics.json", "examples.npz",
    "learning_curves.png", "roc.png", "calibration.png", "confusion_matrix.png", "predictions.png",
}  # fmt: skip


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_model_numbers_and_pictures(trained):
    assert {path.name for path in trained.folder.iterdir()} == WRITTEN
    assert {path.name for path in trained.files} == WRITTEN
    for path in trained.folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    for key in ("accuracy", "precision", "recall", "f1", "auc", "confusion_matrix", "seconds", "versions", "seed"):
        assert numbers[key] is not None, key
    assert numbers["images"] == {"train": 64, "val": 24, "test": 20}
    assert np.sum(numbers["confusion_matrix"]) == 20
    assert numbers["versions"]["numpy"] == np.__version__
    assert numbers["auc"] > 0.9
    with open(trained.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc"} <= rows[0].keys()


def test_numbers_are_those_of_the_saved_model(trained, xrays):
    numbers = classification.evaluate(trained.folder / "model.safetensors", xrays)
    for key in ("accuracy", "precision", "recall", "f1", "auc", "confusion_matrix"):
        assert numbers[key] == trained.metrics[key], key


def test_keeps_the_epoch_with_the_best_validation_auc(xrays, tmp_path, monkeypatch):
    """Scores are falsified so that the second of three epochs is the best one."""
    weights = []
    real, real_auc = classification.scores_of, metrics.roc_auc
    areas = iter([0.6, 0.9, 0.7])
    monkeypatch.setattr(metrics, "roc_auc", lambda labels, scores: next(areas, None) or real_auc(labels, scores))

    def spy(model, images):
        weights.append(model.get_weights()[-2].copy())
        return real(model, images)

    monkeypatch.setattr(classification, "scores_of", spy)
    result = pneumonia.train(data=xrays, epochs=3, out=tmp_path / "run", verbose=0)
    assert result.metrics["best_epoch"] == 2
    assert result.metrics["best_validation_auc"] == 0.9
    kept = load_model(tmp_path / "run" / "model.safetensors").get_weights()[-2]
    assert np.array_equal(kept, weights[1])
    assert not np.array_equal(kept, weights[2])
    assert np.array_equal(weights[3], weights[1])  # the test images were seen by the kept epoch


def test_same_seed_same_bits(xrays, tmp_path):
    runs = [
        pneumonia.train(data=xrays, epochs=1, seed=s, out=tmp_path / str(i), verbose=0) for i, s in enumerate((5, 5, 6))
    ]
    first, second, third = (run.model.get_weights() for run in runs)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], third[0])
    assert runs[0].history == runs[1].history


def test_another_backend_for_the_run_only(xrays, tmp_path):
    before = backend.get_backend()
    with pytest.raises(ValueError, match="no_such_library"):
        pneumonia.train(data=xrays, out=tmp_path / "run", backend_name="no_such_library", verbose=0)
    assert backend.get_backend() == before
    assert not (tmp_path / "run").exists()


# --- nothing is lost ------------------------------------------------------------------------------------------


def test_a_run_that_fails_leaves_earlier_results_alone(xrays, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    pneumonia.train(data=xrays, epochs=1, out=folder, verbose=0)
    (folder / "my notes.txt").write_text("mine")
    before = contents(folder)

    def full_disk(path, numbers):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write_metrics", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        pneumonia.train(data=xrays, epochs=1, seed=1, out=folder, verbose=0)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    unfinished = folder / "unfinished"
    assert str(unfinished) in caught.value.__notes__[0]
    load_model(unfinished / "model.safetensors")  # what was trained is not thrown away


def test_a_second_run_replaces_its_own_files_only(xrays, tmp_path):
    folder = tmp_path / "run"
    pneumonia.train(data=xrays, epochs=1, out=folder, verbose=0)
    (folder / "my notes.txt").write_text("mine")
    before = contents(folder)
    pneumonia.train(data=xrays, epochs=1, seed=1, out=folder, verbose=0)
    after = contents(folder)
    assert after.keys() == before.keys()
    assert after["my notes.txt"] == b"mine"
    assert after["metrics.json"] != before["metrics.json"]


def test_interrupted_before_the_first_epoch_ends(xrays, tmp_path, monkeypatch):
    def interrupt(self, epoch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.KeepBest, "on_epoch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pneumonia.train(data=xrays, epochs=1, out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


# --- use ------------------------------------------------------------------------------------------------------


def test_predicts_what_evaluate_counts(trained, xrays):
    found = classification.predict(trained.folder / "model.safetensors", [xrays])
    assert len(found) == 20
    labels = np.load(xrays)["test_labels"][:, 0]
    right = np.mean([item.label == ("normal", "pneumonia")[k] for item, k in zip(found, labels, strict=True)])
    assert right == pytest.approx(trained.metrics["accuracy"])
    assert all(0.5 <= item.probability <= 1 for item in found)


def test_predicts_a_picture_of_another_size_if_asked(trained, tmp_path):
    from PIL import Image

    big = np.full((100, 140), 60, np.uint8)
    big[30:70, 50:90] = 200
    Image.fromarray(big).save(tmp_path / "big.png")
    model = trained.folder / "model.safetensors"
    with pytest.raises(ValueError, match="--resize"):
        classification.predict(model, [tmp_path / "big.png"])
    (found,) = classification.predict(model, [tmp_path / "big.png"], resize=True)
    assert found.name.endswith("big.png")


def test_examples_can_be_predicted_and_evaluated(trained):
    model, examples = trained.folder / "model.safetensors", trained.folder / "examples.npz"
    assert len(classification.predict(model, [examples])) == 16
    assert classification.evaluate(model, examples)["samples"] == 16


def test_a_model_without_class_names(trained, tmp_path, xrays):
    trained.model.save(tmp_path / "bare.safetensors", metadata={})
    with pytest.raises(ValueError, match=r"does not say 'task'.*load_model"):
        classification.evaluate(tmp_path / "bare.safetensors", xrays)
    with pytest.raises(ValueError, match="at least one image"):
        classification.predict(trained.folder / "model.safetensors", [])


# --- wrong options and data are refused before any training -----------------------------------------------------


@pytest.mark.parametrize(
    "options, words",
    [
        ({"epochs": 0}, "epochs must be a whole number from 1, got 0"),
        ({"batch_size": -3}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate must be a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_options(xrays, tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        pneumonia.train(data=xrays, out=tmp_path / "run", verbose=0, **options)
    assert not (tmp_path / "run").exists()


def changed(xrays, path, **changes):
    np.savez(path, **{**np.load(xrays), **changes})
    return path


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"train_labels": np.ones((64, 1), np.uint8)}, "train: all 64 labels are 1"),
        ({"val_labels": np.full(24, 7)}, "labels must be 0 to 1"),
        ({"train_images": np.full((64, 28, 28), np.nan)}, "NaN"),
        (
            {f"{s}_images": np.zeros((n, 32, 30), np.uint8) for s, n in (("train", 64), ("val", 24), ("test", 20))},
            r"expected images of 28 x 28 x 1 .* but found 32 x 30 x 1",
        ),
    ],
)
def test_wrong_data(xrays, tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        pneumonia.train(data=changed(xrays, tmp_path / "x.npz", **changes), out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_out_that_cannot_be_a_folder(xrays, tmp_path):
    files.write_text(tmp_path / "taken", "a file")
    with pytest.raises(ValueError, match=r"cannot write to .*taken.*--out"):
        pneumonia.train(data=xrays, out=tmp_path / "taken", verbose=0)
    assert (tmp_path / "taken").read_text() == "a file"


def test_evaluate_checks_the_images(trained, xrays, tmp_path):
    model = trained.folder / "model.safetensors"
    small = changed(xrays, tmp_path / "x.npz", test_images=np.zeros((20, 14, 14), np.uint8))
    with pytest.raises(ValueError, match="expected images of 28 x 28 x 1"):
        classification.evaluate(model, small)
    one_class = changed(xrays, tmp_path / "y.npz", test_labels=np.zeros(20, np.uint8))
    assert np.isnan(classification.evaluate(model, one_class)["auc"])

"""The documents' program as a task: a folder of class folders, split by patient, a network made small for the tests."""

import json

import numpy as np
import pytest
from PIL import Image

from tinymed.applications import find, lung_disease
from tinymed.datasets import folders, lungs
from tinymed.layers import Conv2D, Dense, Flatten, MaxPooling2D
from tinymed.models import Sequential


def small(num_classes=4):
    return Sequential(
        [
            Conv2D(4, (3, 3), strides=8, activation="relu", input_shape=(224, 224, 3)),
            MaxPooling2D((4, 4)),
            Flatten(),
            Dense(num_classes, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lungs.write(tmp_path_factory.mktemp("data") / "chests", 48)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lung_disease, "build", small)
        return lung_disease.train(data=folder, epochs=2, out=tmp_path_factory.mktemp("runs") / "lungs", verbose=0)


def test_the_network_is_the_documents():
    model = lung_disease.build(5)
    assert [type(layer).__name__ for layer in model.layers] == [
        *["Conv2D", "MaxPooling2D"] * 3, "Flatten", "Dense", "Dense"
    ]  # fmt: skip
    assert model.count_params() == 896 + 18496 + 73856 + 26 * 26 * 128 * 512 + 512 + 512 * 5 + 5
    assert find("lung-disease") is lung_disease


def test_no_patient_is_in_two_parts(folder):
    data = lung_disease.read(folder)
    parts = [{path.name.split("_")[0] for path in split.images.paths} for split in (data.train, data.val, data.test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 24
    assert [len(split) for split in (data.train, data.val, data.test)] == [32, 8, 8]
    for split in (data.train, data.val, data.test):
        assert set(split.labels.tolist()) == {0, 1, 2, 3}
        assert [path.parent.name for path in split.images.paths] == [data.classes[k] for k in split.labels]
    again = lung_disease.read(folder)
    assert again.test.images.paths == data.test.images.paths


def test_writes_numbers_and_pictures(trained):
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    assert numbers["classes"] == list(lungs.CLASSES)
    assert numbers["images"] == {"train": 32, "val": 8, "test": 8}
    assert numbers["data"] == "chests"
    assert np.shape(numbers["confusion_matrix"]) == (4, 4)
    assert {"model.safetensors", "history.csv", "roc.png", "predictions.png", "examples.npz"} <= {
        path.name for path in trained.files
    }


def test_numbers_are_those_of_the_saved_model(trained, folder):
    model = trained.folder / "model.safetensors"
    assert lung_disease.evaluate(model, folder)["confusion_matrix"] == trained.metrics["confusion_matrix"]
    assert lung_disease.evaluate(model, folder, "all")["samples"] == 48
    assert lung_disease.evaluate(model, trained.folder / "examples.npz")["samples"] == 8


def test_predicts_pictures_of_any_size_folders_and_examples(trained, folder, tmp_path, data_folder):
    model = trained.folder / "model.safetensors"
    Image.fromarray(np.full((50, 90, 3), 120, np.uint8)).save(tmp_path / "x.jpg")
    xrays = sorted((data_folder / "cxr_nih_samples").glob("*.png"))
    found = lung_disease.predict(model, [tmp_path / "x.jpg", *xrays, folder / "mass", trained.folder / "examples.npz"])
    assert len(found) == 1 + len(xrays) + 12 + 8
    assert {item.label for item in found} <= set(lungs.CLASSES)
    assert all(item.cells == (item.label, f"{item.probability:.4f}") for item in found)
    with pytest.raises(ValueError, match="has no picture"):
        (tmp_path / "empty").mkdir()
        lung_disease.predict(model, [tmp_path / "empty"])
    with pytest.raises(ValueError, match=r"gone\.png: no such file"):
        lung_disease.predict(model, [tmp_path / "gone.png"])


def test_draws_its_own_pictures_and_removes_them(tmp_path, monkeypatch, capsys):
    seen = []
    real = lungs.write
    monkeypatch.setattr(lung_disease, "build", small)
    monkeypatch.setattr(lung_disease, "DRAWN", 48)
    monkeypatch.setattr(lungs, "write", lambda folder, n, seed: seen.append(folder) or real(folder, n, seed))
    result = lung_disease.train(epochs=1, out=tmp_path / "run", verbose=2)
    assert result.metrics["data"] == "drawn chest X-rays"
    assert not folders.pathlib.Path(seen[0]).exists()
    words = capsys.readouterr().out
    assert "drawing 48 chest X-rays" in words and "split by patient" in words


def test_file_names_without_patients(folder, tmp_path, capsys):
    for number, path in enumerate(folders.find(folder).paths):
        (tmp_path / "x" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / path.parent.name / f"picture{number}.png").symlink_to(path)
    lung_disease.read(tmp_path / "x", verbose=1)
    assert "split at random" in capsys.readouterr().out


# --- what cannot be used ---------------------------------------------------------------------------------------


def copied(folder, to, keep):
    for path in folders.find(folder).paths:
        if keep(path):
            (to / path.parent.name).mkdir(parents=True, exist_ok=True)
            (to / path.parent.name / path.name).write_bytes(path.read_bytes())
    return to


def test_folders_that_cannot_be_used(folder, trained, tmp_path):
    def refused(data, words):
        with pytest.raises(ValueError, match=words):
            lung_disease.train(data=data, out=tmp_path / "run", verbose=0)
        assert not (tmp_path / "run").exists()

    refused(copied(folder, tmp_path / "one", lambda path: path.parent.name == "mass"), "only one class folder, 'mass'")
    few = copied(folder, tmp_path / "few", lambda p: p.parent.name != "mass" or int(p.name[:8]) < 9)
    refused(few, r"few: there are 2 groups of class mass only.*at least one for training, validation and test")
    bad = copied(folder, tmp_path / "bad", lambda path: True)
    (bad / "mass" / "00000099_000.png").write_text("words")
    refused(bad, r"00000099_000\.png is no image")
    (bad / "mass" / "00000099_000.png").unlink()
    (bad / "cold").mkdir()
    refused(bad, r"the class folder .*cold has no picture")
    (bad / "cold" / "00000100_000.png").write_bytes((trained.folder / "roc.png").read_bytes())
    with pytest.raises(ValueError, match=r"class folder 'cold', but the model knows consolidation, effusion"):
        lung_disease.evaluate(trained.folder / "model.safetensors", bad, "all")
    with pytest.raises(ValueError, match="unknown split 'most'"):
        lung_disease.evaluate(trained.folder / "model.safetensors", folder, "most")

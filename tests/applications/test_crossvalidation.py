"""Cross-validation of a task: each image tested once, patients whole, the best epoch chosen without the fold."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tinymed import cli
from tinymed.applications import crossvalidation, find, pneumonia
from tinymed.applications.crossvalidation import crossvalidate, patients


def with_patients(xrays, path, per_patient=4):
    arrays = dict(np.load(xrays))
    arrays["train_patients"] = np.arange(64) // per_patient
    arrays["val_patients"] = 100 + np.arange(24) // per_patient
    np.savez(path, **arrays)
    return path


def test_numbers_and_pictures(xrays, tmp_path, capsys, in_full):
    result = crossvalidate(pneumonia, data=xrays, folds=3, epochs=1, out=tmp_path / "run", verbose=2)
    names = {path.name for path in result.files}
    assert names == {"metrics.json", "history.csv", "roc.png", "calibration.png", "confusion_matrix.png"}
    numbers = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert numbers["task"] == "pneumonia-folds"
    assert numbers["samples"] == 88  # training and validation images; the test images are left alone
    assert np.sum(numbers["confusion_matrix"]) == 88
    areas = [fold["auc"] for fold in numbers["folds"]]
    assert numbers["mean"]["auc"] == pytest.approx(np.mean(areas))
    assert numbers["auc_interval"][0] <= numbers["auc"] <= numbers["auc_interval"][1]
    assert "fold 3 of 3: AUC" in capsys.readouterr().out
    assert crossvalidation.rows(result.metrics)[1][0] == "AUC, mean ± spread of 3 folds"


def test_patients_stay_whole(xrays, tmp_path, monkeypatch):
    data = with_patients(xrays, tmp_path / "p.npz")
    seen = []
    real = crossvalidation.validation.cross_validate

    def spy(build, x, y, *, folds, groups, **options):
        for train, test in folds:
            seen.append((set(groups[train]), set(groups[test])))
        return real(build, x, y, folds=folds, groups=groups, **options)

    monkeypatch.setattr(crossvalidation.validation, "cross_validate", spy)
    result = crossvalidate(pneumonia, data=data, folds=2, epochs=1, out=tmp_path / "run", verbose=0)
    assert result.metrics["patients"] == 22
    assert len(seen) == 2
    for train, test in seen:
        assert not train & test


def test_copies_of_an_image_stay_together(xrays, tmp_path):
    arrays = dict(np.load(xrays))
    for split in ("train", "val"):
        arrays[f"{split}_images"][:20] = arrays["train_images"][:20]
        arrays[f"{split}_labels"][:20] = arrays["train_labels"][:20]
    np.savez(tmp_path / "copies.npz", **arrays)
    crossvalidate(pneumonia, data=tmp_path / "copies.npz", folds=2, epochs=1, out=tmp_path / "run", verbose=0)


def test_same_seed_same_numbers(xrays, tmp_path):
    runs = [
        crossvalidate(pneumonia, data=xrays, folds=2, epochs=1, seed=5, out=tmp_path / str(i), verbose=0)
        for i in range(2)
    ]
    assert runs[0].metrics["folds"] == runs[1].metrics["folds"]


def test_what_cannot_be_done_is_said(xrays, tmp_path):
    with pytest.raises(ValueError, match=r"two classes of images, such as nodules or pneumonia, which '\w+' is not"):
        crossvalidate(find("detection"), out=tmp_path / "run", verbose=0)
    with pytest.raises(ValueError, match="folds must be a whole number from 2"):
        crossvalidate(pneumonia, data=xrays, folds=1, out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    arrays = dict(np.load(xrays))
    np.savez(tmp_path / "half.npz", **arrays, train_patients=np.arange(64))
    with pytest.raises(ValueError, match="add val_patients, one entry for each image"):
        patients(tmp_path / "half.npz", 64, 24)
    np.savez(tmp_path / "short.npz", **arrays, train_patients=np.arange(60), val_patients=np.arange(24))
    with pytest.raises(ValueError, match="train_patients has 60 entries for 64 images"):
        patients(tmp_path / "short.npz", 64, 24)
    assert patients(xrays, 64, 24) is None


def test_from_the_command_line(xrays, tmp_path):
    arguments = ["crossvalidate", "pneumonia", "--data", str(xrays), "--folds", "2", "--epochs", "1"]
    done = CliRunner().invoke(cli.app, [*arguments, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "mean ± spread of 2 folds" in done.output

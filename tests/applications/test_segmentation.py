"""The U-Net on small volumes whose organs are bright boxes, from files to masks and back; wrong folders."""

import csv
import json
import shutil

import numpy as np
import pytest

from tinymed.applications import find, segmentation
from tinymed.applications import segmentation_cases as cases_of
from tinymed.applications.report import LAST
from tinymed.datasets.volumes import Volume, read, write

pytest.importorskip("nibabel")
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six volumes of 16 x 16 x 6 voxels: one organ is bright, the other one dark."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("boxes")
    for k in range(6):
        truth = np.zeros((17, 16, 6), np.uint8)
        x, y = rng.integers(1, 4, 2)
        truth[x : x + 8, y : y + 5, 1:5] = 1
        truth[x : x + 8, y + 6 : y + 11, 1:5] = 2
        image = 100 + 60 * (truth == 1) - 60 * (truth == 2) + rng.normal(0, 8, truth.shape)
        like = Volume(image.astype(np.int16), AFFINE)
        write(path / "imagesTr" / f"box_{k}.nii.gz", like.array, like)
        write(path / "labelsTr" / f"box_{k}.nii.gz", truth, like)
    (path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "Bright", "2": "Dark"}}))
    return path


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    return segmentation.train(data=folder, out=out, epochs=12, batch_size=4, learning_rate=0.004, verbose=0)


def test_the_network_has_skip_connections_at_every_rung():
    model = segmentation.build(3, 4, widths=(4, 8, 16))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Concatenate") == kinds.count("Conv2DTranspose") == kinds.count("MaxPooling2D") == 2
    assert model.count_params() == (
        (27 * 4 + 4) + (36 * 4 + 4) + (36 * 8 + 8) + (72 * 8 + 8) + (72 * 16 + 16) + (144 * 16 + 16)  # down
        + (64 * 8 + 8) + (144 * 8 + 8) + (72 * 8 + 8) + (32 * 4 + 4) + (72 * 4 + 4) + (36 * 4 + 4)  # up
        + (4 * 4 + 4)
    )  # fmt: skip
    for size in ((8, 12), (16, 4)):
        assert model.predict(np.zeros((2, *size, 3)), verbose=0).shape == (2, *size, 4)
    normed = segmentation.build(3, 4, widths=(4, 8), batch_norm=True)
    assert sum(type(layer).__name__ == "BatchNormalization" for layer in normed.layers) == 6


def test_training_writes_everything(trained, folder):
    assert trained.history["loss"][-1] < trained.history["loss"][0]
    names = {path.name for path in trained.files}
    assert names == {
        "model.safetensors", "history.csv", "learning_curves.png", "dice.png", "contours.png", "cases.csv",
        "examples", LAST,
    }  # fmt: skip
    numbers = json.loads((trained.folder / LAST).read_text())
    assert numbers["cases"] == {"train": 4, "val": 1, "test": 1}
    assert list(numbers["by_label"]) == ["bright", "dark"]
    assert numbers["plan"]["axis"] == 2 and numbers["plan"]["spacing"] == [1, 1, 2]
    assert numbers["dice"] == pytest.approx(np.mean([v["dice"] for v in numbers["by_label"].values()]))
    assert numbers["dice"] > 0.8
    assert numbers["best_validation_dice"] == pytest.approx(max(trained.history["val_dice"]))
    with open(trained.folder / "cases.csv") as file:
        table = list(csv.DictReader(file))
    assert [row["label"] for row in table] == ["bright", "dark"]
    assert float(table[0]["volume_ml"]) == pytest.approx(8 * 5 * 4 * 2 / 1000)


def test_evaluation_knows_the_cases_that_training_has_seen(trained, folder, tmp_path):
    model = trained.folder / "model.safetensors"
    again = segmentation.evaluate(model, folder)
    assert {key: again[key] for key in ("dice", "iou", "hausdorff", "samples")} == pytest.approx(
        {key: trained.metrics[key] for key in ("dice", "iou", "hausdorff", "samples")}
    )
    assert segmentation.evaluate(model, folder, "train")["samples"] == 4
    words = dict(find("segmentation").rows(again))
    assert words["cases"] == "1" and words["mean"].startswith(f"Dice {again['dice']:.4f}  IoU")
    assert segmentation.evaluate(model, trained.folder / "examples")["samples"] == 1
    with pytest.raises(ValueError, match="split must be 'train', 'val' or 'test', got 'all'"):
        segmentation.evaluate(model, folder, "all")
    with pytest.raises(ValueError, match="has no case of the split 'train'"):
        segmentation.evaluate(model, trained.folder / "examples", "train")
    other = shutil.copytree(trained.folder / "examples", tmp_path / "other")
    (mask,) = (other / "labels").iterdir()
    seen = read(mask)
    write(mask, np.full(seen.array.shape, 5, np.uint8), seen)
    with pytest.raises(ValueError, match="has label 5, but the model knows 2: bright, dark"):
        segmentation.evaluate(model, other)


def test_prediction_writes_masks_and_tells_volumes(trained, folder, tmp_path):
    model = trained.folder / "model.safetensors"
    (example,) = segmentation.predict(model, [trained.folder / "examples"], out=tmp_path)
    mask = read(tmp_path / f"{cases_of.volume_folders.case_of(example.name)}.nii.gz")
    np.testing.assert_array_equal(mask.array, example.values["mask"])
    np.testing.assert_allclose(mask.affine, AFFINE)
    count = int((mask.array == 1).sum())
    assert example.values["millilitres"]["bright"] == pytest.approx(count * 0.002)
    assert example.cells[0] == f"bright {count * 0.002:.3f} ml ({count} voxels)"
    assert len(segmentation.predict(model, [folder])) == 6
    one = folder / "imagesTr" / "box_0.nii.gz"
    with pytest.raises(ValueError, match=r"two volumes are named box_0"):
        segmentation.predict(model, [one, one], out=tmp_path)
    with pytest.raises(ValueError, match="at least one volume"):
        segmentation.predict(model, [])
    with pytest.raises(ValueError, match="no such file"):
        segmentation.predict(model, [tmp_path / "gone.nii"])


def test_a_second_run_replaces_the_first(trained, folder, tmp_path):
    out = shutil.copytree(trained.folder, tmp_path / "run")
    (out / "examples" / "images" / "old.nii.gz").touch()
    segmentation.train(data=folder, out=out, epochs=1, verbose=0)
    assert len(list((out / "examples" / "images").iterdir())) == 1
    assert not (out / "unfinished").exists()


def test_wrong_folders_end_before_any_training(folder, tmp_path):
    def broken(name, change):
        path = shutil.copytree(folder, tmp_path / name)
        change(path)
        with pytest.raises(ValueError) as error:
            segmentation.train(data=path, out=tmp_path / "run", verbose=0)
        assert not (tmp_path / "run").exists()
        return str(error.value)

    words = broken("no mask", lambda path: (path / "labelsTr" / "box_3.nii.gz").unlink())
    assert "imagesTr/box_3.nii.gz has no mask: expected" in words and "add it" in words

    def other_shape(path):
        write(path / "labelsTr" / "box_2.nii.gz", np.zeros((3, 3, 3), np.uint8), Volume(np.zeros((3, 3, 3)), AFFINE))

    words = broken("other shape", other_shape)
    assert "box_2.nii.gz: the mask has 3 x 3 x 3 voxels but its volume" in words and "17 x 16 x 6" in words
    words = broken("damaged", lambda path: (path / "imagesTr" / "box_1.nii.gz").write_bytes(b"no NIfTI"))
    assert "box_1.nii.gz is a damaged NIfTI file" in words
    words = broken("empty", lambda path: [file.unlink() for file in (path / "imagesTr").iterdir()])
    assert "imagesTr has no volume" in words
    with pytest.raises(ValueError, match="unknown CT window"):
        segmentation.train(data=folder, window="lungs", out=tmp_path / "run", verbose=0)


def test_phantoms_train_without_data_and_without_nibabel(monkeypatch, tmp_path, capsys):
    import sys

    monkeypatch.setattr(segmentation, "PHANTOMS", {"train": 1, "val": 1, "test": 1})
    monkeypatch.setitem(sys.modules, "nibabel", None)
    result = segmentation.train(epochs=1, out=tmp_path / "run", verbose=0)
    assert result.metrics["data"] == "phantoms"
    assert list(result.metrics["by_label"]) == ["liver", "lesion", "kidney"]
    assert result.metrics["plan"]["window"] == "abdomen"
    assert "examples" not in {path.name for path in result.files}
    assert 'needs nibabel: pip install "tinymed[medical]"' in (capsys.readouterr().out)


def test_every_seed_has_its_own_phantoms(monkeypatch):
    monkeypatch.setattr(segmentation, "PHANTOMS", {"train": 1, "val": 1, "test": 1})
    cases = [case for seed in (1, 2) for part in cases_of.SPLITS for case in _of(seed, part)]
    assert len({case.volume.array.tobytes() for case in cases}) == 6
    assert np.array_equal(_of(1, "test")[0].truth, cases[2].truth)


def _of(seed, part):
    return getattr(segmentation._phantoms(seed), part)


def test_real_cases(data_folder, tmp_path):
    """A few real cases for one epoch; the full run is what benchmarks/results records."""
    source = data_folder / "msd_hippocampus"
    for k, image in enumerate(sorted((source / "images").iterdir())[:5]):
        for place in ("images", "labels"):
            (tmp_path / "few" / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(source / place / image.name, tmp_path / "few" / place / f"case_{k}.nii.gz")
    result = segmentation.train(data=tmp_path / "few", epochs=2, out=tmp_path / "run", verbose=0)
    assert result.metrics["plan"]["spacing"] == (1, 1, 1)
    assert result.metrics["plan"]["axis"] == 1  # the longest
    assert result.history["loss"][-1] < result.history["loss"][0]

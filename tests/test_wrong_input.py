"""Wrong input, as it is typed: one line that names the file and the fix, no traceback, nothing left behind."""

import importlib.util
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tinymed.applications import detection, ecg_rates, nodules, pneumonia, progression, run, segmentation
from tinymed.applications.progression_data import NETWORKS, Preparation
from tinymed.cli import app
from tinymed.datasets import visits

RNG = np.random.default_rng(0)
NIBABEL = pytest.mark.skipif(importlib.util.find_spec("nibabel") is None, reason="nibabel is not installed")
WFDB = pytest.mark.skipif(importlib.util.find_spec("wfdb") is None, reason="wfdb is not installed")


def picture(path, size=(32, 32), cut=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, size, dtype=np.uint8)).save(path)
    if cut is not None:
        path.write_bytes(path.read_bytes()[:cut])


def labelled(path, labels, size=28):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = RNG.integers(0, 255, (len(labels), size, size), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.asarray(labels, dtype=np.uint8)
    np.savez(path, **arrays)


def volumes(folder):
    import nibabel

    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
        for case in range(6):
            voxels = (RNG.random((8, 8, 6)) > 0.7).astype(np.uint8 if part == "labels" else np.float32)
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / part / f"c{case}.nii.gz")
    return folder


def boxes(folder, box, name="i{}.png"):
    for number in range(8):
        picture(folder / f"i{number}.png")
    lines = "".join(f"{name.format(number)},{box}\n" for number in range(8))
    (folder / "boxes.csv").write_text(f"image,y0,x0,y1,x1\n{lines}")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder full of what cannot be used."""
    top = tmp_path_factory.mktemp("wrong")
    (top / "empty").mkdir()
    (top / "text.npz").write_text("no zip")
    np.savez(top / "other.npz", a=np.zeros(3))
    (top / "cut.npz").write_bytes((top / "other.npz").read_bytes()[:100])
    picture(top / "good.png")
    picture(top / "cut.png", cut=200)
    (top / "words.png").write_text("words")
    labelled(top / "xrays.npz", np.arange(12) % 2)
    labelled(top / "one_class.npz", np.zeros(12))
    for number in range(6):
        picture(top / "one_folder" / "mass" / f"{number:08d}_000.png")
        for kind in ("mass", "normal"):
            picture(top / "corrupt" / kind / f"{10 * (kind == 'mass') + number:08d}_000.png", cut=200)
    boxes(top / "box_outside", "20,20,40,40")
    boxes(top / "box_words", "a,b,c,d")
    boxes(top / "box_lost", "1,1,5,5", "lost{}.png")
    picture(top / "sizes" / "moving.png", (64, 64))
    picture(top / "sizes" / "fixed.png", (64, 70))
    picture(top / "lonely" / "moving.png", (64, 64))
    np.savez(top / "nothing.npz", signal=np.zeros(0), rate=250, beats=[1])
    np.savez(top / "unmarked.npz", signal=RNG.random(50_000), rate=250)
    np.savez(top / "rateless.npz", signal=RNG.random(50_000))
    (top / "head.csv").write_text("patient,time,score\n")
    (top / "scoreless.csv").write_text("patient,time,volume\np,0,1\n")
    (top / "once.csv").write_text("patient,time,score\n" + "".join(f"p{k},0,1\n" for k in range(40)))
    lines = "".join(f"p{k},{t},{t},\n" for k in range(40) for t in range(4))
    (top / "gap.csv").write_text(f"patient,time,score,volume\n{lines}")
    return top


@pytest.fixture(scope="module")
def models(place):
    """Return model files of several tasks, untrained."""
    folder = place / "models"
    folder.mkdir()
    lstm = ecg_rates.LSTM_NETWORK
    patients = visits.synthetic(20, 0)
    prepared = Preparation(NETWORKS["gru"], patients.columns).fit(patients)
    images = {"range": [0, 1], "channels": "any"}
    plan = {"axis": 2, "spacing": [1, 1, 1], "slices": 3, "window": "percentiles", "size": [8, 8]}
    for name, network, about in (
        ("pneumonia", pneumonia.build(), {"classes": ["a", "b"], "input": {"shape": [28, 28, 1], **images}}),
        ("nodules", nodules.build(), {"classes": ["a", "b"], "input": {"shape": [64, 64, 3], **images}}),
        ("ecg", lstm.compiled(lstm.settings), {"network": "lstm", "input": {}, "answer": {}}),
        ("segmentation", segmentation.build(3, 2), {"labels": ["a"], "plan": plan, "split": {}}),
        ("detection", detection.build(), {"input": {}}),
        ("progression", progression.build(len(prepared.inputs(patients.patients[0])[0])),
         {"network": "gru", **prepared.state()}),
    ):  # fmt: skip
        run.save(network, folder / f"{name}.safetensors", {"task": name, "threshold": 0.5, **about})
    run.save(pneumonia.build(), folder / "gone.safetensors", {"task": "pneumonis"})
    pneumonia.build().save(folder / "bare.safetensors")
    (folder / "cut.safetensors").write_bytes((folder / "pneumonia.safetensors").read_bytes()[:5000])
    return folder


def refused(place, line, *words):
    """Type a line in the folder, and see what comes back."""
    before = sorted(place.rglob("*"))
    found = CliRunner().invoke(app, line.split())
    said = found.stderr.strip().splitlines()
    assert found.exit_code == 1 and isinstance(found.exception, SystemExit), (found.output, found.exception)
    assert len(said) == 1 and said[0].startswith("tinymed: "), found.stderr
    for word in words:
        assert word in said[0], said[0]
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("file", ["none", "empty", "text.npz", "cut.npz", "other.npz"])
@pytest.mark.parametrize(
    "task", ["autoencoder", "detection", "digits", "ecg", "gan", "lung-disease", "nodules", "pneumonia", "progression",
             "registration", "segmentation", "transfer"],
)  # fmt: skip
def test_no_data_set_at_all(place, monkeypatch, task, file):
    monkeypatch.chdir(place)
    refused(place, f"train {task} --data {file}", file)


@pytest.mark.parametrize(
    "task, file, words",
    [
        ("pneumonia", "one_class.npz", "one_class.npz, train: all 12 labels are 0; images of both classes"),
        ("transfer", "one_class.npz", "one_class.npz, train: all 12 labels are 0"),
        ("nodules", "xrays.npz", "xrays.npz, train: expected images of 64 x 64 x 3; but found 28 x 28 x 1; scale them"),
        ("lung-disease", "one_folder", "one_folder has only one class folder, 'mass'; a folder for each of at least"),
        ("lung-disease", "corrupt", "_000.png is a damaged image; fetch or write it again"),
        ("lung-disease", "xrays.npz", "xrays.npz is a file, but a folder of class folders is needed"),
        ("ecg", "nothing.npz", "nothing.npz: the record is empty (0 samples)"),
        ("ecg", "unmarked.npz", "unmarked.npz has no annotations; add beats=... to numpy.savez"),
        ("ecg", "rateless.npz", "rateless.npz does not say how many samples a second has: add rate=..."),
        ("ecg", "good.png", "good.png is no electrocardiogram; name a WFDB record by its header (NAME.hea)"),
        ("detection", "box_outside", "boxes.csv, line 2; reaches out of the image of 32 x 32; cut it at the border"),
        ("detection", "box_words", "boxes.csv, line 2: a, b, c, d are not four numbers y0, x0, y1, x1"),
        ("detection", "box_lost", "boxes.csv names the image 'lost0.png', but box_lost has no such"),
        ("detection", "box_lost/boxes.csv", "box_lost/boxes.csv is a table; name the folder; box_lost"),
        ("registration", "sizes", "sizes/moving.png is 64 x 64 pixels but sizes/fixed.png is 64 x 70; resample one"),
        ("registration", "lonely", "lonely must hold one image fixed.* but has 0; add it"),
        ("progression", "head.csv", "head.csv has no visits: give a line for each visit"),
        ("progression", "scoreless.csv", "scoreless.csv has no column 'score'; it has volume"),
        ("progression", "once.csv", "once.csv: none of the 24 patients for train has two visits; give more patients"),
        ("progression", "gap.csv", "gap.csv: no patient to train on has a value in the column 'volume'; take the"),
        ("segmentation", "xrays.npz", "xrays.npz is a file; name the folder that has images/ and labels/ in it"),
    ],
)
def test_data_that_cannot_be_used(place, monkeypatch, task, file, words):
    monkeypatch.chdir(place)
    refused(place, f"train {task} --data {file}", *words.split("; "))


@NIBABEL
@pytest.mark.parametrize(
    "change, words",
    [
        ("labels/c3.nii.gz", "images/c3.nii.gz has no mask: expected; labels/c3.nii.gz; add it"),
        ("images/c3.nii.gz", "labels/c3.nii.gz has no volume: expected; images/c3.nii.gz; add it"),
        ("shape", "labels/c2.nii.gz: the mask has 8 x 8 x 7 voxels but its volume; resample the mask onto the volume"),
        ("damaged", "images/c1.nii.gz is a damaged NIfTI file; fetch or write it again"),
        ("no reader", 'needs nibabel: pip install "tinymed[medical]"'),
    ],
)
def test_volumes_and_masks(tmp_path, monkeypatch, change, words):
    import nibabel

    folder = volumes(tmp_path / "cases")
    if change == "shape":
        mask = nibabel.Nifti1Image(np.zeros((8, 8, 7), np.uint8), np.eye(4))
        nibabel.save(mask, folder / "labels" / "c2.nii.gz")
    elif change == "damaged":
        (folder / "images" / "c1.nii.gz").write_bytes(b"nothing like it")
    elif change == "no reader":
        monkeypatch.setitem(sys.modules, "nibabel", None)
    else:
        (folder / change).unlink()
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, "train segmentation --data cases", *words.split("; "))


@WFDB
def test_a_wfdb_record_without_annotations(tmp_path, monkeypatch):
    (tmp_path / "a.hea").write_text("a 1 250 100\na.dat 16 200 16 0 0 0 0 II\n")
    (tmp_path / "a.dat").write_bytes(b"\0\0" * 100)
    monkeypatch.chdir(tmp_path)
    for name in ("a", "a.hea"):
        refused(tmp_path, f"train ecg --data {name}", f"{name} has no annotations", "put a.atr beside it")
    monkeypatch.setitem(sys.modules, "wfdb", None)
    refused(tmp_path, "train ecg --data a", "reading a.hea needs wfdb", 'pip install "tinymed[medical]"')


@pytest.mark.parametrize(
    "line, words",
    [
        ("train nodules --network deep", "the task 'nodules' has no option --network"),
        ("train lung-disease --loss mse", "the task 'lung-disease' has no option --loss"),
        ("train ecg --network lst", "unknown network of the task ecg 'lst'; did you mean 'lstm'?"),
        ("train registration --loss nc", "unknown loss 'nc'; did you mean 'ncc'?"),
        ("train nodules --out text.npz", "cannot write to text.npz; choose another folder with --out"),
        ("train ecg --batch-size 0", "batch_size must be a whole number from 1, got 0"),
        ("crossvalidate pneumonia --data one_class.npz", "one_class.npz, train: all 12 labels are 0"),
        ("crossvalidate pneumonia --data none.npz", "none.npz: no such file"),
        ("crossvalidate ecg", "needs a task with two classes of images, such as nodules or pneumonia"),
    ],
)
def test_options(place, monkeypatch, line, words):
    monkeypatch.chdir(place)
    refused(place, line, *words.split("; "))


@pytest.mark.parametrize(
    "model, words",
    [
        ("none.safetensors", "there is no model file 'none.safetensors'"),
        ("models", "'models' is a folder; name the model file in it"),
        ("good.png", "good.png is no model file, or it is damaged"),
        ("models/cut.safetensors", "cut.safetensors is no model file, or it is damaged"),
        ("models/bare.safetensors", "does not say 'task'; load it with tinymed.load_model"),
    ],
)
def test_no_model_at_all(place, models, monkeypatch, model, words):
    monkeypatch.chdir(place)
    for line in (f"predict {model} good.png", f"evaluate {model} --data xrays.npz", f"explain {model} good.png"):
        refused(place, line, *words.split("; "))


@pytest.mark.parametrize(
    "line, words",
    [
        ("predict ecg good.png", "good.png is no electrocardiogram"),
        ("predict ecg empty", "empty is a folder; name one of its records (NAME.hea)"),
        ("predict ecg nothing.npz", "nothing.npz: the record is empty"),
        ("evaluate ecg --data unmarked.npz", "unmarked.npz has no annotations"),
        ("predict segmentation good.png", "good.png is no volume that can be read here; use .nii"),
        ("predict segmentation empty", "empty has no DICOM series; name a file"),
        ("predict detection once.csv", "once.csv is no volume that can be read here"),
        ("predict progression good.png", "good.png is no table in text form; save it as CSV"),
        ("predict nodules good.png", "good.png: expected 3 channels but found a grey image"),
        ("predict pneumonia good.png", "good.png: expected an image of 28 x 28 x 1; found 32 x 32 x 1; --resize"),
        ("predict pneumonia cut.png", "cut.png is a damaged image"),
        ("predict pneumonia words.png", "words.png is no image that can be read here; use .png, .jpg or .npz"),
        ("predict pneumonia text.npz", "text.npz is no .npz file; write it with numpy.savez"),
        ("predict pneumonia empty", "empty is a folder; name a file in it"),
        ("evaluate pneumonia --data other.npz", "other.npz has no array 'test_images'; wanted: images and labels"),
        ("explain ecg good.png", "ecg.safetensors was written by the task 'ecg'; give a model of another task"),
        ("explain pneumonia cut.png", "cut.png is a damaged image"),
        ("explain pneumonia xrays.npz --out good.png", "good.png is a file; choose another folder with --out"),
        ("predict progression once.csv --out good.png", "good.png is a file; choose another folder with --out"),
        ("predict ecg unmarked.npz --resize", "the task 'ecg' has no option --resize"),
        ("predict gone good.png", "gone.safetensors was written by a task that is not here; did you mean 'pneumonia'?"),
    ],
)
def test_a_model_and_what_it_is_given(place, models, monkeypatch, line, words):
    monkeypatch.chdir(place)
    command, model, rest = line.split(" ", 2)
    refused(place, f"{command} models/{model}.safetensors {rest}", *words.split("; "))

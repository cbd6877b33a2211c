"""The detector trains, tests, predicts and reports, on fewer phantoms than by default."""

import csv
import functools
import json

import numpy as np
import pytest

from tinymed import backend
from tinymed.applications import detection, detection_report
from tinymed.applications import detection_search as search
from tinymed.datasets import boxed, lesions
from tinymed.models import load_model

WRITTEN = {
    "model.safetensors", "history.csv", "metrics.json", "examples.npz", "learning_curves.png",
    "precision_recall.png", "froc.png", "boxes.png", "heat_maps.png",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _narrow():
    """Train networks of half the width."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "build", functools.partial(detection.build, width=8))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "SAMPLES", {"train": 128, "val": 24, "test": 24})
        yield detection.train(
            epochs=4, batch_size=8, learning_rate=0.004, out=tmp_path_factory.mktemp("runs") / "detection", verbose=0
        )


def test_the_network_takes_any_size():
    model = detection.build(width=4)
    heat, box = model.predict(np.zeros((2, 48, 72, 1), np.float32), verbose=0)
    assert heat.shape == (2, 24, 36, 1) and box.shape == (2, 24, 36, 4)
    assert heat.max() < 0.2  # at first hardly anything is a nodule


def test_encoding_fills_images_up():
    images, (heat, targets), weights = detection.encode(
        np.ones((2, 30, 33, 1), np.float32), [np.array([[4.0, 4, 9, 9]]), np.zeros((0, 4))]
    )
    assert images.shape == (2, 32, 40, 1) and images[:, 30:].max() == 0
    assert heat.shape == (2, 16, 20, 1) and targets.shape == (2, 16, 20, 4)
    assert weights[0].tolist() == [1, 1] and weights[1].sum() == 9


def test_it_learns_a_few_images_by_heart():
    """Loss, maps and boxes belong together: after some steps the boxes of the training images are found."""
    backend.set_seed(1)
    slices = lesions.draw(8, seed=2)
    model = detection.build(width=8)
    x, y, weights = detection.encode(slices.images, slices.boxes)
    from tinymed import losses, metrics

    model.compile(
        "adam",
        [losses.HeatmapFocalCrossentropy(), losses.MeanAbsoluteError(reduction="mean_with_sample_weight")],
    )
    model.optimizer.learning_rate = 0.005
    model.fit(x, y, sample_weight=weights, epochs=120, batch_size=8, verbose=0)
    found = search.find(model, slices.images)
    assert metrics.detection_average_precision(found, slices.boxes) > 0.9


def test_writes_model_numbers_and_pictures(trained):
    assert {path.name for path in trained.folder.iterdir()} == WRITTEN
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    assert numbers["task"] == "detection" and numbers["data"] == "phantoms"
    assert numbers["images"] == {"train": 128, "val": 24, "test": 24}
    assert 0 <= numbers["average_precision"] <= numbers["average_precision_at_0.3"] <= 1
    assert list(numbers["froc"]) == ["1/8", "1/4", "1/2", "1", "2", "4", "8"]
    assert numbers["cpm"] == pytest.approx(np.mean(list(numbers["froc"].values())))
    assert numbers["hits"] + numbers["missed"] == numbers["lesions"]
    assert sum(part["lesions"] for part in numbers["found_by_size"].values()) == numbers["lesions"]
    with open(trained.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {"loss", "heat_loss", "box_loss", "val_loss", "val_average_precision"} <= rows[0].keys()
    assert float(rows[3]["loss"]) < float(rows[0]["loss"])
    assert [what for what, _ in detection.rows(numbers)][:3] == ["images", "lesions", "average precision (IoU 0.5)"]


def test_the_model_file_knows_its_threshold(trained):
    model = load_model(trained.folder / "model.safetensors")
    assert json.loads(model.metadata["threshold"]) == trained.metrics["threshold"]


def test_evaluates_its_examples(trained):
    model, examples = trained.folder / "model.safetensors", trained.folder / "examples.npz"
    numbers = detection.evaluate(model, examples)
    assert numbers["samples"] == 16 and numbers["task"] == "detection"
    with pytest.raises(ValueError, match="no array 'train_images'"):
        detection.evaluate(model, examples, "train")


def test_predicts_its_examples(trained, tmp_path):
    model, examples = trained.folder / "model.safetensors", trained.folder / "examples.npz"
    found = detection.predict(model, [examples], out=tmp_path / "found")
    names = list(dict.fromkeys(item.name for item in found))
    assert names == [f"{examples}[{i}]" for i in range(16)]
    assert len({len(item.cells) for item in found}) == 1
    scores = [item.values["score"] for item in found if item.values]
    assert scores and min(scores) >= trained.metrics["threshold"] - 1e-3
    with open(tmp_path / "found" / "boxes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [item.name for item in found]
    real = [item for item in found if item.values]
    np.testing.assert_allclose(
        [[float(row[k]) for k in ("y0", "x0", "y1", "x1")] for row in rows if row["y0"]],
        [item.values["box"] for item in real], atol=0.006,
    )  # fmt: skip
    assert (tmp_path / "found" / "001_examples.png").exists()


def test_a_volume_gives_findings_with_slices(trained, tmp_path):
    slices = lesions.draw(1, seed=0).images[..., 0]
    np.save(tmp_path / "volume.npy", np.repeat(slices, 4, axis=0))
    found = detection.predict(trained.folder / "model.safetensors", [tmp_path / "volume.npy"], out=tmp_path / "out")
    assert all(item.values["slices"] == (0, 3) for item in found if item.values)
    assert (tmp_path / "out" / "001_volume.png").exists()


def test_an_image_without_lesions_is_told_too(trained, tmp_path):
    np.save(tmp_path / "air.npy", np.zeros((32, 32), np.float32))
    (found,) = detection.predict(trained.folder / "model.safetensors", [tmp_path / "air.npy"], out=tmp_path / "out")
    assert found.cells == ("-", "no lesion found", "")
    assert "air.npy,,,,,,," in (tmp_path / "out" / "boxes.csv").read_text()
    with pytest.raises(ValueError, match="at least one image"):
        detection.predict(trained.folder / "model.safetensors", [])


def test_trains_on_boxes_of_ones_own(tmp_path, monkeypatch):
    slices = lesions.draw(24, seed=9)
    padded = np.full((24, 5, 4), np.nan)
    for row, boxes in zip(padded, slices.boxes, strict=True):
        row[: len(boxes)] = boxes
    padded[~(padded[..., 2:] <= (60, 50)).all(axis=-1)] = np.nan
    np.savez(tmp_path / "mine.npz", images=slices.images[:, :60, :50], boxes=padded)
    monkeypatch.setattr(detection_report, "draw", lambda *given: None)
    result = detection.train(data=tmp_path / "mine.npz", epochs=1, out=tmp_path / "run", verbose=0)
    assert result.metrics["data"] == "mine.npz"
    assert result.metrics["images"] == {"train": 17, "val": 3, "test": 4}


def test_same_seed_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "SAMPLES", {"train": 16, "val": 8, "test": 8})
    monkeypatch.setattr(detection_report, "draw", lambda *given: None)
    runs = [detection.train(epochs=1, seed=s, out=tmp_path / str(i), verbose=0) for i, s in enumerate((3, 3, 4))]
    first, second, third = (run.model.get_weights() for run in runs)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], third[0])


# --- refused before any training ---------------------------------------------------------------------------------


def test_data_without_lesions(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((20, 32, 32), np.uint8), boxes=np.full((20, 1, 4), np.nan))
    with pytest.raises(ValueError, match="none of the 14 images for training has a box"):
        detection.train(data=tmp_path / "x.npz", out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_a_box_outside_its_image(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((20, 32, 32), np.uint8), boxes=np.tile([1.0, 2, 40, 9], (20, 1, 1)))
    with pytest.raises(ValueError, match=r"x\.npz, boxes, image 0: the box .* reaches out of the image"):
        detection.train(data=tmp_path / "x.npz", out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_wrong_options(tmp_path):
    with pytest.raises(ValueError, match="epochs must be a whole number from 1"):
        detection.train(epochs=0, out=tmp_path / "run")


def test_outputs_that_are_nan_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "SAMPLES", {"train": 16, "val": 8, "test": 8})
    monkeypatch.setattr(search, "maps", lambda *a, **k: (np.full((8, 32, 32, 1), np.nan), np.zeros((8, 32, 32, 4))))
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        detection.train(epochs=1, out=tmp_path / "run", verbose=0)


def test_the_split_of_a_file_does_not_depend_on_the_seed(tmp_path):
    slices = lesions.draw(20, seed=1)
    boxes = np.tile([4.0, 4, 9, 9], (20, 1, 1))
    np.savez(tmp_path / "x.npz", images=slices.images, boxes=boxes)
    backend.set_seed(5)
    first = boxed.load(tmp_path / "x.npz")["test"].images
    backend.set_seed(6)
    np.testing.assert_array_equal(first, boxed.load(tmp_path / "x.npz")["test"].images)

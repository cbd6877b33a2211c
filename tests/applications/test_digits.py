"""Ten classes: the documents' network, report and pictures for several classes, and files."""

import json

import numpy as np
import pytest

from tinymed.applications import digits, find


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "SAMPLES", {"train": 500, "val": 100, "test": 200})
        return digits.train(epochs=3, out=folder, verbose=0)


def test_the_network_is_the_documents():
    model = digits.build()
    assert [type(layer).__name__ for layer in model.layers] == [
        "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense"
    ]  # fmt: skip
    assert model.count_params() == 9 * 32 + 32 + 9 * 32 * 64 + 64 + 5 * 5 * 64 * 10 + 10
    assert find("digits") is digits


def test_numbers_and_pictures_of_several_classes(trained):
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    assert numbers["data"] == "digits of typefaces"
    assert np.shape(numbers["confusion_matrix"]) == (10, 10) and np.sum(numbers["confusion_matrix"]) == 200
    assert numbers["accuracy"] == np.trace(numbers["confusion_matrix"]) / 200
    assert numbers["accuracy"] > 0.2 and numbers["auc"] > 0.6  # better than guessing after three short epochs
    assert {"roc.png", "confusion_matrix.png", "predictions.png", "learning_curves.png", "examples.npz"} <= {
        path.name for path in trained.files
    }
    lines = dict(digits.rows(numbers))
    assert lines["images"] == "200" and "AUC, mean of classes (95 % interval)" in lines
    assert lines["3:"].split(" of ")[0] == str(numbers["confusion_matrix"][3][3])


def test_predicts_its_examples(trained):
    model, examples = trained.folder / "model.safetensors", trained.folder / "examples.npz"
    found = digits.predict(model, [examples])
    assert len(found) == 20
    assert {item.label for item in found} <= set("0123456789")
    assert all(0.1 <= item.probability <= 1 for item in found)
    labels = np.load(examples)["test_labels"]
    numbers = digits.evaluate(model, examples)
    assert numbers["samples"] == 20
    assert numbers["accuracy"] == np.mean([int(item.label) == k for item, k in zip(found, labels, strict=True)])


def test_augmentation_changes_each_image_but_not_its_digit():
    from tinymed.datasets.digits import digits as draw

    x, _ = draw(50)
    moved = digits.augment(x, np.random.default_rng(0))
    assert moved.shape == x.shape and moved.dtype == np.float32
    assert all(not np.array_equal(a, b) for a, b in zip(moved, x, strict=True))
    assert np.abs(moved.mean(axis=(1, 2, 3)) - x.mean(axis=(1, 2, 3))).max() < 0.1


def test_trains_on_mnist_s_layout(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 10
    images = rng.integers(0, 60, (240, 28, 28), dtype=np.uint8)
    for image, k in zip(images, labels, strict=True):
        image[10 * (k // 5) + 4 : 10 * (k // 5) + 12, 5 * (k % 5) + 1 : 5 * (k % 5) + 6] = 250
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=images[:200], y_train=labels[:200], x_test=images[200:], y_test=labels[200:])
    result = digits.train(data=path, epochs=1, out=tmp_path / "run", verbose=0)
    assert result.metrics["images"] == {"train": 180, "val": 20, "test": 40}
    assert digits.evaluate(tmp_path / "run" / "model.safetensors", path)["accuracy"] == result.metrics["accuracy"]


def test_wrong_files(tmp_path, xrays):
    with pytest.raises(ValueError, match=r"has 2 classes but the network of this task has ten outputs"):
        digits.train(data=xrays, out=tmp_path / "run", verbose=0)
    images, labels = np.zeros((30, 28, 28), np.uint8), np.arange(30) % 10
    gap = np.where(labels == 4, 5, labels)
    np.savez(tmp_path / "gap.npz", **{f"{s}_images": images for s in ("train", "val", "test")},
             train_labels=labels, val_labels=gap, test_labels=labels)  # fmt: skip
    with pytest.raises(ValueError, match=r"gap\.npz, val: no image of class '4'"):
        digits.train(data=tmp_path / "gap.npz", out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()

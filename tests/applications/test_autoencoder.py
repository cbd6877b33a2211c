"""Autoencoders: the linear one finds the principal subspace, the others bend; files, predictions, clear errors."""

import csv
import json

import numpy as np
import pytest

from tinymed.applications import autoencoder, chest_images, principal, run
from tinymed.datasets import chests


@pytest.fixture(scope="module")
def few():
    before = dict(chest_images.SAMPLES)
    chest_images.SAMPLES.update(train=192, val=40, test=40)
    yield
    chest_images.SAMPLES.update(before)


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    return autoencoder.train(epochs=3, out=tmp_path_factory.mktemp("runs") / "linear", verbose=0)


def test_trained_with_squared_error_it_spans_the_principal_subspace(tmp_path):
    """Two components that stand out, so that a few hundred steps are enough."""
    rng = np.random.default_rng(0)
    shapes = np.linalg.qr(rng.standard_normal((784, 2)))[0].T * 28
    x = (rng.standard_normal((256, 2)) * [1.0, 0.6]) @ shapes + 0.1 * rng.standard_normal((256, 784))
    x = (x - x.mean(axis=0)).astype(np.float32)
    rows, _ = principal.components(x)
    images = x.reshape(-1, 28, 28, 1)
    settings = run.Settings(epochs=80, batch_size=64, learning_rate=0.25)
    model, history = autoencoder._fit(
        "linear", 2, settings, {"train": images, "val": images}, rows, tmp_path / "m", {"task": "autoencoder"}, 0
    )
    assert history["angle_degrees"][0] > 20
    assert principal.angle(model, rows) < 1
    best = principal.errors(rows, x)[2]
    assert autoencoder._error(model, images) == pytest.approx(best, rel=0.1)


def test_writes_models_numbers_and_pictures(trained):
    assert {path.name for path in trained.files} == {
        "model.safetensors", "model_2.safetensors", "model_32.safetensors", "history.csv", "metrics.json",
        "examples.npz", "reconstructions.png", "components.png", "codes.png", "errors.png", "angle.png",
        "learning_curves.png",
    }  # fmt: skip
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    assert numbers["mse_pca"] < numbers["mse"] < 1.5 * numbers["mse_mean_image"]
    assert numbers["images"] == {"train": 192, "val": 40, "test": 40}
    assert 0 < numbers["angle_degrees"] <= 90
    assert numbers["mse_by_code"].keys() == {"2", "8", "32"}
    with open(trained.folder / "history.csv", newline="") as file:
        assert {"epoch", "loss", "val_loss", "angle_degrees"} <= set(next(csv.reader(file)))
    assert ("images", "40") in autoencoder.rows(numbers)


def test_principal_components_are_measured_on_the_test_images(trained, few):
    images = chests.load(**chest_images.SAMPLES, seed=0)
    train, test = (split.images.reshape(len(split), -1).astype(np.float64) for split in (images.train, images.test))
    mean = train.mean(axis=0)
    rows = np.linalg.svd(train - mean, full_matrices=False)[2][:8]
    error = np.mean((test - mean - (test - mean) @ rows.T @ rows) ** 2)
    assert trained.metrics["mse_pca"] == pytest.approx(error, rel=1e-3)


def test_a_bending_network_is_compared_with_a_linear_one(few, tmp_path):
    result = autoencoder.train(network="convolutional", epochs=1, out=tmp_path / "run", verbose=0)
    assert {"mse", "mse_linear", "mse_pca"} <= result.metrics.keys()
    assert "angle_degrees" not in result.metrics
    assert (tmp_path / "run" / "linear.safetensors").exists()
    assert not (tmp_path / "run" / "components.png").exists()


def test_predicts_and_evaluates_its_examples(trained, tmp_path):
    model, examples = trained.folder / "model.safetensors", trained.folder / "examples.npz"
    found = autoencoder.predict(model, [examples], out=tmp_path / "redone")
    assert len(found) == 16
    assert len(list((tmp_path / "redone").iterdir())) == 16
    from PIL import Image

    pixels = np.asarray(Image.open(tmp_path / "redone" / "examples_3.png"))
    np.testing.assert_allclose(pixels / 255, found[3].values["reconstruction"][..., 0], atol=0.003)
    original = np.load(examples)["test_images"][3] / 255
    rmse = np.sqrt(np.mean((found[3].values["reconstruction"] - original) ** 2))
    assert found[3].values["rmse"] == pytest.approx(rmse, rel=1e-4)
    assert found[3].values["code"].shape == (8,)
    numbers = autoencoder.evaluate(model, examples)
    assert numbers["samples"] == 16
    assert numbers["mse"] < 2 * numbers["mse_mean_image"]
    assert autoencoder.rows(numbers)


def test_a_picture_of_another_size_only_if_asked(trained, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((56, 60), 99, np.uint8)).save(tmp_path / "big.png")
    model = trained.folder / "model.safetensors"
    with pytest.raises(ValueError, match="--resize"):
        autoencoder.predict(model, [tmp_path / "big.png"])
    (found,) = autoencoder.predict(model, [tmp_path / "big.png"], resize=True, out=tmp_path / "out")
    assert (tmp_path / "out" / "big.png").exists()
    assert found.cells[1].endswith("big.png")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"network": "convolutionel"}, "did you mean 'convolutional'"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"data": "nowhere.npz"}, "no such file"),
    ],
)
def test_wrong_options_leave_nothing_behind(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        autoencoder.train(out=tmp_path / "run", verbose=0, **options)
    assert not (tmp_path / "run").exists()


def test_wrong_data(trained, tmp_path):
    def write(name, n, size):
        labels = np.zeros(n, np.uint8)
        arrays = {f"{s}_{k}": v for s in ("train", "val", "test")
                  for k, v in (("images", np.zeros((n, size, size), np.uint8)), ("labels", labels))}  # fmt: skip
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    with pytest.raises(ValueError, match=r"expected images of 28 x 28 x 1 .* but found 32 x 32 x 1"):
        autoencoder.train(data=write("wide.npz", 40, 32), out=tmp_path / "run", verbose=0)
    with pytest.raises(ValueError, match="10 training images do not determine 32 components"):
        autoencoder.train(data=write("few.npz", 10, 28), out=tmp_path / "run", verbose=0)
    with pytest.raises(ValueError, match="but found 32 x 32 x 1"):
        autoencoder.evaluate(trained.folder / "model.safetensors", tmp_path / "wide.npz")
    with pytest.raises(ValueError, match="at least one image"):
        autoencoder.predict(trained.folder / "model.safetensors", [])
    assert not (tmp_path / "run").exists()

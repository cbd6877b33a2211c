"""The main job, on fewer phantoms than it uses by default."""

import json

import numpy as np
import pytest
from PIL import Image

from tinymed.applications import registration, registration_pairs
from tinymed.models import load_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registration_pairs, "SAMPLES", {"train": 16, "val": 4, "test": 3})
        patch.setattr(registration, "REFINING", 40)
        yield registration.train(epochs=3, out=tmp_path_factory.mktemp("runs") / "first", verbose=0)


def test_leaves_numbers_pictures_and_a_model(trained):
    names = {path.name for path in trained.files}
    assert names == {
        "checkerboards.png", "examples.npz", "history.csv", "learning_curves.png", "metrics.json",
        "model.safetensors", "registration.png",
    }  # fmt: skip
    numbers = json.loads((trained.folder / "metrics.json").read_text("utf-8"))
    assert numbers["loss"] == "mse" and numbers["pairs"] == 3
    assert numbers["refined"]["endpoint_error"] < numbers["endpoint_error_before"]
    assert numbers["refined"]["similarity_after"] > numbers["similarity_before"]
    assert trained.history["loss"][-1] < trained.history["loss"][0]
    shown = dict(registration.rows(numbers))
    assert "improved pair by pair" in shown["mean error after, pixels"]


def test_predicts_and_evaluates_its_examples(trained, tmp_path):
    model, examples = trained.folder / "model.safetensors", trained.folder / "examples.npz"
    found = registration.predict(model, [examples], out=tmp_path / "out")
    assert [item.name for item in found] == ["examples-0", "examples-1", "examples-2"]
    assert "before" in found[0].cells[0] and "folded" in found[0].cells[1]
    assert (tmp_path / "out" / "examples-1.png").exists() and (tmp_path / "out" / "examples-1-overview.png").exists()
    with np.load(tmp_path / "out" / "examples-0.npz") as kept:
        np.testing.assert_array_equal(kept["field"], found[0].values["field"])
    numbers = registration.evaluate(model, examples)
    assert numbers["endpoint_error"] == pytest.approx(trained.metrics["endpoint_error"], rel=1e-5)
    with pytest.raises(ValueError, match="split is 'test' or 'val'"):
        registration.evaluate(model, examples, "train")


def test_images_of_another_size_get_a_field_of_their_own(trained, tmp_path):
    moving, fixed = registration_pairs.load_pairs(trained.folder / "examples.npz", None).moving[:2, ..., 0]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for image, path in zip((moving, fixed), paths, strict=True):
        Image.fromarray((image * 255).astype(np.uint8)).resize((100, 90)).save(path)
    (found,) = registration.predict(trained.folder / "model.safetensors", paths)
    assert found.name == "a-to-b"
    assert found.values["field"].shape == (90, 100, 2) and found.values["warped"].shape == (90, 100)


def test_images_that_do_not_belong_together(trained, tmp_path):
    model = trained.folder / "model.safetensors"
    image = Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20))
    image.save(tmp_path / "a.png")
    image.crop((0, 0, 20, 18)).save(tmp_path / "b.png")
    for paths, problem in (
        ([tmp_path / "a.png"], "takes two images"),
        ([tmp_path / "a.png"] * 3, "but got 3"),
        ([tmp_path / "a.png", tmp_path / "b.png"], r"a.png is 20 x 20 pixels but .*b.png is 18 x 20"),
        ([tmp_path / "a.png", tmp_path / "c.png"], "c.png does not exist"),
    ):
        with pytest.raises(ValueError, match=problem):
            registration.predict(model, paths, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mistakes_leave_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'mse'"):
        registration.train(loss="mes", out=tmp_path / "run", verbose=0)
    with pytest.raises(ValueError, match="is no folder"):
        registration.train(data=tmp_path / "nowhere", out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_a_real_pair_and_another_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(registration_pairs, "DRAWN", 4)
    monkeypatch.setattr(registration_pairs, "REAL_SIZE", 64)
    monkeypatch.setattr(registration, "REFINING", 30)
    pair = registration_pairs.deformations.pairs(1, size=64, seed=3)
    folder = tmp_path / "pair"
    folder.mkdir()
    for name, image in zip(("moving", "fixed"), pair, strict=False):
        Image.fromarray((image[0, ..., 0] * 255).astype(np.uint8)).save(folder / f"{name}.png")
    result = registration.train(data=folder, out=tmp_path / "run", epochs=1, verbose=0)
    assert result.metrics["loss"] == "ncc" and "endpoint_error" not in result.metrics
    assert result.metrics["refined"]["similarity_after"] > result.metrics["similarity_before"]
    assert load_model(tmp_path / "run" / "model.safetensors").metadata["task"] == "registration"

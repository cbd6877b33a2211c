"""The generator's task: trains, measures, keeps the best epoch, draws from codes and seeds, refuses what is wrong."""

import json

import numpy as np
import pytest

from tinymed.applications import chest_images, gan
from tinymed.datasets import chests
from tinymed.models import load_model


@pytest.fixture(scope="module")
def few():
    before = dict(chest_images.SAMPLES)
    chest_images.SAMPLES.update(train=128, val=24, test=32)
    yield
    chest_images.SAMPLES.update(before)


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    return gan.train(epochs=2, batch_size=32, out=tmp_path_factory.mktemp("runs") / "gan", verbose=0)


def test_networks():
    generator, discriminator = gan.build_generator(), gan.build_discriminator()
    z = gan.noise(np.random.default_rng(0), 3)
    image = generator(z)
    assert image.shape == (3, 28, 28, 1)
    assert np.abs(image).max() <= 1
    p = discriminator(image)
    assert p.shape == (3, 1)
    assert ((p > 0) & (p < 1)).all()
    drawn = gan.draw(generator, z)
    np.testing.assert_allclose(drawn, (image + 1) / 2, atol=0.002 + 1e-6)
    np.testing.assert_allclose(np.rint(drawn * 255), drawn * 255, atol=1e-4)


def test_writes_both_networks_numbers_and_pictures(trained):
    assert {path.name for path in trained.files} == {
        "model.safetensors", "discriminator.safetensors", "history.csv", "metrics.json", "examples.npz",
        "samples.png", "progress.png", "learning_curves.png",
    }  # fmt: skip
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    for key in (
        "auc",
        "frechet",
        "diversity",
        "auc_judge_of_training_images",
        "auc_real",
        "frechet_real",
        "best_epoch",
        "loss",
    ):
        assert numbers[key] is not None, key
    assert numbers["samples"] == 32
    assert set(trained.history) == {"d_loss", "g_loss", "p_real", "p_fake", "auc", "frechet", "diversity"}
    assert min(trained.history["frechet"]) == numbers["best_validation_frechet"]
    assert load_model(trained.folder / "discriminator.safetensors").compute_output_shape((5, 28, 28, 1)) == (5, 1)
    assert gan.rows(numbers)[0] == ("real images, and as many generated", "32")


def test_keeps_the_epoch_with_the_least_distance(few, tmp_path, monkeypatch):
    distances, kept = iter([0.5, 0.2, 0.4]), []
    real = gan.compare

    def falsified(a, b):
        distance = next(distances, None)
        kept.append(b.copy())
        return real(a, b) if distance is None else {"auc": 0.5, "frechet": distance, "diversity": 1.0}

    monkeypatch.setattr(gan, "compare", falsified)
    result = gan.train(epochs=3, batch_size=64, out=tmp_path / "run", verbose=0)
    assert result.metrics["best_epoch"] == 2
    codes = np.load(tmp_path / "run" / "examples.npz")["codes"]
    again = gan.draw(load_model(tmp_path / "run" / "model.safetensors"), codes)
    np.testing.assert_array_equal(gan.draw(result.model, codes), again)
    assert not np.array_equal(kept[1], kept[2])


def test_same_seed_same_bits(few, tmp_path):
    first, second, third = (
        gan.train(epochs=1, batch_size=64, seed=seed, out=tmp_path / str(i), verbose=0)
        for i, seed in enumerate((5, 5, 6))
    )
    assert first.history == second.history
    assert all(np.array_equal(a, b) for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True))
    assert first.history != third.history


def test_minimax(few, tmp_path):
    result = gan.train(loss="minimax", epochs=1, batch_size=64, out=tmp_path / "run", verbose=0)
    assert result.history["g_loss"][0] < 0  # log(1 - p)
    assert result.metrics["loss"] == "minimax"


def test_draws_its_examples_files_of_codes_and_seeds(trained, tmp_path):
    model = trained.folder / "model.safetensors"
    found = gan.predict(model, [trained.folder / "examples.npz"], out=tmp_path / "out")
    assert len(found) == 16
    assert len(list((tmp_path / "out").glob("examples_*.png"))) == 16
    codes = np.load(trained.folder / "examples.npz")["codes"]
    np.testing.assert_array_equal(found[2].values["image"], gan.draw(trained.model, codes)[2])
    np.save(tmp_path / "one.npy", codes[2])
    (one,) = gan.predict(model, [tmp_path / "one.npy"])
    np.testing.assert_allclose(one.values["image"], found[2].values["image"], atol=1 / 255 + 1e-6)
    seven, again, eight = (gan.predict(model, [seed]) for seed in ("7", "7", "8"))
    assert len(seven) == 16
    assert np.array_equal(seven[0].values["image"], again[0].values["image"])
    assert not np.array_equal(seven[0].values["code"], eight[0].values["code"])


def test_evaluates_on_a_file(trained, tmp_path):
    x, y = chests.chests(30, seed=9)
    np.savez(tmp_path / "x.npz", test_images=x, test_labels=y)
    numbers = gan.evaluate(trained.folder / "model.safetensors", tmp_path / "x.npz")
    assert numbers["samples"] == 30
    assert gan.evaluate(trained.folder / "model.safetensors", tmp_path / "x.npz") == numbers
    assert numbers["frechet"] > 0.2
    assert len(gan.rows(numbers)) == 4


@pytest.mark.parametrize(
    "options, words",
    [
        ({"loss": "minmax"}, "did you mean 'minimax'"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 256}, "128 training images are less than one batch of 256"),
        ({"data": "nowhere.npz"}, "no such file"),
    ],
)
def test_wrong_options_leave_nothing_behind(few, tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        gan.train(out=tmp_path / "run", verbose=0, **options)
    assert not (tmp_path / "run").exists()


def test_wrong_data(trained, tmp_path):
    x, y = chests.chests(4, seed=9)
    np.savez(tmp_path / "few.npz", **{f"{s}_{k}": v for s in ("train", "val", "test")
                                      for k, v in (("images", x), ("labels", y))})  # fmt: skip
    with pytest.raises(ValueError, match="val: 4 images are too few"):
        gan.train(data=tmp_path / "few.npz", batch_size=4, out=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="at least 8"):
        gan.evaluate(trained.folder / "model.safetensors", tmp_path / "few.npz")


def test_wrong_codes(trained, tmp_path):
    model = trained.folder / "model.safetensors"
    np.save(tmp_path / "short.npy", np.zeros((2, 10)))
    np.save(tmp_path / "nan.npy", np.full((2, 64), np.nan))
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 64)), b=np.zeros((2, 64)))
    (tmp_path / "text.npy").write_text("no array")
    for name, words in (
        ("short.npy", r"expected codes \(N, 64\) but found an array \(2, 10\)"),
        ("nan.npy", "finite"),
        ("two.npz", "no array 'codes'; it has a, b"),
        ("text.npy", "no .npy file"),
        ("absent.npy", "no such file"),
        ("image.png", "from an .npy or .npz file, or from a seed"),
    ):
        with pytest.raises(ValueError, match=words):
            gan.predict(model, [tmp_path / name])
    with pytest.raises(ValueError, match="a file of codes, or a seed"):
        gan.predict(model, [])
    with pytest.raises(ValueError, match=r"is the discriminator.*model.safetensors"):
        gan.predict(trained.folder / "discriminator.safetensors", ["7"])

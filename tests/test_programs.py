"""The articles' programs run character for character; only their import lines change. With ``-m gpu``, on a GPU."""

import re

import numpy as np
import pytest

from tests.devices import HOST_AND_GPU, on
from tinymed import datasets
from tinymed.preprocessing.image import save_img
from tinymed.utils import to_categorical

IMPORTS = {
    r"^import keras$": "import tinymed as keras",
    r"^from keras\.": "from tinymed.",
    r"^import tensorflow as tf$": "import tinymed as tf",
}


def program(folder, start_of_name, section=""):
    """Return the Python blocks of an article, or of one of its sections, joined, with the imports changed."""
    (path,) = folder.glob(f"{start_of_name}*.txt")
    text = path.read_text("utf-8")
    if section:
        text = re.search(rf"^## {re.escape(section)} .*?(?=^##? |\Z)", text, flags=re.DOTALL | re.MULTILINE).group()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    changed = code
    for pattern, replacement in IMPORTS.items():
        changed = re.sub(pattern, replacement, changed, flags=re.MULTILINE)
    lines = zip(code.splitlines(), changed.splitlines(), strict=True)
    assert all(old == new or old.startswith(("import ", "from ")) for old, new in lines)
    return changed


@pytest.fixture(params=HOST_AND_GPU, autouse=True)
def _device(request):
    with on(request.param):
        yield


@pytest.fixture(scope="module")
def nodules():
    return datasets.phantoms.nodules(96, seed=1)


def test_p0_learns(documents_folder, nodules):
    x, y = nodules
    names = {"train_data": x, "train_labels": y}
    exec(program(documents_folder, "000_"), names)
    history = names["model"].fit(x, y, epochs=1, verbose=0).history
    assert set(history) == {"accuracy", "loss"}
    # Ten epochs on 96 patches learn them well beyond chance.
    assert history["accuracy"][-1] > 0.75


def test_p2_predicts(documents_folder, nodules):
    x, y = nodules
    names = {"X_train": x[:64], "y_train": y[:64], "X_test": x[64:]}
    exec(program(documents_folder, "002_"), names)
    assert names["y_pred"].shape == (32, 1)
    assert np.all((names["y_pred"] >= 0) & (names["y_pred"] <= 1))


def test_p3_tells_ten_classes_apart(documents_folder, data_folder):
    # Ten classes at 28x28x1 made of real X-rays: the class is the place of a bright square.
    with np.load(data_folder / "medmnist" / "pneumoniamnist.npz") as file:
        images = file["train_images"][:400].astype("float32") / 255
    labels = np.arange(len(images)) % 10
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 5)
        image[4 + 12 * row : 9 + 12 * row, 5 * column + 1 : 5 * column + 6] = 1.0
    x = images[..., None]
    names = {"x_train": x[:300], "y_train": labels[:300], "x_test": x[300:], "y_test": labels[300:]}
    exec(program(documents_folder, "003_"), names)
    model = names["model"]
    accuracy = model.evaluate(x[300:], labels[300:], verbose=0)[1]
    assert accuracy > 0.8
    assert model.predict(x[:2], verbose=0).sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.filterwarnings("ignore:.*input_shape.*", "ignore:.*lr.*")
def test_p4a_tells_the_class_of_a_picture_on_disk(documents_folder, data_folder, tmp_path):
    # PNG and JPEG files of several sizes, grey as X-rays are: a bright band across, a bright band down, or neither.
    rng = np.random.default_rng(0)
    paths, labels = [], np.arange(15) % 3
    for place, label in enumerate(labels):
        picture = rng.uniform(0, 90, (250 + place, 230, 1))
        picture[100:150] += 160 * (label == 1)
        picture[:, 90:140] += 160 * (label == 2)
        paths.append(tmp_path / f"{place}.{'png' if place % 2 else 'jpg'}")
        save_img(paths[-1], picture, scale=False)
    # What the section leaves to its reader: how many classes there are, and NumPy under its usual name.
    names = {"num_classes": 3, "np": np}
    exec(program(documents_folder, "004_", "4.1"), names)
    images = np.stack([names["preprocess_image"](path) for path in paths])
    assert images.shape == (15, 224, 224, 3)
    assert images.dtype == np.float32 and 0 <= images.min() < 0.1 and 0.9 < images.max() <= 1
    model = names["build_cnn_model"]()
    assert model.count_params() == 3 * 9 * 32 + 32 + 32 * 9 * 64 + 64 + 64 * 9 * 128 + 128 + (
        26 * 26 * 128 * 512 + 512 + 512 * 3 + 3
    )
    names["train_cnn_model"](model, images, to_categorical(labels, 3), 6, 5)
    found = [names["predict_disease"](model, path) for path in paths]
    assert np.mean(found == labels) > 0.8
    assert np.array_equal(found, model.predict(images, verbose=0).argmax(axis=1))
    for path in sorted((data_folder / "cxr_nih_samples").glob("*.png")):  # real chest X-rays, 512 x 512
        assert names["predict_disease"](model, path) in range(3)
        assert 0.2 < names["preprocess_image"](path).mean() < 0.8


@pytest.mark.filterwarnings("ignore:.*input_shape.*", "ignore:.*lr.*")
def test_p4b_predicts_heart_rates(documents_folder):
    # Records of a beat that repeats faster or slower, cut by the program at 2000 samples.
    rng = np.random.default_rng(0)
    periods, times = rng.uniform(12, 40, size=20), np.arange(2400)
    shapes = [np.exp(-0.5 * ((times % period) / 2 - 3) ** 2) for period in periods]
    records = [beats + 0.05 * rng.standard_normal(2400) for beats in shapes]
    names = {"np": np}
    exec(program(documents_folder, "004_", "4.2"), names)
    segments, rates = names["preprocess_ecg_data"](records, 6000 / periods)
    assert {len(segment) for segment in segments} == {2000}
    assert rates.mean() == pytest.approx(0, abs=1e-6) and rates.std() == pytest.approx(1)
    x = names["pad_sequences"](segments, maxlen=60, dtype="float32")[..., None]
    model = names["build_rnn_model"]((60, 1), 1)
    assert model.count_params() == 4 * 50 * (1 + 50 + 1) + 4 * 50 * (50 + 50 + 1) + 51
    before = model.get_weights()
    names["train_rnn_model"](model, x, rates, 4, 2)
    assert all(np.any(new != old) for new, old in zip(model.get_weights(), before, strict=True))
    prediction = names["predict_heart_rate_variation"](model, x)
    assert prediction.shape == (20, 1) and np.isfinite(prediction).all()

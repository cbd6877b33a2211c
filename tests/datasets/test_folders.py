"""Folders of class folders: found, checked, read when asked for; patients by their file names."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tinymed.datasets import folders


@pytest.fixture
def folder(tmp_path):
    """Write three classes of pictures of several kinds and sizes."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("a", "b", "c")):
        (tmp_path / name / "deeper").mkdir(parents=True)
        for place in range(4):
            shape = [(30, 40), (30, 40, 3), (16, 16, 4), (20, 10)][place]
            pixels = rng.integers(0, 100, shape).astype(np.uint8) + 50 * label
            inside = tmp_path / name / ("deeper" if place == 1 else "")
            Image.fromarray(pixels).save(inside / f"{label * 4 + place // 2:08d}_{place:03d}.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / ".hidden.png").write_text("no picture")
    (tmp_path / "a" / "readme.txt").write_text("no picture")
    return tmp_path


def test_finds_pictures_classes_and_patients(folder):
    found = folders.find(folder)
    assert found.classes == ("a", "b", "c")
    assert found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(found) == 12 and all(path.exists() for path in found.paths)
    assert sorted(set(found.patients.tolist())) == [f"{n:08d}" for n in (0, 1, 4, 5, 8, 9)]


@pytest.mark.parametrize(
    "names, wanted",
    [
        (["00000013_001.png", "00000014_000.png"], ["00000013", "00000014"]),
        (["123-a.jpg"], ["123"]),
        (["00000013_001.png", "left.png"], None),
        (["12_1.png"], None),  # two digits may be anything
        (["00000013.png"], None),
    ],
)
def test_patients(names, wanted):
    found = folders.patients([pathlib.Path("class") / name for name in names])
    assert wanted is None if found is None else found.tolist() == wanted


def test_pictures_are_read_when_asked_for(folder, monkeypatch):
    opened = []
    real = folders.read_picture
    monkeypatch.setattr(folders, "read_picture", lambda path, size: opened.append(path) or real(path, size))
    pictures = folders.Pictures(folders.find(folder).paths, (12, 14))
    assert pictures.shape == (12, 12, 14, 3) and pictures.dtype == np.float32 and len(pictures) == 12
    assert opened == []
    batch = pictures[np.array([7, 0])]
    assert [path.relative_to(folder).parts[0] for path in opened] == ["b", "a"]
    assert batch.shape == (2, 12, 14, 3) and batch.dtype == np.float32 and batch.min() >= 0 and batch.max() <= 1
    assert np.array_equal(pictures[0], batch[1])
    assert len(opened) == 2  # remembered
    assert np.array_equal(np.asarray(pictures)[7], batch[0])


def test_memory_is_bounded(folder):
    found = folders.find(folder)
    pictures = folders.Pictures(found.paths, (10, 10), remembered=450)
    everything = pictures[:]
    kept = sum(known.nbytes for known in pictures._known.values())
    assert 300 <= kept <= 450
    assert np.array_equal(pictures[:], everything)
    assert {known.shape[2] for known in pictures._known.values()} <= {1, 3}


def test_a_picture_is_scaled_with_all_its_pixels(tmp_path):
    checkered = np.indices((64, 64)).sum(axis=0) % 2 * 255
    Image.fromarray(checkered.astype(np.uint8)).save(tmp_path / "x.png")
    small = folders.read_picture(tmp_path / "x.png", (8, 8))
    assert small.shape == (8, 8, 1)  # grey: one channel is kept
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_a_model_is_trained_on_a_folder(folder):
    from tinymed.layers import Dense, Flatten
    from tinymed.models import Sequential

    found = folders.find(folder)
    pictures = folders.Pictures(found.paths, (8, 8))
    results = []
    for x in (pictures, pictures[:]):
        from tinymed import backend

        backend.set_seed(3)
        model = Sequential([Flatten(input_shape=(8, 8, 3)), Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, found.labels, epochs=2, batch_size=5, validation_split=0.25, verbose=0).history
        results.append((history, model.predict(x, batch_size=5, verbose=0)))
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])


def test_dicom(data_folder):
    pytest.importorskip("pydicom")
    (path,) = (data_folder / "dicom_samples").rglob("CT_small.dcm")
    pixels = folders.read_picture(path, (64, 64))
    assert pixels.shape == (64, 64, 1) and pixels.dtype == np.uint8
    assert pixels.min() < 20 and pixels.max() > 200
    (broken,) = (data_folder / "dicom_samples").rglob("MR_truncated.dcm")
    with pytest.raises(ValueError, match=r"MR_truncated\.dcm is no DICOM image that can be read"):
        folders.read_picture(broken, (64, 64))
    (colour,) = (data_folder / "dicom_samples").rglob("*examples_rgb_color*")
    with pytest.raises(ValueError, match="one grey image is needed"):
        folders.read_picture(colour, (64, 64))


# --- what cannot be used ---------------------------------------------------------------------------------------


def test_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere does not exist, but a folder of class folders.*FOLDER/CLASS"):
        folders.find(tmp_path / "nowhere")
    (tmp_path / "x.png").write_text("")
    with pytest.raises(ValueError, match=r"x\.png is a file"):
        folders.find(tmp_path / "x.png")


def test_one_class(folder):
    with pytest.raises(ValueError, match=r"only one class folder, 'deeper'.*at least two classes"):
        folders.find(folder / "a")
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="has no class folders"):
        folders.find(folder / "empty")


def test_an_empty_class(folder):
    (folder / "d").mkdir()
    with pytest.raises(ValueError, match=r"the class folder .*d has no picture .*remove the folder"):
        folders.find(folder)


def test_unreadable_pictures_are_named(folder):
    bad = folder / "b" / "00000099_000.png"
    bad.write_bytes(next((folder / "a").glob("*.png")).read_bytes()[:80])
    found = folders.find(folder)
    with pytest.raises(ValueError, match=r"00000099_000\.png is a damaged image"):
        folders.check(found.paths)
    with pytest.raises(ValueError, match=r"00000099_000\.png is a damaged image"):
        folders.Pictures(found.paths)[:]
    bad.write_text("words")
    with pytest.raises(ValueError, match=r"00000099_000\.png is no image"):
        folders.check(found.paths)
    with pytest.raises(ValueError, match="no such file"):
        folders.read_picture(folder / "gone.png", (8, 8))
